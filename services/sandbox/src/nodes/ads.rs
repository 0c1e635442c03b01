//! Ads.

mod rules;

use serde_json::{Map, Value, json};

use super::{ad_sets, campaigns, ceilings, creatives, labels, lifecycle, reviews, write};
use crate::error::Refusal;
use crate::params::Params;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{APP, Kind, Object, State, Status, effective, settle_delivery};

pub(crate) const FIELDS: &str = "account_id ad_active_time ad_review_feedback ad_schedule_end_time ad_schedule_start_time adlabels adset \
    adset_id bid_amount bid_info bid_type campaign campaign_id configured_status conversion_domain \
    conversion_specs created_time creative creative_asset_groups_spec demolink_hash display_sequence \
    effective_status engagement_audience failed_delivery_checks filename id issues_info \
    last_updated_by_app_id name placement preview_shareable_link priority recommendations source_ad \
    source_ad_id special_ad_categories status targeting tracking_and_conversion_with_defaults tracking_specs \
    updated_time";

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("tracking_specs", Form::List),
    ("conversion_domain", Form::Text),
    ("bid_amount", Form::Integer),
    ("display_sequence", Form::Integer),
    ("ad_schedule_start_time", Form::Time),
    ("ad_schedule_end_time", Form::Time),
];

/// `POST /act_X/ads`. With `adset_spec` the ad set is made along with the ad, and with `campaign_spec` in that the
/// campaign as well; none of them stays where one is refused, or where all are only checked.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    if call.params.has("adset_id") || !call.params.has("adset_spec") {
        return alone(state, call, account);
    }
    call.caller.may_write()?;
    for name in ["name", "creative"] {
        call.params.required(name)?;
    }
    let Some(Value::Object(spec)) = call.params.json("adset_spec")? else {
        return Err(Refusal::invalid("Param adset_spec must be a valid JSON object").blame(&["adset_spec"]));
    };
    let only = write::validates_only(&call.params)?;
    let mark = state.mark();
    let result = together(state, call, spec, account);
    if result.is_err() || only {
        state.undo(mark);
    }
    result
}

fn together(state: &mut State, call: &Call, mut spec: Map<String, Value>, account: u64) -> Result<Value, Refusal> {
    match spec.remove("campaign_spec") {
        Some(Value::Object(campaign)) => {
            let made = campaigns::create(state, &part(call, campaign), account)?;
            let id = made.get("id").cloned().unwrap_or_default();
            spec.insert("campaign_id".to_owned(), id);
        }
        Some(_) => {
            return Err(Refusal::invalid("Param campaign_spec must be a valid JSON object").blame(&["campaign_spec"]));
        }
        None => {}
    }
    let ad_set = ad_sets::create(state, &part(call, spec), account)?;
    let mut call = call.clone();
    call.params.put("adset_id", ad_set.get("id").cloned().unwrap_or_default());
    alone(state, &call, account)
}

/// A part of the call that makes one object of its own.
fn part(call: &Call, params: Map<String, Value>) -> Call {
    Call { params: Params::from_map(params), files: Vec::new(), ..call.clone() }
}

fn alone(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    for name in ["name", "adset_id", "creative"] {
        call.params.required(name)?;
    }
    let ad_set = parent(state, call, account)?;
    lifecycle::takes_children(&ad_set)?;
    ceilings::ads(state, &ad_set, call.now)?;
    let status = lifecycle::initial(&state.settings, &call.params)?;
    let creative = creatives::of_ad(state, call, account)?;
    rules::check(state, &ad_set, &creative, None)?;
    let labels = labels::read(state, call, account)?;
    if only {
        return Ok(write::validated_with(call, &[]));
    }
    let creative = creative.made(state, account, call.now);
    let mut ad = Object::new(state.fresh_id(), Kind::Ad, account, call.now);
    ad.status = status;
    ad.campaign = ad_set.campaign;
    ad.ad_set = Some(ad_set.id);
    ad.creative = Some(creative);
    ad.fields = fields;
    reviews::on_status(&state.settings, &mut ad, status, call.now);
    ad.labels = labels.made(state, account, call.now);
    let id = ad.id;
    write::keep(state, ad);
    settle_delivery(state, id, call.now);
    write::created(state, call, id)
}

pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let status = lifecycle::next(old, &call.params)?;
    ceilings::archived(state, old, status)?;
    let given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    let creative = if call.params.has("creative") { Some(creatives::of_ad(state, call, old.account)?) } else { None };
    if let (Some(creative), Some(ad_set)) = (&creative, old.ad_set.and_then(|id| state.object(id))) {
        rules::check(state, ad_set, creative, Some(old.id))?;
    }
    let labels = labels::read(state, call, old.account)?;
    if only {
        return Ok(write::validated_with(call, &[]));
    }
    let mut ad = old.clone();
    ad.fields.extend(given);
    if let Some(creative) = creative {
        let creative = creative.made(state, old.account, call.now);
        // New content is reviewed anew, also of an ad that ran before the world began.
        if ad.creative != Some(creative) && (ad.review_from.is_some() || ad.status == Status::Active) {
            reviews::begin(&state.settings, &mut ad, call.now);
        }
        if ad.creative != Some(creative) {
            ad.fields.insert(ad_sets::learning::EDITED.to_owned(), json!(call.now.as_second()));
        }
        ad.creative = Some(creative);
    }
    if call.params.has("adlabels") {
        ad.labels = labels.made(state, old.account, call.now);
    }
    ad.updated = call.now;
    write::keep(state, ad);
    if let Some(status) = status {
        lifecycle::set(state, old.id, status, call.now);
    }
    settle_delivery(state, old.id, call.now);
    write::updated(state, call, old.id)
}

fn parent(state: &State, call: &Call, account: u64) -> Result<Object, Refusal> {
    let id = write::required_id(&call.params, "adset_id")?;
    state
        .of_kind(id, Kind::AdSet)
        .filter(|ad_set| ad_set.account == account)
        .cloned()
        .ok_or_else(|| Refusal::invalid("Invalid parameter: adset_id does not exist").blame(&["adset_id"]))
}

pub(crate) fn show(view: &View<'_>, ad: &Object, name: &str) -> Option<Shown> {
    match name {
        "campaign" => Some(Shown::node(ad.campaign)),
        "campaign_id" => ad.campaign.map(|id| Shown::text(id.to_string())),
        "adset" => Some(Shown::node(ad.ad_set)),
        "adset_id" => ad.ad_set.map(|id| Shown::text(id.to_string())),
        "creative" => Some(Shown::node(ad.creative)),
        "bid_type" => Some(Shown::text("ABSOLUTE_OCPM")),
        "source_ad" => Some(Shown::node(ad.text("source_ad_id").parse().ok())),
        "source_ad_id" if !ad.fields.contains_key(name) => Some(Shown::text("0")),
        "ad_review_feedback" if effective(view.state, ad, view.now) != "DISAPPROVED" => Some(Shown::Absent),
        "last_updated_by_app_id" => Some(Shown::text(APP.to_string())),
        "targeting" => {
            let ad_set = ad.ad_set.and_then(|id| view.state.object(id))?;
            ad_set.fields.get("targeting").cloned().map(Shown::Value)
        }
        "tracking_specs" if !ad.fields.contains_key(name) => {
            let promoted = ad.ad_set.and_then(|id| view.state.object(id))?.fields.get("promoted_object")?;
            let pixel = promoted.get("pixel_id")?;
            Some(Shown::Value(json!([{ "action.type": ["offsite_conversion"], "fb_pixel": [pixel] }])))
        }
        "conversion_specs" if !ad.fields.contains_key(name) => {
            let goal = ad.ad_set.and_then(|id| view.state.object(id)).map(|ad_set| ad_set.text("optimization_goal"))?;
            let action = match goal {
                "OFFSITE_CONVERSIONS" | "VALUE" => "offsite_conversion",
                "LEAD_GENERATION" | "QUALITY_LEAD" => "leadgen.other",
                "APP_INSTALLS" => "app_install",
                "PAGE_LIKES" => "like",
                "POST_ENGAGEMENT" => "post_engagement",
                "THRUPLAY" => "video_view",
                _ => "link_click",
            };
            Some(Shown::Value(json!([{ "action.type": [action] }])))
        }
        "preview_shareable_link" => Some(Shown::text(format!("https://fb.me/sandbox{}", ad.id))),
        _ => None,
    }
}
