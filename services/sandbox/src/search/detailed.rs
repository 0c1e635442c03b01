//! Searches over detailed targeting: by text, by class, by likeness, and whether an entry still exists.

use serde_json::{Value, json};

use crate::catalogue::{self, Entry, KINDS};
use crate::error::Refusal;
use crate::loose;
use crate::params::{Params, as_text};

/// Names of classes that Meta's pages use besides those of the members.
const DEMOGRAPHICS: &[&str] = &[
    "life_events",
    "industries",
    "income",
    "family_statuses",
    "education_schools",
    "education_majors",
    "work_employers",
    "work_positions",
];

/// `targetingsearch?q=`: all classes, or those of `limit_type`.
pub(super) fn searched(params: &Params) -> Result<Vec<Value>, Refusal> {
    let query = params.required("q")?;
    let limit = limit_type(params)?;
    let mut hits: Vec<(u8, &Entry)> = catalogue::entries()
        .iter()
        .filter(|entry| is_detailed(entry) && limit.as_ref().is_none_or(|kind| entry.kind.0 == kind))
        .filter_map(|entry| catalogue::rank(entry.name, &query).map(|rank| (rank, entry)))
        .collect();
    hits.sort_by(|(one, left), (other, right)| {
        one.cmp(other).then(right.lower.cmp(&left.lower)).then(left.name.cmp(right.name))
    });
    Ok(hits.into_iter().map(|(_, entry)| row(entry)).collect())
}

/// `targetingbrowse`: the whole tree, or one class of it.
pub(super) fn browsed(params: &Params) -> Result<Vec<Value>, Refusal> {
    let limit = limit_type(params)?;
    // Schools, employers and the like are too many to be browsed.
    let browsable = |entry: &&Entry| is_detailed(entry) && entry.id < 100_000_000_000_000;
    let wanted = catalogue::entries().iter().filter(browsable);
    Ok(wanted.filter(|entry| limit.as_ref().is_none_or(|kind| entry.kind.0 == kind)).map(row).collect())
}

/// `targetingsuggestions?targeting_list=[{"type":"interests","id":..}]`: what stands beside the given entries.
pub(super) fn suggestions(params: &Params) -> Result<Vec<Value>, Refusal> {
    let limit = limit_type(params)?;
    let given: Vec<&Entry> = listed(params)?.iter().filter_map(Named::entry).collect();
    let beside = like(&given).into_iter();
    Ok(beside.filter(|entry| limit.as_ref().is_none_or(|kind| entry.kind.0 == kind)).map(row).collect())
}

/// `targetingvalidation`: by `targeting_list`, `id_list` or `name_list`.
pub(super) fn validated(params: &Params) -> Result<Vec<Value>, Refusal> {
    let rows = listed(params)?.into_iter().map(|item| match item.entry() {
        Some(entry) => with_valid(row(entry), true),
        None => with_valid(item.echo(), false),
    });
    Ok(rows.collect())
}

/// Interests like those named, for `adinterestsuggestion`.
pub(super) fn suggested(names: &[String]) -> Vec<Value> {
    let given: Vec<&Entry> = names.iter().filter_map(|name| catalogue::named(Some("interests"), name)).collect();
    like(&given).into_iter().map(super::interest).collect()
}

/// `adTargetingCategory`: the entries of a class, by name if one is given.
pub(super) fn category(params: &Params) -> Result<Vec<Value>, Refusal> {
    let class = params.text("class").unwrap_or_else(|| "interests".to_owned());
    if class != "demographics" && !KINDS.contains(&class.as_str()) {
        return Err(one_of("class"));
    }
    let query = params.text("q").unwrap_or_default();
    let of_class = |entry: &&Entry| match class.as_str() {
        "demographics" => DEMOGRAPHICS.contains(&entry.kind.0),
        class => entry.kind.0 == class,
    };
    let rows = catalogue::entries().iter().filter(of_class);
    Ok(rows.filter(|entry| catalogue::rank(entry.name, &query).is_some()).map(row).collect())
}

/// `broadtargetingcategories`: behaviours in an older shape.
pub(super) fn broad() -> Vec<Value> {
    let rows = catalogue::entries().iter().filter(|entry| entry.kind.0 == "behaviors");
    rows.map(|entry| {
        json!({
            "id": entry.id.to_string(),
            "name": entry.name,
            "parent_category": entry.path.get(1),
            "path": entry.path,
            "size_lower_bound": entry.lower,
            "size_upper_bound": entry.upper,
            "type": 6,
            "type_name": "BEHAVIORS",
            "untranslated_name": entry.name,
        })
    })
    .collect()
}

pub(super) fn row(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "name": entry.name,
        "type": entry.kind.0,
        "path": entry.path,
        "audience_size_lower_bound": entry.lower,
        "audience_size_upper_bound": entry.upper,
        "description": "",
    })
}

fn with_valid(mut row: Value, valid: bool) -> Value {
    if let Value::Object(map) = &mut row {
        map.insert("valid".to_owned(), Value::Bool(valid));
    }
    row
}

/// Operating systems and devices are members of their own, not of detailed targeting.
fn is_detailed(entry: &Entry) -> bool {
    !matches!(entry.kind.0, "user_os" | "user_device")
}

/// Entries that share a path with a given one and are not given themselves, the largest first.
fn like(given: &[&Entry]) -> Vec<&'static Entry> {
    let parents: Vec<&[&str]> =
        given.iter().filter_map(|entry| entry.path.split_last().map(|(_, path)| path)).collect();
    let mut rows: Vec<&Entry> = catalogue::entries()
        .iter()
        .filter(|entry| given.iter().all(|own| own.id != entry.id))
        .filter(|entry| entry.path.split_last().is_some_and(|(_, path)| parents.contains(&path)))
        .collect();
    rows.sort_by(|one, other| other.lower.cmp(&one.lower).then(one.name.cmp(other.name)));
    rows
}

fn limit_type(params: &Params) -> Result<Option<String>, Refusal> {
    match params.text("limit_type").filter(|word| !word.is_empty()) {
        Some(word) if !KINDS.contains(&word.as_str()) => Err(one_of("limit_type")),
        word => Ok(word),
    }
}

fn one_of(name: &str) -> Refusal {
    Refusal::invalid(format!("Param {name} must be one of {{{}}}", KINDS.join(", "))).blame(&[name])
}

/// An entry as a caller names it.
struct Named {
    kind: Option<String>,
    id: Option<String>,
    name: Option<String>,
}

impl Named {
    fn entry(&self) -> Option<&'static Entry> {
        let of_kind = |entry: &&Entry| self.kind.as_deref().is_none_or(|kind| entry.kind.0 == kind);
        match (&self.id, &self.name) {
            (Some(id), _) => id.parse().ok().and_then(catalogue::entry).filter(of_kind),
            (None, Some(name)) => catalogue::named(self.kind.as_deref(), name),
            (None, None) => None,
        }
    }

    fn echo(&self) -> Value {
        let members = [("id", &self.id), ("name", &self.name), ("type", &self.kind)];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        Value::Object(given.collect())
    }
}

fn listed(params: &Params) -> Result<Vec<Named>, Refusal> {
    let mut all = Vec::new();
    for item in params.list("targeting_list")?.unwrap_or_default() {
        let item = item.as_str().and_then(loose::parse).unwrap_or(item);
        let member = |name: &str| item.get(name).map(as_text);
        all.push(Named { kind: member("type"), id: member("id"), name: member("name") });
    }
    for id in params.words("id_list")?.unwrap_or_default() {
        all.push(Named { kind: None, id: Some(id), name: None });
    }
    for name in params.words("name_list")?.unwrap_or_default() {
        all.push(Named { kind: None, id: None, name: Some(name) });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_keeps_to_its_class_and_an_unknown_class_is_told() {
        let names = |query: &str| -> Vec<String> {
            let rows = searched(&Params::from_form(query)).unwrap();
            rows.iter()
                .map(|row| format!("{}: {}", row["type"].as_str().unwrap(), row["name"].as_str().unwrap()))
                .collect()
        };
        assert_eq!(
            names("q=engineer"),
            [
                "interests: Engineering",
                "work_positions: Engineer",
                "industries: Architecture and Engineering",
                "work_positions: Software Engineer"
            ]
        );
        assert_eq!(names("q=engineer&limit_type=interests"), ["interests: Engineering"]);
        assert!(searched(&Params::from_form("q=x&limit_type=colours")).is_err());
        assert!(searched(&Params::default()).is_err());
    }

    #[test]
    fn suggestions_stand_beside_what_is_given() {
        let tea = catalogue::named(None, "Tea").unwrap().id;
        let list = format!("targeting_list=[{{\"type\":\"interests\",\"id\":{tea}}}]");
        let rows = suggestions(&Params::from_form(&list)).unwrap();
        assert_eq!(rows[0]["name"], "Coffee");
        assert!(rows.iter().all(|row| row["name"] != "Tea" && row["path"][2] == "Beverages"));
    }

    #[test]
    fn validation_tells_what_exists_by_list_id_and_name() {
        let tea = catalogue::named(None, "Tea").unwrap().id;
        let query =
            format!("id_list={tea},1&name_list=coffee,Nonsense&targeting_list=[{{'type':'behaviors','id':'{tea}'}}]");
        let rows = validated(&Params::from_form(&query)).unwrap();
        let valid: Vec<_> = rows.iter().map(|row| row["valid"].as_bool().unwrap()).collect();
        assert_eq!(valid, [false, true, false, true, false]);
    }
}
