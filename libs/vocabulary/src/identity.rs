//! Identifiers of people: how Meta wants them written before they are hashed, and the hash.
//!
//! Both doors through which people's data enters (audience members and conversion events) use these rules, so the same
//! person has the same hashes everywhere. Everything here is pure: a value goes in, its normalised form or a [`Flaw`]
//! comes out, and no flaw ever repeats the value.
//!
//! Source: Meta, "Customer file custom audiences: hashing and normalisation" and "Conversions API: customer information
//! parameters". Where the two differ, or Meta's own SDKs differ from them, the function says what was chosen.

mod birth;
mod countries;
mod flaw;
mod hash;
mod name;
mod phone;
mod place;

pub use birth::{Birth, birth};
pub use flaw::Flaw;
pub use hash::Hash;
pub use name::{email, external_id, gender, name};
pub use phone::phone;
pub use place::{Country, city, country, state, zip};

/// What Meta's SDKs take off both ends of a value before anything else: blanks, control characters and full stops.
fn trim(value: &str) -> &str {
    value.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '.' || c == '\u{feff}' || c == '\u{200b}')
}

/// Is there nothing to read in it? Such a value counts as absent, not as wrong.
pub fn is_blank(value: &str) -> bool {
    trim(value).is_empty()
}

/// Lower-case letters of any script in normal form C, with their marks; nothing else.
fn letters(value: &str) -> String {
    use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
    if value.is_ascii() {
        return value
            .bytes()
            .filter(u8::is_ascii_alphabetic)
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
    }
    // Once more after the filter: what it takes out may have kept marks apart that belong in another order.
    let kept: String = value.to_lowercase().nfc().filter(|c| c.is_alphabetic() || is_combining_mark(*c)).collect();
    kept.nfc().collect()
}
