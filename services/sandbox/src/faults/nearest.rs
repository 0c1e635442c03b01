//! The word that was meant, for whoever mistypes a rule.

/// How far a word may be from what was meant, in letters.
const FAR: usize = 3;

/// Serde's complaint, and the nearest of the words that it expected.
pub(super) fn explained(complaint: &str) -> String {
    let words: Vec<&str> = complaint.split('`').skip(1).step_by(2).collect();
    match words.split_first() {
        Some((given, known)) if complaint.starts_with("unknown ") => match nearest(given, known) {
            Some(meant) => format!("{complaint}; did you mean `{meant}`?"),
            None => complaint.to_owned(),
        },
        _ => complaint.to_owned(),
    }
}

/// A complaint of our own in the same words.
pub(super) fn unknown(what: &str, given: &str, known: &[&str]) -> String {
    let all: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    explained(&format!("unknown {what} `{given}`, expected one of {}", all.join(", ")))
}

fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let far = |word: &str| distance(&given.to_ascii_lowercase(), &word.to_ascii_lowercase());
    known.iter().copied().min_by_key(|word| far(word)).filter(|word| far(word) <= FAR.max(word.len() / 3))
}

/// How many letters must be added, taken away or changed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((above, left_above), there) in row.iter().skip(1).zip(&row).zip(&other) {
            let left = next.last().copied().unwrap_or_default();
            next.push((left_above + usize::from(*there != letter)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        assert_eq!((distance("drop", "drop"), distance("dorp", "drop"), distance("", "drop")), (0, 2, 4));
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        assert!(
            unknown("action", "trottle_strom", &["drop", "throttle_storm"]).ends_with("did you mean `throttle_storm`?")
        );
        assert!(!unknown("action", "zzzzzzzz", &["drop", "error"]).contains("did you mean"));
    }
}
