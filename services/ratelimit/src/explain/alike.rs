//! Which names somebody may have meant.

/// The most alike first.
pub(super) fn most_alike(name: &str, mut known: Vec<String>, most: usize) -> Vec<String> {
    known.sort_by_cached_key(|other| (distance(name, other), other.clone()));
    known.truncate(most);
    known
}

/// How many letters have to be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut next = vec![line + 1];
        for (pair, there) in row.windows(2).zip(&other) {
            let [above_left, above] = pair else { continue };
            let left = next.last().copied().unwrap_or_default();
            next.push((above_left + usize::from(letter != *there)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        for (one, other, expected) in
            [("", "", 0), ("act_1", "act_1", 0), ("act_1", "act_12", 1), ("act_21", "act_12", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn what_was_mistyped_is_suggested_first() {
        let known = ["adAccounts/act_900", "adAccounts/act_124", "pages/1"].map(str::to_owned).to_vec();
        assert_eq!(most_alike("adAccounts/act_123", known, 2), ["adAccounts/act_124", "adAccounts/act_900"]);
    }
}
