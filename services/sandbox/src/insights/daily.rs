//! What one ad did on one day.

use jiff::civil::Date;

use super::character::{Aim, Character};
use super::dice::Dice;
use super::metrics::{BUCKETS, Bucket, EVENTS, Event, Metric, Metrics};
use crate::state::Span;

/// The current day and hour in the account's zone. The current day is only as old as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Today {
    pub(super) date: Date,
    pub(super) hour: i8,
}

impl Today {
    /// How many days ago a day was; negative for days to come.
    pub(super) fn age(self, day: Date) -> i32 {
        day.until(self.date).map_or(-1, |span| span.get_days())
    }
}

/// An ad's conversions of a day are final so many days later (Meta, 'Insights': the longest attribution window).
pub(super) const FINAL_DAYS: i32 = 28;

/// An ad as far as its numbers go.
#[derive(Debug)]
pub(super) struct Ad<'a> {
    pub(super) id: u64,
    pub(super) spans: &'a [Span],
    pub(super) character: Character,
}

/// The numbers, or `None` where the ad did not deliver. The same seed, ad and day always give the same final numbers.
pub(super) fn of(seed: u64, ad: &Ad<'_>, day: Date, today: Today) -> Option<Metrics> {
    let mut dice = Dice::new(seed, ad.id, day);
    let spend = spent(ad.spans, day, today, &mut dice)?;
    let character = &ad.character;
    let cost_per_thousand = character.cost_per_thousand * dice.between(92, 108) / 100;
    let impressions = spend.saturating_mul(1_000) / cost_per_thousand.max(1);
    let mut metrics = Metrics::default();
    metrics.set(Metric::Spend, spend);
    metrics.set(Metric::SocialSpend, dice.part(spend, 10, 60));
    metrics.set(Metric::Impressions, impressions);
    metrics.set(Metric::FullViews, dice.part(impressions, 520, 760));
    let rate = character.clicks * dice.between(90, 110) / 100;
    let clicks = dice.part(impressions, rate, rate);
    let (least, most) = if character.aim == Aim::Engagement { (250, 450) } else { (700, 820) };
    let link_clicks = dice.part(clicks, least, most).min(clicks);
    let outbound = dice.part(link_clicks, 880, 970).min(link_clicks);
    let page_views = dice.part(outbound, 780, 900).min(outbound);
    metrics.set(Metric::Clicks, clicks);
    metrics.set(Metric::LinkClicks, link_clicks);
    metrics.set(Metric::OutboundClicks, outbound);
    metrics.set(Metric::LandingPageViews, page_views);
    let social = if character.aim == Aim::Engagement { 4 } else { 1 };
    metrics.set(Metric::Reactions, dice.part(impressions, 2 * social, 6 * social));
    metrics.set(Metric::Comments, dice.part(impressions, 0, social));
    metrics.set(Metric::Shares, dice.part(impressions, 0, social));
    metrics.set(Metric::Saves, dice.part(impressions, 0, social));
    metrics.set(Metric::PageLikes, dice.part(impressions, 0, social));
    watched(&mut metrics, impressions, character.video, &mut dice);
    converted(&mut metrics, character, link_clicks, page_views, &mut dice);
    ripen(&mut metrics, today.age(day), &mut dice);
    character.settle(&mut metrics);
    Some(metrics)
}

/// The spend alone, which is wanted for whole accounts.
pub(super) fn spend(seed: u64, id: u64, spans: &[Span], day: Date, today: Today) -> i64 {
    spent(spans, day, today, &mut Dice::new(seed, id, day)).unwrap_or_default()
}

fn spent(spans: &[Span], day: Date, today: Today, dice: &mut Dice) -> Option<i64> {
    if day > today.date {
        return None;
    }
    let span = spans.iter().find(|span| span.holds(day))?;
    let part = if day == today.date { i64::from(today.hour) + 1 } else { 24 };
    Some(span.daily_minor.saturating_mul(dice.between(82, 104)) / 100 * part / 24)
}

fn watched(metrics: &mut Metrics, impressions: i64, share: i64, dice: &mut Dice) {
    let mut left = dice.part(impressions, share, share).min(impressions);
    if left == 0 {
        return;
    }
    metrics.set(Metric::VideoPlays, left);
    metrics.set(Metric::WatchSeconds, left.saturating_mul(dice.between(30, 90)) / 10);
    // Each of a chain is a part of the one before.
    let mut quarters = left;
    for (metric, least, most) in [
        (Metric::Video2, 450, 650),
        (Metric::VideoViews, 600, 800),
        (Metric::Video6, 550, 700),
        (Metric::Video15, 300, 500),
        (Metric::Video30, 200, 400),
    ] {
        left = dice.part(left, least, most).min(left);
        metrics.set(metric, left);
    }
    metrics.set(Metric::ThruPlays, dice.part(metrics.get(Metric::Video6), 350, 550).min(metrics.get(Metric::Video6)));
    for (metric, least, most) in [
        (Metric::VideoP25, 350, 550),
        (Metric::VideoP50, 500, 700),
        (Metric::VideoP75, 550, 750),
        (Metric::VideoP95, 600, 800),
        (Metric::VideoP100, 750, 950),
    ] {
        quarters = dice.part(quarters, least, most).min(quarters);
        metrics.set(metric, quarters);
    }
}

/// What follows a click, by what the campaign is after. Few who only came to read buy something.
fn converted(metrics: &mut Metrics, character: &Character, link_clicks: i64, page_views: i64, dice: &mut Dice) {
    match character.aim {
        Aim::Sales => shop(metrics, character.price, page_views, (600, 800), (120, 200), dice),
        Aim::Traffic => shop(metrics, character.price, page_views, (250, 400), (40, 80), dice),
        Aim::Leads if character.on_form => {
            let leads = dice.part(link_clicks, 80, 160);
            later(metrics, Event::FormLead, leads, dice);
        }
        Aim::Leads => {
            let leads = dice.part(page_views, 60, 140);
            later(metrics, Event::PixelLead, leads, dice);
            let registrations = dice.part(page_views, 10, 30);
            later(metrics, Event::Registration, registrations, dice);
        }
        Aim::App => {
            let installs = dice.part(link_clicks, 100, 200);
            later(metrics, Event::Install, installs, dice);
        }
        Aim::Engagement | Aim::Awareness => {}
    }
    if character.messages {
        let messages = dice.part(link_clicks, 80, 200);
        later(metrics, Event::Message, messages, dice);
    }
}

fn shop(metrics: &mut Metrics, price: i64, page_views: i64, seen: (i64, i64), put: (i64, i64), dice: &mut Dice) {
    let content = dice.part(page_views, seen.0, seen.1).min(page_views);
    let cart = dice.part(content, put.0, put.1).min(content);
    let checkout = dice.part(cart, 400, 550).min(cart);
    let bought = dice.part(checkout, 500, 750).min(checkout);
    let subscribed = dice.part(bought, 50, 150).min(bought);
    let all = [
        (Event::ViewContent, content),
        (Event::AddToCart, cart),
        (Event::Checkout, checkout),
        (Event::Purchase, bought),
        (Event::Subscribe, subscribed),
    ];
    for (event, count) in all {
        later(metrics, event, count, dice);
    }
    for bucket in BUCKETS {
        let worth = metrics.event(Event::Purchase, bucket).saturating_mul(price);
        metrics.set_event(Event::PurchaseWorth, bucket, worth);
        let worth = metrics.event(Event::Subscribe, bucket).saturating_mul(price / 4);
        metrics.set_event(Event::SubscribeWorth, bucket, worth);
    }
}

/// Deals what happens within a week of a click out over its windows, and adds what follows later or without a click.
fn later(metrics: &mut Metrics, event: Event, within_week: i64, dice: &mut Dice) {
    let first = dice.part(within_week, 600, 680).min(within_week);
    metrics.set_event(event, Bucket::Click1, first);
    metrics.set_event(event, Bucket::Click7, within_week - first);
    metrics.set_event(event, Bucket::Click28, dice.part(within_week, 100, 140));
    metrics.set_event(event, Bucket::View1, dice.part(within_week, 50, 150));
    metrics.set_event(event, Bucket::Engaged1, dice.part(within_week, 20, 60));
}

/// Takes away what is not known yet: events happen and are reported late, up to 28 days after the impression.
///
/// The dice choose at which percent the next of a count becomes known, and must be thrown alike at every age.
fn ripen(metrics: &mut Metrics, age: i32, dice: &mut Dice) {
    if age >= FINAL_DAYS {
        return;
    }
    for bucket in BUCKETS {
        let known = known_percent(bucket, age);
        for event in EVENTS {
            // Worth goes with its count, so that nobody pays half a price.
            let (counted, worth) = match event {
                Event::PurchaseWorth | Event::SubscribeWorth => continue,
                Event::Purchase => (event, Some(Event::PurchaseWorth)),
                Event::Subscribe => (event, Some(Event::SubscribeWorth)),
                _ => (event, None),
            };
            let all = metrics.event(counted, bucket);
            let now = (all * known + dice.below(100)) / 100;
            metrics.set_event(counted, bucket, now);
            if let Some(worth) = worth.filter(|_| all > 0) {
                metrics.set_event(worth, bucket, metrics.event(worth, bucket) / all * now);
            }
        }
    }
}

/// How many of a window's conversions are known so many days after the impression, in percent. It never falls.
fn known_percent(bucket: Bucket, age: i32) -> i64 {
    let by_day: &[i64] = match bucket {
        Bucket::Click1 => &[55, 85, 95],
        Bucket::View1 | Bucket::Engaged1 => &[60, 90, 97],
        Bucket::Click7 => &[0, 20, 45, 60, 72, 82, 90, 96, 98, 99],
        Bucket::Click28 | Bucket::Value => {
            // From the eighth day on, evenly to the last.
            return (i64::from(age) - 7).clamp(0, 21) * 100 / 21;
        }
    };
    usize::try_from(age).ok().and_then(|age| by_day.get(age).copied()).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Kind, Source, State};
    use jiff::civil::date;

    /// An ad of world `small` that sells, on days of its own.
    fn ad<'a>(state: &State, spans: &'a [Span]) -> Ad<'a> {
        let ad = state.objects().find(|object| object.kind == Kind::Ad).unwrap();
        Ad { id: 7, spans, character: Character::of(state, ad) }
    }

    fn world() -> State {
        State::new(&Source::Small, 1, "2026-11-01T12:00:00Z".parse().unwrap())
    }

    fn january() -> Vec<Span> {
        vec![Span { from: date(2026, 1, 1), to: Some(date(2026, 1, 31)), daily_minor: 400_000 }]
    }

    fn at(date: Date) -> Today {
        Today { date, hour: 12 }
    }

    #[test]
    fn the_same_day_is_always_the_same_and_days_differ() {
        let (state, spans) = (world(), january());
        let ad = ad(&state, &spans);
        let late = at(date(2026, 3, 1));
        let first = of(1, &ad, date(2026, 1, 5), late).unwrap();
        assert_eq!(Some(first), of(1, &ad, date(2026, 1, 5), late));
        assert_ne!(Some(first), of(1, &ad, date(2026, 1, 6), late));
        assert_ne!(Some(first), of(2, &ad, date(2026, 1, 5), late));
        assert_eq!(first.spend(), spend(1, 7, &spans, date(2026, 1, 5), late));
    }

    #[test]
    fn an_ad_delivers_only_on_its_days_and_not_in_the_future() {
        let (state, spans) = (world(), january());
        let ad = ad(&state, &spans);
        assert!(of(1, &ad, date(2025, 12, 31), at(date(2026, 3, 1))).is_none());
        assert!(of(1, &ad, date(2026, 2, 1), at(date(2026, 3, 1))).is_none());
        assert!(of(1, &ad, date(2026, 1, 5), at(date(2026, 1, 4))).is_none());
    }

    #[test]
    fn conversions_come_late_over_28_days_and_are_never_taken_back() {
        let (state, spans) = (world(), january());
        let ad = ad(&state, &spans);
        let day = date(2026, 1, 5);
        let mut before = of(1, &ad, day, Today { date: day, hour: 23 }).unwrap();
        let (mut grew, mut late) = (0, 0);
        for age in 1..40_i32 {
            let today = at(day.checked_add(jiff::ToSpan::days(age)).unwrap());
            let now = of(1, &ad, day, today).unwrap();
            for (event, bucket) in EVENTS.into_iter().flat_map(|event| BUCKETS.map(|bucket| (event, bucket))) {
                assert!(now.event(event, bucket) >= before.event(event, bucket), "{event:?} {bucket:?} {age}");
            }
            grew += i32::from(now != before);
            late = if now == before { late } else { age };
            assert_eq!(now.get(Metric::Impressions), before.get(Metric::Impressions));
            before = now;
        }
        assert!(grew > 15 && late == 28, "{grew} {late}");
    }

    #[test]
    fn the_current_day_grows() {
        let (state, spans) = (world(), january());
        let ad = ad(&state, &spans);
        let day = date(2026, 1, 5);
        let noon = of(1, &ad, day, Today { date: day, hour: 11 }).unwrap();
        let night = of(1, &ad, day, Today { date: day, hour: 23 }).unwrap();
        assert_eq!(noon.spend(), night.spend() / 2);
        assert!(noon.get(Metric::Clicks) < night.get(Metric::Clicks));
    }
}
