//! What is wrong with a query, collected.

use rpc::Violation;
use runtime::settings::nearest;

/// More would not help anybody.
const FINDINGS_MAX: usize = 100;

/// Findings in the order of the fields.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Violation>);

impl Findings {
    /// Adds one; `path` is relative to the query.
    pub(super) fn add(&mut self, path: &str, reason: &'static str, description: impl Into<String>) {
        if self.0.len() < FINDINGS_MAX {
            let field = if path.is_empty() { "query".to_owned() } else { format!("query.{path}") };
            self.0.push(Violation { field, description: description.into(), reason });
        }
    }

    /// Adds one for a list that is too long.
    pub(super) fn at_most(&mut self, path: &str, max: usize, length: usize) {
        if length > max {
            self.add(path, "TOO_MANY", format!("has {length} entries; at most {max} are allowed"));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_list(self) -> Vec<Violation> {
        self.0
    }
}

/// The sentence for a word that no table has.
pub(super) fn unknown<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let shown: String = word.chars().take(64).collect();
    match nearest(word, known) {
        Some(near) => format!("`{shown}` is not known; did you mean `{near}`?"),
        None => format!("`{shown}` is not known; ListFields gives the words that are"),
    }
}

/// What to use instead of a word that is gone, where it is one.
pub(super) fn retired(word: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find(|(gone, _)| *gone == word).map(|(_, instead)| format!("`{word}` is gone at Meta: {instead}"))
}
