//! The journal: what replicas write to PostgreSQL.

use super::super::stores::Holder;
use super::{Event, WRITE_MS, World};
use crate::journal::Allowance;

impl World {
    pub(super) fn begin_to_write(&mut self, holder: Holder) {
        let now_ms = self.now_ms;
        let Some(replica) = self.here(holder) else { return };
        if !replica.wants_to_write || std::mem::replace(&mut replica.is_writing, true) {
            return;
        }
        replica.wants_to_write = false;
        let estimate_ms = replica.estimate_ms(now_ms);
        let rows = replica.ledger.unwritten(estimate_ms);
        self.over_the_network(Event::Write(holder, rows, now_ms));
    }

    pub(super) fn write(&mut self, holder: Holder, rows: Vec<Allowance>, begun_ms: i64) {
        let is_late = self.now_ms - begun_ms > WRITE_MS;
        if !self.rows.is_up {
            return self.over_the_network(Event::Wrote(holder, None));
        }
        if self.rows.locked_by.is_some() {
            // The replica gives up, the statement does not.
            if is_late && self.now_ms - begun_ms <= WRITE_MS + 10 {
                self.later(0, Event::Wrote(holder, None));
            }
            return self.later(10, Event::Write(holder, rows, begun_ms));
        }
        let estimate_ms = self.here(holder).map_or(0, |replica| replica.estimate_ms(begun_ms));
        let written = self.rows.write(holder, rows, estimate_ms);
        if !is_late {
            self.over_the_network(Event::Wrote(holder, Some(written)));
        } else if self.now_ms - begun_ms <= 3_100 {
            self.later(0, Event::Wrote(holder, None));
        }
    }

    pub(super) fn wrote(&mut self, holder: Holder, written: Option<(Vec<Allowance>, Vec<Allowance>)>) {
        if let Some(stopped_ms) = self.stopped_for(holder) {
            return self.later(stopped_ms, Event::Wrote(holder, written));
        }
        let now_ms = self.now_ms;
        let Some(replica) = self.here(holder) else { return };
        replica.is_writing = false;
        match written {
            Some((stand, over)) => replica.wrote(&stand, &over, now_ms),
            None => {
                replica.away = Some((now_ms, true));
                replica.wants_to_write = true;
            }
        }
        let again_ms = if replica.is_without_journal() { 1_000 } else { 0 };
        if again_ms > 0 {
            self.later(again_ms, Event::Tidy(holder.0));
        } else {
            self.begin_to_write(holder);
        }
        self.go_on(holder);
    }

    /// Writes what has to be written though nobody asks.
    pub(super) fn tidy(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        replica.wants_to_write = true;
        let holder = (number, replica.generation);
        self.begin_to_write(holder);
        if self.replicas[number].is_without_journal() {
            return;
        }
        self.later(30_000, Event::Tidy(number));
    }
}
