//! Countries, regions and markets in which the sandbox's people live.

/// The regions of a few countries with their weights; people elsewhere live in a region that is not known.
const REGIONS: &[(&str, &str, i64)] = &[
    ("US", "California", 40),
    ("US", "New York", 30),
    ("US", "Texas", 20),
    ("US", "Florida", 10),
    ("CA", "Ontario", 60),
    ("CA", "Quebec", 40),
    ("GB", "England", 85),
    ("GB", "Scotland", 15),
    ("DE", "Bavaria", 55),
    ("DE", "Berlin", 45),
    ("FR", "Île-de-France", 70),
    ("FR", "Brittany", 30),
    ("JP", "Tokyo", 65),
    ("JP", "Osaka Prefecture", 35),
];

/// Comscore's markets, named as Meta's designated market areas were.
const MARKETS: &[(&str, &str, i64)] = &[
    ("California", "Los Angeles", 65),
    ("California", "San Francisco-Oak-San Jose", 35),
    ("New York", "New York", 90),
    ("New York", "Buffalo", 10),
    ("Texas", "Dallas-Ft. Worth", 55),
    ("Texas", "Houston", 45),
    ("Florida", "Miami-Ft. Lauderdale", 100),
];

/// Stands for a region or market that is not known.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// The two letters as a number.
pub(super) fn country_code(letters: &str) -> Option<u64> {
    match letters.as_bytes() {
        [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Some(u64::from(*first) << 8 | u64::from(*second)),
        _ => None,
    }
}

pub(super) fn country_word(code: u64) -> String {
    let letter = |bits: u64| u8::try_from(bits & 0xff).map_or('?', char::from);
    [letter(code >> 8), letter(code)].iter().collect()
}

pub(super) fn region_word(code: u64) -> &'static str {
    entry(REGIONS, code)
}

pub(super) fn market_word(code: u64) -> &'static str {
    entry(MARKETS, code)
}

pub(super) fn regions(country: u64) -> Vec<(u64, i64)> {
    below(REGIONS, &country_word(country))
}

pub(super) fn markets(region: u64) -> Vec<(u64, i64)> {
    below(MARKETS, region_word(region))
}

fn entry(table: &[(&str, &'static str, i64)], code: u64) -> &'static str {
    usize::try_from(code).ok().and_then(|at| table.get(at)).map_or("Unknown", |(_, word, _)| word)
}

fn below(table: &[(&str, &str, i64)], above: &str) -> Vec<(u64, i64)> {
    let rows = table.iter().enumerate().filter(|(_, (parent, ..))| *parent == above);
    let found: Vec<(u64, i64)> =
        rows.map(|(at, (_, _, weight))| (u64::try_from(at).unwrap_or(UNKNOWN), *weight)).collect();
    if found.is_empty() { vec![(UNKNOWN, 1)] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_within_each_other() {
        let us = country_code("US").unwrap();
        assert_eq!(country_word(us), "US");
        let regions: Vec<&str> = regions(us).into_iter().map(|(code, _)| region_word(code)).collect();
        assert!(regions.contains(&"Texas") && !regions.contains(&"Ontario"));
        assert_eq!(market_word(markets(0)[0].0), "Los Angeles");
    }

    #[test]
    fn a_country_without_regions_has_one_that_is_not_known() {
        assert_eq!(regions(country_code("AT").unwrap()), [(UNKNOWN, 1)]);
        assert_eq!(region_word(UNKNOWN), "Unknown");
        assert_eq!(country_code("usa"), None);
    }
}
