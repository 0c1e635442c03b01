use super::{Flaw, Hash, letters, trim};

/// An e-mail address: blanks and full stops at the ends off, lower case.
///
/// Checked for shape only: one `@`, a local part of 1 to 64 characters, a domain of labels with a dot. Dots and tags in
/// the local part stay, since Meta hashes the address as the person wrote it.
pub fn email(value: &str) -> Result<String, Flaw> {
    let value = trim(value).to_lowercase();
    refuse_hash(&value)?;
    let (local, domain) = value.split_once('@').ok_or(Flaw::EmailMalformed)?;
    let local_stands = (1..=64).contains(&local.len())
        && !local.contains("..")
        && !local.starts_with('.')
        && !local.ends_with('.')
        && local.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@,;:<>()[]\\\"".contains(c));
    let labels_stand = domain.contains('.') && domain.split('.').all(label_stands);
    if local_stands && labels_stand && value.len() <= 254 { Ok(value) } else { Err(Flaw::EmailMalformed) }
}

/// A first or a last name: lower case, letters of any script and their marks, in normal form C.
///
/// Blanks and punctuation go (Meta: "no punctuation"); other scripts and accents stay, since Meta takes UTF-8. The
/// Python SDK strips to a-z for audiences, which leaves nothing of most of the world's names, so it is not followed.
pub fn name(value: &str) -> Result<String, Flaw> {
    refuse_hash(trim(value))?;
    let name = letters(value);
    if name.is_empty() { Err(Flaw::NameMalformed) } else { Ok(name) }
}

/// `f` or `m`.
pub fn gender(value: &str) -> Result<&'static str, Flaw> {
    refuse_hash(trim(value))?;
    match trim(value).to_lowercase().as_str() {
        "f" | "female" | "woman" => Ok("f"),
        "m" | "male" | "man" => Ok("m"),
        _ => Err(Flaw::GenderUnknown),
    }
}

/// A caller's own id of a person: blanks at the ends off, the rest as it is, case included.
///
/// Meta does not require a hash here but recommends it; we always hash, so that no such id is stored in clear.
pub fn external_id(value: &str) -> Result<String, Flaw> {
    let value = value.trim();
    refuse_hash(value)?;
    if value.chars().count() <= 256 { Ok(value.to_owned()) } else { Err(Flaw::ExternalIdTooLong) }
}

/// Hashing a hash again gives something that matches nobody, silently: it is a flaw instead.
pub(super) fn refuse_hash(value: &str) -> Result<(), Flaw> {
    if value.len() == 64 && Hash::parse(value).is_ok() { Err(Flaw::AlreadyHashed) } else { Ok(()) }
}

fn label_stands(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_trimmed_and_lowered() {
        for (value, normal) in [
            (" A.b@C.com ", "a.b@c.com"),
            ("John_Smith@gmail.com", "john_smith@gmail.com"),
            ("\tmary@example.com\r\n", "mary@example.com"),
            ("mary@example.com.", "mary@example.com"),
            ("MARY+shop@Example.co.uk", "mary+shop@example.co.uk"),
            ("\u{feff}jörg@müller.de", "jörg@müller.de"),
        ] {
            assert_eq!(email(value).as_deref(), Ok(normal), "{value}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for value in [
            "mary",
            "mary@",
            "@example.com",
            "mary@example",
            "mary@@example.com",
            "mary@exa mple.com",
            "ma ry@example.com",
            "mary@example..com",
            "mary@-example.com",
            "ma..ry@example.com",
            "mary@example.com, joe@example.com",
            "n/a",
            "<mary@example.com>",
        ] {
            assert_eq!(email(value), Err(Flaw::EmailMalformed), "{value}");
        }
    }

    #[test]
    fn a_name_keeps_its_letters_in_any_script() {
        for (value, normal) in [
            ("Mary-Ann", "maryann"),
            ("  O'Neil Jr. ", "oneiljr"),
            ("Müller", "müller"),
            ("Mu\u{308}ller", "müller"),
            ("결의", "결의"),
            ("الراشد", "الراشد"),
            ("ЦВЕТКОВА", "цветкова"),
            ("D'Angelo 3rd", "dangelord"),
        ] {
            assert_eq!(name(value).as_deref(), Ok(normal), "{value}");
        }
        assert_eq!(name("--- 12"), Err(Flaw::NameMalformed));
    }

    #[test]
    fn gender_is_one_letter() {
        for (value, normal) in [("Female", "f"), (" F ", "f"), ("male", "m"), ("M.", "m")] {
            assert_eq!(gender(value), Ok(normal), "{value}");
        }
        assert_eq!(gender("diverse"), Err(Flaw::GenderUnknown));
    }

    #[test]
    fn a_hash_is_not_hashed_again() {
        let hash = Hash::of("mary").to_string();
        assert_eq!(email(&hash), Err(Flaw::AlreadyHashed));
        assert_eq!(name(&hash), Err(Flaw::AlreadyHashed));
        assert_eq!(external_id(&hash), Err(Flaw::AlreadyHashed));
    }

    #[test]
    fn marks_that_meet_when_a_sign_between_them_goes_stand_in_normal_order() {
        assert_eq!(name("\u{10eab}¡\u{1193d}").as_deref(), Ok("\u{1193d}\u{10eab}"));
    }

    #[test]
    fn an_own_id_keeps_its_case() {
        assert_eq!(external_id(" Kd-007 ").as_deref(), Ok("Kd-007"));
        assert_eq!(external_id(&"x".repeat(257)), Err(Flaw::ExternalIdTooLong));
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(value in "\\PC{0,40}") {
            if let Ok(once) = name(&value) {
                prop_assert_eq!(name(&once), Ok(once.clone()));
            }
            if let Ok(once) = email(&value) {
                prop_assert_eq!(email(&once), Ok(once.clone()));
            }
        }
    }
}
