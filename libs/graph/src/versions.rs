//! How long each version of Meta's APIs lives, as Meta publishes it (Meta, "Graph API changelog: available versions" and
//! "Marketing API: versioning"; read in November 2026). Meta tells the end of a version when it publishes the next ones.

use jiff::civil::{Date, date};

/// One version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its major number; the minor one has been 0 since v4.
    pub major: u32,
    /// When Meta published it.
    pub released: Date,
    /// The day on which the Graph API ends, which conversion events go by; `None` while Meta has not said.
    pub graph_ends: Option<Date>,
    /// When the Marketing API ends, which everything else goes by.
    pub marketing: End,
}

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// On this day.
    On(Date),
    /// It is over, and Meta no longer says since when.
    Over,
    /// Meta has not said.
    Unknown,
}

const fn version(major: u32, released: Date, graph_ends: Option<Date>, marketing: End) -> Version {
    Version { major, released, graph_ends, marketing }
}

/// Those that Meta names, the oldest first.
pub const CALENDAR: [Version; 9] = [
    version(18, date(2023, 9, 12), Some(date(2026, 1, 26)), End::Over),
    version(19, date(2024, 1, 23), Some(date(2026, 5, 21)), End::Over),
    version(20, date(2024, 5, 21), Some(date(2026, 9, 24)), End::Over),
    version(21, date(2024, 10, 2), Some(date(2027, 1, 21)), End::On(date(2025, 9, 9))),
    version(22, date(2025, 1, 21), Some(date(2027, 5, 20)), End::On(date(2026, 2, 19))),
    version(23, date(2025, 5, 29), Some(date(2027, 10, 8)), End::On(date(2026, 6, 9))),
    version(24, date(2025, 10, 8), Some(date(2028, 2, 18)), End::On(date(2026, 10, 6))),
    version(25, date(2026, 2, 18), Some(date(2028, 7, 29)), End::Unknown),
    version(26, date(2026, 7, 29), None, End::Unknown),
];

/// What a call belongs to, by which its version ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Conversion events.
    Graph,
    /// Everything about ad accounts.
    Marketing,
}

impl Version {
    /// When it ends.
    pub fn end(&self, api: Api) -> End {
        match (api, self.graph_ends) {
            (Api::Marketing, _) => self.marketing,
            (Api::Graph, Some(day)) => End::On(day),
            (Api::Graph, None) => End::Unknown,
        }
    }
}

/// How a version stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It serves; so many days are left, where Meta has said when it ends.
    Serves(Option<i32>),
    /// It ended on this day.
    Ended(Date),
    /// Over for so long that Meta no longer says since when.
    Gone,
    /// Newer than the calendar: Meta will know.
    New,
    /// No version at all.
    Malformed,
}

impl Standing {
    /// Nothing can be sent with it.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Gone | Self::Malformed)
    }
}

/// How a version such as `v26.0` stands.
pub fn standing(api: Api, word: &str, today: Date) -> Standing {
    let Some(major) = major(word) else { return Standing::Malformed };
    match CALENDAR.iter().find(|version| version.major == major).map(|version| version.end(api)) {
        Some(End::Unknown) => Standing::Serves(None),
        Some(End::On(day)) if day <= today => Standing::Ended(day),
        Some(End::On(day)) => Standing::Serves(Some((day - today).get_days())),
        Some(End::Over) => Standing::Gone,
        None if CALENDAR.iter().all(|version| version.major < major) => Standing::New,
        None => Standing::Gone,
    }
}

/// What is wrong with a version and what to do, where nothing can be sent with it.
pub fn refusal(api: Api, word: &str, today: Date) -> Option<String> {
    let name = match api {
        Api::Graph => "Graph API",
        Api::Marketing => "Marketing API",
    };
    let next = format!("set {} or newer on the Meta app or the tenant", newest());
    Some(match standing(api, word, today) {
        Standing::Ended(day) => format!("Meta's {name} {word} ended on {day}: {next}"),
        Standing::Gone => format!("Meta's {name} {word} is long over: {next}"),
        Standing::Malformed => format!("must be a version such as {}", newest()),
        Standing::Serves(_) | Standing::New => return None,
    })
}

/// How many days the Marketing API of a version has left; negative once it is over, `None` while Meta has not said.
pub fn days_to_end(word: &str, today: Date) -> Option<i32> {
    match standing(Api::Marketing, word, today) {
        Standing::Serves(days) => days,
        Standing::Ended(day) => Some((day - today).get_days()),
        _ => None,
    }
}

/// The Marketing API's versions that serve on a day, with when they end, the oldest first.
pub fn serving(today: Date) -> Vec<(String, Option<Date>)> {
    let ends = |version: &Version| match version.marketing {
        End::On(day) if day > today => Some(Some(day)),
        End::Unknown => Some(None),
        End::On(_) | End::Over => None,
    };
    CALENDAR.iter().filter_map(|version| Some((format!("v{}.0", version.major), ends(version)?))).collect()
}

/// The newest version of the calendar, such as `v26.0`.
pub fn newest() -> String {
    let newest = CALENDAR.iter().map(|version| version.major).max().unwrap_or_default();
    format!("v{newest}.0")
}

/// `v26.0` is 26. A minor number other than 0 has not been since v4, so it is none.
fn major(word: &str) -> Option<u32> {
    let digits = word.strip_prefix('v')?.strip_suffix(".0")?;
    let plain =
        (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = date(2026, 11, 22);

    #[test]
    fn each_version_stands_as_the_calendar_says() {
        for (word, expected) in [
            ("v26.0", Standing::Serves(None)),
            ("v25.0", Standing::Serves(None)),
            ("v24.0", Standing::Ended(date(2026, 10, 6))),
            ("v21.0", Standing::Ended(date(2025, 9, 9))),
            ("v18.0", Standing::Gone),
            ("v17.0", Standing::Gone),
            ("v27.0", Standing::New),
            ("v26.1", Standing::Malformed),
            ("26.0", Standing::Malformed),
            ("v026.0", Standing::Malformed),
            ("", Standing::Malformed),
        ] {
            assert_eq!(standing(Api::Marketing, word, TODAY), expected, "{word}");
        }
    }

    #[test]
    fn a_version_serves_to_the_eve_of_its_last_day() {
        assert_eq!(standing(Api::Marketing, "v24.0", date(2026, 10, 5)), Standing::Serves(Some(1)));
        assert_eq!(standing(Api::Marketing, "v24.0", date(2026, 7, 8)), Standing::Serves(Some(90)));
        assert!(standing(Api::Marketing, "v24.0", date(2026, 10, 6)).is_dead());
    }

    #[test]
    fn a_refusal_names_the_version_to_use() {
        let words = refusal(Api::Marketing, "v23.0", TODAY).unwrap();
        assert_eq!(
            words,
            "Meta's Marketing API v23.0 ended on 2026-06-09: set v26.0 or newer on the Meta app or the tenant"
        );
        assert_eq!(refusal(Api::Marketing, "v26.0", TODAY), None);
        assert_eq!(refusal(Api::Graph, "v23.0", TODAY), None, "events go on with it");
        assert_eq!(days_to_end("v24.0", TODAY), Some(-47));
        assert_eq!(days_to_end("v26.0", TODAY), None);
    }

    #[test]
    fn those_that_serve_are_told_with_their_end() {
        let of = |day| serving(day).into_iter().map(|(word, end)| (word, end.is_some())).collect::<Vec<_>>();
        let named =
            |words: &[(&str, bool)]| words.iter().map(|(word, end)| ((*word).to_owned(), *end)).collect::<Vec<_>>();
        assert_eq!(of(TODAY), named(&[("v25.0", false), ("v26.0", false)]));
        assert_eq!(of(date(2026, 10, 5)), named(&[("v24.0", true), ("v25.0", false), ("v26.0", false)]));
    }

    #[test]
    fn the_calendar_is_in_order() {
        for pair in CALENDAR.windows(2) {
            assert!(pair[0].major < pair[1].major && pair[0].released < pair[1].released);
            if let (End::On(first), End::On(second)) = (pair[0].marketing, pair[1].marketing) {
                assert!(first < second);
            }
        }
        assert!(CALENDAR.iter().all(|version| version.graph_ends.is_none_or(|ends| ends > version.released)));
    }
}
