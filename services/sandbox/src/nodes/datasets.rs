//! Datasets (pixels): where conversion events go.

pub(crate) mod quality;
pub(crate) mod stats;

use serde_json::{Value, json};

use super::audiences::sharing;
use super::write;
use crate::error::Refusal;
use crate::fields;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, iso};

pub(crate) const FIELDS: &str = "automatic_matching_fields can_proxy code config creation_time creator data_use_setting \
    description duplicate_entries enable_auto_assign_to_accounts enable_automatic_matching event_stats event_time_max \
    event_time_min first_party_cookie_status has_1p_pixel_event id is_consolidated_container is_created_by_business \
    is_crm is_mta_use is_restricted_use is_unavailable last_fired_time last_upload_app last_upload_app_changed_time \
    match_rate_approx matched_entries name owner_ad_account owner_business usage user_access_expire_time valid_entries";

const MATCHING: &[&str] = &["country", "ct", "db", "em", "external_id", "fn", "ge", "ln", "ph", "st", "zp"];
const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("automatic_matching_fields", Form::Words(MATCHING)),
    ("enable_automatic_matching", Form::Boolean),
    ("data_use_setting", Form::Word(&["ADVERTISING_AND_ANALYTICS", "ANALYTICS_ONLY", "EMPTY"])),
    ("first_party_cookie_status", Form::Word(&["EMPTY", "FIRST_PARTY_COOKIE_DISABLED", "FIRST_PARTY_COOKIE_ENABLED"])),
    ("is_crm", Form::Boolean),
];

pub(crate) fn show(view: &View<'_>, dataset: &Object, name: &str) -> Option<Shown> {
    let events = view.state.events(dataset.id);
    let at = |second: i64| Shown::Value(json!(second));
    Some(match name {
        "owner_business" => Shown::node(dataset.owner),
        "owner_ad_account" => Shown::node((dataset.account != 0).then_some(dataset.account)),
        "creation_time" => Shown::text(iso(view.state, dataset.account, dataset.created)),
        "last_fired_time" => match events.last() {
            Some(event) => Shown::text(iso(view.state, dataset.account, event.received)),
            None => Shown::Absent,
        },
        "code" => Shown::text(code(dataset.id)),
        "is_unavailable" | "is_restricted_use" | "is_consolidated_container" | "is_mta_use" => {
            Shown::Value(Value::Bool(false))
        }
        "can_proxy" => Shown::Value(Value::Bool(true)),
        "is_crm" | "enable_automatic_matching" if !dataset.fields.contains_key(name) => {
            Shown::Value(Value::Bool(false))
        }
        "is_created_by_business" => Shown::Value(Value::Bool(dataset.account == 0)),
        "data_use_setting" if !dataset.fields.contains_key(name) => Shown::text("ADVERTISING_AND_ANALYTICS"),
        "first_party_cookie_status" if !dataset.fields.contains_key(name) => Shown::text("FIRST_PARTY_COOKIE_ENABLED"),
        "automatic_matching_fields" if !dataset.fields.contains_key(name) => Shown::Value(json!([])),
        "event_time_max" => events.iter().map(|event| event.event_time).max().map_or(Shown::Absent, at),
        "event_time_min" => events.iter().map(|event| event.event_time).min().map_or(Shown::Absent, at),
        "valid_entries" => Shown::Value(json!(events.len())),
        "duplicate_entries" => Shown::Value(json!(events.iter().filter(|event| !event.effective).count())),
        "matched_entries" => Shown::Value(json!(matched(view.state, events.len()))),
        "match_rate_approx" if !events.is_empty() => Shown::Value(json!(view.state.settings.match_percent.min(100))),
        _ => return None,
    })
}

fn matched(state: &State, events: usize) -> u64 {
    u64::try_from(events).unwrap_or_default().saturating_mul(state.settings.match_percent.min(100)) / 100
}

/// What a site puts into its pages. Ours sends nothing: there is no browser here.
fn code(id: u64) -> String {
    format!(
        "<!-- Pixel {id} --><script>window.fbq=window.fbq||function(){{}};fbq('init','{id}');fbq('track','PageView');</script>"
    )
}

/// `POST /act_X/adspixels` and `POST /{business}/adspixels`.
pub(crate) fn create(state: &mut State, call: &Call, parent: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    call.params.required("name")?;
    let given = spec::read(state, parent.account, PARAMS, &call.params, call.now)?;
    let mut dataset = Object::new(state.fresh_id(), Kind::Dataset, parent.account, call.now);
    dataset.fields = given;
    dataset.owner = if parent.kind == Kind::Business { Some(parent.id) } else { parent.owner };
    let id = dataset.id;
    write::keep(state, dataset);
    write::created(state, call, id)
}

/// `POST /{pixel}`.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    let mut dataset = old.clone();
    dataset.fields.extend(given.into_iter().filter(|(name, _)| name != "is_crm"));
    dataset.updated = call.now;
    write::keep(state, dataset);
    write::updated(state, call, old.id)
}

/// `GET /act_X/adspixels`: those of the account and those shared with it.
pub(crate) fn list(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let mut ids: Vec<u64> = state.children(account.id, Kind::Dataset).rev().collect();
    ids.extend(sharing::shared_here(state, account, Kind::Dataset));
    match call.params.text("sort_by").as_deref() {
        Some("NAME") => ids.sort_by_key(|&id| state.object(id).map(|it| it.name().to_owned())),
        Some("LAST_FIRED_TIME") => {
            ids.sort_by_key(|&id| std::cmp::Reverse(state.events(id).last().map(|event| event.received)));
        }
        _ => {}
    }
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// `POST` and `DELETE /{pixel}/shared_accounts`.
pub(crate) fn share(state: &mut State, call: &Call, dataset: &Object, share: bool) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let business = write::required_id(&call.params, "business")?;
    if state.of_kind(business, Kind::Business).is_none() {
        return Err(Refusal::invalid("Param business must be a business that you manage").blame(&["business"]));
    }
    let account = call.params.required("account_id")?;
    let account = account.trim_start_matches("act_").parse().ok().and_then(|id| state.of_kind(id, Kind::AdAccount));
    let Some(account) = account.map(|account| account.id) else {
        return Err(Refusal::invalid("Param account_id must be an ad account").blame(&["account_id"]));
    };
    if share {
        sharing::add(state, dataset.id, account);
    } else {
        sharing::remove(state, dataset.id, account);
    }
    Ok(write::validated())
}

/// `GET /{pixel}/da_checks`: whether the events would do for ads from a catalogue.
pub(crate) fn checks(state: &State, dataset: &Object) -> Value {
    let events = state.events(dataset.id);
    let rows = ["ViewContent", "AddToCart", "Purchase"].into_iter().map(|name| {
        let mut hits = events.iter().filter(|event| event.event_name == name).peekable();
        let seen = hits.peek().is_some();
        let with_ids = hits.any(|event| event.custom_fields.iter().any(|field| field == "content_ids"));
        json!({
            "key": format!("pixel_{}_content_ids", name.to_lowercase()),
            "title": format!("{name} names products"),
            "description": format!("{name} events must have content_ids that are ids of products of the catalogue."),
            "result": if with_ids { "passed" } else if seen { "failed" } else { "pending" },
            "user_message": format!("Send {name} with content_ids."),
        })
    });
    json!({ "data": rows.collect::<Vec<_>>() })
}
