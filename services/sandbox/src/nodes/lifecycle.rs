//! Status changes, and what they do to the objects below.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{reviews, write};
use crate::error::Refusal;
use crate::params::Params;
use crate::spec::kept_time;
use crate::state::{Kind, Object, Settings, State, Status, settle_delivery};

/// The status that a create asks for. Only two may be; none means what the settings say.
pub(crate) fn initial(settings: &Settings, params: &Params) -> Result<Status, Refusal> {
    match params.text("status").as_deref().map(Status::parse) {
        None => Ok(settings.status_default),
        Some(Some(status)) if !status.is_gone() => Ok(status),
        Some(_) => Err(Refusal::invalid("Param status must be one of {ACTIVE, PAUSED}").blame(&["status"])),
    }
}

/// The status that an update asks for. Fails where the object may no longer be changed like this.
pub(crate) fn next(object: &Object, params: &Params) -> Result<Option<Status>, Refusal> {
    named(params)?;
    let asked = match params.text("status") {
        None => None,
        Some(word) => Some(Status::parse(&word).ok_or_else(|| {
            let words = Status::WORDS.join(", ");
            Refusal::invalid(format!("Param status must be one of {{{words}}}")).blame(&["status"])
        })?),
    };
    match object.status {
        Status::Deleted if !(only_name(params) || asked == Some(Status::Deleted) && says_only_status(params)) => {
            Err(deleted(object.kind))
        }
        Status::Archived if !leaves_archive(asked, params) => {
            let advice = "An archived object can only be renamed or deleted.";
            Err(Refusal::rule(1_885_088, "Object is archived", advice, &["status"]))
        }
        _ => Ok(asked),
    }
}

/// Fails where a name is given that says nothing.
pub(crate) fn named(params: &Params) -> Result<(), Refusal> {
    if params.text("name").is_some_and(|name| name.trim().is_empty()) {
        return Err(Refusal::invalid("Param name must not be empty").blame(&["name"]));
    }
    Ok(())
}

/// Fails where the object's time is over (`end`: the field that says so) and the call does more than to name it or to
/// switch it off. A call that sets another end is looked at where ends are.
pub(crate) fn running(
    object: &Object,
    end: &str,
    given: &Map<String, Value>,
    status: Option<Status>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let over = kept_time(object.text(end)).is_some_and(|at| at <= now);
    let switched_on = status == Some(Status::Active) && object.status != Status::Active;
    let changed = given.keys().find(|name| *name != "name").map(String::as_str);
    let Some(blamed) = changed.or(switched_on.then_some("status")).filter(|_| over && !given.contains_key(end)) else {
        return Ok(());
    };
    let advice = format!("It has ended. Set {end} to a time in the future first.");
    Err(Refusal::rule(1_487_007, "Ended", advice, &[blamed]))
}

/// Fails where nothing may be added below the object.
pub(crate) fn takes_children(object: &Object) -> Result<(), Refusal> {
    if object.status == Status::Deleted {
        return Err(deleted(object.kind));
    }
    if object.status == Status::Archived {
        let advice = "Nothing can be added to an archived object.";
        return Err(Refusal::rule(1_885_088, "Object is archived", advice, &["status"]));
    }
    Ok(())
}

/// Sets a status for good: archiving and deleting reach all below, and delivery starts or ends.
pub(crate) fn set(state: &mut State, id: u64, status: Status, now: Timestamp) {
    let Some(object) = state.object(id) else { return };
    let mut all = vec![id];
    if status.is_gone() {
        for kind in [Kind::AdSet, Kind::Ad] {
            if matches!(object.kind, Kind::Campaign | Kind::AdSet) {
                all.extend(state.children(id, kind));
            }
        }
    }
    for id in all {
        if let Some(object) = state.object(id)
            && object.status != Status::Deleted
            && object.status != status
        {
            let mut object = object.clone();
            object.status = status;
            object.updated = now;
            if object.kind == Kind::Ad {
                reviews::on_status(&state.settings, &mut object, status, now);
            }
            write::keep(state, object);
        }
        settle_delivery(state, id, now);
    }
}

/// `DELETE /{id}`.
pub(crate) fn delete(state: &mut State, id: u64, now: Timestamp) -> Value {
    set(state, id, Status::Deleted, now);
    write::validated()
}

fn only_name(params: &Params) -> bool {
    params.iter().all(|(name, _)| matches!(name.as_str(), "name" | "id" | "fields" | "execution_options"))
}

/// An archived object can be renamed, deleted, or told again to be archived.
fn leaves_archive(asked: Option<Status>, params: &Params) -> bool {
    only_name(params) || asked.is_some_and(Status::is_gone) && says_only_status(params)
}

fn says_only_status(params: &Params) -> bool {
    let known = |name: &str| matches!(name, "name" | "id" | "fields" | "status" | "execution_options");
    params.iter().all(|(name, _)| known(name))
}

/// The refusal of anything that a deleted object no longer takes.
pub(crate) fn deleted(kind: Kind) -> Refusal {
    let (subcode, what) = match kind {
        Kind::Campaign => (1_487_566, "campaign"),
        Kind::AdSet => (1_487_056, "ad set"),
        _ => (1_487_056, "object"),
    };
    Refusal::rule(subcode, "Object is deleted", format!("The {what} is deleted and cannot be changed."), &["status"])
}
