use super::{Flaw, countries::COUNTRIES, letters, name::refuse_hash, trim};

/// A country by its two letters in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(&'static str);

impl Country {
    /// `us`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Some rules are Meta's for the USA alone.
    pub fn is_usa(self) -> bool {
        self.0 == "us"
    }
}

/// Reads a country by its ISO 3166 code of two or three letters, or by a common name.
///
/// Meta's SDK cuts a longer word to its first two letters, which makes Ukraine of `UKR` only by luck; it is not followed.
pub fn country(value: &str) -> Result<Country, Flaw> {
    refuse_hash(trim(value))?;
    let word = letters(&value.replace('&', "and"));
    // Some write `UK`, which ISO reserves for the United Kingdom without listing it.
    let word = if word == "uk" { "gb" } else { word.as_str() };
    if word.len() == 2 {
        let place = COUNTRIES.binary_search_by(|(code, ..)| (*code).cmp(word)).ok();
        return place
            .and_then(|place| COUNTRIES.get(place))
            .map(|(code, ..)| Country(code))
            .ok_or(Flaw::CountryUnknown);
    }
    COUNTRIES
        .iter()
        .find(|(_, three, names)| *three == word || (!word.is_empty() && names.split(' ').any(|name| name == word)))
        .map(|(code, ..)| Country(code))
        .ok_or(Flaw::CountryUnknown)
}

/// A city: lower-case letters of any script, nothing between them: `New York` is `newyork`.
pub fn city(value: &str) -> Result<String, Flaw> {
    refuse_hash(trim(value))?;
    let city = letters(value);
    if city.is_empty() { Err(Flaw::CityMalformed) } else { Ok(city) }
}

/// A state: in the USA its two letters (`California` and `C.A.` are `ca`), elsewhere its name in lower-case letters
/// without blanks and punctuation. Where the country is unknown, a name of a US state counts as one.
pub fn state(value: &str, country: Option<Country>) -> Result<String, Flaw> {
    refuse_hash(trim(value))?;
    let word = letters(value);
    if word.is_empty() {
        return Err(Flaw::StateMalformed);
    }
    let known = STATES.iter().find(|(code, name)| *code == word || *name == word);
    match (country.map(Country::is_usa), known) {
        (Some(true) | None, Some((code, _))) => Ok((*code).to_owned()),
        (Some(true), None) => Err(Flaw::StateMalformed),
        (Some(false) | None, _) => Ok(word),
    }
}

/// A postal code: lower case, letters and digits only; of a US code the first five digits (`94035-1234` is `94035`).
/// Where the country is unknown, five digits, or five and four, count as a US code.
pub fn zip(value: &str, country: Option<Country>) -> Result<String, Flaw> {
    let value = trim(value);
    refuse_hash(value)?;
    let usa = country.map(Country::is_usa);
    let (first, rest) = value.split_once('-').unwrap_or((value, ""));
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let five_and_four = digits(first.trim(), 5) && (rest.is_empty() || digits(rest.trim(), 4));
    if usa != Some(false) && five_and_four {
        return Ok(first.trim().to_owned());
    }
    if usa == Some(true) {
        let nine = digits(value, 9).then(|| value.get(..5).map(ToOwned::to_owned)).flatten();
        return nine.ok_or(Flaw::ZipMalformed);
    }
    let stands = value.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || c == '-');
    let zip: String = value.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    if stands && (3..=12).contains(&zip.chars().count()) && zip.bytes().any(|byte| byte.is_ascii_digit()) {
        Ok(zip)
    } else {
        Err(Flaw::ZipMalformed)
    }
}

/// The states of the USA, its capital's district, its territories and the addresses of its armed forces.
const STATES: [(&str, &str); 59] = [
    ("al", "alabama"),
    ("ak", "alaska"),
    ("az", "arizona"),
    ("ar", "arkansas"),
    ("ca", "california"),
    ("co", "colorado"),
    ("ct", "connecticut"),
    ("de", "delaware"),
    ("dc", "districtofcolumbia"),
    ("fl", "florida"),
    ("ga", "georgia"),
    ("hi", "hawaii"),
    ("id", "idaho"),
    ("il", "illinois"),
    ("in", "indiana"),
    ("ia", "iowa"),
    ("ks", "kansas"),
    ("ky", "kentucky"),
    ("la", "louisiana"),
    ("me", "maine"),
    ("md", "maryland"),
    ("ma", "massachusetts"),
    ("mi", "michigan"),
    ("mn", "minnesota"),
    ("ms", "mississippi"),
    ("mo", "missouri"),
    ("mt", "montana"),
    ("ne", "nebraska"),
    ("nv", "nevada"),
    ("nh", "newhampshire"),
    ("nj", "newjersey"),
    ("nm", "newmexico"),
    ("ny", "newyork"),
    ("nc", "northcarolina"),
    ("nd", "northdakota"),
    ("oh", "ohio"),
    ("ok", "oklahoma"),
    ("or", "oregon"),
    ("pa", "pennsylvania"),
    ("ri", "rhodeisland"),
    ("sc", "southcarolina"),
    ("sd", "southdakota"),
    ("tn", "tennessee"),
    ("tx", "texas"),
    ("ut", "utah"),
    ("vt", "vermont"),
    ("va", "virginia"),
    ("wa", "washington"),
    ("wv", "westvirginia"),
    ("wi", "wisconsin"),
    ("wy", "wyoming"),
    ("as", "americansamoa"),
    ("gu", "guam"),
    ("mp", "northernmarianaislands"),
    ("pr", "puertorico"),
    ("vi", "virginislands"),
    ("aa", "armedforcesamericas"),
    ("ae", "armedforceseurope"),
    ("ap", "armedforcespacific"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_read_by_code_and_name() {
        for (value, code) in [
            ("USA", "us"),
            ("us", "us"),
            (" U.S. ", "us"),
            ("United States", "us"),
            ("united states of america", "us"),
            ("UK", "gb"),
            ("Great Britain", "gb"),
            ("DEU", "de"),
            ("Germany", "de"),
            ("Côte d'Ivoire", "ci"),
            ("UKR", "ua"),
            ("Antigua & Barbuda", "ag"),
            ("South Korea", "kr"),
            ("zw", "zw"),
            ("ad", "ad"),
        ] {
            assert_eq!(country(value).map(Country::as_str), Ok(code), "{value}");
        }
        for value in ["", "xx", "Narnia", "12"] {
            assert_eq!(country(value), Err(Flaw::CountryUnknown), "{value}");
        }
    }

    #[test]
    fn the_table_of_countries_is_sorted() {
        assert!(COUNTRIES.is_sorted());
    }

    #[test]
    fn a_us_state_is_two_letters_and_others_keep_their_name() {
        let usa = country("us").ok();
        for (value, region, normal) in [
            ("C.A. ", usa, Ok("ca")),
            ("California", usa, Ok("ca")),
            ("north dakota", usa, Ok("nd")),
            ("C.A. ", None, Ok("ca")),
            ("Nevada", None, Ok("nv")),
            ("Bavaria", None, Ok("bavaria")),
            ("Västra Götalands län", country("se").ok(), Ok("västragötalandslän")),
            ("Georgia", country("ge").ok(), Ok("georgia")),
            ("Bavaria", usa, Err(Flaw::StateMalformed)),
            ("12", usa, Err(Flaw::StateMalformed)),
        ] {
            assert_eq!(state(value, region).as_deref(), normal.as_ref().map(|word| *word), "{value}");
        }
    }

    #[test]
    fn a_postal_code_is_without_blanks_and_a_us_code_has_five_digits() {
        let usa = country("us").ok();
        for (value, region, normal) in [
            ("94035-1234", None, Ok("94035")),
            ("94035-1234", usa, Ok("94035")),
            (" 06606 ", usa, Ok("06606")),
            ("940351234", usa, Ok("94035")),
            ("M1 1AE", country("gb").ok(), Ok("m11ae")),
            ("M1 1AE", None, Ok("m11ae")),
            ("94-717", country("pl").ok(), Ok("94717")),
            ("732-5013", country("jp").ok(), Ok("7325013")),
            ("6606", usa, Err(Flaw::ZipMalformed)),
            ("n/a", country("de").ok(), Err(Flaw::ZipMalformed)),
            ("none", None, Err(Flaw::ZipMalformed)),
        ] {
            assert_eq!(zip(value, region).as_deref(), normal.as_ref().map(|word| *word), "{value}");
        }
    }

    #[test]
    fn a_city_has_letters_only() {
        for (value, normal) in [("New York", "newyork"), ("St. John's", "stjohns"), ("大田区", "大田区")] {
            assert_eq!(city(value).as_deref(), Ok(normal));
        }
        assert_eq!(city("123"), Err(Flaw::CityMalformed));
    }
}
