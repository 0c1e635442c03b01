//! Audiences that other accounts of the business may aim at, but not change.

use serde_json::{Value, json};

use crate::error::Refusal;
use crate::fields;
use crate::nodes::write;
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State};

/// Where an audience, or a dataset, keeps the accounts that it is shared with.
pub(crate) const WITH: &str = "_shared_with";
/// Where an account keeps what is shared with it.
pub(crate) const HERE: &str = "_shared_here";

/// The ids in a private list of an object.
pub(crate) fn ids(object: &Object, name: &str) -> Vec<u64> {
    let items = object.fields.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(write::id_of).collect()
}

/// Shares a thing with an account, on both sides.
pub(crate) fn add(state: &mut State, thing: u64, account: u64) {
    link(state, thing, WITH, account, true);
    link(state, account, HERE, thing, true);
}

/// Ends it, on both sides.
pub(crate) fn remove(state: &mut State, thing: u64, account: u64) {
    link(state, thing, WITH, account, false);
    link(state, account, HERE, thing, false);
}

fn link(state: &mut State, holder: u64, name: &str, id: u64, add: bool) {
    let Some(mut holder) = state.object(holder).cloned() else { return };
    let mut listed = ids(&holder, name);
    listed.retain(|&other| other != id);
    if add {
        listed.push(id);
    }
    let listed: Vec<String> = listed.iter().map(u64::to_string).collect();
    holder.fields.insert(name.to_owned(), json!(listed));
    write::keep(state, holder);
}

/// Whether an account may aim at an audience: its own, or one that is shared with it.
pub(crate) fn may_use(audience: &Object, account: u64) -> bool {
    !audience.status.is_gone() && (audience.account == account || ids(audience, WITH).contains(&account))
}

/// What other accounts share with this one.
pub(crate) fn shared_here(state: &State, account: &Object, kind: Kind) -> Vec<u64> {
    let here = ids(account, HERE).into_iter().rev();
    here.filter(|&id| state.of_kind(id, kind).is_some_and(|object| !object.status.is_gone())).collect()
}

/// Fails where the call acts for an account that the audience is only shared with.
pub(crate) fn may_write(call: &Call, audience: &Object) -> Result<(), Refusal> {
    let acting = call.params.text("acting_account_id");
    let acting = acting.and_then(|id| id.trim_start_matches("act_").parse::<u64>().ok());
    if acting.is_none_or(|acting| acting == audience.account) {
        return Ok(());
    }
    let refusal = Refusal::new(2_654, "(#2654) No write permission for this audience").subcode(1_713_092);
    Err(refusal
        .shown("No permission to edit", "The audience is shared with this account; only its owner may change it."))
}

/// `POST` and `DELETE /{audience}/adaccounts`.
pub(crate) fn change(state: &mut State, call: &Call, audience: &Object, share: bool) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    may_write(call, audience)?;
    let Some(words) = call.params.words("adaccounts")? else { return Err(Refusal::required("adaccounts")) };
    let owner = state.object(audience.account).and_then(|account| account.owner);
    let mut accounts = Vec::new();
    for word in &words {
        let id = word.trim_start_matches("act_").parse().ok();
        let account = id.and_then(|id| state.of_kind(id, Kind::AdAccount));
        match account {
            Some(account) if account.owner == owner || !share => accounts.push(account.id),
            Some(_) => {
                let advice = "An audience is shared within its business, or after an agreement between businesses.";
                return Err(Refusal::rule(1_870_065, "Account of another business", advice, &["adaccounts"]));
            }
            None => return Err(Refusal::invalid(format!("Ad account {word} does not exist")).blame(&["adaccounts"])),
        }
    }
    if share && call.params.boolean("replace")? {
        for other in ids(audience, WITH) {
            remove(state, audience.id, other);
        }
    }
    for account in accounts.into_iter().filter(|&account| account != audience.account) {
        if share {
            add(state, audience.id, account);
        } else {
            remove(state, audience.id, account);
        }
    }
    Ok(write::validated())
}

/// `GET /{audience}/adaccounts`.
pub(crate) fn accounts(state: &State, call: &Call, audience: &Object) -> Result<Value, Refusal> {
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids(audience, WITH), &call.params, fields.as_deref())
}

/// `GET /{audience}/shared_account_info`.
pub(crate) fn info(state: &State, audience: &Object) -> Value {
    let rows = ids(audience, WITH).into_iter().filter_map(|id| state.object(id)).map(|account| {
        let business = account.owner.and_then(|id| state.object(id));
        json!({
            "account_id": account.id.to_string(),
            "account_name": account.name(),
            "business_id": business.map(|business| business.id.to_string()),
            "business_name": business.map(Object::name),
            "sharing_status": "ACTIVE",
        })
    });
    json!({ "data": rows.collect::<Vec<_>>() })
}
