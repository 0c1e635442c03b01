//! Metrics, attribution windows, filters, order, and what goes to Meta unread.

use std::collections::BTreeMap;

use graph::insights::words;
use proto::insights::v1 as pb;

use super::findings::{Findings, retired, unknown};

const FIELDS_MAX: usize = 60;
const WINDOWS_MAX: usize = 10;
const FILTERS_MAX: usize = 20;
const FILTER_VALUES_MAX: usize = 1_000;
const EXTRA_MAX: usize = 20;

/// Parameters that a query must not bring in `extra`: they have a field, or we set them, or they would change which
/// rows come and so break the comparison with the account's totals.
const NOT_EXTRA: &[&str] = &[
    "access_token",
    "action_attribution_windows",
    "action_breakdowns",
    "after",
    "appsecret_proof",
    "async",
    "batch",
    "before",
    "breakdowns",
    "date_preset",
    "default_summary",
    "export_columns",
    "export_format",
    "export_name",
    "fields",
    "filtering",
    "level",
    "limit",
    "method",
    "sort",
    "summary",
    "summary_action_breakdowns",
    "time_increment",
    "time_range",
    "time_ranges",
];

pub(super) fn fields(fields: &[String], also: &[String], findings: &mut Findings) {
    findings.at_most("fields", FIELDS_MAX, fields.len());
    for (index, field) in fields.iter().enumerate() {
        let known = words::metric_named(field).is_some() || words::ALWAYS.contains(&field.as_str());
        if known || also.contains(field) {
            continue;
        }
        let path = format!("fields[{index}]");
        match retired(field, words::METRICS_RETIRED) {
            Some(gone) => findings.add(&path, "RETIRED_FIELD", gone),
            None if words::BREAKDOWNS.contains(&field.as_str()) => {
                findings.add(&path, "IS_A_BREAKDOWN", format!("`{field}` belongs into `breakdowns`"));
            }
            None => {
                let text = unknown(field, words::METRICS.iter().map(|metric| metric.name));
                findings.add(&path, "UNKNOWN_FIELD", text);
            }
        }
    }
}

pub(super) fn windows(windows: &[String], findings: &mut Findings) {
    findings.at_most("action_attribution_windows", WINDOWS_MAX, windows.len());
    for (index, window) in windows.iter().enumerate() {
        if words::ATTRIBUTION_WINDOWS.contains(&window.as_str()) || window.starts_with("skan_") {
            continue;
        }
        let path = format!("action_attribution_windows[{index}]");
        match retired(window, words::ATTRIBUTION_WINDOWS_RETIRED) {
            Some(gone) => findings.add(&path, "RETIRED_WINDOW", gone),
            None => {
                findings.add(&path, "UNKNOWN_WINDOW", unknown(window, words::ATTRIBUTION_WINDOWS.iter().copied()));
            }
        }
    }
}

pub(super) fn filtering(filters: &[pb::Filter], findings: &mut Findings) {
    findings.at_most("filtering", FILTERS_MAX, filters.len());
    for (index, filter) in filters.iter().enumerate() {
        if !filterable(&filter.field) {
            let known = words::METRICS.iter().map(|metric| metric.name);
            let text = unknown(&filter.field, known.chain(words::BREAKDOWNS.iter().copied()));
            findings.add(&format!("filtering[{index}].field"), "UNKNOWN_FILTER_FIELD", text);
        }
        operator(index, filter, findings);
    }
}

/// A metric, a breakdown, or a property of an object above the row, such as `campaign.objective`.
fn filterable(field: &str) -> bool {
    words::metric_named(field).is_some()
        || words::BREAKDOWNS.contains(&field)
        || words::ACTION_BREAKDOWNS.contains(&field)
        || is_property(field)
}

/// Whether a filter chooses objects, not rows: then the account's totals can be filtered alike.
pub(crate) fn is_property(field: &str) -> bool {
    matches!(field.split_once('.'), Some(("campaign" | "adset" | "ad", property)) if !property.is_empty())
}

fn operator(index: usize, filter: &pb::Filter, findings: &mut Findings) {
    let word = filter.operator.as_str();
    let list = words::OPERATORS_LIST.contains(&word);
    let number = words::OPERATORS_NUMBER.contains(&word);
    if !list && !number && !words::OPERATORS_TEXT.contains(&word) {
        let tables = [words::OPERATORS_LIST, words::OPERATORS_NUMBER, words::OPERATORS_TEXT];
        let text = unknown(word, tables.into_iter().flatten().copied());
        findings.add(&format!("filtering[{index}].operator"), "UNKNOWN_OPERATOR", text);
        return;
    }
    let path = format!("filtering[{index}].values");
    match filter.values.as_slice() {
        [] => findings.add(&path, "VALUE_MISSING", "must have a value"),
        [value] if number && !is_number(value) => {
            findings.add(&path, "VALUE_NOT_A_NUMBER", format!("`{word}` compares with a number, such as `10.5`"));
        }
        [_] => {}
        values if list => findings.at_most(&path, FILTER_VALUES_MAX, values.len()),
        _ => findings.add(&path, "ONE_VALUE", format!("`{word}` takes one value; `IN` takes several")),
    }
}

fn is_number(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(serde_json::Value::Number(_)))
}

/// Meta's word for the order, such as `spend_descending`.
pub(super) fn sort(query: &pb::Query, findings: &mut Findings) -> Option<String> {
    findings.at_most("sort", 1, query.sort.len());
    let sort = query.sort.first()?;
    let direction = match pb::SortDirection::try_from(sort.direction) {
        Ok(pb::SortDirection::Ascending) => "ascending",
        Ok(pb::SortDirection::Descending) => "descending",
        Ok(pb::SortDirection::Unspecified) | Err(_) => {
            findings.add("sort[0].direction", "SORT_DIRECTION_MISSING", "must be ASCENDING or DESCENDING");
            return None;
        }
    };
    let metric = sort.field.split_once(':').map_or(sort.field.as_str(), |(metric, _)| metric);
    let always = matches!(metric, "impressions" | "clicks" | "spend");
    if !always && !query.fields.iter().any(|field| field == metric) {
        let text = format!("`{metric}` must be among the `fields` to sort by it");
        findings.add("sort[0].field", "SORT_FIELD", text);
        return None;
    }
    Some(format!("{}_{direction}", sort.field))
}

pub(super) fn extra(extra: &BTreeMap<String, String>, findings: &mut Findings) {
    findings.at_most("extra", EXTRA_MAX, extra.len());
    for (key, value) in extra {
        let shown: String = key.chars().take(64).collect();
        let path = format!("extra[{shown}]");
        if NOT_EXTRA.contains(&key.as_str()) {
            findings.add(&path, "HAS_A_FIELD", format!("`{key}` has a field of its own, or is set by us"));
        } else if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            findings.add(&path, "EXTRA_KEY", "must be a parameter's name: lower-case letters and `_`");
        } else if serde_json::from_str::<serde::de::IgnoredAny>(value).is_err() {
            findings.add(&path, "EXTRA_JSON", "must be JSON text, such as `true` or `\"word\"`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(field: &str, operator: &str, values: &[&str]) -> Vec<&'static str> {
        let mut findings = Findings::default();
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        filtering(&[pb::Filter { field: field.into(), operator: operator.into(), values }], &mut findings);
        findings.into_list().into_iter().map(|found| found.reason).collect()
    }

    #[test]
    fn filters_are_checked_by_operator() {
        assert!(filter("campaign.id", "IN", &["1", "2"]).is_empty());
        assert!(filter("spend", "GREATER_THAN", &["0.5"]).is_empty());
        assert_eq!(filter("spend", "GREATER_THAN", &["much"]), ["VALUE_NOT_A_NUMBER"]);
        assert_eq!(filter("ad.effective_status", "EQUAL", &["A", "B"]), ["ONE_VALUE"]);
        assert_eq!(filter("adset.", "EQUAL", &[]), ["UNKNOWN_FILTER_FIELD", "VALUE_MISSING"]);
    }

    #[test]
    fn what_decides_over_rows_is_no_extra() {
        let mut findings = Findings::default();
        let pairs =
            [("time_ranges", "[]"), ("use_x", "tru"), ("Use-x", "1"), ("use_account_attribution_setting", "true")];
        extra(&pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), &mut findings);
        let mut reasons: Vec<_> = findings.into_list().into_iter().map(|found| found.reason).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["EXTRA_JSON", "EXTRA_KEY", "HAS_A_FIELD"]);
    }

    #[test]
    fn one_sorts_by_what_one_asks_for() {
        let query = |field: &str| pb::Query {
            fields: vec!["actions".to_owned()],
            sort: vec![pb::Sort { field: field.to_owned(), direction: pb::SortDirection::Ascending.into() }],
            ..Default::default()
        };
        let sort = |field: &str| sort(&query(field), &mut Findings::default());
        assert_eq!(sort("actions:link_click").as_deref(), Some("actions:link_click_ascending"));
        assert_eq!(sort("spend").as_deref(), Some("spend_ascending"));
        assert_eq!(sort("cpm"), None);
    }
}
