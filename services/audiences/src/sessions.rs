//! How a job's rows become upload sessions at Meta, and a batch's rows the text that is sent. Pure.

use std::ops::RangeInclusive;

use graph::audiences::Key;

use crate::row::Person;

/// The rows of one stored part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its number in the job.
    pub(crate) sequence: i64,
    /// Rows accepted in it.
    pub(crate) rows: usize,
}

/// One upload session: whole parts, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The parts.
    pub(crate) parts: RangeInclusive<i64>,
    /// Rows in them.
    pub(crate) rows: usize,
}

/// Cuts a job into sessions of at most `rows_max` rows, each as long as it may be. Parts without rows go with the session
/// before them or vanish. A part is never cut, so `rows_max` is at least a part's size.
pub(crate) fn plan(parts: &[Part], rows_max: usize) -> Vec<Planned> {
    let mut sessions: Vec<Planned> = Vec::new();
    for part in parts.iter().filter(|part| part.rows > 0) {
        match sessions.last_mut() {
            Some(session) if session.rows + part.rows <= rows_max => {
                session.parts = *session.parts.start()..=part.sequence;
                session.rows += part.rows;
            }
            _ => sessions.push(Planned { parts: part.sequence..=part.sequence, rows: part.rows }),
        }
    }
    sessions
}

/// The keys that some person of the job has: the schema, which must be the same in all batches of a session.
pub(crate) fn schema(mask: u16) -> Vec<Key> {
    Key::ALL.into_iter().enumerate().filter(|(place, _)| mask & (1 << place) != 0).map(|(_, key)| key).collect()
}

/// The rows as Meta reads them: a list of lists as long as the schema, an empty text for what is not known.
pub(crate) fn rows(people: &[Person], schema: &[Key]) -> String {
    let mut json = String::with_capacity(people.len() * schema.len() * 67 + 2);
    json.push('[');
    for (at, person) in people.iter().enumerate() {
        json.push_str(if at > 0 { ",[" } else { "[" });
        for (at, key) in schema.iter().enumerate() {
            json.push_str(if at > 0 { ",\"" } else { "\"" });
            if let Some(hash) = person.get(*key) {
                hash.write(&mut json);
            }
            json.push('"');
        }
        json.push(']');
    }
    json.push(']');
    json
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vocabulary::identity::Hash;

    use super::*;

    #[test]
    fn a_row_is_as_long_as_the_schema() {
        let mut person = Person::default();
        person.set(Key::Email, Hash::of("mary@example.com"));
        let json = rows(&[person, Person::default()], &[Key::Email, Key::FirstName]);
        let hash = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";
        assert_eq!(json, format!(r#"[["{hash}",""],["",""]]"#));
    }

    #[test]
    fn a_schema_names_the_keys_that_occur() {
        assert_eq!(schema(0b1_0000_0000_0101), [Key::Email, Key::FirstName, Key::ExternalId]);
        assert_eq!(schema(0), []);
    }

    #[test]
    fn nothing_to_send_is_no_session() {
        assert_eq!(plan(&[], 10_000), []);
        assert_eq!(plan(&[Part { sequence: 1, rows: 0 }], 10_000), []);
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_session_and_none_is_too_long(sizes in proptest::collection::vec(0_usize..=1_000, 0..60)) {
            let parts: Vec<Part> =
                sizes.iter().zip(1..).map(|(rows, sequence)| Part { sequence, rows: *rows }).collect();
            let sessions = plan(&parts, 10_000);
            prop_assert!(sessions.iter().all(|session| (1..=10_000).contains(&session.rows)));
            prop_assert_eq!(sessions.iter().map(|session| session.rows).sum::<usize>(), sizes.iter().sum::<usize>());
            for part in parts.iter().filter(|part| part.rows > 0) {
                let holding = sessions.iter().filter(|session| session.parts.contains(&part.sequence)).count();
                prop_assert_eq!(holding, 1);
            }
            prop_assert!(sessions.is_sorted_by(|one, two| one.parts.end() < two.parts.start()));
        }
    }
}
