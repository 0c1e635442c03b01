//! The language of `fields`: `id,adset{id,name},insights.date_preset(last_7d){spend}`.

use serde_json::Value;

use crate::error::Refusal;
use crate::params::{Params, as_text};

/// How deep braces may nest; Meta refuses deeper ones as well.
const DEPTH_MAX: usize = 8;

/// One field that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The key in the answer, where `.as(key)` names another one than the name.
    pub(crate) alias: Option<String>,
    /// `.limit(1)` and the like, as parameters of the edge.
    pub(crate) modifiers: Params,
    /// What stands in braces; empty when there are none.
    pub(crate) inner: Vec<Field>,
}

impl Field {
    pub(crate) fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), alias: None, modifiers: Params::default(), inner: Vec::new() }
    }

    /// The key in the answer.
    pub(crate) fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// The fields of a call, `None` where it names none. A POST body may hold a JSON list instead of the expression.
pub(crate) fn of(params: &Params) -> Result<Option<Vec<Field>>, Refusal> {
    let Some(value) = params.raw("fields") else { return Ok(None) };
    let text = match value {
        Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => {
            let text = as_text(other);
            if text.trim_start().starts_with('[') {
                params.words("fields")?.unwrap_or_default().join(",")
            } else {
                text
            }
        }
    };
    parse(&text).map(|fields| (!fields.is_empty()).then_some(fields))
}

/// Reads an expression; a fault names the character where it stands.
pub(crate) fn parse(text: &str) -> Result<Vec<Field>, Refusal> {
    nested(text, 0)
}

fn nested(text: &str, depth: usize) -> Result<Vec<Field>, Refusal> {
    let mut reader = Reader { rest: text, whole: text };
    let fields = reader.list(depth)?;
    if reader.rest.is_empty() { Ok(fields) } else { Err(reader.fault("end of string")) }
}

struct Reader<'a> {
    rest: &'a str,
    whole: &'a str,
}

impl<'a> Reader<'a> {
    fn list(&mut self, depth: usize) -> Result<Vec<Field>, Refusal> {
        if depth > DEPTH_MAX {
            return Err(self.fault("fewer braces"));
        }
        let mut fields = Vec::new();
        loop {
            self.space();
            let name = self.word();
            if name.is_empty() {
                return if self.rest.starts_with(',') { Err(self.fault("a field")) } else { Ok(fields) };
            }
            let field = self.field(name, depth)?;
            if fields.iter().all(|other: &Field| other.key() != field.key()) {
                fields.push(field);
            }
            self.space();
            if !self.take(',') {
                return Ok(fields);
            }
        }
    }

    fn field(&mut self, name: &str, depth: usize) -> Result<Field, Refusal> {
        let mut field = Field::plain(name);
        loop {
            self.space();
            if self.take('.') {
                let modifier = self.word();
                if !self.take('(') {
                    return Err(self.fault("("));
                }
                let argument = self.argument()?;
                match modifier {
                    "as" => field.alias = Some(argument.trim().to_owned()),
                    // The older way to write braces.
                    "fields" => field.inner = nested(argument, depth + 1)?,
                    _ => field.modifiers.put(modifier, Value::String(argument.to_owned())),
                }
            } else if self.take('{') {
                field.inner = self.list(depth + 1)?;
                if !self.take('}') {
                    return Err(self.fault("}"));
                }
            } else {
                return Ok(field);
            }
        }
    }

    /// What stands in parentheses, which may nest and hold quoted text.
    fn argument(&mut self) -> Result<&'a str, Refusal> {
        let mut depth = 1_u32;
        let mut quote = None;
        let mut escaped = false;
        for (at, character) in self.rest.char_indices() {
            match (quote, character) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(open), _) if character == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(character),
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let (argument, rest) = self.rest.split_at(at);
                self.rest = rest.strip_prefix(')').unwrap_or(rest);
                return Ok(argument);
            }
        }
        Err(self.fault(")"))
    }

    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '_' | ':' | '-')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn fault(&self, expected: &str) -> Refusal {
        let at = self.whole.len() - self.rest.len();
        let found = self.rest.chars().next().map_or_else(|| "end of string".to_owned(), |found| format!("\"{found}\""));
        let message =
            format!("Syntax error \"Expected {expected} instead of {found}.\" at character {at}: {}", self.whole);
        Refusal::new(2500, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_nest_and_modifiers_chain() {
        let fields =
            parse("id, adset{id,campaign{name}},insights.date_preset(last_7d).limit(1).as(week){spend}").unwrap();
        let names: Vec<_> = fields.iter().map(Field::key).collect();
        assert_eq!(names, ["id", "adset", "week"]);
        assert_eq!(fields[1].inner[1].inner[0].name, "name");
        assert_eq!(fields[2].modifiers.text("date_preset").unwrap(), "last_7d");
        assert_eq!(fields[2].modifiers.integer("limit").unwrap(), Some(1));
    }

    #[test]
    fn a_modifier_may_hold_json() {
        let fields = parse("insights.time_range({'since':'2026-01-01','until':'2026-01-02'}){spend}").unwrap();
        assert!(fields[0].modifiers.json("time_range").unwrap().is_some());
    }

    #[test]
    fn a_parenthesis_in_quotes_ends_nothing() {
        let text = r"ads.filtering([{'field':'name','operator':'CONTAIN','value':'a)\'('}]).limit(2).as(some){id}";
        let fields = parse(text).unwrap();
        let conditions = fields[0].modifiers.list("filtering").unwrap().unwrap();
        assert_eq!(conditions[0]["value"], "a)'(");
        assert_eq!((fields[0].key(), fields[0].inner.len()), ("some", 1));
    }

    #[test]
    fn braces_may_be_written_as_a_modifier() {
        let old = parse("adsets.limit(2).fields(id,ads.fields(name))").unwrap();
        let new = parse("adsets.limit(2){id,ads{name}}").unwrap();
        assert_eq!(old, new);
    }

    #[test]
    fn braces_nest_only_so_deep_however_they_are_written() {
        let deep = |levels: usize| format!("{}id{}", "a.fields(".repeat(levels), ")".repeat(levels));
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        for levels in [DEPTH_MAX + 1, 50_000] {
            assert_eq!(parse(&deep(levels)).unwrap_err().code(), 2500);
        }
        let mixed = format!("a.fields(b{{{}}})", deep(DEPTH_MAX - 1));
        assert!(parse(&mixed).is_err());
    }

    #[test]
    fn a_syntax_error_names_its_place() {
        let refusal = parse("id,name}").unwrap_err();
        assert_eq!(refusal.code(), 2500);
        let text = refusal.envelope("A").to_string();
        assert!(text.contains("at character 7"), "{text}");
        assert!(parse("adset{id").is_err());
        assert!(parse("a,,b").is_err());
    }

    #[test]
    fn a_json_list_in_a_body_is_taken_as_well() {
        let params = Params::from_form("fields=%5B%22spend%22%2C%22clicks%22%5D");
        assert_eq!(of(&params).unwrap().unwrap().len(), 2);
    }
}
