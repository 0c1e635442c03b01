//! Languages, and what people write into their profiles about school and work.

use super::detailed::{Entry, entries};

/// Key and name of a language, as `locales` takes it.
pub(crate) const LOCALES: &[(u32, &str)] = &[
    (1, "Catalan"),
    (2, "Czech"),
    (5, "German"),
    (6, "English (US)"),
    (7, "Spanish"),
    (8, "Finnish"),
    (9, "French (France)"),
    (10, "Hungarian"),
    (11, "Italian"),
    (12, "Japanese"),
    (13, "Korean"),
    (14, "Norwegian (bokmal)"),
    (15, "Polish"),
    (16, "Portuguese (Brazil)"),
    (17, "Russian"),
    (18, "Swedish"),
    (19, "Turkish"),
    (20, "Simplified Chinese (China)"),
    (21, "Traditional Chinese (Hong Kong)"),
    (22, "Traditional Chinese (Taiwan)"),
    (23, "Spanish (Spain)"),
    (24, "English (UK)"),
    (25, "Indonesian"),
    (27, "Vietnamese"),
    (28, "Arabic"),
    (31, "Portuguese (Portugal)"),
    (32, "Romanian"),
    (35, "Thai"),
    (39, "Greek"),
    (44, "French (Canada)"),
    (46, "Hindi"),
    (1001, "English (All)"),
    (1002, "Spanish (All)"),
    (1003, "French (All)"),
    (1004, "Chinese (All)"),
    (1005, "Portuguese (All)"),
];

/// The name of a language.
pub(crate) fn locale(key: i64) -> Option<&'static str> {
    LOCALES.iter().find(|(other, _)| i64::from(*other) == key).map(|(_, name)| *name)
}

/// A numbered state of life, as `relationship_statuses` and its kin take it.
pub(crate) struct Word {
    pub(crate) kind: &'static str,
    pub(crate) number: i64,
    pub(crate) name: &'static str,
}

/// Numbers and names (Meta, "Advanced targeting").
const WORDS: &[Word] = &[
    Word { kind: "relationship_statuses", number: 1, name: "Single" },
    Word { kind: "relationship_statuses", number: 2, name: "In a relationship" },
    Word { kind: "relationship_statuses", number: 3, name: "Married" },
    Word { kind: "relationship_statuses", number: 4, name: "Engaged" },
    Word { kind: "relationship_statuses", number: 6, name: "Unspecified" },
    Word { kind: "relationship_statuses", number: 12, name: "Separated" },
    Word { kind: "education_statuses", number: 1, name: "In high school" },
    Word { kind: "education_statuses", number: 2, name: "In college" },
    Word { kind: "education_statuses", number: 3, name: "College grad" },
    Word { kind: "education_statuses", number: 4, name: "High school grad" },
    Word { kind: "education_statuses", number: 9, name: "Master's degree" },
    Word { kind: "education_statuses", number: 11, name: "Doctorate degree" },
];

/// The state of life with that number.
pub(crate) fn word(kind: &str, number: i64) -> Option<&'static str> {
    WORDS.iter().find(|word| word.kind == kind && word.number == number).map(|word| word.name)
}

/// Entries of one class whose names answer a query, best first.
pub(crate) fn words(kind: &str, query: &str) -> Vec<&'static Entry> {
    let mut hits: Vec<(u8, &Entry)> = entries()
        .iter()
        .filter(|entry| entry.kind.0 == kind)
        .filter_map(|entry| super::rank(entry.name, query).map(|rank| (rank, entry)))
        .collect();
    hits.sort_by(|(one, left), (other, right)| {
        one.cmp(other).then(right.lower.cmp(&left.lower)).then(left.name.cmp(right.name))
    });
    hits.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_answer_stands_first() {
        let names: Vec<_> = words("interests", "foot").iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["Association football (Soccer)", "American football", "College football"]);
        assert_eq!(words("interests", "online").first().map(|entry| entry.name), Some("Online shopping"));
    }

    #[test]
    fn languages_and_states_of_life_have_their_numbers() {
        assert_eq!(locale(6), Some("English (US)"));
        assert_eq!(locale(4_711), None);
        assert_eq!(word("relationship_statuses", 3), Some("Married"));
    }
}
