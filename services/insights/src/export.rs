//! A report as a file: the same report gives the same bytes, whoever reads them and however often, so that a cut stream
//! goes on by offset and the digest at the end proves that nothing is missing.

use proto::insights::v1 as pb;
use serde_json::{Map, Value, json};

use crate::Error;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON object per line.
    JsonLines,
    /// A line of column names, then a line per row.
    Csv,
}

/// Writes rows in one format.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    format: Format,
    breakdowns: Vec<String>,
    metrics: Vec<String>,
}

/// Columns that every file has, under the names of `Row`.
const COLUMNS: &[&str] = &[
    "date_start",
    "date_stop",
    "account_id",
    "account_name",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
    "impressions",
    "clicks",
    "reach",
    "spend",
    "currency_code",
    "actions",
    "action_values",
];

impl Writer {
    /// For the rows of this query, which decides the columns.
    pub(crate) fn new(format: Format, query: &pb::Query) -> Self {
        let extra = |field: &&String| !COLUMNS.contains(&field.as_str());
        let mut metrics: Vec<String> = query.fields.iter().filter(extra).cloned().collect();
        metrics.sort_unstable();
        metrics.dedup();
        let mut breakdowns = query.breakdowns.clone();
        breakdowns.sort_unstable();
        breakdowns.dedup();
        Self { format, breakdowns, metrics }
    }

    /// What stands before the first row.
    pub(crate) fn head(&self) -> Result<Vec<u8>, Error> {
        match self.format {
            Format::JsonLines => Ok(Vec::new()),
            Format::Csv => {
                let names = COLUMNS.iter().copied().chain(self.own().map(String::as_str));
                line(names)
            }
        }
    }

    /// One row with its line end.
    pub(crate) fn row(&self, row: &pb::Row) -> Result<Vec<u8>, Error> {
        match self.format {
            Format::JsonLines => {
                let mut text = object(row).to_string().into_bytes();
                text.push(b'\n');
                Ok(text)
            }
            Format::Csv => {
                let own = self.own().map(|name| {
                    let value = row.breakdowns.get(name).or_else(|| row.metrics.get(name));
                    value.cloned().unwrap_or_default()
                });
                line(columns(row).into_iter().chain(own))
            }
        }
    }

    fn own(&self) -> impl Iterator<Item = &String> {
        self.breakdowns.iter().chain(&self.metrics)
    }
}

fn line(cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).map_err(|_| Error::Corrupt("row"))?;
    writer.into_inner().map_err(|_| Error::Corrupt("row"))
}

fn columns(row: &pb::Row) -> Vec<String> {
    let spend = row.spend.clone().unwrap_or_default();
    let mut cells: Vec<String> = [
        &row.date_start,
        &row.date_stop,
        &row.account_id,
        &row.account_name,
        &row.campaign_id,
        &row.campaign_name,
        &row.adset_id,
        &row.adset_name,
        &row.ad_id,
        &row.ad_name,
    ]
    .map(String::clone)
    .to_vec();
    cells.extend([
        row.impressions.to_string(),
        row.clicks.to_string(),
        row.reach.map(|reach| reach.to_string()).unwrap_or_default(),
        major(&spend),
        spend.currency_code,
        json_text(row.actions.iter().map(action)),
        json_text(row.action_values.iter().map(action_value)),
    ]);
    cells
}

/// Spreadsheets read major units.
fn major(money: &proto::common::v1::Money) -> String {
    match money.currency_code.parse() {
        Ok(currency) => vocabulary::Money::from_minor(money.minor_units, currency).major(),
        Err(_) => money.minor_units.to_string(),
    }
}

fn json_text(values: impl Iterator<Item = Value>) -> String {
    let values: Vec<Value> = values.collect();
    if values.is_empty() { String::new() } else { Value::Array(values).to_string() }
}

/// As the canonical JSON of the message has it: empty fields left out, 64-bit numbers as text.
fn object(row: &pb::Row) -> Value {
    let mut object = Map::new();
    for (name, value) in COLUMNS.iter().zip(columns(row)).take(13).filter(|(_, value)| !value.is_empty()) {
        object.insert((*name).to_owned(), Value::String(value));
    }
    if let Some(spend) = &row.spend {
        let spend = json!({ "currency_code": spend.currency_code, "minor_units": spend.minor_units.to_string() });
        object.insert("spend".to_owned(), spend);
    }
    for (name, list) in [
        ("actions", row.actions.iter().map(action).collect::<Vec<_>>()),
        ("action_values", row.action_values.iter().map(action_value).collect()),
    ] {
        if !list.is_empty() {
            object.insert(name.to_owned(), Value::Array(list));
        }
    }
    for (name, map) in [("breakdowns", &row.breakdowns), ("metrics", &row.metrics)] {
        if !map.is_empty() {
            object.insert(name.to_owned(), json!(map));
        }
    }
    Value::Object(object)
}

fn action(action: &pb::Action) -> Value {
    named(&action.action_type, &action.value, &action.windows, &action.breakdowns)
}

fn action_value(action: &pb::ActionValue) -> Value {
    named(&action.action_type, &action.value, &action.windows, &action.breakdowns)
}

type Words = std::collections::BTreeMap<String, String>;

fn named(action_type: &str, value: &str, windows: &Words, breakdowns: &Words) -> Value {
    let mut object = json!({ "action_type": action_type, "value": value });
    if let Some(object) = object.as_object_mut() {
        for (name, map) in [("windows", windows), ("breakdowns", breakdowns)] {
            if !map.is_empty() {
                object.insert(name.to_owned(), json!(map));
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> pb::Row {
        pb::Row {
            date_start: "2026-11-01".to_owned(),
            date_stop: "2026-11-01".to_owned(),
            campaign_name: "Summer, \"hot\"".to_owned(),
            impressions: 10,
            spend: Some(proto::common::v1::Money { currency_code: "USD".to_owned(), minor_units: 150 }),
            actions: vec![pb::Action { action_type: "lead".to_owned(), value: "2".to_owned(), ..Default::default() }],
            breakdowns: [("age".to_owned(), "18-24".to_owned())].into(),
            metrics: [("ctr".to_owned(), "1.5".to_owned())].into(),
            ..pb::Row::default()
        }
    }

    fn writer(format: Format) -> Writer {
        let query = pb::Query {
            fields: vec!["ctr".to_owned(), "spend".to_owned()],
            breakdowns: vec!["age".to_owned()],
            ..pb::Query::default()
        };
        Writer::new(format, &query)
    }

    #[test]
    fn csv_quotes_what_needs_it_and_has_a_column_for_each_word_asked_for() {
        let writer = writer(Format::Csv);
        let head = String::from_utf8(writer.head().unwrap()).unwrap();
        assert!(head.ends_with("action_values,age,ctr\n"), "{head}");
        let line = String::from_utf8(writer.row(&row()).unwrap()).unwrap();
        assert!(line.contains("\"Summer, \"\"hot\"\"\"") && line.contains(",1.50,USD,"), "{line}");
        assert!(line.ends_with(",18-24,1.5\n"), "{line}");
    }

    #[test]
    fn json_lines_are_objects_under_the_names_of_row() {
        let writer = writer(Format::JsonLines);
        assert!(writer.head().unwrap().is_empty());
        let value: Value = serde_json::from_slice(&writer.row(&row()).unwrap()).unwrap();
        assert_eq!(value["impressions"], "10");
        assert_eq!(value["spend"]["minor_units"], "150");
        assert_eq!(value["breakdowns"]["age"], "18-24");
        assert!(value.get("ad_id").is_none());
    }
}
