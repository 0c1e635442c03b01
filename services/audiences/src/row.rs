//! A row of people's identifiers becomes hashes, or is refused. Pure: what comes in does not go on.
//!
//! A malformed value is left out and reported; the row stands as long as somebody can be found by what remains. So one bad
//! telephone number does not cost the e-mail address beside it, and nothing is lost in silence.

use graph::audiences::Key;
use jiff::civil::Date;
use proto::audiences::v1::Member;
use vocabulary::identity::{self, Country, Flaw, Hash};

/// How many keys there are.
pub(crate) const KEYS: usize = Key::ALL.len();

/// How the rows of a job are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As people write them.
    Raw,
    /// Normalised and hashed by the caller.
    Hashed,
}

/// A person, by hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Person {
    hashes: [Option<Hash>; KEYS],
}

/// One thing wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowFlaw {
    /// The field; empty where it is the row as a whole.
    pub(crate) field: &'static str,
    /// A stable name in SCREAMING_SNAKE_CASE.
    pub(crate) reason: &'static str,
}

/// What came of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most rows are taken, and each verdict lives for one turn of a loop")]
pub(crate) enum Read {
    /// Taken, without the fields named.
    Taken(Person, Vec<RowFlaw>),
    /// Refused, for all of these.
    Refused(Vec<RowFlaw>),
}

impl Person {
    /// The hash under a key.
    pub(crate) fn get(&self, key: Key) -> Option<&Hash> {
        self.hashes.get(place(key)).and_then(Option::as_ref)
    }

    /// Sets the hash under a key.
    pub(crate) fn set(&mut self, key: Key, hash: Hash) {
        if let Some(slot) = self.hashes.get_mut(place(key)) {
            *slot = Some(hash);
        }
    }

    /// Which keys it has, one bit each, the first key lowest.
    pub(crate) fn mask(&self) -> u16 {
        Key::ALL.iter().filter(|key| self.get(**key).is_some()).fold(0, |mask, key| mask | 1 << place(*key))
    }

    /// Can Meta find somebody by this: an e-mail address, a phone or an own id, or a full name with a postal code, a city
    /// or a day of birth?
    fn is_usable(&self) -> bool {
        let has = |key| self.get(key).is_some();
        let alone = has(Key::Email) || has(Key::Phone) || has(Key::ExternalId);
        let born = has(Key::BirthYear) && has(Key::BirthMonth) && has(Key::BirthDay);
        let named = has(Key::FirstName) && has(Key::LastName);
        alone || (named && (has(Key::Zip) || has(Key::City) || born))
    }
}

fn place(key: Key) -> usize {
    Key::ALL.iter().position(|other| *other == key).unwrap_or(KEYS)
}

/// Reads a row. `today` bounds days of birth.
pub(crate) fn read(row: &Member, form: Form, today: Date) -> Read {
    let mut reader = Reader::default();
    match form {
        Form::Raw => reader.raw(row, today),
        Form::Hashed => reader.hashed(row),
    }
    let Reader { person, mut flaws } = reader;
    if person.is_usable() {
        return Read::Taken(person, flaws);
    }
    if flaws.is_empty() {
        flaws.push(RowFlaw { field: "", reason: "NO_USABLE_IDENTIFIER" });
    }
    Read::Refused(flaws)
}

/// What a reason means, for a person.
pub(crate) fn advice(reason: &str) -> &'static str {
    const FLAWS: [Flaw; 14] = [
        Flaw::EmailMalformed,
        Flaw::PhoneMalformed,
        Flaw::PhoneWithoutCountry,
        Flaw::NameMalformed,
        Flaw::GenderUnknown,
        Flaw::DateMalformed,
        Flaw::CityMalformed,
        Flaw::StateMalformed,
        Flaw::ZipMalformed,
        Flaw::CountryUnknown,
        Flaw::ExternalIdTooLong,
        Flaw::HashMalformed,
        Flaw::AlreadyHashed,
        Flaw::FieldNotAllowed,
    ];
    FLAWS.iter().find(|flaw| flaw.reason() == reason).map_or(
        "must have an e-mail address, a phone or an external id, or a first and last name with a zip, a city or a date of \
         birth",
        |flaw| flaw.advice(),
    )
}

#[derive(Default)]
struct Reader {
    person: Person,
    flaws: Vec<RowFlaw>,
}

impl Reader {
    fn raw(&mut self, row: &Member, today: Date) {
        let country = identity::country(&row.country).ok();
        self.take(Key::Email, "email", &row.email, identity::email);
        self.take(Key::Phone, "phone", &row.phone, |value| identity::phone(value, country));
        self.take(Key::FirstName, "first_name", &row.first_name, identity::name);
        self.take(Key::LastName, "last_name", &row.last_name, identity::name);
        self.take(Key::Gender, "gender", &row.gender, identity::gender);
        self.birth(&row.date_of_birth, country, today);
        self.take(Key::City, "city", &row.city, identity::city);
        self.take(Key::State, "state", &row.state, |value| identity::state(value, country));
        self.take(Key::Zip, "zip", &row.zip, |value| identity::zip(value, country));
        self.take(Key::Country, "country", &row.country, |value| identity::country(value).map(Country::as_str));
        self.take(Key::ExternalId, "external_id", &row.external_id, identity::external_id);
        let parts = [("birth_year", &row.birth_year), ("birth_month", &row.birth_month), ("birth_day", &row.birth_day)];
        for (field, value) in parts {
            self.must_be_blank(field, value);
        }
    }

    fn hashed(&mut self, row: &Member) {
        for (key, field, value) in [
            (Key::Email, "email", &row.email),
            (Key::Phone, "phone", &row.phone),
            (Key::FirstName, "first_name", &row.first_name),
            (Key::LastName, "last_name", &row.last_name),
            (Key::Gender, "gender", &row.gender),
            (Key::BirthYear, "birth_year", &row.birth_year),
            (Key::BirthMonth, "birth_month", &row.birth_month),
            (Key::BirthDay, "birth_day", &row.birth_day),
            (Key::City, "city", &row.city),
            (Key::State, "state", &row.state),
            (Key::Zip, "zip", &row.zip),
            (Key::Country, "country", &row.country),
            (Key::ExternalId, "external_id", &row.external_id),
        ] {
            if identity::is_blank(value) {
                continue;
            }
            match Hash::parse(value) {
                Ok(hash) => self.person.set(key, hash),
                Err(flaw) => self.flaw(field, flaw),
            }
        }
        self.must_be_blank("date_of_birth", &row.date_of_birth);
    }

    fn take<T: AsRef<str>>(
        &mut self,
        key: Key,
        field: &'static str,
        value: &str,
        normal: impl Fn(&str) -> Result<T, Flaw>,
    ) {
        if identity::is_blank(value) {
            return;
        }
        match normal(value) {
            Ok(value) => self.person.set(key, Hash::of(value.as_ref())),
            Err(flaw) => self.flaw(field, flaw),
        }
    }

    fn birth(&mut self, value: &str, country: Option<Country>, today: Date) {
        if identity::is_blank(value) {
            return;
        }
        match identity::birth(value, country, today) {
            Ok(birth) => {
                self.person.set(Key::BirthYear, Hash::of(&birth.year()));
                self.person.set(Key::BirthMonth, Hash::of(&birth.month()));
                self.person.set(Key::BirthDay, Hash::of(&birth.day()));
            }
            Err(flaw) => self.flaw("date_of_birth", flaw),
        }
    }

    fn must_be_blank(&mut self, field: &'static str, value: &str) {
        if !identity::is_blank(value) {
            self.flaw(field, Flaw::FieldNotAllowed);
        }
    }

    fn flaw(&mut self, field: &'static str, flaw: Flaw) {
        self.flaws.push(RowFlaw { field, reason: flaw.reason() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 22);

    fn mary() -> Member {
        Member {
            email: " Mary@Example.com ".to_owned(),
            phone: "(650) 555-1212".to_owned(),
            first_name: "Mary".to_owned(),
            last_name: "Smith-Jones".to_owned(),
            gender: "Female".to_owned(),
            date_of_birth: "1997-02-16".to_owned(),
            city: "New York".to_owned(),
            state: "C.A. ".to_owned(),
            zip: "94035-1234".to_owned(),
            country: "USA".to_owned(),
            external_id: "42".to_owned(),
            ..Member::default()
        }
    }

    #[test]
    fn a_full_row_has_every_key_with_metas_hashes() {
        let Read::Taken(person, flaws) = read(&mary(), Form::Raw, TODAY) else { panic!("refused") };
        assert_eq!(flaws, []);
        assert_eq!(person.mask(), (1 << KEYS) - 1);
        for (key, normal) in [
            (Key::Email, "mary@example.com"),
            (Key::Phone, "16505551212"),
            (Key::FirstName, "mary"),
            (Key::LastName, "smithjones"),
            (Key::Gender, "f"),
            (Key::BirthYear, "1997"),
            (Key::BirthMonth, "02"),
            (Key::BirthDay, "16"),
            (Key::City, "newyork"),
            (Key::State, "ca"),
            (Key::Zip, "94035"),
            (Key::Country, "us"),
            (Key::ExternalId, "42"),
        ] {
            assert_eq!(person.get(key), Some(&Hash::of(normal)), "{key:?}");
        }
    }

    #[test]
    fn a_bad_field_is_left_out_and_named_and_the_row_stands() {
        let row = Member { phone: "n/a".to_owned(), gender: "x".to_owned(), ..mary() };
        let Read::Taken(person, flaws) = read(&row, Form::Raw, TODAY) else { panic!("refused") };
        assert!(person.get(Key::Phone).is_none() && person.get(Key::Email).is_some());
        let named: Vec<_> = flaws.iter().map(|flaw| (flaw.field, flaw.reason)).collect();
        assert_eq!(named, [("phone", "PHONE_MALFORMED"), ("gender", "GENDER_UNKNOWN")]);
    }

    #[test]
    fn a_row_by_which_nobody_is_found_is_refused_with_its_reasons() {
        let only = |member: Member| match read(&member, Form::Raw, TODAY) {
            Read::Refused(flaws) => flaws.iter().map(|flaw| (flaw.field, flaw.reason)).collect::<Vec<_>>(),
            Read::Taken(..) => panic!("taken"),
        };
        assert_eq!(only(Member::default()), [("", "NO_USABLE_IDENTIFIER")]);
        let email = Member { email: "nobody".to_owned(), ..Member::default() };
        assert_eq!(only(email), [("email", "EMAIL_MALFORMED")]);
        let name = Member { first_name: "Mary".to_owned(), last_name: "Smith".to_owned(), ..Member::default() };
        assert_eq!(only(name.clone()), [("", "NO_USABLE_IDENTIFIER")]);
        let place = Member { zip: "94035".to_owned(), ..name };
        assert!(matches!(read(&place, Form::Raw, TODAY), Read::Taken(..)));
    }

    #[test]
    fn hashes_are_taken_by_their_shape() {
        let hash = Hash::of("mary@example.com");
        let row = Member { email: hash.to_string().to_uppercase(), ..Member::default() };
        let Read::Taken(person, _) = read(&row, Form::Hashed, TODAY) else { panic!("refused") };
        assert_eq!(person.get(Key::Email), Some(&hash));
        let plain = Member { email: "mary@example.com".to_owned(), ..Member::default() };
        assert!(
            matches!(read(&plain, Form::Hashed, TODAY), Read::Refused(flaws) if flaws[0].reason == "HASH_MALFORMED")
        );
        let again = read(&row, Form::Raw, TODAY);
        assert!(matches!(again, Read::Refused(flaws) if flaws[0].reason == "ALREADY_HASHED"));
    }

    #[test]
    fn a_day_of_birth_is_plain_and_its_parts_are_hashes() {
        let row = Member { birth_year: "1990".to_owned(), ..mary() };
        let Read::Taken(_, flaws) = read(&row, Form::Raw, TODAY) else { panic!("refused") };
        assert_eq!((flaws[0].field, flaws[0].reason), ("birth_year", "FIELD_NOT_ALLOWED"));
    }

    #[test]
    fn every_reason_has_its_advice() {
        assert!(advice("PHONE_MALFORMED").contains("telephone"));
        assert!(advice("NO_USABLE_IDENTIFIER").contains("e-mail"));
    }
}
