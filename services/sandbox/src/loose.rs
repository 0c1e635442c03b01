//! JSON as Meta's parser takes it: also with single quotes, which all of its documentation uses.

use serde_json::Value;

/// Reads a JSON text, strict or with single quotes.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    serde_json::from_str(text).ok().or_else(|| {
        if !text.starts_with(['{', '[']) || !text.contains('\'') {
            return None;
        }
        serde_json::from_str(&double_quoted(text)).ok()
    })
}

/// Writes strings in single quotes as strings in double quotes.
fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut open: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (None, '\'' | '"') => {
                open = Some(character);
                out.push('"');
            }
            (Some(quote), _) if character == quote => {
                open = None;
                out.push('"');
            }
            (Some('\''), '"') => out.push_str("\\\""),
            (Some(_), '\\') => match characters.next() {
                Some('\'') => out.push('\''),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn single_quotes_are_as_good_as_double_ones() {
        assert_eq!(
            parse("{'since':'2026-01-01','n':[1,'a\"b']}"),
            Some(json!({"since": "2026-01-01", "n": [1, "a\"b"]}))
        );
        assert_eq!(parse("['it\\'s']"), Some(json!(["it's"])));
    }

    #[test]
    fn plain_text_is_no_json() {
        assert_eq!(parse("it's"), None);
        assert_eq!(parse("{broken"), None);
    }
}
