//! The JSON of an answer: a tree, or text where a handler writes it straight down because there is much of it.

use serde_json::Value;

/// How long a value is in text, with its name.
const LETTERS_A_VALUE: usize = 25;

/// What an answer says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Tree(Value),
    /// Valid JSON.
    Text(String),
}

impl Body {
    /// As it goes out.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Tree(tree) => tree.to_string(),
            Self::Text(text) => text,
        }
    }

    /// As a tree, to be looked into or changed; text is read at the first time.
    pub(crate) fn tree(&mut self) -> &mut Value {
        if let Self::Text(text) = self {
            *self = Self::Tree(serde_json::from_str(text).unwrap_or_default());
        }
        match self {
            Self::Tree(tree) => tree,
            Self::Text(_) => unreachable!("text was just made a tree"),
        }
    }

    pub(crate) fn into_tree(mut self) -> Value {
        std::mem::take(self.tree())
    }

    /// About how many values it has: those of the first row for each row.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Tree(tree) => match tree.get("data").and_then(Value::as_array) {
                Some(rows) => rows.len() * rows.first().and_then(Value::as_object).map_or(1, serde_json::Map::len),
                None => tree.as_object().map_or(1, serde_json::Map::len),
            },
            Self::Text(text) => text.len() / LETTERS_A_VALUE,
        }
    }

    /// The code of an error. Errors are never written as text.
    pub(crate) fn error_code(&self) -> Option<i64> {
        match self {
            Self::Tree(tree) => tree.pointer("/error/code").and_then(Value::as_i64),
            Self::Text(_) => None,
        }
    }
}

impl From<Value> for Body {
    fn from(tree: Value) -> Self {
        Self::Tree(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_and_tree_say_the_same() {
        let mut body = Body::Text(r#"{"data":[1]}"#.to_owned());
        assert_eq!(body.clone().into_text(), r#"{"data":[1]}"#);
        assert_eq!(body.tree(), &json!({ "data": [1] }));
        assert_eq!(body.into_text(), r#"{"data":[1]}"#);
    }

    #[test]
    fn the_code_of_an_error_is_seen() {
        assert_eq!(Body::from(json!({ "error": { "code": 100 } })).error_code(), Some(100));
        assert_eq!(Body::from(json!({ "id": "1" })).error_code(), None);
    }
}
