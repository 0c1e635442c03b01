//! How replicas agree on an epoch: each step somewhere else, and later.

use super::super::stores::{Data, Holder};
use super::{APP, Event, Flaw, Step, World};
use crate::demand::Bucket;
use crate::priority::Priority;
use crate::store::{Agreement, Found, agree, agree_without_journal};

impl World {
    pub(super) fn agree(&mut self, holder: Holder, step: Step) {
        if let Some(stopped_ms) = self.stopped_for(holder) {
            return self.later(stopped_ms, Event::Agree(holder, step));
        }
        if self.here(holder).is_none() {
            return;
        }
        let ours = self.rows.locked_by == Some(holder) && self.rows.is_up;
        let reaches_redis = self.redis.is_up && self.replicas[holder.0].cut_off_until_ms <= self.now_ms;
        let next = match step {
            Step::Lock if !self.rows.is_up => Some(Step::ReadAlone),
            Step::Lock if self.rows.locked_by.is_some() => return self.later(10, Event::Agree(holder, Step::Lock)),
            Step::Lock => {
                self.rows.locked_by = Some(holder);
                Some(Step::Read)
            }
            Step::Read if reaches_redis && ours => self.read(holder),
            Step::ReadAlone if reaches_redis => self.read_alone(holder),
            Step::Load(found, seen, run, agreement) if reaches_redis && ours => {
                self.load(holder, found, &agreement);
                Some(Step::Set(seen, run, agreement))
            }
            Step::Set(seen, run, agreement) if reaches_redis && ours => {
                if std::mem::take(&mut self.restarts_again) {
                    self.tell("Redis restarts empty again");
                    self.restart_redis(Data::default());
                }
                self.set(seen, run, agreement).then_some(Step::Commit(agreement))
            }
            Step::SetAlone(seen, run, agreement) if reaches_redis => {
                if self.set(seen, run, agreement) {
                    self.agreed(holder, agreement);
                }
                None
            }
            Step::Commit(agreement) if ours => {
                if let Agreement::Open { next, .. } | Agreement::Adopt(next) | Agreement::Mend { next, .. } = agreement
                {
                    self.rows.opened = next;
                    self.rows.fences.clear();
                }
                self.agreed(holder, agreement);
                None
            }
            _ => None,
        };
        match next {
            Some(step) => self.over_the_network(Event::Agree(holder, step)),
            None => self.stop_agreeing(holder),
        }
    }

    pub(super) fn read(&mut self, holder: Holder) -> Option<Step> {
        let replica = &self.replicas[holder.0];
        let (found, seen) = self.redis.found(replica.estimate_ms(self.now_ms));
        let known = replica.epoch.unwrap_or_default();
        let agreement = agree(self.rows.opened, found, known, replica.is_exact(self.now_ms), self.rows.is_fenced());
        match agreement {
            Agreement::Holds(_) => {
                self.agreed(holder, agreement);
                None
            }
            Agreement::Adopt(_) => Some(Step::Commit(agreement)),
            Agreement::Open { rebuilds: true, .. } | Agreement::Mend { .. } => {
                Some(Step::Load(found, seen, self.redis.run, agreement))
            }
            Agreement::Open { .. } => Some(Step::Set(seen, self.redis.run, agreement)),
        }
    }

    pub(super) fn read_alone(&mut self, holder: Holder) -> Option<Step> {
        let replica = &self.replicas[holder.0];
        let (found, seen) = self.redis.found(replica.estimate_ms(self.now_ms));
        let agreement = agree_without_journal(found, replica.epoch);
        if matches!(agreement, Agreement::Open { .. }) {
            return Some(Step::SetAlone(seen, self.redis.run, agreement));
        }
        self.agreed(holder, agreement);
        None
    }

    pub(super) fn load(&mut self, holder: Holder, found: Found, agreement: &Agreement) {
        if self.flaw == Flaw::NothingRebuilt {
            return;
        }
        if matches!(agreement, Agreement::Mend { .. }) {
            return self.add(holder);
        }
        let rows = self.rows.spent(found.time_ms);
        let buckets: Vec<Bucket> =
            self.demand(1, Priority::Safety, true).charges.into_iter().map(|(bucket, _)| bucket).collect();
        let not_after_ms = self.replicas[holder.0].not_after_ms(self.now_ms);
        self.redis.load(&buckets, &rows, self.now_ms, not_after_ms);
    }

    /// What may have been spent of the ended epoch without Redis.
    pub(super) fn add(&mut self, holder: Holder) {
        if self.flaw == Flaw::NothingAdded {
            return;
        }
        let not_after_ms = self.replicas[holder.0].not_after_ms(self.now_ms);
        for (bucket, _) in self.demand(1, Priority::Safety, true).charges {
            let fences = self
                .rows
                .fences
                .iter()
                .filter(|((epoch, _, key), _)| epoch + 1 == self.rows.opened.epoch && *key == bucket.key);
            self.redis.add(&bucket, fences.map(|(_, points)| points).sum(), self.now_ms, not_after_ms);
        }
    }

    /// In the server that was read, and in no other.
    pub(super) fn set(&mut self, seen: Option<(i64, u64)>, run: u64, agreement: Agreement) -> bool {
        let (Agreement::Open { next, lost_at_ms, .. } | Agreement::Mend { next, lost_at_ms }) = agreement else {
            return false;
        };
        if self.redis.run != run && self.flaw != Flaw::AnyServer {
            return false;
        }
        let holds = self.redis.set_epoch(seen, next.epoch, lost_at_ms) == next.epoch;
        if holds && matches!(agreement, Agreement::Open { rebuilds: false, .. }) {
            self.unknown += 1;
        }
        holds
    }

    pub(super) fn agreed(&mut self, holder: Holder, agreement: Agreement) {
        let epoch = match agreement {
            Agreement::Holds(epoch) => epoch,
            Agreement::Adopt(opened) | Agreement::Open { next: opened, .. } | Agreement::Mend { next: opened, .. } => {
                opened.epoch
            }
        };
        self.tell(&format!("replica {} is in epoch {epoch}: {agreement:?}", holder.0));
        let replica = &mut self.replicas[holder.0];
        replica.epoch = Some(epoch);
        if self.rows.locked_by == Some(holder) && replica.over <= epoch {
            if replica.over == epoch {
                replica.ledger.adopted(APP, epoch);
            }
            replica.over = 0;
        }
    }

    pub(super) fn stop_agreeing(&mut self, holder: Holder) {
        if self.rows.locked_by == Some(holder) {
            self.rows.locked_by = None;
        }
        self.replicas[holder.0].is_agreeing = false;
        self.go_on(holder);
    }
}
