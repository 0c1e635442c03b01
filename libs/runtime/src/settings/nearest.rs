/// The word of `known` that `word` was probably meant to be, if one is close: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(word.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out or replaced to turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, left) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((right, diagonal), above) in to.chars().zip(&row).zip(row.iter().skip(1)) {
            let before = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(left != right);
            next.push(replaced.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        assert_eq!(nearest("pool_sise", ["listen", "pool_size"]), Some("pool_size"));
        assert_eq!(nearest("poolsize", ["listen", "pool_size"]), Some("pool_size"));
    }

    #[test]
    fn a_different_word_finds_none() {
        assert_eq!(nearest("colour", ["listen", "pool_size"]), None);
    }

    #[test]
    fn distance_counts_single_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
