//! What an insights call asks for, checked.

use jiff::Timestamp;

use super::breakdowns::{self, Breakdown};
use super::dates::{self, Range};
use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::filter::{self, Condition};
use crate::params::Params;
use crate::state::{Kind, Object, State, day};

/// What a row stands for.
pub(super) type Level = Kind;

/// Windows that may be asked for; the last two no longer hold anything.
const WINDOWS: &[&str] = &[
    "1d_click",
    "7d_click",
    "28d_click",
    "1d_view",
    "1d_ev",
    "default",
    "dda",
    "incrementality",
    "skan_view",
    "skan_click",
    "7d_view",
    "28d_view",
];

/// A checked query.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) account: u64,
    pub(super) target: u64,
    pub(super) level: Level,
    pub(super) fields: Vec<String>,
    pub(super) slices: Vec<Range>,
    pub(super) breakdowns: Vec<Breakdown>,
    pub(super) windows: Vec<String>,
    pub(super) by_action: bool,
    /// Conditions on objects and numbers.
    pub(super) filters: Vec<Condition>,
    pub(super) sort: Option<String>,
    /// Whether deleted and archived objects are asked for.
    pub(super) with_gone: bool,
}

impl Query {
    /// Fails as Meta does for fields, breakdowns, days and levels that do not exist.
    pub(super) fn read(
        state: &State,
        target: &Object,
        params: &Params,
        inner: Option<&[Field]>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let today = day(state, target.account, now);
        let level = level(target.kind, params.text("level").as_deref())?;
        let given = match inner {
            Some(fields) => Some(fields.to_vec()),
            None => fields::of(params)?,
        };
        let filters = filter::conditions(params)?;
        let with_gone = filters.iter().any(|condition| condition.field.ends_with("effective_status"));
        Ok(Self {
            account: target.account,
            target: target.id,
            level,
            fields: names(given, level)?,
            slices: dates::slices(params, today)?,
            breakdowns: breakdowns::parse(&words(params, "breakdowns")?)?,
            windows: windows(params)?,
            by_action: params.raw("action_breakdowns").is_none()
                || words(params, "action_breakdowns")?.iter().any(|word| word == "action_type"),
            filters,
            sort: words(params, "sort")?.into_iter().next(),
            with_gone,
        })
    }
}

fn level(own: Kind, asked: Option<&str>) -> Result<Level, Refusal> {
    match asked {
        None | Some("") => Ok(own),
        Some("account") => Ok(Kind::AdAccount),
        Some("campaign") => Ok(Kind::Campaign),
        Some("adset") => Ok(Kind::AdSet),
        Some("ad") => Ok(Kind::Ad),
        Some(_) => Err(Refusal::invalid("level must be one of the following values: ad, adset, campaign, account")),
    }
}

fn names(given: Option<Vec<Field>>, level: Level) -> Result<Vec<String>, Refusal> {
    let Some(given) = given else {
        let own: &[&str] = match level {
            Kind::Campaign => &["campaign_id"],
            Kind::AdSet => &["campaign_id", "adset_id"],
            Kind::Ad => &["campaign_id", "adset_id", "ad_id"],
            _ => &[],
        };
        let all = ["account_id"].iter().chain(own).chain(&["impressions", "spend"]);
        return Ok(all.map(|&name| name.to_owned()).collect());
    };
    for field in &given {
        if !super::rows::is_known(&field.name) {
            let message = format!(
                "{} is not valid for fields param. please check \
                 https://developers.facebook.com/docs/marketing-api/reference/ads-insights/ for all valid values",
                field.name
            );
            return Err(Refusal::invalid(message));
        }
    }
    Ok(given.into_iter().map(|field| field.name).collect())
}

fn windows(params: &Params) -> Result<Vec<String>, Refusal> {
    let windows = words(params, "action_attribution_windows")?;
    for (at, window) in windows.iter().enumerate() {
        if !WINDOWS.contains(&window.as_str()) {
            let message =
                format!("action_attribution_windows[{at}] must be one of the following values: {}", WINDOWS.join(", "));
            return Err(Refusal::invalid(message));
        }
    }
    Ok(windows)
}

fn words(params: &Params, name: &str) -> Result<Vec<String>, Refusal> {
    Ok(params.words(name)?.unwrap_or_default().into_iter().filter(|word| !word.is_empty()).collect())
}
