//! Sums the days of ads up for a row, or takes the sum that was kept.

use std::cell::RefCell;

use jiff::civil::Date;

use super::cells::{Key, add};
use super::character::Character;
use super::daily::{self, Ad, Today};
use super::dates::Range;
use super::dice::Dice;
use super::metrics::Metrics;
use super::profile::{Profile, Texts};
use super::query::Query;
use super::sums::Spent;
use crate::state::{Kind, Object, Span, State, Status, local};

/// Objects with more ads than this have their sums kept; fewer are summed up again as quickly.
const ADS_FEW: usize = 48;

/// Where rows come from: the world, seen by one query.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) state: &'a State,
    pub(super) query: &'a Query,
    /// Values of breakdowns that stand in no table, found on the way.
    pub(super) texts: RefCell<Texts>,
    with_deleted: bool,
    each_ad_decides: bool,
}

/// An ad that counts, with all that its numbers depend on.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    ad: Ad<'a>,
    profile: Profile,
}

/// The ads of the object that a row stands for.
#[derive(Debug)]
pub(super) enum Scope<'a> {
    Few(Vec<Ready<'a>>),
    /// Too many to hold; their sums are kept under the id.
    Many(u64),
}

impl<'a> Source<'a> {
    pub(super) fn new(state: &'a State, query: &'a Query) -> Self {
        Self {
            state,
            query,
            texts: RefCell::new(Texts::new()),
            with_deleted: query.target_kind != Kind::AdAccount || query.conditions.ask_for_deleted(),
            each_ad_decides: query.conditions.reach_below(query.level),
        }
    }

    /// The ads behind an object; `None` where the object itself is not wanted.
    pub(super) fn scope(&self, object: &Object) -> Option<Scope<'a>> {
        if object.kind != Kind::AdAccount && !self.query.conditions.want(self.state, object, self.query.now) {
            return None;
        }
        // A row of a level above the one that was asked holds only what is below the latter.
        let holder = if is_above(object.kind, self.query.target_kind) { self.query.target } else { object.id };
        if self.state.child_count(holder, Kind::Ad) > ADS_FEW && self.may_keep() {
            return Some(Scope::Many(holder));
        }
        Some(Scope::Few(self.ads(holder).filter_map(|ad| self.ready(ad)).collect()))
    }

    /// All cells of a scope over some days, in the order of their keys.
    pub(super) fn sum(&self, scope: &Scope<'_>, range: Range) -> Vec<(Key, Metrics)> {
        match scope {
            Scope::Few(ads) => {
                let mut sums = Vec::new();
                for ready in ads {
                    self.days_of(&ready.ad, range, |day| self.put(&mut sums, ready, day));
                }
                sums
            }
            Scope::Many(holder) => self.kept(*holder, range),
        }
    }

    /// Of many ads: each day that is over is summed up once.
    fn kept(&self, holder: u64, range: Range) -> Vec<(Key, Metrics)> {
        let (query, today) = (self.query, self.query.today);
        let of = |day: Date| self.state.sums.name(query.account, day, holder, self.with_deleted, &query.plan);
        let mut whole: Vec<(Key, Metrics)> = Vec::new();
        let mut missing: Vec<(Date, Vec<(Key, Metrics)>)> = Vec::new();
        let until = range.until.min(today.date);
        for day in (Range { since: range.since, until }).days() {
            match self.state.sums.get(&of(day), today).filter(|_| day < today.date) {
                Some(cells) => cells.iter().for_each(|(key, metrics)| add(&mut whole, *key, metrics)),
                None => missing.push((day, Vec::new())),
            }
        }
        if missing.is_empty() {
            return whole;
        }
        for ad in self.ads(holder) {
            let Some(ready) = self.ready(ad) else { continue };
            self.days_of(&ready.ad, range, |day| {
                if let Ok(at) = missing.binary_search_by_key(&day, |(day, _)| *day)
                    && let Some((_, sums)) = missing.get_mut(at)
                {
                    self.put(sums, &ready, day);
                }
            });
        }
        for (day, cells) in missing {
            for (key, metrics) in &cells {
                add(&mut whole, *key, metrics);
            }
            if day < today.date {
                self.state.sums.keep(of(day), today, cells);
            }
        }
        whole
    }

    fn put(&self, sums: &mut Vec<(Key, Metrics)>, ready: &Ready<'_>, day: Date) {
        let (query, today) = (self.query, self.query.today);
        let Some(metrics) = daily::of(self.state.seed, &ready.ad, day, today) else { return };
        if query.plan.is_plain() {
            return add(sums, Key::default(), &metrics);
        }
        let dice = Dice::new(self.state.seed ^ 0x5a, ready.ad.id, day);
        for (key, part) in query.plan.cells(&metrics, (&ready.profile, &ready.ad.character), dice, (day, today)) {
            add(sums, key, &part);
        }
    }

    fn days_of(&self, ad: &Ad<'_>, range: Range, see: impl FnMut(Date)) {
        days(ad.spans, Range { until: range.until.min(self.query.today.date), ..range }, see);
    }

    fn ads(&self, holder: u64) -> impl Iterator<Item = &'a Object> {
        let state = self.state;
        let own = state.of_kind(holder, Kind::Ad).map(|ad| ad.id);
        own.into_iter().chain(state.children(holder, Kind::Ad)).filter_map(move |id| state.object(id))
    }

    /// The ad with its character, if it counts.
    fn ready(&self, ad: &'a Object) -> Option<Ready<'a>> {
        let query = self.query;
        let counts = !ad.spans.is_empty()
            && ad.created <= query.now
            && (self.with_deleted || !self.is_deleted(ad))
            && (!self.each_ad_decides || query.conditions.want(self.state, ad, query.now));
        if !counts {
            return None;
        }
        let character = Character::of(self.state, ad);
        let profile = if query.plan.is_plain() {
            Profile::default()
        } else {
            Profile::of(self.state, ad, &character, &query.breakdowns, &mut self.texts.borrow_mut())
        };
        Some(Ready { ad: Ad { id: ad.id, spans: &ad.spans, character }, profile })
    }

    /// Whether it was deleted, or what is above it, at the moment of which the query tells.
    fn is_deleted(&self, ad: &Object) -> bool {
        let above = [ad.ad_set, ad.campaign].into_iter().flatten().filter_map(|id| self.state.object(id));
        std::iter::once(ad).chain(above).any(|it| it.status == Status::Deleted && it.updated <= self.query.now)
    }

    fn may_keep(&self) -> bool {
        self.query.plan.is_fixed()
            && !self.each_ad_decides
            && !self.state.sums.deleted_since(self.query.account, self.query.now)
    }
}

/// Everything that an account ever spent, in minor units; what was deleted stays spent.
pub(super) fn spent(state: &State, account: u64, now: jiff::Timestamp) -> i64 {
    let here = local(state, account, now);
    let today = Today { date: here.date(), hour: here.hour() };
    let Ok(yesterday) = today.date.yesterday() else { return 0 };
    let kept = state.sums.spent(account).filter(|kept| kept.through <= yesterday);
    if let Some((at, minor)) = kept.and_then(|kept| kept.now).filter(|_| kept.is_some_and(|it| it.through == yesterday))
        && at == today
    {
        return minor;
    }
    let from = kept.and_then(|kept| kept.through.tomorrow().ok()).unwrap_or(Date::MIN);
    let mut through = kept.map_or(0, |kept| kept.minor);
    let mut so_far = 0;
    for ad in state.children(account, Kind::Ad).filter_map(|id| state.object(id)) {
        days(&ad.spans, Range { since: from, until: today.date }, |day| {
            let spend = daily::spend(state.seed, ad.id, &ad.spans, day, today);
            *(if day == today.date { &mut so_far } else { &mut through }) += spend;
        });
    }
    let whole = through + so_far;
    state.sums.keep_spent(account, Spent { through: yesterday, minor: through, now: Some((today, whole)) });
    whole
}

/// What the ads of an object have spent since a day, in minor units. Nothing is kept, for it is asked of few ads.
pub(super) fn spent_since(state: &State, object: &Object, since: Date, now: jiff::Timestamp) -> i64 {
    let here = local(state, object.account, now);
    let today = Today { date: here.date(), hour: here.hour() };
    let mut spent = 0;
    for ad in state.children(object.id, Kind::Ad).filter_map(|id| state.object(id)) {
        days(&ad.spans, Range { since, until: today.date }, |day| {
            spent += daily::spend(state.seed, ad.id, &ad.spans, day, today);
        });
    }
    spent
}

/// Only the days on which an ad has a span are looked at, since a query may ask for years; each once, also where an ad
/// was paused and started again on the same day.
fn days(spans: &[Span], range: Range, mut see: impl FnMut(Date)) {
    let mut next = range.since;
    for span in spans {
        let until = span.to.unwrap_or(range.until).min(range.until);
        let since = span.from.max(next);
        if since == until {
            see(since);
        } else {
            Range { since, until }.days().for_each(&mut see);
        }
        if since <= until {
            next = until.tomorrow().unwrap_or(Date::MAX);
        }
    }
}

fn is_above(kind: Kind, other: Kind) -> bool {
    let depth = |kind: Kind| match kind {
        Kind::AdAccount => 0,
        Kind::Campaign => 1,
        Kind::AdSet => 2,
        _ => 3,
    };
    depth(kind) < depth(other)
}
