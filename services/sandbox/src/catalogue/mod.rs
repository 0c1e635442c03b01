//! What can be aimed at: a small catalogue of our own making, in which searches find the same rows every time.
//!
//! Meta's has hundreds of thousands of entries and changes daily. Names and places here are real, sizes are rounded
//! guesses, and ids are made of the names, apart from a few that Meta's own documentation uses in its examples.

mod countries;
mod demographics;
mod detailed;
mod interests;
mod places;
mod words;

pub(crate) use countries::{EUROPEAN_ECONOMIC_AREA, countries, country, group_countries, is_group};
pub(crate) use detailed::{Entry, KINDS, entries, entry, gone, is_gone_by, named};
pub(crate) use places::{Place, PlaceKind, place, places};
pub(crate) use words::{LOCALES, locale, word, words};

/// A number made of a text, the same on every machine (Fowler, Noll and Vo's hash).
const fn hash(text: &str, mut seed: u64) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        #[expect(clippy::indexing_slicing, reason = "`at` is below the length; iterators are not const")]
        let byte = bytes[at];
        seed = (seed ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    seed
}

/// How well a name answers a query: 0 begins with it, 1 has a word that begins with it; `None` does not hold it.
pub(crate) fn rank(name: &str, query: &str) -> Option<u8> {
    let (name, query) = (name.to_lowercase(), query.trim().to_lowercase());
    if name.starts_with(&query) {
        return Some(0);
    }
    let in_a_word = name.split(|letter: char| !letter.is_alphanumeric()).any(|word| word.starts_with(&query));
    (in_a_word || name.contains(&format!(" {query}"))).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_finds_the_beginnings_of_words() {
        assert_eq!(rank("Basketball", "bask"), Some(0));
        assert_eq!(rank("Board games", "games"), Some(1));
        assert_eq!(rank("Board games", "ames"), None);
        assert_eq!(rank("New York", "new york"), Some(0));
        assert_eq!(rank("Rio de Janeiro", "de ja"), Some(1));
    }
}
