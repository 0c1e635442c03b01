//! Writes JSON by hand: events are the hot path, and amounts go out as the decimal text they came in as.

/// A JSON object under construction.
pub(crate) struct Object(String);

impl Object {
    /// `{`
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A text member.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_text(&mut self.0, value);
    }

    /// A text member, unless it is empty: Meta takes an absent member, not an empty one.
    pub(crate) fn text_if_any(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    /// A member that is JSON already: a number, an object, a list.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.0.push_str(json);
    }

    /// A list of texts, unless it is empty.
    pub(crate) fn texts_if_any<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        if !values.is_empty() {
            self.raw(key, &texts(values));
        }
    }

    /// Has it no member?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// What stands so far, without the closing brace.
    pub(crate) fn so_far(&self) -> &str {
        &self.0
    }

    /// `}`
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_text(&mut self.0, key);
        self.0.push(':');
    }
}

/// `["a","b"]`
pub(crate) fn texts<T: AsRef<str>>(values: &[T]) -> String {
    let mut json = "[".to_owned();
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        write_text(&mut json, value.as_ref());
    }
    json.push(']');
    json
}

/// `[a,b]` of values that are JSON already.
pub(crate) fn list<T: AsRef<str>>(values: &[T]) -> String {
    let length = values.iter().map(|value| value.as_ref().len() + 1).sum::<usize>() + 2;
    let mut json = String::with_capacity(length);
    json.push('[');
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        json.push_str(value.as_ref());
    }
    json.push(']');
    json
}

fn write_text(json: &mut String, value: &str) {
    json.push('"');
    for c in value.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            c if u32::from(c) < 0x20 => {
                // Below 0x20 two digits suffice.
                json.push_str("\\u00");
                json.push(if u32::from(c) < 0x10 { '0' } else { '1' });
                json.extend(char::from_digit(u32::from(c) & 0xf, 16));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_stand_in_the_order_they_were_added() {
        let mut object = Object::new();
        assert!(object.is_empty());
        object.text("a", "x\"y");
        object.raw("b", "29.33");
        object.text_if_any("c", "");
        object.texts_if_any("d", &["1", "2"]);
        assert_eq!(object.end(), r#"{"a":"x\"y","b":29.33,"d":["1","2"]}"#);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut object = Object::new();
            object.text(&text, &text);
            let read: serde_json::Value = serde_json::from_str(&object.end()).unwrap();
            prop_assert_eq!(read.get(&text).and_then(|value| value.as_str()), Some(text.as_str()));
        }
    }
}
