use jiff::civil::Date;

use super::{Country, Flaw, name::refuse_hash, trim};

/// A day of birth. Meta's audiences take its parts, its events the whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Birth(Date);

impl Birth {
    /// `1990`.
    pub fn year(self) -> String {
        format!("{:04}", self.0.year())
    }

    /// `01` to `12`.
    pub fn month(self) -> String {
        format!("{:02}", self.0.month())
    }

    /// `01` to `31`.
    pub fn day(self) -> String {
        format!("{:02}", self.0.day())
    }

    /// `19901231`.
    pub fn digits(self) -> String {
        format!("{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl std::fmt::Debug for Birth {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Birth(..)")
    }
}

/// Reads a day of birth between 1900 and `today`.
///
/// Year first (`1990-12-31`, `1990/12/31`, `19901231`, also with a time behind it), with a month's English name
/// (`31 Dec 1990`, `December 31, 1990`), or day and month first. Of the last kind, `31.12.1990` and `31-12-1990` have the day
/// first; with slashes it is the month first in the USA and the day first in every other country; where the country is
/// unknown, and both readings are days, the value is refused rather than guessed.
pub fn birth(value: &str, country: Option<Country>, today: Date) -> Result<Birth, Flaw> {
    let value = trim(value);
    refuse_hash(value)?;
    let date = read(value, country).ok_or(Flaw::DateMalformed)?;
    if date.year() >= 1900 && date <= today { Ok(Birth(date)) } else { Err(Flaw::DateMalformed) }
}

fn read(value: &str, country: Option<Country>) -> Option<Date> {
    if value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return date(value.get(..4)?, value.get(4..6)?, value.get(6..)?);
    }
    if value.chars().any(char::is_alphabetic) && !value.starts_with(|c: char| c.is_ascii_digit() && value.contains('T'))
    {
        return with_month_name(value);
    }
    // A time behind the day is left out.
    let value = value.split(['T', ' ']).next()?;
    let parts: Vec<&str> = value.split(['-', '/', '.']).collect();
    let [first, second, third] = parts.as_slice() else {
        return None;
    };
    if first.len() == 4 {
        return date(first, second, third);
    }
    if !value.contains('/') {
        return date(third, second, first);
    }
    let day_first = date(third, second, first);
    let month_first = date(third, first, second);
    match (country.map(Country::is_usa), day_first, month_first) {
        (Some(true), _, month_first) => month_first,
        (Some(false), day_first, _) => day_first,
        (None, Some(day_first), Some(month_first)) => (day_first == month_first).then_some(day_first),
        (None, day_first, month_first) => day_first.or(month_first),
    }
}

fn with_month_name(value: &str) -> Option<Date> {
    let parts: Vec<&str> = value.split([' ', ',', '-', '.', '/']).filter(|part| !part.is_empty()).collect();
    let [first, second, year] = parts.as_slice() else {
        return None;
    };
    match (month(first), month(second)) {
        (Some(month), None) => date(year, month, second),
        (None, Some(month)) => date(year, month, first),
        _ => None,
    }
}

fn month(word: &str) -> Option<&'static str> {
    const MONTHS: [(&str, &str); 12] = [
        ("january", "1"),
        ("february", "2"),
        ("march", "3"),
        ("april", "4"),
        ("may", "5"),
        ("june", "6"),
        ("july", "7"),
        ("august", "8"),
        ("september", "9"),
        ("october", "10"),
        ("november", "11"),
        ("december", "12"),
    ];
    let word = word.to_lowercase();
    let known = |name: &str| word.len() >= 3 && name.starts_with(&word);
    MONTHS.iter().find(|(name, _)| known(name)).map(|(_, number)| *number)
}

/// Years have four digits: of two digits nobody knows the century.
fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if year.len() != 4 || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::country;

    const TODAY: Date = jiff::civil::date(2026, 11, 22);

    #[test]
    fn a_day_is_read_in_its_spellings() {
        for (value, region, digits) in [
            ("1997-02-16", "", "19970216"),
            ("19970216", "", "19970216"),
            ("1997/2/16", "", "19970216"),
            ("1997-02-16T00:00:00Z", "", "19970216"),
            ("1997-02-16 00:00:00", "", "19970216"),
            ("16.02.1997", "", "19970216"),
            ("16-02-1997", "us", "19970216"),
            ("02/16/1997", "", "19970216"),
            ("16/02/1997", "", "19970216"),
            ("02/03/1997", "us", "19970203"),
            ("02/03/1997", "gb", "19970302"),
            ("03/03/1997", "", "19970303"),
            ("16 Feb 1997", "", "19970216"),
            ("February 16, 1997", "", "19970216"),
        ] {
            let day = birth(value, country(region).ok(), TODAY).map(Birth::digits);
            assert_eq!(day.as_deref(), Ok(digits), "{value}");
        }
    }

    #[test]
    fn what_is_no_day_of_birth_is_refused() {
        for value in [
            "02/03/1997",
            "16.02.97",
            "1997-02-30",
            "1899-12-31",
            "2026-11-23",
            "1997",
            "yesterday",
            "0000-00-00",
            "1997-2",
            "16 Foo 1997",
        ] {
            assert_eq!(birth(value, None, TODAY), Err(Flaw::DateMalformed), "{value}");
        }
    }

    #[test]
    fn its_parts_have_leading_zeros() {
        let day = birth("2009-09-09", None, TODAY).unwrap();
        assert_eq!((day.year(), day.month(), day.day()), ("2009".into(), "09".into(), "09".into()));
    }
}
