//! Redis with our scripts and PostgreSQL with our statements, as anybody would write them who had memory to waste.

use std::collections::BTreeMap;

use crate::demand::{Bucket, Demand};
use crate::journal::Allowance;
use crate::priority::Priority;
use crate::store::{Found, Opened};

/// How far behind a replica's estimate the script lets the server's clock be.
const BEHIND_MAX_MS: i64 = 2_000;

/// One run of the server after the other.
pub(super) struct Redis {
    pub(super) run: u64,
    pub(super) is_up: bool,
    /// How far its clock is ahead of the true time.
    pub(super) ahead_ms: i64,
    pub(super) data: Data,
}

/// What a file or a replica of the server may hold.
#[derive(Clone, Default)]
pub(super) struct Data {
    epoch: Option<Epoch>,
    buckets: BTreeMap<String, Cells>,
}

#[derive(Clone, Copy)]
struct Epoch {
    number: i64,
    run: u64,
    lost_at_ms: i64,
}

#[derive(Clone)]
struct Cells {
    at_ms: i64,
    kept: i64,
    cell_ms: i64,
    points: BTreeMap<i64, i64>,
}

/// How the script answers.
pub(super) enum Answer {
    OtherEpoch,
    Refused,
    /// Per charge the cell.
    Admitted(Vec<i64>),
}

impl Cells {
    fn read(bucket: &Bucket, before: Option<&Self>, now_ms: i64) -> Self {
        let kept = i64::from(bucket.window.cells);
        let mut cells = before.cloned().unwrap_or_else(|| Self {
            at_ms: now_ms,
            kept,
            cell_ms: bucket.cell_ms(),
            points: BTreeMap::new(),
        });
        cells.at_ms = cells.at_ms.max(now_ms);
        let oldest = cells.head() - cells.kept + 1;
        cells.points.retain(|cell, _| *cell >= oldest);
        cells
    }

    fn head(&self) -> i64 {
        self.at_ms / self.cell_ms
    }

    fn sum(&self) -> i64 {
        self.points.values().sum()
    }
}

impl Redis {
    pub(super) fn time_ms(&self, true_ms: i64) -> i64 {
        true_ms + self.ahead_ms
    }

    fn bounded_ms(&self, true_ms: i64, not_after_ms: i64) -> i64 {
        self.time_ms(true_ms).min(not_after_ms).max(not_after_ms - BEHIND_MAX_MS)
    }

    /// acquire.lua
    pub(super) fn acquire(&mut self, demand: &Demand, epoch: i64, true_ms: i64, not_after_ms: i64) -> Answer {
        let Some(held) = self.data.epoch.filter(|held| held.run == self.run && held.number == epoch) else {
            return Answer::OtherEpoch;
        };
        let now_ms = self.bounded_ms(true_ms, not_after_ms);
        let mut taken = Vec::new();
        for (bucket, cost) in &demand.charges {
            let mut cells = Cells::read(bucket, self.data.buckets.get(&bucket.key), now_ms);
            let (limit, cost) = (bucket.ceiling.limit.unwrap(), i64::from(*cost));
            let mut cap = bucket.ceiling.caps.cap(demand.priority, limit);
            if held.lost_at_ms > 0 && cells.at_ms < held.lost_at_ms + bucket.kept_ms() {
                if demand.priority != Priority::Safety {
                    return Answer::Refused;
                }
                cap = cap.min(bucket.ceiling.caps.lost_cap(limit));
            }
            if cells.sum() + cost > i64::from(cap) {
                return Answer::Refused;
            }
            *cells.points.entry(cells.head()).or_default() += cost;
            taken.push((bucket.key.clone(), cells));
        }
        let heads = taken.iter().map(|(_, cells)| cells.head()).collect();
        self.data.buckets.extend(taken);
        Answer::Admitted(heads)
    }

    /// release.lua
    pub(super) fn release(&mut self, demand: &Demand, epoch: i64, heads: &[i64]) {
        if self.data.epoch.is_none_or(|held| held.run != self.run || held.number != epoch) {
            return;
        }
        for ((bucket, cost), cell) in demand.charges.iter().zip(heads) {
            if let Some(points) = self.data.buckets.get_mut(&bucket.key).and_then(|cells| cells.points.get_mut(cell)) {
                *points -= i64::from(*cost).min(*points);
            }
        }
    }

    /// look.lua and GET, for the agreement.
    pub(super) fn found(&self, time_ms: i64) -> (Found, Option<(i64, u64)>) {
        let epoch = self.data.epoch;
        let here = epoch.filter(|epoch| epoch.run == self.run);
        let found = Found {
            epoch: here.map_or(0, |epoch| epoch.number),
            any_epoch: epoch.map_or(0, |epoch| epoch.number),
            lost_at_ms: here.map_or(0, |epoch| epoch.lost_at_ms),
            is_empty: epoch.is_none(),
            time_ms,
        };
        (found, epoch.map(|epoch| (epoch.number, epoch.run)))
    }

    /// load.lua
    pub(super) fn load(&mut self, buckets: &[Bucket], rows: &[Allowance], true_ms: i64, not_after_ms: i64) {
        let now_ms = self.bounded_ms(true_ms, not_after_ms);
        for bucket in buckets.iter().filter(|bucket| rows.iter().any(|row| row.key == bucket.key)) {
            let mut cells = Cells::read(bucket, self.data.buckets.get(&bucket.key), now_ms);
            cells.points.clear();
            for row in rows.iter().filter(|row| row.key == bucket.key) {
                let cell = (row.ends_ms / cells.cell_ms).min(cells.head());
                *cells.points.entry(cell).or_default() += i64::try_from(row.points).unwrap();
            }
            self.data.buckets.insert(bucket.key.clone(), cells);
        }
    }

    /// settle.lua, with what calls cost that were let through without Redis.
    pub(super) fn add(&mut self, bucket: &Bucket, points: u64, true_ms: i64, not_after_ms: i64) {
        let now_ms = self.bounded_ms(true_ms, not_after_ms);
        let mut cells = Cells::read(bucket, self.data.buckets.get(&bucket.key), now_ms);
        *cells.points.entry(cells.head()).or_default() += i64::try_from(points).unwrap();
        self.data.buckets.insert(bucket.key.clone(), cells);
    }

    /// epoch.lua; the epoch that holds afterwards, or 0.
    pub(super) fn set_epoch(&mut self, seen: Option<(i64, u64)>, epoch: i64, lost_at_ms: i64) -> i64 {
        if self.data.epoch.map(|held| (held.number, held.run)) == seen {
            self.data.epoch = Some(Epoch { number: epoch, run: self.run, lost_at_ms });
        }
        self.data.epoch.filter(|held| held.run == self.run).map_or(0, |held| held.number)
    }
}

/// Who holds the lock of the app's row: a replica and its generation.
pub(super) type Holder = (usize, u32);

/// The tables.
pub(super) struct Rows {
    pub(super) is_up: bool,
    pub(super) opened: Opened,
    pub(super) locked_by: Option<Holder>,
    allowances: BTreeMap<(String, i64, Holder, i64), Allowance>,
    /// Epoch, replica, bucket: points.
    pub(super) fences: BTreeMap<(i64, Holder, String), u64>,
}

impl Rows {
    pub(super) fn new() -> Self {
        let opened = Opened { epoch: 0, exact_from_ms: 0 };
        Self { is_up: true, opened, locked_by: None, allowances: BTreeMap::new(), fences: BTreeMap::new() }
    }

    /// Those that stand, and those of an epoch that is over.
    pub(super) fn write(
        &mut self,
        replica: Holder,
        rows: Vec<Allowance>,
        now_ms: i64,
    ) -> (Vec<Allowance>, Vec<Allowance>) {
        let (stand, over): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.epoch == self.opened.epoch);
        for row in &stand {
            let key = (row.key.clone(), row.ends_ms, replica, row.epoch);
            let before = self.allowances.get(&key).filter(|_| row.ends_ms > now_ms).map_or(0, |row| row.points);
            self.allowances.insert(key, Allowance { points: row.points.max(before), ..row.clone() });
        }
        (stand, over)
    }

    /// What everybody may have spent of each bucket.
    pub(super) fn points(&self, now_ms: i64) -> BTreeMap<String, u64> {
        let mut points = BTreeMap::new();
        for row in self.spent(now_ms) {
            *points.entry(row.key).or_default() += row.points;
        }
        points
    }

    /// Ends an epoch that holds, or was ended in the same way. What this replica may spend of it; nothing where it could
    /// not be ended.
    pub(super) fn fence(&mut self, replica: Holder, epoch: i64, open: Vec<Allowance>) -> BTreeMap<String, u64> {
        if self.opened.epoch != epoch && !(self.opened.epoch == epoch + 1 && self.is_fenced()) {
            return BTreeMap::new();
        }
        self.opened.epoch = epoch + 1;
        for row in &open {
            let points = self.fences.entry((epoch, replica, row.key.clone())).or_default();
            *points = row.points.max(*points);
        }
        open.into_iter().map(|row| (row.key, row.points)).collect()
    }

    /// Whether the epoch before the opened one was ended because Redis was out of reach.
    pub(super) fn is_fenced(&self) -> bool {
        self.fences.keys().any(|(epoch, _, _)| epoch + 1 == self.opened.epoch)
    }

    /// What may have been spent and still counts.
    pub(super) fn spent(&self, now_ms: i64) -> Vec<Allowance> {
        self.allowances.values().filter(|row| row.until_ms > now_ms && row.points > 0).cloned().collect()
    }
}
