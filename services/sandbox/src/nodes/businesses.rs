//! Businesses: what they own, the accounts they open, and the people in them.

use serde_json::{Value, json};

use super::{budgets, write};
use crate::error::Refusal;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State};

pub(crate) const FIELDS: &str = "block_offline_analytics created_by created_time extended_updated_time id is_hidden link \
    name payment_account_id primary_page profile_picture_uri timezone_id two_factor_type updated_by updated_time \
    user_access_expire_time verification_status vertical vertical_id";

/// Where it is said of a person that it is a system user.
pub(crate) const SYSTEM: &str = "_system";

/// The zones that an account may be opened in, by Meta's numbers.
const ZONES: &[(i64, &str)] = &[
    (1, "America/Los_Angeles"),
    (6, "America/Denver"),
    (7, "America/New_York"),
    (8, "America/Chicago"),
    (47, "Europe/Berlin"),
    (58, "Europe/London"),
    (78, "Asia/Tokyo"),
];

pub(crate) fn show(view: &View<'_>, business: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "link" => Shown::text(format!("https://www.facebook.com/{}", business.id)),
        "created_time" => Shown::text(utc(business.created)),
        "updated_time" => Shown::text(utc(business.updated)),
        "primary_page" => Shown::node(view.state.children(business.id, Kind::Page).next()),
        "verification_status" if !business.fields.contains_key(name) => Shown::text("not_verified"),
        "is_hidden" | "block_offline_analytics" => Shown::Value(Value::Bool(false)),
        "timezone_id" if !business.fields.contains_key(name) => Shown::Value(json!(1)),
        _ => return None,
    })
}

pub(crate) fn utc(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// `POST /{business}/adaccount`. The terms of custom audiences are not accepted in a new account.
pub(crate) fn open_account(state: &mut State, call: &Call, business: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let name = call.params.required("name")?;
    let currency = call.params.required("currency")?;
    for required in ["end_advertiser", "media_agency", "partner"] {
        call.params.required(required)?;
    }
    budgets::takes(&currency)?;
    let zone = call.params.integer("timezone_id")?.ok_or_else(|| Refusal::required("timezone_id"))?;
    let Some((_, zone)) = ZONES.iter().find(|(id, _)| *id == zone) else {
        let known: Vec<String> = ZONES.iter().map(|(id, name)| format!("{id} ({name})")).collect();
        let message = format!("Param timezone_id must be a zone of this sandbox: {}", known.join(", "));
        return Err(Refusal::invalid(message).blame(&["timezone_id"]));
    };
    let id = state.fresh_id();
    let mut account = Object::new(id, Kind::AdAccount, id, call.now).with(json!({
        "name": name,
        "currency": currency,
        "timezone_name": zone,
        "account_status": 1,
        "disable_reason": 0,
        "spend_cap": "0",
        "balance": "0",
        "end_advertiser": call.params.text("end_advertiser"),
        "media_agency": call.params.text("media_agency"),
        "partner": call.params.text("partner"),
        "tos_accepted": {},
    }));
    account.owner = Some(business.id);
    write::keep(state, account);
    Ok(json!({
        "id": format!("act_{id}"), "account_id": id.to_string(), "business_id": business.id.to_string(),
        "end_advertiser_id": call.params.text("end_advertiser"), "media_agency_id": call.params.text("media_agency"),
        "partner_id": call.params.text("partner"),
    }))
}

/// `POST /{business}/business_users`: invites a person, who in a sandbox comes at once.
pub(crate) fn invite(state: &mut State, call: &Call, business: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let email = call.params.required("email")?;
    let role = call.params.text("role").unwrap_or_else(|| "EMPLOYEE".to_owned());
    let fields = json!({ "name": email.split('@').next(), "email": email, "role": role });
    let mut person = Object::new(state.fresh_id(), Kind::Person, 0, call.now).with(fields);
    person.owner = Some(business.id);
    let id = person.id;
    write::keep(state, person);
    Ok(json!({ "id": id.to_string() }))
}

/// The people of a business, or its system users.
pub(crate) fn people(state: &State, business: u64, system: bool) -> Vec<u64> {
    let all = state.children(business, Kind::Person).rev();
    all.filter(|&id| state.object(id).is_some_and(|person| person.fields.contains_key(SYSTEM) == system)).collect()
}
