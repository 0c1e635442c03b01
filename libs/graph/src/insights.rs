//! Measuring: the calls under `/insights`, and their rows.
//!
//! Small questions are read at once ([`read`]). Large ones are begun ([`start`]), asked for ([`poll`]) and read
//! ([`rows`]). Meta's words, with what must be known of each, stand in [`words`].

mod row;
pub mod words;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use vocabulary::{
    Currency,
    calendar::DayRange,
    ids::{AdAccountId, ReportRunId},
};

pub use row::{Action, Row};

use crate::{Call, Page, Replay, UseCase, digits};

/// What every row is asked for, so that it can be summed, and its money read.
const BASE: &[&str] = &["account_id", "account_name", "account_currency", "impressions", "clicks", "spend"];

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// The ad account.
    Account,
    /// A campaign.
    Campaign,
    /// An ad set.
    AdSet,
    /// An ad.
    Ad,
}

impl Level {
    /// Meta's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Campaign => "campaign",
            Self::AdSet => "adset",
            Self::Ad => "ad",
        }
    }

    /// The ids and names of the level and of those above; Meta gives only the level's own unless asked.
    fn fields(self) -> &'static [&'static str] {
        const NAMES: &[&str] = &["campaign_id", "campaign_name", "adset_id", "adset_name", "ad_id", "ad_name"];
        let known = match self {
            Self::Account => 0,
            Self::Campaign => 2,
            Self::AdSet => 4,
            Self::Ad => 6,
        };
        NAMES.get(..known).unwrap_or(NAMES)
    }
}

/// How many days one row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Increment {
    /// The whole period in one row.
    All,
    /// So many days, 1 to 90; the last row may hold fewer.
    Days(u8),
    /// Calendar months, cut at the ends of the period.
    Monthly,
}

/// One condition. Meta's words; checked before it comes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// A metric, a property such as `campaign.id`, or `action_type`.
    pub field: String,
    /// Such as `IN`.
    pub operator: String,
    /// One, or several where the operator takes a list.
    pub values: Vec<String>,
}

impl Filter {
    /// Lists go out as lists, comparisons with a number as a number, all else as text: ids have more digits than a
    /// JSON number keeps.
    fn value(&self) -> Value {
        let first = self.values.first().map_or("", String::as_str);
        if words::OPERATORS_LIST.contains(&self.operator.as_str()) {
            return json!(self.values);
        }
        if words::OPERATORS_NUMBER.contains(&self.operator.as_str())
            && let Ok(number @ Value::Number(_)) = serde_json::from_str(first)
        {
            return number;
        }
        json!(first)
    }
}

/// What to measure, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What a row is about.
    pub level: Level,
    /// Metrics beside those that every row has.
    pub fields: Vec<String>,
    /// How rows are split.
    pub breakdowns: Vec<String>,
    /// How actions are split; empty means by `action_type`.
    pub action_breakdowns: Vec<String>,
    /// The days, in the account's time zone.
    pub days: DayRange,
    /// How many days a row holds.
    pub increment: Increment,
    /// Attribution windows; empty means each ad set's own.
    pub windows: Vec<String>,
    /// All must hold.
    pub filtering: Vec<Filter>,
    /// Meta's word for the order, such as `spend_descending`.
    pub sort: Option<String>,
    /// Parameters that have no field here: Meta's key to its value as JSON text.
    pub extra: BTreeMap<String, String>,
}

impl Query {
    /// The question whose rows add up to this one's: the same days and filters by account, in the same slices.
    #[must_use]
    pub fn control(&self) -> Self {
        Self {
            level: Level::Account,
            fields: Vec::new(),
            breakdowns: Vec::new(),
            action_breakdowns: Vec::new(),
            windows: Vec::new(),
            sort: None,
            extra: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The same question about other days.
    #[must_use]
    pub fn during(&self, days: DayRange) -> Self {
        Self { days, ..self.clone() }
    }

    fn form<T>(&self, call: Call<T>) -> Call<T> {
        let mut fields = BASE.to_vec();
        let asked = self.fields.iter().map(String::as_str);
        for field in self.level.fields().iter().copied().chain(asked) {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        let mut call = call.field("level", self.level.word()).fields(&fields).json(
            "time_range",
            &json!({"since": self.days.since().to_string(), "until": self.days.until().to_string()}),
        );
        call = match self.increment {
            Increment::All => call.field("time_increment", "all_days"),
            Increment::Days(days) => call.field("time_increment", days),
            Increment::Monthly => call.field("time_increment", "monthly"),
        };
        for (name, words) in [
            ("breakdowns", &self.breakdowns),
            ("action_breakdowns", &self.action_breakdowns),
            ("action_attribution_windows", &self.windows),
        ] {
            if !words.is_empty() {
                call = call.json(name, words);
            }
        }
        if !self.filtering.is_empty() {
            let filters: Vec<_> = self
                .filtering
                .iter()
                .map(|filter| json!({"field": filter.field, "operator": filter.operator, "value": filter.value()}))
                .collect();
            call = call.json("filtering", &filters);
        }
        if let Some(sort) = &self.sort {
            call = call.json("sort", &[sort]);
        }
        self.extra.iter().fold(call, |call, (name, text)| call.field(name.clone(), plain(text)))
    }
}

/// A JSON string stands without quotes in a form; all else stands as JSON text.
fn plain(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::String(word)) => word,
        _ => text.to_owned(),
    }
}

/// Reads what the numbers of an account are counted in.
pub fn account(account: AdAccountId) -> Call<Account> {
    Call::get(account.act()).fields(&["currency", "timezone_name"])
}

/// What the numbers of an account are counted in.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// Of its money.
    pub currency: Currency,
    /// Of its days, such as `Europe/Berlin`.
    pub timezone_name: String,
}

/// Reads one page at once. Meta refuses what is too large, with an error that says so.
pub fn read(account: AdAccountId, query: &Query, limit: u16, after: Option<&str>) -> Call<Page<Row>> {
    paged(query.form(Call::get(format!("/{}/insights", account.act()))), limit, after)
}

/// Begins a report run.
///
/// Safe to replay: a run whose answer was lost is never read and Meta drops it after 30 days; it costs quota only.
pub fn start(account: AdAccountId, query: &Query) -> Call<Started> {
    query.form(Call::post(format!("/{}/insights", account.act()), Replay::Safe)).use_case(UseCase::AdsInsights)
}

/// Asks how a run stands.
pub fn poll(run: ReportRunId) -> Call<RunStatus> {
    Call::get(format!("/{run}"))
        .fields(&["id", "async_status", "async_percent_completion", "error_code", "error_subcode", "error_message"])
        .use_case(UseCase::AdsInsights)
}

/// Reads one page of a run that has completed. Before that Meta answers with nothing, which looks like no delivery.
pub fn rows(run: ReportRunId, limit: u16, after: Option<&str>) -> Call<Page<Row>> {
    paged(Call::get(format!("/{run}/insights")), limit, after)
}

fn paged(call: Call<Page<Row>>, limit: u16, after: Option<&str>) -> Call<Page<Row>> {
    let call = call.field("limit", limit).use_case(UseCase::AdsInsights);
    match after {
        Some(cursor) => call.field("after", cursor),
        None => call,
    }
}

/// Meta's answer to [`start`].
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Names")]
pub struct Started {
    /// Lives for 30 days.
    pub report_run_id: ReportRunId,
}

/// Under which names a run's id comes: one, the other, or both.
#[derive(Deserialize)]
struct Names {
    report_run_id: Option<RunId>,
    id: Option<RunId>,
}

#[derive(Deserialize)]
struct RunId(#[serde(deserialize_with = "digits")] String);

impl TryFrom<Names> for Started {
    type Error = String;

    fn try_from(names: Names) -> Result<Self, String> {
        let RunId(id) = names.report_run_id.or(names.id).ok_or("there is neither `report_run_id` nor `id`")?;
        Ok(Self { report_run_id: id.parse().map_err(|error| format!("{error}"))? })
    }
}

/// Meta's answer to [`poll`].
#[derive(Debug, Clone, Deserialize)]
pub struct RunStatus {
    /// Meta's words for the state.
    pub async_status: String,
    /// 0 to 100; 100 does not mean completed.
    #[serde(default)]
    pub async_percent_completion: u8,
    /// Meta's code for a failure; negative for runs.
    #[serde(default)]
    pub error_code: Option<i64>,
    /// Meta's finer code for a failure.
    #[serde(default)]
    pub error_subcode: Option<i64>,
    /// Meta's words for a failure.
    #[serde(default)]
    pub error_message: Option<String>,
}

/// Where a run stands, as far as our rules tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Not begun, begun, running, or one of those states with 100 percent.
    Working,
    /// Completed and at 100 percent: only both together mean that its rows are there.
    Completed,
    /// Failed.
    Failed,
    /// Waited too long and expired: to be begun anew.
    Skipped,
}

impl RunStatus {
    /// The state. A word that we do not know counts as working: the limit on waiting ends it.
    pub fn state(&self) -> RunState {
        match self.async_status.as_str() {
            "Job Completed" if self.async_percent_completion >= 100 => RunState::Completed,
            "Job Failed" => RunState::Failed,
            "Job Skipped" => RunState::Skipped,
            _ => RunState::Working,
        }
    }

    /// Whether Meta says that the question was too large to answer.
    pub fn too_large(&self) -> bool {
        matches!((self.error_code, self.error_subcode), (Some(-3), _) | (_, Some(1_504_045)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query {
            level: Level::Campaign,
            fields: vec!["reach".to_owned(), "spend".to_owned()],
            breakdowns: vec!["age".to_owned()],
            action_breakdowns: Vec::new(),
            days: DayRange::new("2026-11-01".parse().unwrap(), "2026-11-07".parse().unwrap()).unwrap(),
            increment: Increment::Days(1),
            windows: vec!["7d_click".to_owned()],
            filtering: vec![
                Filter { field: "spend".to_owned(), operator: "GREATER_THAN".to_owned(), values: vec!["0".to_owned()] },
                Filter { field: "campaign.id".to_owned(), operator: "IN".to_owned(), values: vec!["12".to_owned()] },
            ],
            sort: Some("spend_descending".to_owned()),
            extra: BTreeMap::from([("use_account_attribution_setting".to_owned(), "true".to_owned())]),
        }
    }

    #[test]
    fn a_question_goes_out_whole_and_without_repeats() {
        let call = start("1".parse().unwrap(), &query());
        assert_eq!(
            call.to_string(),
            "POST /act_1/insights\n\
             level=campaign\n\
             fields=account_id,account_name,account_currency,impressions,clicks,spend,campaign_id,campaign_name,reach\n\
             time_range={\"since\":\"2026-11-01\",\"until\":\"2026-11-07\"}\n\
             time_increment=1\n\
             breakdowns=[\"age\"]\n\
             action_attribution_windows=[\"7d_click\"]\n\
             filtering=[{\"field\":\"spend\",\"operator\":\"GREATER_THAN\",\"value\":0},\
             {\"field\":\"campaign.id\",\"operator\":\"IN\",\"value\":[\"12\"]}]\n\
             sort=[\"spend_descending\"]\n\
             use_account_attribution_setting=true"
        );
    }

    #[test]
    fn the_control_question_keeps_days_slices_and_filters_only() {
        let control = query().control();
        assert_eq!(control.level, Level::Account);
        assert_eq!((control.days, control.increment), (query().days, query().increment));
        assert_eq!(control.filtering, query().filtering);
        assert!(control.breakdowns.is_empty() && control.fields.is_empty() && control.sort.is_none());
    }

    #[test]
    fn pages_of_a_run_go_by_cursor() {
        let run = "6023920149050".parse().unwrap();
        assert_eq!(rows(run, 500, Some("MTA")).to_string(), "GET /6023920149050/insights\nlimit=500\nafter=MTA");
    }

    #[test]
    fn completed_counts_only_with_a_hundred_percent() {
        let status = |word: &str, percent| RunStatus {
            async_status: word.to_owned(),
            async_percent_completion: percent,
            error_code: None,
            error_subcode: None,
            error_message: None,
        };
        assert_eq!(status("Job Completed", 100).state(), RunState::Completed);
        assert_eq!(status("Job Completed", 99).state(), RunState::Working);
        assert_eq!(status("Job Running", 100).state(), RunState::Working);
        assert_eq!(status("Job Skipped", 0).state(), RunState::Skipped);
        assert_eq!(status("Job Failed", 30).state(), RunState::Failed);
    }

    #[test]
    fn a_run_is_named_by_either_key() {
        for text in [r#"{"report_run_id":"7"}"#, r#"{"id":7}"#, r#"{"report_run_id":"7","id":"7"}"#] {
            let started: Started = serde_json::from_str(text).unwrap();
            assert_eq!(started.report_run_id.to_string(), "7");
        }
    }
}
