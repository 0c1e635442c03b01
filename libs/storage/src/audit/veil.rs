//! What never goes into an entry, wherever it came from: a person who gives a reason may paste a token or an address into
//! it. Only what looks like one by itself is found; what merely is one stays the caller's care.

use std::borrow::Cow;

use serde_json::Value;

/// What stands in place of what was hidden.
const HIDDEN: &str = "[hidden]";
/// A word of mixed characters that is at least so long is taken for a key.
const KEY_CHARS: usize = 32;
/// What comes before a secret that is written as `name=value`.
const NAMES: [&str; 5] = ["token", "secret", "password", "proof", "bearer"];

/// The same text with every word that looks like a secret, an e-mail address or a telephone number replaced by what
/// `replace` gives for it.
pub fn veiled(text: &str, mut replace: impl FnMut(&str) -> String) -> Cow<'_, str> {
    let mut written = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(start) = rest.find(|c: char| !is_gap(c)) {
        let (gap, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(is_gap).unwrap_or(from.len()));
        written.push_str(gap);
        let bare = word.trim_end_matches(['.', ':', '!', '?']);
        let (name, value) = named(bare);
        if is_sensitive(value) || (!name.is_empty() && !value.is_empty()) {
            written.push_str(name);
            written.push_str(&replace(value));
            written.push_str(word.strip_prefix(bare).unwrap_or_default());
            changed = true;
        } else {
            written.push_str(word);
        }
        rest = after;
    }
    if changed {
        written.push_str(rest);
        Cow::Owned(written)
    } else {
        Cow::Borrowed(text)
    }
}

/// A detail without any such word.
pub(super) fn detail(value: Value) -> Value {
    match value {
        Value::String(text) => match veiled(&text, |_| HIDDEN.to_owned()) {
            Cow::Borrowed(_) => Value::String(text),
            Cow::Owned(text) => Value::String(text),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(detail).collect()),
        Value::Object(members) => Value::Object(members.into_iter().map(|(key, value)| (key, detail(value))).collect()),
        other => other,
    }
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '&' | '|')
}

/// The name with its sign of equality, where the word is `some_token=value`, and the value; else nothing and the word.
fn named(word: &str) -> (&str, &str) {
    let Some(at) = word.find('=') else { return ("", word) };
    let name = word.get(..at).unwrap_or_default().to_ascii_lowercase();
    let is_secret = NAMES.iter().any(|secret| name.ends_with(secret));
    if is_secret { word.split_at(at + 1) } else { ("", word) }
}

fn is_sensitive(word: &str) -> bool {
    is_address(word) || is_telephone(word) || is_key(word)
}

fn is_address(word: &str) -> bool {
    word.split_once('@').is_some_and(|(person, host)| !person.is_empty() && host.trim_matches('.').contains('.'))
}

fn is_telephone(word: &str) -> bool {
    word.strip_prefix('+').is_some_and(|digits| {
        let count = digits.chars().filter(char::is_ascii_digit).count();
        count >= 8 && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '/' | '.'))
    })
}

/// Meta's tokens, JSON web tokens, and whatever else is long and mixed. Ids, hashes in hex and UUIDs are not.
fn is_key(word: &str) -> bool {
    let is_metas = word.starts_with("EAA") && word.len() >= 16;
    let is_jwt = word.starts_with("eyJ") && word.matches('.').count() == 2;
    let chars = word.chars().filter(char::is_ascii_alphanumeric);
    let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    let is_mixed = has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) && has(char::is_ascii_digit);
    // A path has its parts between slashes; a key in base64 seldom has more than two of them.
    is_metas || is_jwt || (is_mixed && chars.count() >= KEY_CHARS && word.matches('/').count() <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hidden(text: &str) -> String {
        veiled(text, |_| "#".to_owned()).into_owned()
    }

    #[test]
    fn what_looks_like_a_secret_or_a_person_is_hidden() {
        for (text, expected) in [
            ("ask jane.doe@example.com about it.", "ask # about it."),
            ("<jane@example.co.uk>, please", "<#>, please"),
            ("call +49-170-1234567!", "call #!"),
            ("leaked EAAGm0PX4ZCpsBAKZCtest1234", "leaked #"),
            ("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln", "#"),
            ("https://x/?access_token=abc&y=1", "https://x/?access_token=#&y=1"),
            ("client_secret=hunter2;", "client_secret=#;"),
            ("key q83vEjRWeJASNFZ4kBI0VniQEjRWeJASNFZ4kBI0Vng", "key #"),
        ] {
            assert_eq!(hidden(text), expected);
        }
    }

    #[test]
    fn what_an_auditor_needs_stays() {
        for text in [
            "",
            "  two  spaces ",
            "adAccounts/act_1000000000001/campaigns/120210000000000",
            "connections/0190f3c4-7b1e-7abc-8def-0123456789ab",
            "a3bb2c17e3b01a30f26a4b092caf0fb1f0c4b901cdff609658b5fb83c33563be",
            "AbCdEfG1234_fbtrace",
            "Sommer 2026 @ home, 20 % more = better",
            "2026-11-22T14:00:00Z",
            "daily_budget=5000",
        ] {
            assert_eq!(hidden(text), text);
        }
    }

    #[test]
    fn a_detail_is_searched_at_every_depth() {
        let value = json!({"reason": "by a@b.cc", "list": [{"to": "+4917012345678"}], "budget": 5000});
        let expected = json!({"reason": "by [hidden]", "list": [{"to": "[hidden]"}], "budget": 5000});
        assert_eq!(detail(value), expected);
    }
}
