//! Deals numbers out over the values of a breakdown, so that the parts sum up to the whole.

use super::dice::Dice;
use super::metrics::{BUCKETS, COUNT, EVENTS, Event, Metric, Metrics, slot};

/// Deals `whole` out by weight; the parts stand in the order of the weights.
///
/// Each number is cut at its running share, begun at a place that the dice choose, so that nothing is lost and small
/// numbers do not always fall to the same part. A number that counts a part of another (clicks are impressions that
/// were clicked) is dealt by that other's parts: so nobody clicks where nothing was shown.
pub(super) fn deal(whole: &Metrics, weights: &[i64], dice: &mut Dice) -> Vec<Metrics> {
    let mut parts = vec![Metrics::default(); weights.len()];
    let all: i64 = weights.iter().sum();
    for ((at, parent), value) in PARENTS.iter().enumerate().zip(whole.0) {
        if value == 0 || *parent == DERIVED {
            continue;
        }
        let by = whole.0.get(*parent).copied().filter(|by| *by > 0);
        let total = by.unwrap_or(all);
        let mut carried = i128::from(dice.below(total));
        for (part, weight) in parts.iter_mut().zip(weights) {
            let weight = if by.is_some() { part.0.get(*parent).copied().unwrap_or_default() } else { *weight };
            carried += i128::from(value) * i128::from(weight);
            if carried >= i128::from(total) {
                let given = quotient(carried, total);
                carried -= i128::from(given) * i128::from(total);
                if let Some(slot) = part.0.get_mut(at) {
                    *slot = given;
                }
            }
        }
    }
    parts
}

/// Most numbers fit the faster division.
fn quotient(above: i128, below: i64) -> i64 {
    match i64::try_from(above) {
        Ok(above) => above / below.max(1),
        Err(_) => i64::try_from(above / i128::from(below.max(1))).unwrap_or(i64::MAX),
    }
}

/// No parent: dealt by the weights themselves.
const FIRST: usize = usize::MAX;
/// Not dealt at all, because it follows from the others.
const DERIVED: usize = usize::MAX - 1;

/// For each number, the one of which it counts a part. A parent stands before its children.
const PARENTS: [usize; COUNT] = parents();

#[expect(clippy::indexing_slicing, reason = "a table made by the compiler, which stops at a wrong index")]
const fn parents() -> [usize; COUNT] {
    let mut table = [DERIVED; COUNT];
    let single = [
        (Metric::Impressions, FIRST),
        (Metric::Spend, Metric::Impressions as usize),
        (Metric::SocialSpend, Metric::Spend as usize),
        (Metric::Clicks, Metric::Impressions as usize),
        (Metric::LinkClicks, Metric::Clicks as usize),
        (Metric::OutboundClicks, Metric::LinkClicks as usize),
        (Metric::LandingPageViews, Metric::OutboundClicks as usize),
        (Metric::Reactions, Metric::Impressions as usize),
        (Metric::Comments, Metric::Impressions as usize),
        (Metric::Shares, Metric::Impressions as usize),
        (Metric::Saves, Metric::Impressions as usize),
        (Metric::PageLikes, Metric::Impressions as usize),
        (Metric::FullViews, Metric::Impressions as usize),
        (Metric::VideoPlays, Metric::Impressions as usize),
        (Metric::Video2, Metric::VideoPlays as usize),
        (Metric::VideoViews, Metric::Video2 as usize),
        (Metric::Video6, Metric::VideoViews as usize),
        (Metric::Video15, Metric::Video6 as usize),
        (Metric::Video30, Metric::Video15 as usize),
        (Metric::ThruPlays, Metric::Video6 as usize),
        (Metric::VideoP25, Metric::VideoPlays as usize),
        (Metric::VideoP50, Metric::VideoP25 as usize),
        (Metric::VideoP75, Metric::VideoP50 as usize),
        (Metric::VideoP95, Metric::VideoP75 as usize),
        (Metric::VideoP100, Metric::VideoP95 as usize),
        (Metric::WatchSeconds, Metric::VideoPlays as usize),
    ];
    let mut at = 0;
    while at < single.len() {
        table[single[at].0 as usize] = single[at].1;
        at += 1;
    }
    let mut event = 0;
    while event < EVENTS.len() {
        let mut bucket = 0;
        while bucket < BUCKETS.len() {
            let within = BUCKETS[bucket];
            table[slot(EVENTS[event], within)] = match EVENTS[event] {
                Event::ViewContent | Event::PixelLead | Event::Registration => Metric::LandingPageViews as usize,
                Event::AddToCart => slot(Event::ViewContent, within),
                Event::Checkout => slot(Event::AddToCart, within),
                Event::Purchase => slot(Event::Checkout, within),
                Event::PurchaseWorth | Event::Subscribe => slot(Event::Purchase, within),
                Event::SubscribeWorth => slot(Event::Subscribe, within),
                Event::FormLead | Event::Message | Event::Install => Metric::LinkClicks as usize,
            };
            bucket += 1;
        }
        event += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_parent_stands_before_its_children() {
        for (at, parent) in PARENTS.into_iter().enumerate() {
            assert!(parent < at || parent >= DERIVED, "{at} {parent}");
        }
    }

    #[test]
    fn the_parts_sum_up_to_the_whole_and_children_stay_within_their_parents() {
        for ad in 0..300 {
            let mut dice = Dice::new(1, ad, date(2026, 1, 1));
            let mut whole = Metrics::default();
            for (at, parent) in PARENTS.into_iter().enumerate() {
                let most = if parent < at { whole.0[parent] } else { 5_000 };
                whole.0[at] = if parent == DERIVED { 0 } else { dice.between(0, most) };
            }
            let parts = deal(&whole, &[13, 1, 55, 7], &mut dice);
            let mut sum = Metrics::default();
            for part in &parts {
                sum.add(part);
                for (at, parent) in PARENTS.into_iter().enumerate().filter(|(at, parent)| parent < at) {
                    assert!(part.0[at] >= 0 && part.0[at] <= part.0[parent], "{at} of {parent}");
                }
            }
            assert_eq!(sum, whole);
        }
    }

    #[test]
    fn amounts_beyond_the_faster_division_are_dealt_exactly() {
        let mut whole = Metrics::default();
        whole.set(Metric::Impressions, 40_000_000_000);
        whole.set(Metric::Spend, 900_000_000_000);
        let parts = deal(&whole, &[3, 1], &mut Dice::new(1, 1, date(2026, 1, 1)));
        assert_eq!(parts.iter().map(Metrics::spend).sum::<i64>(), 900_000_000_000);
        assert_eq!(parts[0].get(Metric::Impressions), 30_000_000_000);
    }
}
