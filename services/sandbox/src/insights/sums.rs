//! Sums of days that are over, kept between queries: the account of a world with 100,000 ads is asked for again and
//! again, and its yesterdays do not change.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;

use super::cells::{Key, Plan};
use super::daily::{FINAL_DAYS, Today};
use super::metrics::Metrics;
use crate::state::{Kind, Object, Status};

/// The most cells that are kept: about 64 MiB.
const CELLS_MAX: usize = 60_000;

/// Members of campaigns, ad sets and ads on which numbers depend.
const DECIDING: &[&str] =
    &["objective", "optimization_goal", "destination_type", "attribution_spec", "promoted_object", "targeting"];

/// Which sum is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Of {
    pub(super) account: u64,
    pub(super) day: Date,
    pub(super) object: u64,
    /// Whether the ads that were deleted count.
    pub(super) with_deleted: bool,
    /// The place of the plan among those that were seen.
    plan: usize,
}

type Cells = Arc<[(Key, Metrics)]>;

#[derive(Debug, Default)]
struct Kept {
    plans: HashMap<Plan, usize>,
    /// With each sum, the day on which it was made.
    sums: BTreeMap<Of, (Date, Cells)>,
    cells: usize,
    /// What an account has spent: up to the end of a day, and with today's hours so far.
    spent: HashMap<u64, Spent>,
    /// When something of an account was last deleted.
    deleted: HashMap<u64, Timestamp>,
}

/// What an account spent up to a day, and up to an hour of the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) through: Date,
    pub(super) minor: i64,
    pub(super) now: Option<(Today, i64)>,
}

/// The kept sums. Behind a lock of its own, because reading fills them.
#[derive(Debug, Default)]
pub(crate) struct Sums(Mutex<Kept>);

impl Sums {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a sum.
    pub(super) fn name(&self, account: u64, day: Date, object: u64, with_deleted: bool, plan: &Plan) -> Of {
        let mut kept = self.kept();
        let next = kept.plans.len();
        let plan = match kept.plans.get(plan) {
            Some(place) => *place,
            None => *kept.plans.entry(plan.clone()).or_insert(next),
        };
        Of { account, day, object, with_deleted, plan }
    }

    /// A sum as it is today. What is not final is good for the day on which it was made.
    pub(super) fn get(&self, of: &Of, today: Today) -> Option<Cells> {
        let kept = self.kept();
        let (made, cells) = kept.sums.get(of)?;
        let made = Today { date: *made, hour: 0 };
        let is_final = made.age(of.day) >= FINAL_DAYS && today.age(of.day) >= FINAL_DAYS;
        (is_final || made.date == today.date).then(|| Arc::clone(cells))
    }

    /// Keeps a sum; the oldest days make room.
    pub(super) fn keep(&self, of: Of, today: Today, cells: Vec<(Key, Metrics)>) -> Cells {
        let cells: Cells = cells.into();
        let mut kept = self.kept();
        kept.cells += cells.len() + 1;
        if let Some((_, old)) = kept.sums.insert(of, (today.date, Arc::clone(&cells))) {
            kept.cells -= old.len() + 1;
        }
        while kept.cells > CELLS_MAX
            && let Some((_, (_, old))) = kept.sums.pop_first()
        {
            kept.cells -= old.len() + 1;
        }
        cells
    }

    pub(super) fn spent(&self, account: u64) -> Option<Spent> {
        self.kept().spent.get(&account).copied()
    }

    pub(super) fn keep_spent(&self, account: u64, spent: Spent) {
        self.kept().spent.insert(account, spent);
    }

    /// Whether something of the account was deleted after a moment: sums made now do not tell of then.
    pub(super) fn deleted_since(&self, account: u64, moment: Timestamp) -> bool {
        self.kept().deleted.get(&account).is_some_and(|deleted| *deleted > moment)
    }

    /// Forgets what a change of an object makes wrong. Called for every object that is put into the world.
    pub(crate) fn see(&self, old: Option<&Object>, new: &Object) {
        if !matches!(new.kind, Kind::Ad | Kind::AdSet | Kind::Campaign) {
            return;
        }
        let is_deleted = |object: &Object| object.status == Status::Deleted;
        let mut kept = self.kept();
        if is_deleted(new) && !old.is_some_and(is_deleted) {
            kept.deleted.insert(new.account, new.updated);
        }
        if let Some(from) = changed_from(old, new) {
            kept.forget(new.account, from);
        }
    }
}

impl Kept {
    fn forget(&mut self, account: u64, from: Date) {
        if self.sums.is_empty() && self.spent.is_empty() {
            return;
        }
        let first = Of { account, day: from, object: 0, with_deleted: false, plan: 0 };
        let mut rest = self.sums.split_off(&first);
        let end = Of { account: account.saturating_add(1), day: Date::MIN, ..first };
        let mut others = rest.split_off(&end);
        self.cells -= rest.values().map(|(_, cells)| cells.len() + 1).sum::<usize>();
        self.sums.append(&mut others);
        if let Entry::Occupied(mut spent) = self.spent.entry(account) {
            if spent.get().through >= from {
                spent.remove();
            } else {
                spent.get_mut().now = None;
            }
        }
    }
}

/// The first day whose numbers a change moves; `None` where it moves none.
fn changed_from(old: Option<&Object>, new: &Object) -> Option<Date> {
    let Some(old) = old else { return new.spans.first().map(|span| span.from) };
    let is_deleted = |object: &Object| object.status == Status::Deleted;
    let parents = |object: &Object| (object.campaign, object.ad_set, object.creative);
    let moved = parents(old) != parents(new)
        || is_deleted(old) != is_deleted(new)
        || DECIDING.iter().any(|name| old.fields.get(*name) != new.fields.get(*name));
    if moved {
        return Some(Date::MIN);
    }
    let at = old.spans.iter().zip(&new.spans).position(|(old, new)| old != new);
    match at {
        Some(at) => {
            let (old, new) = (old.spans.get(at)?, new.spans.get(at)?);
            if old.from == new.from && old.daily_minor == new.daily_minor {
                // Only its end moved: the days up to the earlier end are as they were.
                let end = [old.to, new.to].into_iter().flatten().min()?;
                end.tomorrow().ok()
            } else {
                Some(old.from.min(new.from))
            }
        }
        None => {
            let shorter = old.spans.len().min(new.spans.len());
            let further = old.spans.get(shorter).or_else(|| new.spans.get(shorter));
            further.map(|span| span.from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Span;
    use jiff::civil::date;

    fn ad(spans: &[(Date, Option<Date>)]) -> Object {
        let mut ad = Object::new(7, Kind::Ad, 1, Timestamp::UNIX_EPOCH);
        ad.spans = spans.iter().map(|(from, to)| Span { from: *from, to: *to, daily_minor: 1 }).collect();
        ad
    }

    fn kept(sums: &Sums, day: Date) -> Of {
        let of = sums.name(1, day, 1, false, &Plan::of(&[], &[]));
        sums.keep(of, Today { date: date(2026, 3, 1), hour: 1 }, vec![(Key::default(), Metrics::default())]);
        of
    }

    #[test]
    fn a_pause_touches_only_the_days_after_it() {
        let open = ad(&[(date(2026, 1, 1), None)]);
        let closed = ad(&[(date(2026, 1, 1), Some(date(2026, 2, 1)))]);
        assert_eq!(changed_from(Some(&open), &closed), Some(date(2026, 2, 2)));
        let again = ad(&[(date(2026, 1, 1), Some(date(2026, 2, 1))), (date(2026, 2, 5), None)]);
        assert_eq!(changed_from(Some(&closed), &again), Some(date(2026, 2, 5)));
        assert_eq!(changed_from(None, &open), Some(date(2026, 1, 1)));
        assert_eq!(changed_from(Some(&open), &open.clone().with(serde_json::json!({ "name": "x" }))), None);
        let mut deleted = open.clone();
        deleted.status = Status::Deleted;
        assert_eq!(changed_from(Some(&open), &deleted), Some(Date::MIN));
    }

    #[test]
    fn a_change_forgets_the_days_from_there_on_and_only_of_its_account() {
        let sums = Sums::default();
        let today = Today { date: date(2026, 3, 1), hour: 1 };
        let (early, late) = (kept(&sums, date(2026, 1, 1)), kept(&sums, date(2026, 2, 10)));
        let other = Of { account: 2, ..early };
        sums.keep(other, today, Vec::new());
        let closed = ad(&[(date(2026, 1, 1), Some(date(2026, 2, 1)))]);
        sums.see(Some(&ad(&[(date(2026, 1, 1), None)])), &closed);
        assert!(sums.get(&early, today).is_some() && sums.get(&other, today).is_some());
        assert!(sums.get(&late, today).is_none());
        assert_eq!(sums.kept().cells, 3);
    }

    #[test]
    fn a_day_that_still_ripens_is_good_for_the_day_on_which_it_was_summed_up() {
        let sums = Sums::default();
        let of = kept(&sums, date(2026, 2, 20));
        assert!(sums.get(&of, Today { date: date(2026, 3, 1), hour: 23 }).is_some());
        assert!(sums.get(&of, Today { date: date(2026, 3, 2), hour: 0 }).is_none());
        let of = kept(&sums, date(2026, 1, 1));
        assert!(sums.get(&of, Today { date: date(2026, 9, 1), hour: 0 }).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let sums = Sums::default();
        let first = kept(&sums, date(2026, 1, 1));
        let many = vec![(Key::default(), Metrics::default()); CELLS_MAX - 1];
        let of = sums.name(1, date(2026, 1, 2), 1, false, &Plan::of(&[], &[]));
        let today = Today { date: date(2026, 3, 1), hour: 1 };
        sums.keep(of, today, many);
        assert!(sums.get(&first, today).is_none() && sums.get(&of, today).is_some());
    }
}
