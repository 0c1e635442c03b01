//! The terms of custom audiences, which an account accepts once.

use serde_json::{Value, json};

use crate::error::Refusal;
use crate::nodes::write;
use crate::route::Call;
use crate::state::{Object, State};

/// Each with the subcode of 200 that says it is not accepted, and what it covers.
const TERMS: &[(&str, i64, &str)] = &[
    ("custom_audience_tos", 1_870_034, "Custom Audiences from customer files"),
    ("web_custom_audience_tos", 1_870_090, "Custom Audiences from websites, apps and engagement"),
];

/// Fails where the account has not accepted the terms for audiences of that subtype. An account that says nothing of
/// terms, as those of large worlds, has accepted them.
pub(crate) fn check(state: &State, account: u64, subtype: &str) -> Result<(), Refusal> {
    let wanted = match subtype {
        "CUSTOM" => "custom_audience_tos",
        "WEBSITE" | "APP" | "ENGAGEMENT" | "OFFLINE_CONVERSION" => "web_custom_audience_tos",
        _ => return Ok(()),
    };
    let accepted = state.object(account).and_then(|account| account.fields.get("tos_accepted"));
    if accepted.is_none_or(|accepted| accepted.get(wanted).is_some()) {
        return Ok(());
    }
    let subcode = TERMS.iter().find(|(id, _, _)| *id == wanted).map_or(1_870_034, |(_, subcode, _)| *subcode);
    let page = format!("https://business.facebook.com/ads/manage/customaudiences/tos/?act={account}");
    let message = format!("(#200) To create or edit an audience, accept the terms at {page}");
    let advice =
        format!("Accept {wanted}: POST /act_{account}/customaudiencestos with tos_id={wanted}, or visit {page}.");
    Err(Refusal::new(200, message).subcode(subcode).shown("Custom Audience terms not accepted", advice))
}

/// `GET /act_X/customaudiencestos`.
pub(crate) fn list() -> Value {
    let rows = TERMS.iter().map(|(id, _, covers)| json!({ "id": id, "type": "CUSTOM_AUDIENCE", "content": covers }));
    json!({ "data": rows.collect::<Vec<_>>() })
}

/// `POST /act_X/customaudiencestos`.
pub(crate) fn accept(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let id = call.params.required("tos_id")?;
    if !TERMS.iter().any(|(known, _, _)| *known == id) {
        let known: Vec<&str> = TERMS.iter().map(|(known, _, _)| *known).collect();
        let message = format!("Param tos_id must be one of {{{}}}", known.join(", "));
        return Err(Refusal::invalid(message).blame(&["tos_id"]));
    }
    let mut account = account.clone();
    let accepted = account.fields.entry("tos_accepted").or_insert_with(|| json!({}));
    if let Value::Object(accepted) = accepted {
        accepted.insert(id, json!(1));
    }
    write::keep(state, account);
    Ok(write::validated())
}
