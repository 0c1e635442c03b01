//! Calls at their replicas, at Redis, and without it.

use super::super::replica::{Fence, Next};
use super::super::stores::{Answer, Holder};
use super::{APP, Call, Event, FENCE_MS, Flaw, Step, World};
use crate::journal::{self, When};
use crate::store::is_known;

impl World {
    pub(super) fn hold(&mut self, mut call: Call) {
        if let Some(stopped_ms) = self.stopped_for(call.holder) {
            return self.later(stopped_ms, Event::Hold(call));
        }
        let (now_ms, flaw) = (self.now_ms, self.flaw);
        if call.received_ms == 0 {
            call.received_ms = now_ms;
        }
        let Some(replica) = self.here(call.holder) else { return };
        let mut next = replica.hold(&call.demand, now_ms);
        if next == Next::WaitForJournal && flaw == Flaw::NotWrittenAhead {
            let when = When { app: APP, epoch: replica.epoch.unwrap(), now_ms: replica.estimate_ms(now_ms) };
            next = Next::Script(when);
        }
        let holder = call.holder;
        match next {
            Next::Script(when) => {
                let not_after_ms = replica.not_after_ms(now_ms);
                self.over_the_network(Event::Script(call, when, now_ms, not_after_ms));
            }
            Next::WaitForJournal => self.held_up.push(call),
            Next::Agree => {
                if call.tries == 0 {
                    return;
                }
                call.tries -= 1;
                let begins = !std::mem::replace(&mut replica.is_agreeing, true);
                self.held_up.push(call);
                if begins {
                    self.over_the_network(Event::Agree(holder, Step::Lock));
                }
            }
        }
        self.begin_to_write(holder);
    }

    pub(super) fn script(&mut self, call: Call, when: When, sent_ms: i64, not_after_ms: i64) {
        let is_lossy = self.is_lossy;
        let is_cut_off = self.replicas.get(call.holder.0).is_some_and(|replica| replica.cut_off_until_ms > self.now_ms);
        let answer = if self.redis.is_up && !is_cut_off && !(is_lossy && self.chance.permille(5)) {
            let answer = self.redis.acquire(&call.demand, when.epoch, self.now_ms, not_after_ms);
            // Charged or not, the answer may be lost.
            (!(is_lossy && self.chance.permille(10))).then_some(answer)
        } else {
            None
        };
        self.over_the_network(Event::Answered(call, when, answer, sent_ms));
    }

    pub(super) fn answered(&mut self, call: Call, when: When, answer: Option<Answer>, sent_ms: i64) {
        if let Some(stopped_ms) = self.stopped_for(call.holder) {
            return self.later(stopped_ms, Event::Answered(call, when, answer, sent_ms));
        }
        let (now_ms, told_ms) = (self.now_ms, self.redis.time_ms(self.now_ms));
        let Some(replica) = self.here(call.holder) else { return };
        let charges = journal::charges(&call.demand);
        match answer {
            Some(Answer::Admitted(heads)) => {
                replica.observe(now_ms, told_ms);
                // Some answers are as late as their callers' patience allows.
                let within_ms = if self.chance.permille(150) { 60_000 } else { 4 };
                self.soon(within_ms, Event::Granted(call, when.epoch, heads, sent_ms));
            }
            Some(Answer::Refused) => {
                replica.observe(now_ms, told_ms);
                replica.ledger.give_back(when, &charges);
            }
            Some(Answer::OtherEpoch) => {
                replica.ledger.give_back(when, &charges);
                if replica.epoch == Some(when.epoch) {
                    replica.over = replica.over.max(when.epoch);
                }
                self.hold(call);
            }
            None => {
                let has_fence = replica
                    .fence
                    .as_ref()
                    .is_some_and(|fence| Some(fence.epoch) == replica.epoch && now_ms - fence.asked_ms < FENCE_MS);
                self.over_the_network(if has_fence { Event::Open(call) } else { Event::Fence(call, now_ms) });
            }
        }
    }

    pub(super) fn fence(&mut self, call: Call, asked_ms: i64) {
        if !self.rows.is_up {
            return;
        }
        if self.rows.locked_by.is_some() {
            return self.later(10, Event::Fence(call, asked_ms));
        }
        let now_ms = self.now_ms;
        let Some(replica) = self.here(call.holder) else { return };
        let (Some(epoch), estimate_ms, is_exact) =
            (replica.epoch, replica.estimate_ms(now_ms), replica.is_exact(now_ms))
        else {
            return;
        };
        let open = replica.ledger.open(APP, epoch, estimate_ms);
        let points = self.rows.points(estimate_ms);
        let within = call.demand.charges.iter().all(|(bucket, _)| {
            points.get(&bucket.key).is_none_or(|points| *points <= u64::from(bucket.ceiling.limit.unwrap()))
        });
        if !within || open.is_empty() || !is_exact || !is_known(self.rows.opened, estimate_ms) {
            return;
        }
        let left = self.rows.fence(call.holder, epoch, open);
        if left.is_empty() {
            return;
        }
        self.tell(&format!("replica {} ends epoch {epoch}: {points:?}, may spend {left:?}", call.holder.0));
        self.replicas[call.holder.0].fence = Some(Fence { epoch, asked_ms, points, open: left });
        self.over_the_network(Event::Open(call));
    }

    pub(super) fn open(&mut self, call: Call) {
        if let Some(stopped_ms) = self.stopped_for(call.holder) {
            return self.later(stopped_ms, Event::Open(call));
        }
        let now_ms = self.now_ms;
        let Some(replica) = self.here(call.holder) else { return };
        let asked_ms = replica.fence.as_ref().map_or(0, |fence| fence.asked_ms);
        if now_ms - asked_ms < FENCE_MS && replica.hold_open(&call.demand, now_ms) {
            self.over_the_network(Event::Granted(call, 0, Vec::new(), asked_ms));
        }
    }

    pub(super) fn go_on(&mut self, holder: Holder) {
        let (ready, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held_up).into_iter().partition(|call| call.holder == holder);
        self.held_up = others;
        for call in ready {
            self.later(0, Event::Hold(call));
        }
    }
}
