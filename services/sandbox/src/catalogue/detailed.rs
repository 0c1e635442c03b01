//! The entries of detailed targeting: interests, behaviours and demographics, with their ids and sizes.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::{demographics, hash, interests};

/// From when on interests that Meta merged into others are no longer taken (Meta, "Detailed targeting updates").
const MERGED_SINCE: &str = "2026-01-15T00:00:00Z";

/// One entry, in the words of Meta's rows.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) path: Vec<&'static str>,
    /// People in the world, as bounds.
    pub(crate) lower: u64,
    pub(crate) upper: u64,
}

/// A class of entries, which is also the member of a targeting that holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind(pub(crate) &'static str);

/// Every class, in the order in which Meta lists them.
pub(crate) const KINDS: &[&str] = &[
    "interests",
    "behaviors",
    "life_events",
    "industries",
    "income",
    "family_statuses",
    "education_schools",
    "education_majors",
    "work_employers",
    "work_positions",
    "user_os",
    "user_device",
];

/// Rows below one path.
pub(super) struct Group {
    pub(super) kind: &'static str,
    pub(super) path: &'static [&'static str],
    /// Names, and thousands of people.
    pub(super) rows: &'static [(&'static str, u64)],
}

/// Interests that Meta merged: the old id and name, and the name of what took its place.
const GONE: &[(u64, &str, &str)] = &[
    (6_003_011_990_001, "Slow cooker recipes", "Recipes"),
    (6_003_011_990_002, "Trail marathon", "Marathons"),
    (6_003_011_990_003, "Indie board games", "Board games"),
    (6_003_011_990_004, "Vintage cameras", "Photography"),
];

/// Ids that Meta's documentation uses in its examples.
const KNOWN: &[(&str, &str, u64)] = &[
    ("interests", "Association football (Soccer)", 6_003_107_902_433),
    ("interests", "Movies", 6_003_139_266_461),
    ("interests", "Basketball", 6_003_369_240_775),
    ("interests", "Golf", 6_003_510_075_864),
    ("interests", "Online shopping", 6_003_346_592_981),
    ("behaviors", "Technology early adopters", 6_003_808_923_172),
    ("behaviors", "Frequent travelers", 6_002_714_895_372),
];

struct Index {
    entries: Vec<Entry>,
    by_id: HashMap<u64, usize>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let entries: Vec<Entry> = interests::GROUPS
        .iter()
        .chain(demographics::GROUPS)
        .flat_map(|group| group.rows.iter().map(|row| of(group, row)))
        .collect();
    let by_id = entries.iter().enumerate().map(|(at, entry)| (entry.id, at)).collect();
    Index { entries, by_id }
});

fn of(group: &Group, &(name, thousands): &(&'static str, u64)) -> Entry {
    let lower = thousands.saturating_mul(1_000);
    let mut path = group.path.to_vec();
    path.push(name);
    Entry { id: id(group.kind, name), name, kind: Kind(group.kind), path, lower, upper: lower + lower * 176 / 1_000 }
}

/// Thirteen digits, as Meta's: what they begin with tells the class, the rest is made of the name.
fn id(kind: &str, name: &str) -> u64 {
    if let Some((_, _, id)) = KNOWN.iter().find(|(of, known, _)| *of == kind && *known == name) {
        return *id;
    }
    let base = match kind {
        "interests" => 6_003_000_000_000,
        "behaviors" => 6_004_000_000_000,
        "life_events" => 6_005_000_000_000,
        "industries" => 6_008_000_000_000,
        "income" => 6_107_000_000_000,
        "family_statuses" => 6_023_000_000_000,
        "user_os" | "user_device" => 6_026_000_000_000,
        // Schools, employers and the like are pages.
        _ => 105_600_000_000_000,
    };
    base + hash(name, hash(kind, 0xcbf2_9ce4_8422_2325)) % 1_000_000_000
}

/// All entries, in a fixed order.
pub(crate) fn entries() -> &'static [Entry] {
    &INDEX.entries
}

/// The entry with that id.
pub(crate) fn entry(id: u64) -> Option<&'static Entry> {
    INDEX.by_id.get(&id).and_then(|&at| INDEX.entries.get(at))
}

/// The entry with that name, of one class or of any; letters of both cases are one.
pub(crate) fn named(kind: Option<&str>, name: &str) -> Option<&'static Entry> {
    let of_kind = |entry: &&Entry| kind.is_none_or(|kind| entry.kind.0 == kind);
    INDEX.entries.iter().filter(of_kind).find(|entry| entry.name.eq_ignore_ascii_case(name.trim()))
}

/// The old name of a merged interest, and what took its place.
pub(crate) fn gone(id: u64) -> Option<(&'static str, &'static str)> {
    GONE.iter().find(|(old, ..)| *old == id).map(|(_, name, replacement)| (*name, *replacement))
}

/// Whether merged interests are no longer taken at that moment.
pub(crate) fn is_gone_by(now: Timestamp) -> bool {
    MERGED_SINCE.parse().is_ok_and(|since: Timestamp| now >= since)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_entries_share_an_id_and_all_are_found_by_it() {
        let ids: HashSet<u64> = entries().iter().map(|entry| entry.id).collect();
        assert_eq!(ids.len(), entries().len());
        assert!(entries().len() > 200, "{}", entries().len());
        assert!(entries().iter().all(|it| entry(it.id).is_some_and(|found| found.name == it.name)));
        assert!(KNOWN.iter().all(|(kind, name, id)| named(Some(kind), name).is_some_and(|entry| entry.id == *id)));
    }

    #[test]
    fn every_class_has_entries_and_every_entry_a_class() {
        for kind in KINDS {
            assert!(entries().iter().any(|entry| entry.kind.0 == *kind), "{kind}");
        }
        assert!(entries().iter().all(|entry| KINDS.contains(&entry.kind.0) && entry.lower < entry.upper));
    }

    #[test]
    fn what_was_merged_is_no_entry_and_its_heir_is() {
        for (id, name, heir) in GONE {
            assert!(entry(*id).is_none() && named(None, name).is_none());
            assert!(named(Some("interests"), heir).is_some(), "{heir}");
        }
        assert!(!is_gone_by("2025-12-31T00:00:00Z".parse().unwrap()));
        assert!(is_gone_by("2026-02-01T00:00:00Z".parse().unwrap()));
    }
}
