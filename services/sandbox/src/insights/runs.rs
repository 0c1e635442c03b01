//! Report runs: asked for by POST, done after some polls, read like any insights. A run tells of the moment of its start.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::limits;
use super::query::{Query, Summary, Way};
use crate::body::Body;
use crate::error::Refusal;
use crate::fields;
use crate::nodes::write;
use crate::params::{Params, as_text};
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id action_attribution_windows action_breakdowns action_report_time \
    async_percent_completion async_report_url async_status breakdowns cpas_only date_preset date_start date_stop \
    default_summary emails error_code error_message error_subcode error_user_msg error_user_title export_columns \
    export_format export_name fields filtering friendly_name graph_cache id is_async_export is_bookmarked is_running level \
    limit product_id_limit schedule_id sort summary summary_action_breakdowns time_completed time_increment time_range \
    time_ranges time_ref use_account_attribution_setting use_unified_attribution_setting";

/// Of a run that failed, the fields of its error are told without being asked for, since version 25.
pub(crate) const DEFAULTS: &[&str] = &[
    "account_id",
    "time_ref",
    "time_completed",
    "async_status",
    "async_percent_completion",
    "is_running",
    "date_start",
    "date_stop",
    "error_code",
    "error_message",
    "error_subcode",
    "error_user_msg",
    "error_user_title",
];

/// The steps in which Meta's percentage rises.
const STEPS: [u32; 3] = [0, 33, 66];
/// How many further polls a run with a false end says 100 percent while it still works.
const FALSE_POLLS: u32 = 3;

/// What goes wrong with a run. It is kept in the run's member `_fault`: by [`spoil`], for runs to come by the setting
/// `report_fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunFault {
    /// It works for ever.
    Stuck,
    /// It says 100 percent while its status is still `Job Running`, and is done some polls later.
    FalseComplete,
    /// It ends as `Job Failed`.
    Failed,
    /// It fails because it asks for too much: -3/1504045.
    TooLarge,
    /// It ends as `Job Skipped`: it waited too long, and must be asked for anew.
    Skipped,
}

impl RunFault {
    fn of(run: &Object) -> Option<Self> {
        serde_json::from_value(run.fields.get("_fault")?.clone()).ok()
    }
}

/// Makes a run go wrong.
pub(crate) fn spoil(run: &mut Object, fault: RunFault) {
    run.fields.insert("_fault".to_owned(), json!(fault));
}

/// Whether a node is a run that is no longer there: deleted, or older than runs are kept.
pub(crate) fn is_gone(state: &State, object: &Object, now: Timestamp) -> bool {
    let kept = SignedDuration::from_hours(state.settings.report_days.saturating_mul(24));
    object.kind == Kind::Run && (object.status == Status::Deleted || now.duration_since(object.created) > kept)
}

/// Keeps the call's parameters, to be read when the rows are asked for.
pub(super) fn start(state: &mut State, call: &Call, target: &Object, query: &Query) -> Result<Value, Refusal> {
    let opt_in = query.breakdowns.iter().any(|it| it.needs_opt_in())
        && query.today.date >= state.settings.breakdown_opt_in_since;
    let old_reach = limits::asks_for_old_reach(query);
    limits::may_start(state, query, call.now, opt_in, old_reach)?;
    let mut run = Object::new(state.fresh_id(), Kind::Run, target.account, call.now);
    let params: Map<String, Value> = call.params.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let since = query.slices.iter().map(|range| range.since).min();
    let until = query.slices.iter().map(|range| range.until).max();
    run.fields = Map::from_iter([
        ("_target".to_owned(), json!(target.id)),
        ("_params".to_owned(), Value::Object(params)),
        ("_opt_in".to_owned(), json!(opt_in)),
        ("_old_reach".to_owned(), json!(old_reach)),
        ("date_start".to_owned(), json!(since.map(|day| day.to_string()))),
        ("date_stop".to_owned(), json!(until.map(|day| day.to_string()))),
    ]);
    if let Some(fault) = state.settings.report_fault {
        spoil(&mut run, fault);
    } else if limits::size(state, query).rows > state.settings.report_rows_max {
        spoil(&mut run, RunFault::TooLarge);
    }
    let id = run.id.to_string();
    write::keep(state, run);
    Ok(json!({ "report_run_id": id, "id": id }))
}

/// The rows; none before the run is done.
pub(super) fn read(view: &View<'_>, call: &Call, run: &Object) -> Result<Body, Refusal> {
    let Some((target, params)) = stored(view.state, run) else {
        return Err(Refusal::missing("get", &run.id.to_string()));
    };
    let mut query = Query::read(view.state, target, &params, None, (run.created, Way::Report))?;
    let asked = Query::read(view.state, target, &call.params, None, (run.created, Way::Report))?;
    if asked.summary != Summary::None {
        query.summary = asked.summary;
    }
    let done = Progress::of(view.state, run) == Progress::Completed;
    let absent: Vec<String> = match &query.summary {
        Summary::Of(named) => {
            named.iter().filter(|it| !done || !query.fields.contains(it)).map(|it| it.name.clone()).collect()
        }
        Summary::Default if !done => query.fields.iter().map(|it| it.name.clone()).collect(),
        _ => Vec::new(),
    };
    if !absent.is_empty() {
        let names = absent.join(", ");
        return Err(Refusal::invalid(format!(
            "Cannot include {names} in summary param because they weren't there while creating the report run."
        )));
    }
    if !done {
        return Ok(json!({ "data": [] }).into());
    }
    if fields::of(&call.params)?.is_some() {
        query.fields.retain(|field| asked.fields.contains(field));
    }
    super::answer(view, &query, &call.path.join("/"), &call.params)
}

/// What a run that is done asked for. Fails for a run that is not.
pub(super) fn finished(view: &View<'_>, run: &Object) -> Result<Query, Refusal> {
    let known = stored(view.state, run).filter(|_| !is_gone(view.state, run, view.now));
    let Some((target, params)) = known else {
        return Err(Refusal::missing("get", &run.id.to_string()));
    };
    if Progress::of(view.state, run) != Progress::Completed {
        let message = "The report is not completed yet; poll it until async_status is Job Completed";
        return Err(Refusal::invalid(message).blame(&["report_run_id"]));
    }
    Query::read(view.state, target, &params, None, (run.created, Way::Report))
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    NotStarted,
    Started,
    Running(u32),
    Completed,
    Failed(RunFault),
    Skipped,
}

impl Progress {
    fn of(state: &State, run: &Object) -> Self {
        let (polls, needed) = (state.polls(run.id), state.settings.report_polls);
        let step = |polls: u32| {
            let at = usize::try_from(polls.saturating_sub(1).saturating_mul(3) / needed.max(1)).unwrap_or_default();
            Self::Running(STEPS.get(at).or(STEPS.last()).copied().unwrap_or_default())
        };
        let fault = RunFault::of(run);
        match polls {
            0 => Self::NotStarted,
            1 if needed > 0 => Self::NotStarted,
            2 if needed > 2 => Self::Started,
            _ if polls <= needed => step(polls),
            _ => match fault {
                None => Self::Completed,
                Some(RunFault::Stuck) => step(needed),
                Some(RunFault::FalseComplete) if polls <= needed.saturating_add(FALSE_POLLS) => Self::Running(100),
                Some(RunFault::FalseComplete) => Self::Completed,
                Some(RunFault::Skipped) => Self::Skipped,
                Some(fault @ (RunFault::Failed | RunFault::TooLarge)) => Self::Failed(fault),
            },
        }
    }

    /// The exact words that clients compare with.
    fn status(self) -> &'static str {
        match self {
            Self::NotStarted => "Job Not Started",
            Self::Started => "Job Started",
            Self::Running(_) => "Job Running",
            Self::Completed => "Job Completed",
            Self::Failed(_) => "Job Failed",
            Self::Skipped => "Job Skipped",
        }
    }

    fn percent(self) -> u32 {
        match self {
            Self::NotStarted | Self::Skipped => 0,
            Self::Started => 33,
            Self::Running(percent) => percent,
            Self::Failed(_) => 66,
            Self::Completed => 100,
        }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed(_) | Self::Skipped)
    }
}

pub(crate) fn show(view: &View<'_>, run: &Object, name: &str) -> Option<Shown> {
    let progress = Progress::of(view.state, run);
    Some(match name {
        "async_status" => Shown::text(progress.status()),
        "async_percent_completion" => Shown::Value(json!(progress.percent())),
        "is_running" => Shown::Value(Value::Bool(!progress.is_over())),
        "time_ref" => Shown::Value(json!(run.created.as_second())),
        "time_completed" if progress.is_over() => Shown::Value(json!(run.created.as_second())),
        _ if name.starts_with("error_") => match progress {
            Progress::Failed(fault) => error(fault, name),
            _ => Shown::Absent,
        },
        "date_start" | "date_stop" => return None,
        // What it was started with.
        _ => {
            let value = run.fields.get("_params")?.get(name)?;
            let parsed = value.as_str().and_then(crate::loose::parse);
            Shown::Value(parsed.unwrap_or_else(|| Value::String(as_text(value))))
        }
    })
}

fn error(fault: RunFault, name: &str) -> Shown {
    let (code, subcode, title, advice) = match fault {
        RunFault::TooLarge => (-3, 1_504_045, "Report too large", "Ask for fewer days, fields or breakdowns."),
        _ => (-2, 2_490_547, "Report failed", "Ask for the report again."),
    };
    match name {
        "error_code" => Shown::Value(json!(code)),
        "error_subcode" => Shown::Value(json!(subcode)),
        "error_message" => Shown::text(format!("{title}. {advice}")),
        "error_user_title" => Shown::text(title),
        _ => Shown::text(advice),
    }
}

fn stored<'a>(state: &'a State, run: &Object) -> Option<(&'a Object, Params)> {
    let target = state.object(run.fields.get("_target")?.as_u64()?)?;
    let params = run.fields.get("_params")?.as_object()?.clone();
    Some((target, Params::from_map(params)))
}
