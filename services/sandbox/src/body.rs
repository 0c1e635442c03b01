//! The JSON of an answer: a tree, or text where a handler writes it straight down because there is much of it.

use serde::Serialize;
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

/// JSON that is written from its beginning to its end, with the commas in their places.
#[derive(Debug, Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Begins an object or an array.
    pub(crate) fn open(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    pub(crate) fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    /// Begins an item of an array; what follows is its value.
    pub(crate) fn item(&mut self) {
        if !matches!(self.0.last(), Some(b'[' | b'{')) {
            self.0.push(b',');
        }
    }

    /// Begins a member of an object; what follows is its value.
    pub(crate) fn key(&mut self, name: &str) {
        self.item();
        self.string(name);
        self.0.push(b':');
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            other => self.any(other),
        }
    }

    /// Most strings have nothing in them that must be escaped, which is quickly seen.
    pub(crate) fn string(&mut self, text: &str) {
        if needs_escapes(text.as_bytes()) {
            return self.any(text);
        }
        self.0.reserve(text.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    /// A number as a string, as ids are.
    pub(crate) fn digits(&mut self, number: u64) {
        self.string(&number.to_string());
    }

    fn any(&mut self, value: &(impl Serialize + ?Sized)) {
        if let Err(error) = serde_json::to_writer(&mut self.0, value) {
            tracing::error!(error = &error as &dyn std::error::Error, "no JSON");
        }
    }

    /// How far it is written.
    pub(crate) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Takes back all that was written since.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.0.truncate(mark);
    }
}

/// Whether there is a quote, a backslash or a control character. Eight bytes at a time: in the highest bit of each byte
/// stands whether it is less than a space or equal to one of the two.
fn needs_escapes(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & HIGH;
    let found = |bytes: u64| {
        let control = bytes.wrapping_sub(ONES * 0x20) & !bytes & HIGH;
        control | is_zero(bytes ^ (ONES * 0x22)) | is_zero(bytes ^ (ONES * 0x5c))
    };
    let (eights, rest) = text.as_chunks::<8>();
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    eights.iter().any(|eight| found(u64::from_ne_bytes(*eight)) != 0) || !rest.iter().all(plain)
}

impl From<Text> for Body {
    fn from(text: Text) -> Self {
        Self::Text(String::from_utf8(text.0).unwrap_or_default())
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
    fn commas_stand_between_and_what_is_taken_back_leaves_none() {
        let mut text = Text::default();
        text.open(b'{');
        let mark = text.mark();
        text.key("gone");
        text.back_to(mark);
        text.key("a\"b");
        text.open(b'[');
        for number in [1, 2] {
            text.item();
            text.value(&serde_json::json!(number));
        }
        text.close(b']');
        text.key("c");
        text.value(&Value::from("d\ne"));
        text.close(b'}');
        assert_eq!(Body::from(text).into_text(), r#"{"a\"b":[1,2],"c":"d\ne"}"#);
    }

    #[test]
    fn what_must_be_escaped_is_found_wherever_it_stands() {
        for length in 1..20 {
            for at in 0..length {
                for (byte, escaped) in
                    [(b'"', true), (b'\\', true), (0x1f, true), (0, true), (b' ', false), (b'!', false), (b'[', false)]
                {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    assert_eq!(needs_escapes(&text), escaped, "{byte} at {at} of {length}");
                }
            }
            assert!(!needs_escapes("ä".repeat(length).as_bytes()));
        }
    }

    #[test]
    fn the_code_of_an_error_is_seen() {
        assert_eq!(Body::from(json!({ "error": { "code": 100 } })).error_code(), Some(100));
        assert_eq!(Body::from(json!({ "id": "1" })).error_code(), None);
    }
}
