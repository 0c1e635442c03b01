use phonenumber::{
    Mode, PhoneNumber,
    metadata::{DATABASE, Descriptors},
};

use super::{Country, Flaw, name::refuse_hash, trim};

/// A telephone number as its digits with country code, without `+` and leading zeros: `+1 (650) 555-1212` is
/// `16505551212`.
///
/// A number without `+` (or `00`) is read in the spelling of `country`. Without a country it must be plain digits, at
/// least 11, that begin with a country code, as Meta's own examples write them. The number must have a length that its
/// country's plan knows; whether it is assigned is not asked, since plans grow faster than tables.
pub fn phone(value: &str, country: Option<Country>) -> Result<String, Flaw> {
    let value = trim(value);
    refuse_hash(value)?;
    // The parser finds numbers inside texts; a value is a number or it is not.
    if value.chars().any(char::is_alphabetic) || value.len() > 40 {
        return Err(Flaw::PhoneMalformed);
    }
    let region = country.and_then(|country| country.as_str().to_uppercase().parse().ok());
    let international = value.starts_with(['+', '\u{ff0b}']);
    let zeros = value.strip_prefix("00");
    let (number, strict) = match (international, zeros, region) {
        (true, _, _) => (phonenumber::parse(region, value), false),
        (false, Some(rest), _) => (phonenumber::parse(None, format!("+{rest}")), false),
        (false, None, Some(_)) => (phonenumber::parse(region, value), false),
        (false, None, None) if value.len() >= 11 && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            (phonenumber::parse(None, format!("+{value}")), true)
        }
        (false, None, None) => return Err(Flaw::PhoneWithoutCountry),
    };
    let number = number.map_err(|_| Flaw::PhoneMalformed)?;
    if !is_possible(&number, strict) {
        return Err(Flaw::PhoneMalformed);
    }
    let digits = number.format().mode(Mode::E164).to_string();
    Ok(digits.trim_start_matches('+').to_owned())
}

/// Does some country of this calling code give people numbers of this length? One that begins with a zero must also have
/// its plan's own pattern, since in most plans that is the trunk prefix, left in by mistake; `strict` asks for it of all.
fn is_possible(number: &PhoneNumber, strict: bool) -> bool {
    let national = number.national().to_string();
    let Some(regions) = DATABASE.region(&number.code().value()) else { return false };
    regions.iter().filter_map(|region| DATABASE.by_id(*region)).any(|plan| {
        has_length(plan.descriptors(), national.len())
            && ((!strict && !national.starts_with('0')) || plan.descriptors().general().is_match(&national))
    })
}

/// The lengths of what people have: lines, mobiles, and numbers that are a person's or the internet's.
fn has_length(kinds: &Descriptors, length: usize) -> bool {
    [kinds.fixed_line(), kinds.mobile(), kinds.personal_number(), kinds.voip()]
        .into_iter()
        .flatten()
        .any(|kind| kind.possible_length().iter().any(|possible| usize::from(*possible) == length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::country;

    #[test]
    fn a_number_becomes_its_digits_with_country_code() {
        for (value, region, normal) in [
            ("+1 (555) 987-6543", "", "15559876543"),
            ("+1 (650) 555-1212", "", "16505551212"),
            ("(650) 555-1212", "us", "16505551212"),
            ("1-650-555-1212", "us", "16505551212"),
            ("16505551212", "", "16505551212"),
            ("0049 30 1234567", "", "49301234567"),
            ("030 1234567", "de", "49301234567"),
            ("+49 (0)30 1234567", "de", "49301234567"),
            ("+39 06 6982 1234", "", "390669821234"),
            ("06 6982 1234", "it", "390669821234"),
            ("07911 123456", "gb", "447911123456"),
            ("+34 980 266-4034", "es", ""),
            ("+90 532 035-6174", "tr", "905320356174"),
        ] {
            let result = phone(value, country(region).ok());
            match normal {
                "" => assert_eq!(result, Err(Flaw::PhoneMalformed), "{value}"),
                normal => assert_eq!(result.as_deref(), Ok(normal), "{value}"),
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (value, region, flaw) in [
            ("n/a", "us", Flaw::PhoneMalformed),
            ("call me", "us", Flaw::PhoneMalformed),
            ("123", "us", Flaw::PhoneMalformed),
            ("(018) 159-0830", "us", Flaw::PhoneMalformed),
            ("+999 123456789", "us", Flaw::PhoneMalformed),
            ("+1 650 555 12121212", "us", Flaw::PhoneMalformed),
            ("650 555 1212", "", Flaw::PhoneWithoutCountry),
            ("07911123456", "", Flaw::PhoneMalformed),
        ] {
            assert_eq!(phone(value, country(region).ok()), Err(flaw), "{value}");
        }
    }
}
