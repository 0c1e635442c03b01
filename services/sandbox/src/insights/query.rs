//! What an insights call asks for, checked.

use jiff::{Timestamp, ToSpan};

use super::action::Window;
use super::breakdowns::{self, ActionBreakdown, Breakdown};
use super::cells::Plan;
use super::columns::{self, Column};
use super::conditions::Conditions;
use super::daily::Today;
use super::dates::{self, Range};
use super::order::Order;
use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::params::Params;
use crate::state::{Kind, Object, Settings, State, local};

/// What a row stands for.
pub(super) type Level = Kind;

/// How the numbers are asked for: some are given only one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Sync,
    Report,
}

/// A field by its name, which is its key in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) column: Column,
}

/// Which totals are asked for beside the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Summary {
    None,
    /// Of all fields of the query.
    Default,
    Of(Vec<Asked>),
}

/// A checked query.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) account: u64,
    pub(super) target: u64,
    pub(super) target_kind: Kind,
    pub(super) level: Level,
    pub(super) fields: Vec<Asked>,
    pub(super) slices: Vec<Range>,
    pub(super) breakdowns: Vec<Breakdown>,
    pub(super) actions: Vec<ActionBreakdown>,
    pub(super) plan: Plan,
    pub(super) windows: Vec<Window>,
    pub(super) conditions: Conditions,
    pub(super) order: Option<Order>,
    pub(super) summary: Summary,
    /// The moment of which it tells.
    pub(super) now: Timestamp,
    pub(super) today: Today,
    /// Unique numbers and hours are kept so far back only.
    pub(super) unique_since: jiff::civil::Date,
    pub(super) frequency_since: jiff::civil::Date,
    /// Reach is left out: it is broken down, older than that, and asked for at once.
    pub(super) hides_old_reach: bool,
    /// Asked for at once with breakdowns for which the account is not opted in: there are no rows.
    pub(super) is_kept_back: bool,
    pub(super) hides_off_meta: bool,
}

impl Query {
    /// Fails as Meta does for fields, breakdowns, days, levels and so on that do not exist.
    pub(super) fn read(
        state: &State,
        target: &Object,
        params: &Params,
        inner: Option<&[Field]>,
        (now, way): (Timestamp, Way),
    ) -> Result<Self, Refusal> {
        let settings = &state.settings;
        let here = local(state, target.account, now);
        let today = Today { date: here.date(), hour: here.hour() };
        let level = level(target.kind, params.text("level").as_deref())?;
        let given = match inner {
            Some(fields) => Some(fields.to_vec()),
            None => fields::of(params)?,
        };
        let fields = asked(given, level)?;
        let rows = breakdowns::rows(&words(params, "breakdowns")?, today.date < settings.dma_dead_since)?;
        let actions = breakdowns::actions(params.words("action_breakdowns")?.map(not_empty).as_deref())?;
        breakdowns::check(&rows, &actions, level, settings)?;
        if let Some(field) = fields.iter().find(|it| !rows.is_empty() && columns::is_never_broken_down(&it.name)) {
            return Err(Refusal::invalid(format!("{} is not available with breakdowns", field.name)));
        }
        if way == Way::Sync && rows.contains(&Breakdown::Mmm) {
            return Err(Refusal::invalid("The breakdown mmm is only available in asynchronous reports"));
        }
        let back = |months: i32| today.date.checked_sub(months.months()).unwrap_or(today.date);
        let plan = Plan::of(&rows, &actions);
        Ok(Self {
            account: target.account,
            target: target.id,
            target_kind: target.kind,
            level,
            slices: dates::slices(params, today.date)?,
            windows: windows(params)?,
            conditions: Conditions::read(params, &rows)?,
            order: Order::read(&words(params, "sort")?)?,
            summary: summary(params)?,
            hides_old_reach: way == Way::Sync && !rows.is_empty(),
            is_kept_back: way == Way::Sync && waits_for_opt_in(&rows, today, settings),
            hides_off_meta: settings.off_meta_hidden,
            unique_since: back(dates::UNIQUE_MONTHS),
            frequency_since: back(dates::FREQUENCY_MONTHS),
            fields,
            breakdowns: rows,
            actions,
            plan,
            now,
            today,
        })
    }

    pub(super) fn is_hourly(&self) -> bool {
        self.breakdowns.iter().any(|it| it.is_hourly())
    }

    pub(super) fn has_assets(&self) -> bool {
        self.breakdowns.iter().any(|it| it.is_asset())
    }

    pub(super) fn by_frequency(&self) -> bool {
        self.breakdowns.contains(&Breakdown::FrequencyValue)
    }

    /// Whether a row from that day on has reach and the like.
    pub(super) fn shows_reach(&self, since: jiff::civil::Date) -> bool {
        let is_old = self.hides_old_reach && since < self.unique_since;
        !is_old && !self.is_hourly()
    }

    pub(super) fn shows_unique(&self, since: jiff::civil::Date) -> bool {
        !self.is_hourly() && since >= self.unique_since
    }
}

/// Whether breakdowns are asked for that need an opt-in which the account has not given.
fn waits_for_opt_in(rows: &[Breakdown], today: Today, settings: &Settings) -> bool {
    rows.iter().any(|it| it.needs_opt_in())
        && today.date >= settings.breakdown_opt_in_since
        && !settings.breakdown_opt_in
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

fn asked(given: Option<Vec<Field>>, level: Level) -> Result<Vec<Asked>, Refusal> {
    let names: Vec<String> = match given {
        Some(given) => given.into_iter().map(|field| field.name).collect(),
        None => {
            let own: &[&str] = match level {
                Kind::Campaign => &["campaign_id"],
                Kind::AdSet => &["campaign_id", "adset_id"],
                Kind::Ad => &["campaign_id", "adset_id", "ad_id"],
                _ => &[],
            };
            ["account_id"].iter().chain(own).chain(&["impressions", "spend"]).map(|&name| name.to_owned()).collect()
        }
    };
    let mut asked: Vec<Asked> = Vec::with_capacity(names.len());
    for name in names {
        let Some(column) = columns::column(&name) else {
            return Err(Refusal::invalid(format!(
                "{name} is not valid for fields param. please check \
                 https://developers.facebook.com/docs/marketing-api/reference/ads-insights/ for all valid values"
            )));
        };
        if asked.iter().all(|other| other.name != name) {
            asked.push(Asked { name, column });
        }
    }
    Ok(asked)
}

fn windows(params: &Params) -> Result<Vec<Window>, Refusal> {
    let mut windows = Vec::new();
    for (at, word) in words(params, "action_attribution_windows")?.iter().enumerate() {
        let Some(window) = Window::parse(word) else {
            let words = Window::words();
            let message = format!("action_attribution_windows[{at}] must be one of the following values: {words}");
            return Err(Refusal::invalid(message));
        };
        if !windows.contains(&window) {
            windows.push(window);
        }
    }
    Ok(windows)
}

/// `summary` is a list of metrics, or `true` for all of the query; so is `default_summary`.
fn summary(params: &Params) -> Result<Summary, Refusal> {
    let named = params.words("summary")?.map(not_empty).unwrap_or_default();
    if named.iter().any(|word| word == "true" || word == "1") || params.boolean("default_summary").unwrap_or(false) {
        return Ok(Summary::Default);
    }
    let named: Vec<Field> =
        named.iter().filter(|word| *word != "false" && *word != "0").map(|word| Field::plain(word)).collect();
    if named.is_empty() {
        return Ok(Summary::None);
    }
    asked(Some(named), Kind::AdAccount).map(Summary::Of)
}

fn words(params: &Params, name: &str) -> Result<Vec<String>, Refusal> {
    Ok(not_empty(params.words(name)?.unwrap_or_default()))
}

fn not_empty(words: Vec<String>) -> Vec<String> {
    words.into_iter().filter(|word| !word.is_empty()).collect()
}
