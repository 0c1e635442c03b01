//! How a day of an ad is dealt out over the values of breakdowns.

use jiff::civil::Date;

use super::assets::card_name;
use super::breakdowns::{ActionBreakdown, Breakdown};
use super::character::Character;
use super::daily::Today;
use super::dice::Dice;
use super::metrics::Metrics;
use super::places;
use super::profile::{self, Profile, Texts, Weight};
use super::split::deal;

/// The most breakdowns of rows in a set.
const ROW_MAX: usize = 4;

/// The values of a cell by their codes: those of the rows' breakdowns first, then that of the actions' one.
pub(super) type Key = [u64; ROW_MAX + 1];

/// The part of a key that tells rows apart.
pub(super) fn row_of(key: &Key) -> &[u64] {
    key.get(..ROW_MAX).unwrap_or_default()
}

/// Something that a day can be dealt out over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Dimension {
    Of(Breakdown),
    Device,
    Reaction,
    Card,
    Sound,
    VideoType,
}

/// The order in which a day is dealt out. What is asked for is a part of one of these, and the rest is summed up again,
/// so that rows by age and gender agree with rows by age.
const FAMILIES: &[&[Breakdown]] = &[
    &[Breakdown::Country, Breakdown::Age, Breakdown::Gender],
    &[Breakdown::Country, Breakdown::Region, Breakdown::Market, Breakdown::Dma],
    &[
        Breakdown::PublisherPlatform,
        Breakdown::PlatformPosition,
        Breakdown::ImpressionDevice,
        Breakdown::DevicePlatform,
    ],
];

const POSITIONS: &[(&str, &str, i64)] = &[
    ("facebook", "feed", 62),
    ("facebook", "facebook_reels", 18),
    ("facebook", "facebook_stories", 8),
    ("facebook", "marketplace", 6),
    ("facebook", "instream_video", 4),
    ("facebook", "right_hand_column", 2),
    ("instagram", "feed", 40),
    ("instagram", "instagram_reels", 32),
    ("instagram", "instagram_stories", 23),
    ("instagram", "instagram_explore", 5),
    ("audience_network", "an_classic", 70),
    ("audience_network", "rewarded_video", 30),
    ("messenger", "messenger_inbox", 1),
    ("threads", "threads_feed", 1),
];
const DEVICES: &[(&str, i64)] =
    &[("iphone", 44), ("android_smartphone", 38), ("desktop", 9), ("ipad", 5), ("android_tablet", 3), ("other", 1)];
const DESKTOP: u64 = 2;
const DEVICE_PLATFORMS: &[(&str, i64)] = &[("mobile_app", 90), ("mobile_web", 10), ("desktop", 0)];
const HOURS: &[i64] = &[2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 6, 5, 5, 5, 5, 6, 6, 7, 8, 7, 5, 3];
const PRODUCTS: &[(&str, i64)] =
    &[("8001, Rain jacket", 40), ("8002, Trail shoes", 30), ("8003, Wool socks", 20), ("8004, Thermos", 10)];
const SEGMENTS: &[(&str, i64)] = &[("prospecting", 70), ("engaged", 18), ("existing", 10), ("unknown", 2)];
const REACTIONS: &[(&str, i64)] = &[("like", 70), ("love", 18), ("haha", 5), ("wow", 4), ("sorry", 2), ("anger", 1)];
const SOUNDS: &[(&str, i64)] = &[("off", 72), ("on", 28)];
const VIDEO_TYPES: &[(&str, i64)] = &[("auto_play", 88), ("click_to_play", 12)];

/// Which dimensions a query deals out, in which order, and where each stands in a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    chain: Vec<Dimension>,
    places: Vec<Option<usize>>,
}

impl Plan {
    pub(super) fn of(rows: &[Breakdown], actions: &[ActionBreakdown]) -> Self {
        // How often people saw an ad is told by the reach of a row, not by its parts.
        let rows: Vec<Breakdown> = rows.iter().copied().filter(|row| *row != Breakdown::FrequencyValue).collect();
        let mut chain: Vec<Dimension> = Vec::new();
        let rest: Vec<Breakdown> = rows.iter().copied().filter(|row| !row.is_asset()).collect();
        chain.extend(rows.iter().filter(|row| row.is_asset()).map(|row| Dimension::Of(*row)));
        match FAMILIES.iter().find(|family| !rest.is_empty() && rest.iter().all(|row| family.contains(row))) {
            Some(family) => {
                // Below the last one asked for, nothing needs to be dealt out.
                let depth = family.iter().rposition(|it| rest.contains(it)).map_or(0, |last| last + 1);
                chain.extend(family.iter().take(depth).map(|it| Dimension::Of(*it)));
            }
            None => chain.extend(rest.iter().map(|row| Dimension::Of(*row))),
        }
        chain.extend(actions.iter().filter_map(|action| dimension(*action)).take(1));
        let place = |dimension: &Dimension| match dimension {
            Dimension::Of(row) => rows.iter().position(|it| it == row),
            _ => Some(ROW_MAX),
        };
        Self { places: chain.iter().map(place).collect(), chain }
    }

    /// Whether actions have parts of their own below a row.
    pub(super) fn has_parts(&self) -> bool {
        self.places.contains(&Some(ROW_MAX))
    }

    pub(super) fn is_plain(&self) -> bool {
        self.chain.is_empty()
    }

    /// Whether the values stand in fixed tables, so that sums may be kept between queries.
    pub(super) fn is_fixed(&self) -> bool {
        self.chain.iter().all(|dimension| match dimension {
            Dimension::Of(row) => !row.is_asset() && !matches!(row, Breakdown::MediaType | Breakdown::Destination),
            Dimension::Card => false,
            _ => true,
        })
    }

    /// Deals a day out. Cells in which nothing happened are left out; the others stand in the order of their keys.
    pub(super) fn cells(
        &self,
        whole: &Metrics,
        shown_to: (&Profile, &Character),
        mut dice: Dice,
        (day, today): (Date, Today),
    ) -> Vec<(Key, Metrics)> {
        let (profile, character) = shown_to;
        let mut dealt: Vec<(Vec<u64>, Metrics)> = vec![(Vec::with_capacity(self.chain.len()), *whole)];
        for dimension in &self.chain {
            let mut next = Vec::new();
            for (path, metrics) in dealt {
                let values = values(*dimension, &path, profile, (day, today));
                let with = |code: u64| path.iter().copied().chain([code]).collect::<Vec<_>>();
                match values.as_slice() {
                    [(only, _)] => next.push((with(*only), metrics)),
                    _ => {
                        let weights: Vec<i64> = values.iter().map(|(_, weight)| *weight).collect();
                        let parts = values.iter().zip(deal(&metrics, &weights, &mut dice));
                        next.extend(
                            parts.filter(|(_, part)| !part.is_zero()).map(|((code, _), part)| (with(*code), part)),
                        );
                    }
                }
            }
            dealt = next;
        }
        let mut cells: Vec<(Key, Metrics)> = Vec::with_capacity(dealt.len());
        for (path, metrics) in dealt {
            add(&mut cells, self.key(&path), &metrics);
        }
        for (_, metrics) in &mut cells {
            character.settle(metrics);
        }
        cells
    }

    fn key(&self, path: &[u64]) -> Key {
        let mut key = Key::default();
        for (code, place) in path.iter().zip(&self.places) {
            if let Some(slot) = place.and_then(|place| key.get_mut(place)) {
                *slot = *code;
            }
        }
        key
    }
}

/// Adds to the cell of that key, in cells that stand in the order of their keys.
pub(super) fn add(cells: &mut Vec<(Key, Metrics)>, key: Key, metrics: &Metrics) {
    match cells.binary_search_by(|(other, _)| other.cmp(&key)) {
        Ok(at) => {
            if let Some((_, sum)) = cells.get_mut(at) {
                sum.add(metrics);
            }
        }
        Err(at) => cells.insert(at, (key, *metrics)),
    }
}

/// What a breakdown of actions is dealt out by; the others follow from the action itself.
pub(super) fn dimension(action: ActionBreakdown) -> Option<Dimension> {
    match action {
        ActionBreakdown::Device => Some(Dimension::Device),
        ActionBreakdown::Reaction => Some(Dimension::Reaction),
        ActionBreakdown::CardId | ActionBreakdown::CardName => Some(Dimension::Card),
        ActionBreakdown::VideoSound => Some(Dimension::Sound),
        ActionBreakdown::VideoType => Some(Dimension::VideoType),
        _ => None,
    }
}

/// The values below the ones chosen so far. None: such an ad has no rows of that breakdown.
fn values(dimension: Dimension, path: &[u64], profile: &Profile, (day, today): (Date, Today)) -> Vec<Weight> {
    let first = path.first().copied().unwrap_or_default();
    let last = path.last().copied().unwrap_or_default();
    match dimension {
        Dimension::Of(Breakdown::Country) => profile.countries.clone(),
        Dimension::Of(Breakdown::Region) => places::regions(first),
        Dimension::Of(Breakdown::Market) => places::markets(last),
        // Where it is still alive, Nielsen's areas are those that Comscore took over.
        Dimension::Of(Breakdown::Dma | Breakdown::Mmm | Breakdown::Place | Breakdown::Other(_)) => vec![(last, 1)],
        Dimension::Of(Breakdown::Age) => profile.ages.clone(),
        Dimension::Of(Breakdown::Gender) => profile.genders.clone(),
        Dimension::Of(Breakdown::PublisherPlatform) => profile.platforms.clone(),
        Dimension::Of(Breakdown::PlatformPosition) => positions(profile::platform_word(first)),
        Dimension::Of(Breakdown::ImpressionDevice) | Dimension::Device => table(DEVICES),
        Dimension::Of(Breakdown::DevicePlatform) if last == DESKTOP => vec![(DESKTOP, 1)],
        Dimension::Of(Breakdown::DevicePlatform) => table(DEVICE_PLATFORMS),
        Dimension::Of(Breakdown::Hour) => hours(day, today, 0),
        Dimension::Of(Breakdown::AudienceHour) => hours(day, today, 3),
        Dimension::Of(Breakdown::Product) => table(PRODUCTS),
        Dimension::Of(Breakdown::Segment) => table(SEGMENTS),
        Dimension::Of(Breakdown::MediaType) => profile.media.clone(),
        Dimension::Of(Breakdown::Destination) => profile.destination.clone(),
        Dimension::Of(Breakdown::Skan(_) | Breakdown::FrequencyValue) => Vec::new(),
        Dimension::Of(_) => profile.assets.clone(),
        Dimension::Reaction => table(REACTIONS),
        Dimension::Sound => table(SOUNDS),
        Dimension::VideoType => table(VIDEO_TYPES),
        Dimension::Card if profile.cards.is_empty() => vec![(0, 1)],
        Dimension::Card => profile.cards.clone(),
    }
}

fn table(words: &[(&str, i64)]) -> Vec<Weight> {
    words.iter().zip(0..).filter(|((_, weight), _)| *weight > 0).map(|((_, weight), code)| (code, *weight)).collect()
}

fn positions(platform: &str) -> Vec<Weight> {
    let all = POSITIONS.iter().zip(0..);
    all.filter(|((of, ..), _)| *of == platform).map(|((_, _, weight), code)| (code, *weight)).collect()
}

/// Today has only the hours that have begun. People who live elsewhere see their ads at other hours of their own.
fn hours(day: Date, today: Today, shift: usize) -> Vec<Weight> {
    let begun = if day == today.date { usize::try_from(today.hour).unwrap_or_default() + 1 } else { HOURS.len() };
    let weight = |hour: usize| HOURS.get((hour + shift) % HOURS.len()).copied().unwrap_or(1);
    (0..begun.min(HOURS.len())).map(|hour| (u64::try_from(hour).unwrap_or_default(), weight(hour))).collect()
}

/// The value of a code, as JSON.
pub(super) fn text(breakdown: Breakdown, code: u64, texts: &Texts) -> String {
    let quoted = |word: &str| format!("\"{word}\"");
    let of = |words: &[(&'static str, i64)]| quoted(word_of(words, code));
    match breakdown {
        Breakdown::Country => quoted(&places::country_word(code)),
        Breakdown::Region => quoted(places::region_word(code)),
        Breakdown::Market | Breakdown::Dma => quoted(places::market_word(code)),
        Breakdown::Age => quoted(profile::age_word(code)),
        Breakdown::Gender => quoted(profile::gender_word(code)),
        Breakdown::PublisherPlatform => quoted(profile::platform_word(code)),
        Breakdown::PlatformPosition => {
            let entry = usize::try_from(code).ok().and_then(|at| POSITIONS.get(at));
            quoted(entry.map_or("unknown", |(_, word, _)| word))
        }
        Breakdown::ImpressionDevice => of(DEVICES),
        Breakdown::DevicePlatform => of(DEVICE_PLATFORMS),
        Breakdown::Hour | Breakdown::AudienceHour => format!("\"{code:02}:00:00 - {code:02}:59:59\""),
        Breakdown::FrequencyValue => quoted(&code.to_string()),
        Breakdown::Product => of(PRODUCTS),
        Breakdown::Segment => of(SEGMENTS),
        Breakdown::Mmm | Breakdown::Place | Breakdown::Skan(_) | Breakdown::Other(_) => quoted("unknown"),
        _ => texts.get(&code).cloned().unwrap_or_else(|| quoted("unknown")),
    }
}

/// The value of an action's code in one of its breakdowns, as JSON; `None` where the action has none.
pub(super) fn action_text(action: ActionBreakdown, code: u64, texts: &Texts) -> Option<String> {
    let of = |words: &[(&'static str, i64)]| Some(format!("\"{}\"", word_of(words, code)));
    match action {
        ActionBreakdown::Device => of(DEVICES),
        ActionBreakdown::Reaction => of(REACTIONS),
        ActionBreakdown::VideoSound => of(SOUNDS),
        ActionBreakdown::VideoType => of(VIDEO_TYPES),
        ActionBreakdown::CardId => texts.get(&code).cloned(),
        ActionBreakdown::CardName => texts.get(&card_name(code)).cloned(),
        _ => None,
    }
}

fn word_of(words: &[(&'static str, i64)], code: u64) -> &'static str {
    usize::try_from(code).ok().and_then(|at| words.get(at)).map_or("unknown", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::breakdowns::every_set;
    use crate::insights::daily::{self, Ad};
    use crate::state::{Kind, Source, Span, State};
    use jiff::civil::date;

    /// Deals one day of each ad of world `small`, made large, out over a set.
    fn dealt(set: &[Breakdown], actions: &[ActionBreakdown], mut see: impl FnMut(&Metrics, &[(Key, Metrics)])) {
        let state = State::new(&Source::Small, 1, "2026-11-01T12:00:00Z".parse().unwrap());
        let day = date(2026, 10, 1);
        let today = Today { date: date(2026, 11, 1), hour: 12 };
        let plan = Plan::of(set, actions);
        for object in state.objects().filter(|object| object.kind == Kind::Ad) {
            let spans = [Span { from: day, to: None, daily_minor: 900_000 }];
            let ad = Ad { id: object.id, spans: &spans, character: Character::of(&state, object) };
            let whole = daily::of(1, &ad, day, today).unwrap();
            let profile = Profile::of(&state, object, &ad.character, set, &mut Texts::new());
            let cells = plan.cells(&whole, (&profile, &ad.character), Dice::new(9, ad.id, day), (day, today));
            see(&whole, &cells);
        }
    }

    #[test]
    fn every_breakdown_sums_up_to_the_day() {
        for set in every_set() {
            let rows = !set.iter().any(|it| matches!(it, Breakdown::VideoAsset));
            dealt(&set, &[ActionBreakdown::Type], |whole, cells| {
                let mut sum = Metrics::default();
                for (_, part) in cells {
                    sum.add(part);
                }
                assert_eq!(sum, if rows { *whole } else { Metrics::default() }, "{set:?}");
                assert!(cells.is_sorted_by_key(|(key, _)| *key));
            });
        }
    }

    #[test]
    fn breakdowns_of_actions_sum_up_too() {
        for (set, action) in [
            (vec![], ActionBreakdown::Device),
            (vec![Breakdown::ImpressionDevice], ActionBreakdown::Device),
            (vec![], ActionBreakdown::Reaction),
            (vec![], ActionBreakdown::VideoSound),
            (vec![], ActionBreakdown::VideoType),
            (vec![Breakdown::Age, Breakdown::Gender], ActionBreakdown::CardId),
        ] {
            dealt(&set, &[action], |whole, cells| {
                let mut sum = Metrics::default();
                for (_, part) in cells {
                    sum.add(part);
                }
                assert_eq!(sum, *whole, "{set:?} {action:?}");
            });
        }
    }

    #[test]
    fn a_coarser_breakdown_agrees_with_the_finer_one() {
        let pairs = [
            (vec![Breakdown::Age], vec![Breakdown::Age, Breakdown::Gender]),
            (vec![Breakdown::Gender], vec![Breakdown::Age, Breakdown::Gender]),
            (vec![Breakdown::Country], vec![Breakdown::Country, Breakdown::Age]),
            (vec![Breakdown::PublisherPlatform], vec![Breakdown::PublisherPlatform, Breakdown::PlatformPosition]),
            (vec![Breakdown::DevicePlatform], vec![Breakdown::PublisherPlatform, Breakdown::DevicePlatform]),
        ];
        for (coarse, fine) in pairs {
            let place = fine.iter().position(|it| *it == coarse[0]).unwrap();
            let mut expected = Vec::new();
            dealt(&coarse, &[], |_, cells| expected.push(cells.to_vec()));
            let mut at = 0;
            dealt(&fine, &[], |_, cells| {
                let mut sums = Vec::new();
                for (key, part) in cells {
                    let mut coarse_key = Key::default();
                    coarse_key[0] = key[place];
                    add(&mut sums, coarse_key, part);
                }
                assert_eq!(sums, expected[at], "{coarse:?} {fine:?}");
                at += 1;
            });
        }
    }

    #[test]
    fn the_current_day_has_no_hours_to_come() {
        let day = date(2026, 11, 1);
        let today = Today { date: day, hour: 3 };
        assert_eq!(hours(day, today, 0).len(), 4);
        assert_eq!(hours(date(2026, 10, 31), today, 0).len(), 24);
    }
}
