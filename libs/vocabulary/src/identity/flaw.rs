use std::fmt;

/// Why a value cannot be used. Says the rule, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flaw {
    /// No e-mail address.
    EmailMalformed,
    /// No telephone number.
    PhoneMalformed,
    /// A number in a country's own spelling, and the country is not known.
    PhoneWithoutCountry,
    /// No letter in it.
    NameMalformed,
    /// Neither female nor male: Meta takes no other word.
    GenderUnknown,
    /// No date of birth between 1900 and today, or one that can be read in two ways.
    DateMalformed,
    /// No letter in it.
    CityMalformed,
    /// No state.
    StateMalformed,
    /// No postal code.
    ZipMalformed,
    /// No country that ISO 3166 lists.
    CountryUnknown,
    /// Longer than 256 characters.
    ExternalIdTooLong,
    /// Not 64 hexadecimal digits, where a hash was announced.
    HashMalformed,
    /// 64 hexadecimal digits, where a plain value was announced.
    AlreadyHashed,
    /// The field cannot be given in this form.
    FieldNotAllowed,
}

impl Flaw {
    /// A stable name in SCREAMING_SNAKE_CASE, for programs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::EmailMalformed => "EMAIL_MALFORMED",
            Self::PhoneMalformed => "PHONE_MALFORMED",
            Self::PhoneWithoutCountry => "PHONE_WITHOUT_COUNTRY",
            Self::NameMalformed => "NAME_MALFORMED",
            Self::GenderUnknown => "GENDER_UNKNOWN",
            Self::DateMalformed => "DATE_MALFORMED",
            Self::CityMalformed => "CITY_MALFORMED",
            Self::StateMalformed => "STATE_MALFORMED",
            Self::ZipMalformed => "ZIP_MALFORMED",
            Self::CountryUnknown => "COUNTRY_UNKNOWN",
            Self::ExternalIdTooLong => "EXTERNAL_ID_TOO_LONG",
            Self::HashMalformed => "HASH_MALFORMED",
            Self::AlreadyHashed => "ALREADY_HASHED",
            Self::FieldNotAllowed => "FIELD_NOT_ALLOWED",
        }
    }

    /// What would be right, for a person.
    pub fn advice(self) -> &'static str {
        match self {
            Self::EmailMalformed => "must be an e-mail address such as mary@example.com",
            Self::PhoneMalformed => "must be a telephone number that the numbering plan of its country allows",
            Self::PhoneWithoutCountry => "must begin with + and the country code, or come with a country",
            Self::NameMalformed => "must have a letter",
            Self::GenderUnknown => "must be f, female, m or male",
            Self::DateMalformed => {
                "must be a day between 1900-01-01 and today that is written unambiguously, such as 1990-12-31"
            }
            Self::CityMalformed => "must have a letter",
            Self::StateMalformed => "must be a state, province or region; in the USA its name or its two letters",
            Self::ZipMalformed => "must be a postal code of 3 to 12 letters and digits; in the USA five digits",
            Self::CountryUnknown => "must be a country's ISO 3166 code or its English name",
            Self::ExternalIdTooLong => "must have at most 256 characters",
            Self::HashMalformed => "must be a SHA-256 as 64 hexadecimal digits",
            Self::AlreadyHashed => "is a hash already: say that the identifiers are hashed, or send the plain value",
            Self::FieldNotAllowed => "does not go with this form of identifiers",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.advice())
    }
}

impl std::error::Error for Flaw {}
