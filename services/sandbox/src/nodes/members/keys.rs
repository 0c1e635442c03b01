//! The keys of a schema: what each must look like, and which of them tell a person from all others.

use serde_json::{Value, json};

use crate::error::Refusal;
use crate::state::sealed;

/// What the values of a key are (Meta, "Customer file custom audiences: hashing").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The SHA-256 of the normalised value, in hex.
    Hash,
    /// Anything.
    Plain,
    Digits,
    /// A number above zero, only for value-based audiences.
    Value,
    /// How the person's data may be used.
    Option,
}

const KEYS: &[(&str, Form)] = &[
    ("EMAIL", Form::Hash),
    ("EMAIL_SHA256", Form::Hash),
    ("PHONE", Form::Hash),
    ("PHONE_SHA256", Form::Hash),
    ("GEN", Form::Hash),
    ("DOB", Form::Hash),
    ("DOBY", Form::Hash),
    ("DOBM", Form::Hash),
    ("DOBD", Form::Hash),
    ("LN", Form::Hash),
    ("FN", Form::Hash),
    ("FI", Form::Hash),
    ("F5FIRST", Form::Hash),
    ("F5LAST", Form::Hash),
    ("ST", Form::Hash),
    ("CT", Form::Hash),
    ("ZIP", Form::Hash),
    ("COUNTRY", Form::Hash),
    ("MADID", Form::Plain),
    ("MOBILE_ADVERTISER_ID", Form::Plain),
    ("EXTERN_ID", Form::Plain),
    ("LOOKALIKE_VALUE", Form::Value),
    ("UID", Form::Digits),
    ("FBUID", Form::Digits),
    ("APPUID", Form::Digits),
    ("PAGEUID", Form::Digits),
    ("IGUID", Form::Digits),
    ("WHATSAPP_NUMBER", Form::Plain),
    ("SUBSCRIPTION_INFO", Form::Option),
    ("CUSTOMER_CONSENT", Form::Option),
    ("DATA_PROCESSING_OPTIONS", Form::Option),
    ("DATA_PROCESSING_OPTIONS_COUNTRY", Form::Option),
    ("DATA_PROCESSING_OPTIONS_STATE", Form::Option),
];
/// Keys that tell a person from all others, strongest first.
const IDENTITY: &[&str] = &[
    "EXTERN_ID",
    "EMAIL",
    "EMAIL_SHA256",
    "PHONE",
    "PHONE_SHA256",
    "MADID",
    "MOBILE_ADVERTISER_ID",
    "UID",
    "FBUID",
    "APPUID",
    "PAGEUID",
    "IGUID",
];
/// Ids of a person within something of the caller's, which the payload must then name in one of these lists.
const SCOPED: &[(&str, &[&str])] = &[
    ("UID", &["app_ids", "page_ids"]),
    ("APPUID", &["app_ids"]),
    ("PAGEUID", &["page_ids"]),
    ("IGUID", &["ig_account_ids", "page_ids"]),
];

/// Fails where a key is unknown, comes twice, or lacks what it needs beside it.
pub(super) fn check(schema: &[String], payload: &Value, is_value_based: bool) -> Result<(), Refusal> {
    for (at, key) in schema.iter().enumerate() {
        let Some(form) = form(key) else {
            let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            let message = format!("Param payload[schema][{at}] must be one of {{{}}}", known.join(", "));
            return Err(Refusal::invalid(message).blame(&["payload", "schema"]));
        };
        if schema.iter().take(at).any(|before| before == key) {
            return Err(Refusal::invalid(format!("payload[schema] has {key} twice")).blame(&["payload", "schema"]));
        }
        if form == Form::Value && !is_value_based {
            let message = format!("{key} is only for audiences that were made with is_value_based");
            return Err(Refusal::invalid(message).blame(&["payload", "schema"]));
        }
        let needs = SCOPED.iter().find(|(scoped, _)| scoped == key);
        if let Some((_, lists)) = needs
            && !lists.iter().any(|list| payload.get(list).is_some_and(|ids| !ids.is_null() && *ids != json!([])))
        {
            let message = format!("{key} needs payload[{}]", lists.join("] or payload["));
            return Err(Refusal::invalid(message).blame(&["payload", "schema"]));
        }
    }
    Ok(())
}

/// The digest of a person, or why the row is none that Meta could use.
pub(super) fn person(schema: &[String], row: &[String]) -> Result<String, &'static str> {
    let filled = || schema.iter().zip(row).filter(|(_, value)| !value.is_empty());
    for (key, value) in filled() {
        fits(form(key).unwrap_or(Form::Plain), value)?;
    }
    let tells = |key: &str| !matches!(form(key), Some(Form::Option | Form::Value));
    let strongest = IDENTITY.iter().find_map(|wanted| filled().find(|(key, _)| key == wanted));
    let identity = match strongest {
        // A telephone is the same under both of its keys, and a person in one list under either.
        Some((key, value)) => format!("{}:{}", key.trim_end_matches("_SHA256"), value.to_ascii_lowercase()),
        None => {
            let parts = filled().filter(|(key, _)| tells(key));
            parts.map(|(key, value)| format!("{key}:{}", value.to_ascii_lowercase())).collect::<Vec<_>>().join(",")
        }
    };
    if identity.is_empty() {
        return Err("empty row");
    }
    Ok(sealed(&identity).chars().take(32).collect())
}

fn form(key: &str) -> Option<Form> {
    KEYS.iter().find(|(known, _)| *known == key).map(|(_, form)| *form)
}

fn fits(form: Form, value: &str) -> Result<(), &'static str> {
    match form {
        Form::Hash if !is_hash(value) => Err("invalid hash"),
        Form::Digits if !value.bytes().all(|byte| byte.is_ascii_digit()) => Err("invalid id"),
        Form::Value if !is_positive(value) => Err("invalid value"),
        Form::Plain if value.trim().is_empty() => Err("empty value"),
        _ => Ok(()),
    }
}

fn is_hash(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_positive(value: &str) -> bool {
    value.parse::<f64>().is_ok_and(|value| value.is_finite() && value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_person_is_the_same_by_mail_whatever_else_is_known() {
        let by_mail = person(&texts(&["EMAIL_SHA256"]), &texts(&[HASH]));
        assert!(by_mail.is_ok());
        assert_eq!(by_mail, person(&texts(&["EMAIL", "FN"]), &texts(&[HASH, HASH])));
        assert_eq!(by_mail, person(&texts(&["EMAIL"]), &texts(&[&HASH.to_uppercase()])));
    }

    #[test]
    fn each_key_has_its_form() {
        let table = [
            ("EMAIL", "a@b.example", Err("invalid hash")),
            ("COUNTRY", "us", Err("invalid hash")),
            ("EMAIL", "", Err("empty row")),
            ("EXTERN_ID", " ", Err("empty value")),
            ("UID", "12x", Err("invalid id")),
            ("LOOKALIKE_VALUE", "-1", Err("invalid value")),
            ("LOOKALIKE_VALUE", "12.5", Err("empty row")),
            ("EXTERN_ID", "customer 7", Ok(())),
            ("MADID", "aebe52e7-03ee-455a-b3c4-e57283966239", Ok(())),
            // What the official Python SDK makes of it in lists of several keys.
            ("MADID", HASH, Ok(())),
            ("FBUID", "1234567", Ok(())),
            ("GEN", HASH, Ok(())),
        ];
        for (key, value, verdict) in table {
            assert_eq!(person(&texts(&[key]), &texts(&[value])).map(|_| ()), verdict, "{key}={value}");
        }
    }

    #[test]
    fn a_schema_has_known_keys_once_each_with_what_they_need() {
        let none = json!({});
        let stands = |keys: &[&str], payload: &Value, value| check(&texts(keys), payload, value).is_ok();
        assert!(stands(&["EMAIL", "FN", "COUNTRY"], &none, false));
        assert!(!stands(&["EMAIL", "EMAIL"], &none, false));
        assert!(!stands(&["E_MAIL"], &none, false));
        assert!(!stands(&["EMAIL", "LOOKALIKE_VALUE"], &none, false));
        assert!(stands(&["EMAIL", "LOOKALIKE_VALUE"], &none, true));
        assert!(!stands(&["PAGEUID"], &json!({ "app_ids": ["1"] }), false));
        assert!(stands(&["PAGEUID"], &json!({ "page_ids": ["1"] }), false));
        assert!(stands(&["UID"], &json!({ "app_ids": ["1"] }), false));
    }
}
