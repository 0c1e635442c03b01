//! What a command says on its standard output: tables for people, JSON for programs.

use std::io::Write;

use anyhow::{Context, Result};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

/// The form of the answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A table with a line for each thing; the columns are as wide as what is in them.
    pub(crate) fn rows<T: Message + Name>(
        self,
        head: &[&str],
        things: &[T],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<()> {
        if self.json {
            return things.iter().try_for_each(|thing| self.thing(thing, |_| Vec::new()));
        }
        if things.is_empty() {
            return note("nothing found");
        }
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        let table: Vec<Vec<String>> = std::iter::once(head).chain(things.iter().map(row)).collect();
        print(&lines(&table))
    }

    /// One thing: its parts by name, a line each.
    pub(crate) fn thing<T: Message + Name>(
        self,
        thing: &T,
        parts: impl FnOnce(&T) -> Vec<(&'static str, String)>,
    ) -> Result<()> {
        if self.json {
            return print(&[json(thing)?]);
        }
        let table: Vec<Vec<String>> =
            parts(thing).into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        print(&lines(&table))
    }

    /// One thing that is told at length.
    pub(crate) fn text<T: Message + Name>(self, thing: &T, text: impl FnOnce(&T) -> Vec<String>) -> Result<()> {
        if self.json {
            return print(&[json(thing)?]);
        }
        print(&text(thing).iter().map(|line| plain(line)).collect::<Vec<_>>())
    }

    /// Something that happened just now: a line of its own, at once.
    pub(crate) fn event<T: Message + Name>(self, thing: &T, line: impl FnOnce(&T) -> String) -> Result<()> {
        if self.json { print(&[json(thing)?]) } else { print(&[plain(&line(thing))]) }
    }

    /// What was done, for people; programs read the exit code.
    pub(crate) fn done(self, words: &str) -> Result<()> {
        if self.json { Ok(()) } else { print(&[plain(words)]) }
    }
}

/// The message in the JSON of protobuf, on one line.
pub(crate) fn json<T: Message + Name>(thing: &T) -> Result<String> {
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).context("the descriptors of this program")?;
    let kind = pool.get_message_by_name(&T::full_name()).context("a message without a descriptor")?;
    let message = DynamicMessage::decode(kind, thing.encode_to_vec().as_slice())?;
    let mut text = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(true);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options)?;
    Ok(String::from_utf8(text)?)
}

/// A word to people that is no part of the answer.
pub(crate) fn note(words: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr().lock(), "{}", plain(words))?)
}

pub(crate) fn print(lines: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// A table within a longer text.
pub(crate) fn indented(table: &[Vec<String>]) -> Vec<String> {
    lines(table).into_iter().map(|line| format!("  {line}")).collect()
}

/// Cells under each other; an empty one is a dash, so that the columns can be counted.
fn lines(table: &[Vec<String>]) -> Vec<String> {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let table: Vec<Vec<String>> = table.iter().map(|row| row.iter().map(|cell| cell_of(cell)).collect()).collect();
    let width = |at: usize| table.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

fn cell_of(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { plain(text) }
}

/// Text that others wrote cannot steer the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A word of the API without its prefix, as people write it.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

/// A moment to the second; empty where there is none.
pub(crate) fn moment(moment: Option<&prost_types::Timestamp>) -> String {
    let known = moment.and_then(|moment| jiff::Timestamp::from_second(moment.seconds).ok());
    known.map(|moment| moment.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proto::auth::v1::{AuditEntry, Connection, ConnectionState};

    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_can_be_counted() {
        let table = [vec!["name", "state", "why"], vec!["connections/1", "", "it works"], vec!["c", "active"]];
        let table: Vec<Vec<String>> =
            table.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        let expected = ["name           state   why", "connections/1  -       it works", "c              active"];
        assert_eq!(lines(&table), expected);
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(plain("ticket\u{1b}[2J\nsealed"), "ticket\u{fffd}[2J\u{fffd}sealed");
    }

    #[test]
    fn json_has_the_words_of_the_api() {
        let state = ConnectionState::NeedsConsent.into();
        let connection = Connection { name: "connections/1".to_owned(), state, ..Connection::default() };
        let text = json(&connection).unwrap();
        assert_eq!(text, r#"{"name":"connections/1","state":"CONNECTION_STATE_NEEDS_CONSENT"}"#);
        let entry = AuditEntry { sequence: 9_007_199_254_740_993, ..AuditEntry::default() };
        assert_eq!(json(&entry).unwrap(), r#"{"sequence":"9007199254740993"}"#);
        assert_eq!(word("CONNECTION_STATE_NEEDS_CONSENT", "CONNECTION_STATE_"), "needs consent");
    }
}
