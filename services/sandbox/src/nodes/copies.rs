//! `/copies` of campaigns, ad sets and ads: the object, and below it what a deep copy brings along.

use serde_json::{Map, Value, json};

use super::{budgets, ceilings, creatives, lifecycle, reviews, write};
use crate::error::Refusal;
use crate::fields;
use crate::params::{Params, as_boolean};
use crate::render::View;
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status, settle_delivery};

/// What only the source has: its links to what it was copied from, what was said of it, and when it runs.
const NOT_COPIED: &[&str] =
    &["ad_review_feedback", "issues_info", "source_ad_id", "source_adset_id", "source_campaign_id"];
const TIMES: &[Row] = &[("start_time", Form::Time), ("end_time", Form::Time)];
/// What is put behind the name of a copy where the caller names nothing (Meta, 'Ad set copies').
const SUFFIX: &str = " - Copy";

/// What the call wants of all objects that it copies.
struct Plan {
    status: Option<Status>,
    renames: Renames,
    deep: bool,
    times: Map<String, Value>,
}

/// `rename_options`.
struct Renames {
    top: bool,
    below: bool,
    prefix: String,
    suffix: String,
}

/// `POST /{object}/copies`. `execution_options` are not looked at: Meta copies in spite of `validate_only`.
pub(crate) fn create(state: &mut State, call: &Call, source: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    if source.status == Status::Deleted {
        return Err(lifecycle::deleted(source.kind));
    }
    let plan = Plan::read(state, call, source)?;
    small_enough(state, call, source, &plan)?;
    let mut copied = Vec::new();
    let id = match source.kind {
        Kind::Campaign => {
            ceilings::campaigns(state, source.account)?;
            campaign(state, call, source, &plan, &mut copied)?
        }
        Kind::AdSet => {
            let parent = target(state, call, source, "campaign_id", source.campaign)?;
            ceilings::ad_sets(state, &parent)?;
            let ad_set = ad_set_fits(state, call, source, &parent)?;
            ad_set_below(state, call, &ad_set, parent.id, &plan, true, &mut copied)
        }
        _ => {
            let parent = target(state, call, source, "adset_id", source.ad_set)?;
            ceilings::ads(state, &parent, call.now)?;
            let creative = new_creative(state, call, source)?;
            let id = ad_below(state, call, source, &parent, &plan, true, &mut copied);
            if let (Some(creative), Some(mut ad)) = (creative, state.object(id).cloned()) {
                ad.creative = Some(creative);
                write::keep(state, ad);
            }
            id
        }
    };
    let mut body = Map::from_iter([
        (answer_key(source.kind).to_owned(), json!(id.to_string())),
        ("ad_object_ids".to_owned(), Value::Array(copied)),
    ]);
    if let Some(fields) = fields::of(&call.params)?
        && let Some(object) = state.object(id)
        && let Value::Object(shown) = View::of(state, call).node(object, Some(&fields))?
    {
        body.extend(shown);
    }
    Ok(Value::Object(body))
}

/// `GET /{object}/copies`.
pub(crate) fn list(state: &State, call: &Call, source: &Object) -> Result<Value, Refusal> {
    let (link, id) = (source_key(source.kind), source.id.to_string());
    let is_copy = |&id_of_copy: &u64| state.object(id_of_copy).is_some_and(|object| object.text(link) == id);
    let ids: Vec<u64> = state.children(source.account, source.kind).rev().filter(is_copy).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

impl Plan {
    fn read(state: &State, call: &Call, source: &Object) -> Result<Self, Refusal> {
        let status = match call.params.text("status_option").as_deref() {
            None | Some("PAUSED") => Some(Status::Paused),
            Some("ACTIVE") => Some(Status::Active),
            Some("INHERITED_FROM_SOURCE") => None,
            Some(_) => {
                let text = "Param status_option must be one of {ACTIVE, PAUSED, INHERITED_FROM_SOURCE}";
                return Err(Refusal::invalid(text).blame(&["status_option"]));
            }
        };
        Ok(Self {
            status,
            renames: Renames::read(&call.params)?,
            deep: call.params.boolean("deep_copy")?,
            times: spec::read(state, source.account, TIMES, &call.params, call.now)?,
        })
    }

    /// The status of a copy. What is archived is not made again as archived.
    fn status_of(&self, source: &Object) -> Status {
        let inherited = if source.status.is_gone() { Status::Paused } else { source.status };
        self.status.unwrap_or(inherited)
    }
}

impl Renames {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let given = params.json("rename_options")?.unwrap_or(Value::Null);
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        let strategy = text("rename_strategy").unwrap_or_else(|| "ONLY_TOP_LEVEL_RENAME".to_owned());
        let (top, below) = match strategy.as_str() {
            "DEEP_RENAME" => (true, true),
            "ONLY_TOP_LEVEL_RENAME" => (true, false),
            "NO_RENAME" => (false, false),
            _ => {
                let words = "{DEEP_RENAME, ONLY_TOP_LEVEL_RENAME, NO_RENAME}";
                let text = format!("Param rename_options[rename_strategy] must be one of {words}");
                return Err(Refusal::invalid(text).blame(&["rename_options"]));
            }
        };
        let suffix = text("rename_suffix").unwrap_or_else(|| SUFFIX.to_owned());
        Ok(Self { top, below, prefix: text("rename_prefix").unwrap_or_default(), suffix })
    }

    fn name(&self, old: &str, is_top: bool) -> String {
        if if is_top { self.top } else { self.below } {
            format!("{}{old}{}", self.prefix, self.suffix)
        } else {
            old.to_owned()
        }
    }
}

/// Fails where a deep copy brings more along than one call may. Meta counts the ads; ad sets are counted likewise.
fn small_enough(state: &State, call: &Call, source: &Object, plan: &Plan) -> Result<(), Refusal> {
    if !plan.deep {
        return Ok(());
    }
    let count = |kind| children(state, source.id, kind).len();
    let most = count(Kind::Ad).max(if source.kind == Kind::Campaign { count(Kind::AdSet) } else { 0 });
    let settings = &state.settings;
    let limit = if call.background { settings.copy_children_async } else { settings.copy_children_sync };
    if most > limit {
        let advice = format!(
            "A copy brings along at most {limit} ad sets or ads this way. Copy fewer, or ask in an asynchronous batch."
        );
        return Err(Refusal::rule(1_885_194, "Copy Request Is Too Large", advice, &["deep_copy"]));
    }
    Ok(())
}

fn children(state: &State, parent: u64, kind: Kind) -> Vec<Object> {
    let all = state.children(parent, kind).filter_map(|id| state.object(id));
    all.filter(|object| !object.status.is_gone()).cloned().collect()
}

/// Where the copy is to stand: the parent that the call names, else the parent of the source.
fn target(state: &State, call: &Call, source: &Object, param: &str, own: Option<u64>) -> Result<Object, Refusal> {
    let id = if call.params.has(param) { Some(write::required_id(&call.params, param)?) } else { own };
    let kind = if source.kind == Kind::AdSet { Kind::Campaign } else { Kind::AdSet };
    let parent = id.and_then(|id| state.of_kind(id, kind)).filter(|parent| parent.account == source.account);
    let missing = || Refusal::invalid(format!("Invalid parameter: {param} does not exist")).blame(&[param]);
    let parent = parent.ok_or_else(missing)?;
    lifecycle::takes_children(parent)?;
    Ok(parent.clone())
}

fn campaign(
    state: &mut State,
    call: &Call,
    source: &Object,
    plan: &Plan,
    copied: &mut Vec<Value>,
) -> Result<u64, Refusal> {
    let overrides = match call.params.json("parameter_overrides")? {
        Some(Value::Object(map)) => super::campaigns::overridden(state, call, source, &Params::from_map(map))?,
        Some(_) => {
            let text = "Param parameter_overrides must be a valid JSON object";
            return Err(Refusal::invalid(text).blame(&["parameter_overrides"]));
        }
        None => Map::new(),
    };
    let mut copy = fresh(state, call, source, plan, true);
    if let Some(start) = plan.times.get("start_time") {
        copy.fields.insert("start_time".to_owned(), start.clone());
    }
    copy.fields.extend(overrides);
    let id = copy.id;
    note(copied, source, id);
    write::keep(state, copy);
    if plan.deep {
        for ad_set in children(state, source.id, Kind::AdSet) {
            ad_set_below(state, call, &ad_set, id, plan, false, copied);
        }
    }
    Ok(id)
}

/// The ad set as it would stand below another campaign; fails where it does not fit there.
fn ad_set_fits(state: &State, call: &Call, source: &Object, parent: &Object) -> Result<Object, Refusal> {
    let mut ad_set = source.clone();
    if source.campaign != Some(parent.id) {
        let own = source.campaign.and_then(|id| state.object(id));
        if own.is_some_and(|own| own.text("objective") != parent.text("objective")) {
            let advice = "An ad set can only be copied to a campaign with the same objective.";
            return Err(Refusal::rule(1_885_204, "Objective does not fit", advice, &["campaign_id"]));
        }
        let (above, below) = (budgets::any(&parent.fields), budgets::any(&source.fields));
        if above == below {
            let advice = "A budget must be on the campaign or on its ad sets.";
            return Err(Refusal::rule(1_885_621, "Budget on the wrong level", advice, &["campaign_id"]));
        }
    }
    if call.params.raw("create_dco_adset").and_then(as_boolean) == Some(true) {
        ad_set.fields.insert("is_dynamic_creative".to_owned(), Value::Bool(true));
    }
    Ok(ad_set)
}

fn ad_set_below(
    state: &mut State,
    call: &Call,
    source: &Object,
    campaign: u64,
    plan: &Plan,
    is_top: bool,
    copied: &mut Vec<Value>,
) -> u64 {
    let mut copy = fresh(state, call, source, plan, is_top);
    copy.campaign = Some(campaign);
    copy.fields.extend(plan.times.clone());
    note(copied, source, copy.id);
    let parent = copy.clone();
    write::keep(state, copy);
    if plan.deep {
        for ad in children(state, source.id, Kind::Ad) {
            ad_below(state, call, &ad, &parent, plan, false, copied);
        }
    }
    parent.id
}

fn ad_below(
    state: &mut State,
    call: &Call,
    source: &Object,
    ad_set: &Object,
    plan: &Plan,
    is_top: bool,
    copied: &mut Vec<Value>,
) -> u64 {
    let mut copy = fresh(state, call, source, plan, is_top);
    copy.ad_set = Some(ad_set.id);
    copy.campaign = ad_set.campaign;
    if copy.status == Status::Active {
        reviews::begin(&state.settings, &mut copy, call.now);
    }
    let id = copy.id;
    note(copied, source, id);
    write::keep(state, copy);
    settle_delivery(state, id, call.now);
    id
}

/// `creative_parameters` of an ad's copy: the source's creative with these members changed.
fn new_creative(state: &mut State, call: &Call, source: &Object) -> Result<Option<u64>, Refusal> {
    let Some(given) = call.params.json("creative_parameters")? else { return Ok(None) };
    let Value::Object(changes) = given else {
        let text = "Param creative_parameters must be a valid JSON object";
        return Err(Refusal::invalid(text).blame(&["creative_parameters"]));
    };
    let new = creatives::varied(state, call, source, changes)?;
    Ok(Some(new.made(state, source.account, call.now)))
}

/// A new object with what the source was set to, and nothing of what became of it.
fn fresh(state: &mut State, call: &Call, source: &Object, plan: &Plan, is_top: bool) -> Object {
    let mut copy = source.clone();
    copy.id = state.fresh_id();
    copy.status = plan.status_of(source);
    copy.created = call.now;
    copy.updated = call.now;
    copy.review_from = None;
    copy.spans.clear();
    copy.budget_changes.clear();
    copy.fields.retain(|name, _| !name.starts_with('_') && !NOT_COPIED.contains(&name.as_str()));
    copy.fields.insert("name".to_owned(), json!(plan.renames.name(source.name(), is_top)));
    copy.fields.insert(source_key(source.kind).to_owned(), json!(source.id.to_string()));
    copy
}

fn note(copied: &mut Vec<Value>, source: &Object, id: u64) {
    let kind = match source.kind {
        Kind::Campaign => "campaign",
        Kind::AdSet => "ad_set",
        _ => "ad",
    };
    copied.push(json!({ "ad_object_type": kind, "source_id": source.id.to_string(), "copied_id": id.to_string() }));
}

fn source_key(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "source_campaign_id",
        Kind::AdSet => "source_adset_id",
        _ => "source_ad_id",
    }
}

fn answer_key(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "copied_campaign_id",
        Kind::AdSet => "copied_adset_id",
        _ => "copied_ad_id",
    }
}
