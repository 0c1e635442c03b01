//! Datasets (pixels): where conversion events go.

use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, iso};

pub(crate) const FIELDS: &str = "automatic_matching_fields can_proxy code config creation_time creator data_use_setting \
    enable_automatic_matching event_stats first_party_cookie_status id is_consolidated_container is_created_by_business \
    is_crm is_mta_use is_unavailable last_fired_time last_upload_app match_rate_approx name owner_ad_account \
    owner_business usage valid_entries";

pub(crate) fn show(view: &View<'_>, dataset: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "owner_business" => Shown::node(dataset.owner),
        "owner_ad_account" => Shown::node((dataset.account != 0).then_some(dataset.account)),
        "creation_time" => Shown::text(iso(view.state, dataset.account, dataset.created)),
        "last_fired_time" => match view.state.events(dataset.id).last() {
            Some(event) => Shown::text(iso(view.state, dataset.account, event.received)),
            None => Shown::Absent,
        },
        "code" => Shown::text(format!("<!-- sandbox pixel {} -->", dataset.id)),
        "is_unavailable" => Shown::Value(Value::Bool(false)),
        _ => return None,
    })
}

/// `POST /act_X/adspixels`.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let name = call.params.required("name")?;
    let mut dataset = Object::new(state.fresh_id(), Kind::Dataset, account, call.now).with(json!({ "name": name }));
    dataset.owner = state.object(account).and_then(|account| account.owner);
    let id = dataset.id;
    write::keep(state, dataset);
    write::created(state, call, id)
}
