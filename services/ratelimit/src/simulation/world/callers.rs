//! Who asks, and what becomes of a permit.

use super::{APP, CALL_TIMEOUT_MS, Call, Event, Flaw, REPLICAS, SEND_BEFORE_MS, TRIES, World};
use crate::demand::Demand;
use crate::priority::Priority;
use crate::scope::{ADS_MANAGEMENT, Scope};

impl World {
    pub(super) fn ask_again(&mut self) {
        let number = self.chance.below(REPLICAS);
        let cost = u32::try_from(self.chance.between(1, 9)).unwrap();
        let class = [Priority::Safety, Priority::Interactive, Priority::Interactive, Priority::Sync];
        let priority = class[self.chance.below(class.len())];
        let both = self.chance.permille(300);
        let demand = self.demand(cost, priority, both);
        self.ask(number, demand);
        self.soon(60_000, Event::Ask);
    }

    pub(super) fn demand(&self, cost: u32, priority: Priority, both: bool) -> Demand {
        let score = (Scope::ad_account(APP, "2", ""), None, cost);
        let calls = (Scope::ad_account(APP, "2", ADS_MANAGEMENT), None, cost);
        self.rules.demand(APP, priority, [score].into_iter().chain(both.then_some(calls)))
    }

    pub(super) fn ask(&mut self, number: usize, demand: Demand) {
        let holder = (number, self.replicas[number].generation);
        let call = Call { holder, demand, asked_ms: self.now_ms, received_ms: 0, tries: TRIES };
        self.over_the_network(Event::Hold(call));
    }

    /// A permit is good until five seconds after the request for it, less what it did not wait at its replica: no clock
    /// of another is needed to know that.
    pub(super) fn granted(&mut self, call: &Call, epoch: i64, heads: Vec<i64>, sent_ms: i64) {
        self.admitted += 1;
        let good_until_ms = match self.flaw {
            Flaw::FromReceipt => self.now_ms + SEND_BEFORE_MS,
            _ => call.asked_ms + (sent_ms - call.received_ms) + SEND_BEFORE_MS,
        };
        if good_until_ms <= self.now_ms {
            self.over_the_network(Event::Release(call.demand.clone(), epoch, heads));
            return;
        }
        // Most are sent at once, some as late as they may be, and so they travel.
        let (hurries, is_quick) = (self.chance.permille(500), self.chance.permille(500));
        let sent_at_ms = if hurries { self.now_ms } else { self.chance.between(self.now_ms, good_until_ms - 1) };
        let travels_ms = if is_quick { 0 } else { self.chance.between(0, CALL_TIMEOUT_MS) };
        self.later(sent_at_ms + travels_ms - self.now_ms, Event::AtMeta(call.demand.clone()));
    }

    pub(super) fn at_meta(&mut self, demand: &Demand) {
        for (bucket, cost) in &demand.charges {
            self.arrivals.entry(bucket.key.clone()).or_default().push((self.now_ms, i64::from(*cost)));
        }
    }
}
