//! Breakdowns: which may be combined, and how a day is dealt out over their values.

use super::daily::Dice;
use super::metrics::Metrics;
use super::split::deal;
use crate::error::Refusal;

/// A way to break rows down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Breakdown {
    Country,
    Region,
    Age,
    Gender,
    PublisherPlatform,
    PlatformPosition,
    ImpressionDevice,
    DevicePlatform,
    Hour,
}

use Breakdown::{
    Age, Country, DevicePlatform, Gender, Hour, ImpressionDevice, PlatformPosition, PublisherPlatform, Region,
};

/// Sets that Meta allows; any order.
const SETS: &[&[Breakdown]] = &[
    &[],
    &[Age],
    &[Gender],
    &[Age, Gender],
    &[Country],
    &[Region],
    &[Country, Age],
    &[Country, Gender],
    &[PublisherPlatform],
    &[PublisherPlatform, ImpressionDevice],
    &[PublisherPlatform, PlatformPosition],
    &[PublisherPlatform, PlatformPosition, ImpressionDevice],
    &[DevicePlatform],
    &[PublisherPlatform, DevicePlatform],
    &[PublisherPlatform, PlatformPosition, DevicePlatform],
    &[ImpressionDevice],
    &[Hour],
];

/// Words that Meta knows, of which the sandbox makes no numbers yet.
const UNSERVED: &str = "comscore_market frequency_value hourly_stats_aggregated_by_audience_time_zone product_id \
    place_page_id ad_format_asset body_asset call_to_action_asset description_asset image_asset link_url_asset \
    title_asset video_asset app_id skan_campaign_id skan_conversion_id user_segment_key mmm media_type";

impl Breakdown {
    pub(super) fn word(self) -> &'static str {
        match self {
            Country => "country",
            Region => "region",
            Age => "age",
            Gender => "gender",
            PublisherPlatform => "publisher_platform",
            PlatformPosition => "platform_position",
            ImpressionDevice => "impression_device",
            DevicePlatform => "device_platform",
            Hour => "hourly_stats_aggregated_by_advertiser_time_zone",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Country, Region, Age, Gender, PublisherPlatform, PlatformPosition, ImpressionDevice, DevicePlatform, Hour]
            .into_iter()
            .find(|breakdown| breakdown.word() == word)
    }

    /// Its values and their weights, given the value chosen above it.
    fn values(self, above: &str) -> &'static [(&'static str, i64)] {
        match (self, above) {
            (Country, _) => &[("US", 78), ("CA", 14), ("GB", 8)],
            (Region, "US") => &[("California", 40), ("New York", 35), ("Texas", 25)],
            (Region, "CA") => &[("Ontario", 60), ("Quebec", 40)],
            (Region, _) => &[("England", 85), ("Scotland", 15)],
            (Age, _) => &[("18-24", 14), ("25-34", 29), ("35-44", 24), ("45-54", 17), ("55-64", 10), ("65+", 6)],
            (Gender, _) => &[("female", 55), ("male", 43), ("unknown", 2)],
            (PublisherPlatform, _) => &[("facebook", 52), ("instagram", 41), ("audience_network", 5), ("messenger", 2)],
            (PlatformPosition, "facebook") => {
                &[("feed", 70), ("facebook_reels", 18), ("facebook_stories", 8), ("marketplace", 4)]
            }
            (PlatformPosition, "instagram") => &[("feed", 45), ("instagram_reels", 32), ("instagram_stories", 23)],
            (PlatformPosition, "messenger") => &[("messenger_inbox", 1)],
            (PlatformPosition, _) => &[("an_classic", 70), ("rewarded_video", 30)],
            (ImpressionDevice, _) => &[("iphone", 46), ("android_smartphone", 40), ("desktop", 9), ("ipad", 5)],
            (DevicePlatform, "desktop") => &[("desktop", 1)],
            (DevicePlatform, _) => &[("mobile_app", 90), ("mobile_web", 10)],
            (Hour, _) => HOURS,
        }
    }
}

const HOURS: &[(&str, i64)] = &[
    ("00:00:00 - 00:59:59", 2),
    ("01:00:00 - 01:59:59", 1),
    ("02:00:00 - 02:59:59", 1),
    ("03:00:00 - 03:59:59", 1),
    ("04:00:00 - 04:59:59", 1),
    ("05:00:00 - 05:59:59", 2),
    ("06:00:00 - 06:59:59", 3),
    ("07:00:00 - 07:59:59", 4),
    ("08:00:00 - 08:59:59", 5),
    ("09:00:00 - 09:59:59", 5),
    ("10:00:00 - 10:59:59", 5),
    ("11:00:00 - 11:59:59", 5),
    ("12:00:00 - 12:59:59", 6),
    ("13:00:00 - 13:59:59", 5),
    ("14:00:00 - 14:59:59", 5),
    ("15:00:00 - 15:59:59", 5),
    ("16:00:00 - 16:59:59", 5),
    ("17:00:00 - 17:59:59", 6),
    ("18:00:00 - 18:59:59", 6),
    ("19:00:00 - 19:59:59", 7),
    ("20:00:00 - 20:59:59", 8),
    ("21:00:00 - 21:59:59", 7),
    ("22:00:00 - 22:59:59", 5),
    ("23:00:00 - 23:59:59", 3),
];

/// The order in which a day is dealt out. What is asked for is a part of one of these, and the rest is summed up again,
/// so that rows by age and gender agree with rows by age.
const FAMILIES: [&[Breakdown]; 3] = [
    &[Country, Region, Age, Gender],
    &[PublisherPlatform, PlatformPosition, ImpressionDevice, DevicePlatform],
    &[Hour],
];

/// Reads `breakdowns`; fails for words that are unknown and sets that are not allowed.
pub(super) fn parse(words: &[String]) -> Result<Vec<Breakdown>, Refusal> {
    let mut breakdowns = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match Breakdown::parse(word) {
            Some(breakdown) => breakdowns.push(breakdown),
            None if UNSERVED.split_whitespace().any(|known| known == word) => return Err(invalid(words)),
            None => {
                let message =
                    format!("breakdowns[{at}] must be one of the following values: age, country, gender, ...");
                return Err(Refusal::invalid(message));
            }
        }
    }
    breakdowns.sort_unstable();
    breakdowns.dedup();
    let allowed = SETS.iter().any(|set| set.len() == breakdowns.len() && set.iter().all(|it| breakdowns.contains(it)));
    if allowed { Ok(breakdowns) } else { Err(invalid(words)) }
}

fn invalid(words: &[String]) -> Refusal {
    let columns = words.join(", ");
    Refusal::invalid(format!("Current combination of data breakdown columns (action_type, {columns}) is invalid"))
}

/// A cell of a breakdown: the values in the order of the breakdowns.
pub(super) type Cell = Vec<&'static str>;

/// Deals a day of an ad out over the breakdowns. Cells in which nothing happened are left out.
pub(super) fn cells(whole: Metrics, breakdowns: &[Breakdown], dice: &Dice) -> Vec<(Cell, Metrics)> {
    if breakdowns.is_empty() {
        return vec![(Vec::new(), whole)];
    }
    let Some(family) = FAMILIES.iter().find(|family| breakdowns.iter().all(|it| family.contains(it))) else {
        return Vec::new();
    };
    // Below the last one asked for, nothing needs to be dealt out.
    let depth = family.iter().rposition(|it| breakdowns.contains(it)).map_or(0, |last| last + 1);
    let mut dealt: Vec<(Vec<&'static str>, Metrics)> = vec![(Vec::new(), whole)];
    let mut dice = dice.clone();
    for &breakdown in family.iter().take(depth) {
        let mut next = Vec::new();
        for (path, metrics) in &dealt {
            let values = breakdown.values(above(breakdown, path));
            let weights: Vec<i64> = values.iter().map(|(_, weight)| *weight).collect();
            for ((value, _), part) in values.iter().zip(deal(metrics, &weights, &mut dice)) {
                if !part.is_zero() {
                    next.push((path.iter().copied().chain([*value]).collect(), part));
                }
            }
        }
        dealt = next;
    }
    dealt.into_iter().map(|(path, metrics)| (asked(&path, family, breakdowns), metrics)).collect()
}

/// The value on which the values of a breakdown depend.
fn above(breakdown: Breakdown, path: &[&'static str]) -> &'static str {
    match breakdown {
        Region | PlatformPosition => path.first(),
        DevicePlatform => path.get(2),
        _ => None,
    }
    .copied()
    .unwrap_or_default()
}

fn asked(path: &[&'static str], family: &[Breakdown], breakdowns: &[Breakdown]) -> Cell {
    let all = family.iter().zip(path);
    breakdowns
        .iter()
        .filter_map(|wanted| all.clone().find(|(breakdown, _)| *breakdown == wanted).map(|(_, value)| *value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn only_the_allowed_sets_are_taken() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(parse(&words(&["gender", "age"])).unwrap(), [Age, Gender]);
        assert!(parse(&words(&["age", "publisher_platform"])).is_err());
        assert!(parse(&words(&["shoe_size"])).is_err());
    }

    #[test]
    fn every_breakdown_sums_up_to_the_day_and_agrees_with_the_coarser_one() {
        let dice = Dice::new(1, 7, date(2026, 1, 1));
        let whole = Metrics([9_731; super::super::metrics::COUNT]);
        for set in SETS {
            let mut sum = Metrics::default();
            for (cell, part) in cells(whole, set, &dice) {
                assert_eq!(cell.len(), set.len());
                sum.add(&part);
            }
            assert_eq!(sum, whole, "{set:?}");
        }
        let of = |set: &[Breakdown], value: &str| {
            let mut sum = Metrics::default();
            let of_value = cells(whole, set, &dice).into_iter().filter(|(cell, _)| cell.contains(&value));
            of_value.for_each(|(_, part)| sum.add(&part));
            sum
        };
        assert_eq!(of(&[Age], "25-34"), of(&[Age, Gender], "25-34"));
        assert_eq!(of(&[PublisherPlatform], "facebook"), of(&[PublisherPlatform, PlatformPosition], "facebook"));
    }
}
