//! What a caller may ask: every rule of Meta's that can be checked without Meta, all broken ones told at once.
//!
//! Words are checked against the tables in `graph::insights::words`. Days are checked loosely, since the account's time
//! zone is not known here: a day that is the future everywhere, or too old everywhere, is refused.

mod breakdowns;
mod days;
mod findings;
mod measures;

use graph::insights::{self as meta, Level, words};
use proto::insights::v1 as pb;
use rpc::Violation;
use vocabulary::{Day, DayRange};

pub(crate) use days::Today;
use findings::Findings;
pub(crate) use measures::is_property;

/// A query that Meta should accept, whose named period still waits for the account's time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    period: Period,
    /// Its days are those of `period` only after [`Checked::resolve`].
    query: meta::Query,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Period {
    Days(DayRange),
    Preset(String),
}

impl Checked {
    /// The query about the days that its period means on `today`, a day in the account's time zone.
    pub(crate) fn resolve(&self, today: Day) -> meta::Query {
        let days = match &self.period {
            Period::Days(days) => *days,
            Period::Preset(preset) => days::of_preset(preset, today),
        };
        self.query.during(days)
    }
}

/// Checks a query. `also` are metrics that the operator lets in although the tables do not have them yet.
///
/// # Errors
/// Gives everything that is wrong, at most 100 findings.
pub(crate) fn check(query: Option<&pb::Query>, also: &[String], today: Today) -> Result<Checked, Vec<Violation>> {
    let mut findings = Findings::default();
    let Some(query) = query else {
        findings.add("", "QUERY_MISSING", "must be set: what to measure");
        return Err(findings.into_list());
    };
    let level = level(query, &mut findings);
    let period = days::period(query, today, &mut findings);
    let increment = days::increment(query.time_increment.as_deref(), &mut findings);
    measures::fields(&query.fields, also, &mut findings);
    measures::windows(&query.action_attribution_windows, &mut findings);
    measures::filtering(&query.filtering, &mut findings);
    measures::extra(&query.extra, &mut findings);
    let sort = measures::sort(query, &mut findings);
    breakdowns::check(query, level, &mut findings);
    if let Some(Period::Days(days)) = &period {
        days::kept(query, *days, today, &mut findings);
    }
    match (level, period, increment) {
        (Some(level), Some(period), Some(increment)) if findings.is_empty() => {
            // A placeholder for named periods, replaced by `resolve`.
            let days = match &period {
                Period::Days(days) => *days,
                Period::Preset(preset) => days::of_preset(preset, today.earliest),
            };
            Ok(Checked { period, query: encoded(query, level, days, increment, sort) })
        }
        _ => Err(findings.into_list()),
    }
}

fn level(query: &pb::Query, findings: &mut Findings) -> Option<Level> {
    let level = match pb::Level::try_from(query.level) {
        Ok(pb::Level::Account) => Level::Account,
        Ok(pb::Level::Campaign) => Level::Campaign,
        Ok(pb::Level::AdSet) => Level::AdSet,
        Ok(pb::Level::Ad) => Level::Ad,
        Ok(pb::Level::Unspecified) | Err(_) => {
            findings.add("level", "LEVEL_MISSING", "must be ACCOUNT, CAMPAIGN, AD_SET or AD");
            return None;
        }
    };
    Some(level)
}

fn encoded(
    query: &pb::Query,
    level: Level,
    days: DayRange,
    increment: meta::Increment,
    sort: Option<String>,
) -> meta::Query {
    let filter = |filter: &pb::Filter| meta::Filter {
        field: filter.field.clone(),
        operator: filter.operator.clone(),
        values: filter.values.clone(),
    };
    // Rows have these anyhow; asking twice for one is an error at Meta.
    let fields = query.fields.iter().filter(|field| !words::ALWAYS.contains(&field.as_str()));
    meta::Query {
        level,
        fields: without_repeats(fields),
        breakdowns: without_repeats(&query.breakdowns),
        action_breakdowns: without_repeats(&query.action_breakdowns),
        days,
        increment,
        windows: without_repeats(&query.action_attribution_windows),
        filtering: query.filtering.iter().map(filter).collect(),
        sort,
        extra: query.extra.clone(),
    }
}

fn without_repeats<'a>(words: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if !kept.contains(word) {
            kept.push(word.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use pb::query::Period as PbPeriod;

    use super::*;

    fn today() -> Today {
        Today::at("2026-11-22T12:00:00Z".parse().unwrap())
    }

    fn good() -> pb::Query {
        pb::Query {
            level: pb::Level::Campaign.into(),
            fields: vec!["reach".to_owned(), "actions".to_owned(), "campaign_id".to_owned(), "reach".to_owned()],
            period: Some(PbPeriod::DatePreset("last_7d".to_owned())),
            time_increment: Some("1".to_owned()),
            ..pb::Query::default()
        }
    }

    fn reasons(query: &pb::Query) -> Vec<(String, &'static str)> {
        let found = check(Some(query), &[], today()).err().unwrap_or_default();
        found.into_iter().map(|violation| (violation.field, violation.reason)).collect()
    }

    #[test]
    fn a_good_query_is_sent_without_repeats_and_without_what_rows_always_have() {
        let checked = check(Some(&good()), &[], today()).unwrap();
        let query = checked.resolve("2026-11-22".parse().unwrap());
        assert_eq!(query.fields, ["reach", "actions"]);
        assert_eq!(query.days.since().to_string(), "2026-11-15");
        assert_eq!(query.days.until().to_string(), "2026-11-21");
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let query = pb::Query {
            level: 0,
            fields: vec!["impresions".to_owned(), "relevance_score".to_owned()],
            breakdowns: vec!["age".to_owned(), "region".to_owned()],
            action_breakdowns: vec!["action_devices".to_owned()],
            period: Some(PbPeriod::DatePreset("lifetime".to_owned())),
            time_increment: Some("91".to_owned()),
            action_attribution_windows: vec!["7d_view".to_owned()],
            filtering: vec![pb::Filter {
                field: "spend".to_owned(),
                operator: "GREATER".to_owned(),
                values: vec!["0".to_owned()],
            }],
            sort: vec![pb::Sort { field: "cpm".to_owned(), direction: 0 }],
            extra: [("level".to_owned(), "\"ad\"".to_owned())].into(),
        };
        let found = reasons(&query);
        for expected in [
            ("query.level", "LEVEL_MISSING"),
            ("query.fields[0]", "UNKNOWN_FIELD"),
            ("query.fields[1]", "RETIRED_FIELD"),
            ("query.action_breakdowns[0]", "UNKNOWN_ACTION_BREAKDOWN"),
            ("query.date_preset", "RETIRED_DATE_PRESET"),
            ("query.time_increment", "TIME_INCREMENT"),
            ("query.action_attribution_windows[0]", "RETIRED_WINDOW"),
            ("query.filtering[0].operator", "UNKNOWN_OPERATOR"),
            ("query.sort[0].direction", "SORT_DIRECTION_MISSING"),
            ("query.extra[level]", "HAS_A_FIELD"),
        ] {
            assert!(
                found.iter().any(|(field, reason)| (field.as_str(), *reason) == expected),
                "{expected:?} in {found:?}"
            );
        }
    }

    #[test]
    fn a_misspelt_metric_gets_a_suggestion_and_the_operator_can_let_new_ones_in() {
        let mut query = good();
        query.fields = vec!["impresions".to_owned()];
        let found = check(Some(&query), &[], today()).unwrap_err();
        assert!(found[0].description.contains("`impressions`"), "{}", found[0].description);
        check(Some(&query), &["impresions".to_owned()], today()).unwrap();
    }

    #[test]
    fn a_query_that_is_missing_is_a_finding() {
        assert_eq!(check(None, &[], today()).unwrap_err()[0].reason, "QUERY_MISSING");
    }
}
