//! A report as a file: a line for each row, for people and their spreadsheets.

use serde_json::{Map, Value};

use super::collect::Source;
use super::rows::Pen;
use super::runs;
use super::walk::From;
use crate::error::Refusal;
use crate::params::as_text;
use crate::render::View;
use crate::state::Object;

/// All rows of a run that is done, as CSV. A list of actions is spread over a column for each of its types, named as the
/// API sorts by them: `actions:link_click`.
pub(crate) fn csv(view: &View<'_>, run: &Object) -> Result<String, Refusal> {
    let query = runs::finished(view, run)?;
    let source = Source::new(view.state, &query);
    let mut pen = Pen::new(&source, &query.fields);
    let mut columns: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for row in source.rows(From::Start, usize::MAX) {
        let mut text = String::new();
        pen.row(&row, &mut text);
        let mut cells = Vec::new();
        for (name, value) in flat(serde_json::from_str(&text).unwrap_or_default()) {
            let at = columns.iter().position(|known| *known == name).unwrap_or_else(|| {
                columns.push(name);
                columns.len() - 1
            });
            cells.push((at, value));
        }
        lines.push(cells);
    }
    let mut file = line(columns.iter().map(String::as_str));
    for cells in lines {
        let cell = |at| cells.iter().find(|(column, _)| *column == at).map_or("", |(_, value)| value.as_str());
        file.push_str(&line((0..columns.len()).map(cell)));
    }
    Ok(file)
}

fn flat(row: Map<String, Value>) -> Vec<(String, String)> {
    let mut cells = Vec::new();
    for (name, value) in row {
        let types = value.as_array().and_then(|items| items.iter().map(typed).collect::<Option<Vec<_>>>());
        match types {
            Some(types) => cells.extend(types.into_iter().map(|(kind, value)| (format!("{name}:{kind}"), value))),
            None => cells.push((name, as_text(&value))),
        }
    }
    cells
}

/// The type and the value of an action that has no other key.
fn typed(item: &Value) -> Option<(String, String)> {
    let members = item.as_object().filter(|members| members.len() == 2)?;
    Some((as_text(members.get("action_type")?), as_text(members.get("value")?)))
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = cells.map(quoted).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// As RFC 4180 has it.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn actions_have_a_column_each_and_what_is_no_action_stays_json() {
        let row = json!({ "ad_name": "A", "actions": [{ "action_type": "like", "value": "3" }], "results": [{ "indicator": "x" }] });
        let Value::Object(row) = row else { unreachable!() };
        let cells = [("ad_name", "A"), ("actions:like", "3"), ("results", r#"[{"indicator":"x"}]"#)];
        let mut flat = flat(row);
        flat.sort_by_key(|(name, _)| cells.iter().position(|(known, _)| known == name));
        assert_eq!(flat, cells.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_cell_with_a_comma_or_a_quote_is_quoted() {
        assert_eq!(line(["a,b", "say \"x\"", "c"].into_iter()), "\"a,b\",\"say \"\"x\"\"\",c\r\n");
    }
}
