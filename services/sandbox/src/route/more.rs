//! Edges of what is worked off later and of what accounts keep about themselves: asynchronous sets, activities.

use serde_json::Value;

use super::Call;
use crate::error::Refusal;
use crate::nodes::{accounts, activities, async_sets, recommendations, roles, rules, schedules, studies, volume};
use crate::state::{Kind, Object, State};

/// Reads an edge; `None` where it is none of these.
pub(super) fn get(state: &mut State, call: &Call, object: &Object, edge: &str) -> Option<Result<Value, Refusal>> {
    Some(match (object.kind, edge) {
        (Kind::AdAccount | Kind::AdSet, "activities") => activities::list(state, call, object),
        (Kind::AdAccount, "asyncadrequestsets") => async_sets::sets(state, call, object.id, async_sets::Form::Ads),
        (Kind::AdAccount, "asyncadcreatives") => async_sets::sets(state, call, object.id, async_sets::Form::Creatives),
        (Kind::AdAccount, "async_requests") => async_sets::jobs(state, call, object.id),
        (Kind::AdAccount, "recommendations") => recommendations::list(state, call, object),
        (Kind::AdAccount, "adrules_history") => rules::of_account(state, call, object),
        (Kind::Rule, "history") => rules::of_rule(state, call, object),
        (Kind::Campaign | Kind::AdSet | Kind::Ad, "adrules_governed") => rules::governing(state, call, object),
        (Kind::Business | Kind::AdAccount | Kind::Campaign | Kind::AdSet, "ad_studies") => {
            studies::list(state, call, object)
        }
        (Kind::Campaign | Kind::AdSet, "budget_schedules") => schedules::list(state, call, object),
        (Kind::AdAccount, "ads_volume") => volume::show(state, call, object.id),
        (Kind::AdAccount, "minimum_budgets") => accounts::minimum_budgets(state, call),
        (Kind::AdAccount, "assigned_users") => roles::assigned(state, call, object),
        (Kind::AdAccount, "users") => roles::users(state, call, object),
        (Kind::AdAccount, "applications" | "advertisable_applications") => accounts::apps(state, call),
        (Kind::AsyncSet, "requests") | (Kind::Campaign | Kind::AdSet, "asyncadrequests") => {
            async_sets::requests(state, call, object)
        }
        _ => return None,
    })
}

/// Posts to an edge; `None` where it is none of these.
pub(super) fn post(state: &mut State, call: &Call, object: &Object, edge: &str) -> Option<Result<Value, Refusal>> {
    Some(match (object.kind, edge) {
        (Kind::AdAccount, "asyncadrequestsets") => async_sets::create_ads(state, call, object.id),
        (Kind::AdAccount, "asyncadcreatives") => async_sets::create_creatives(state, call, object.id),
        (Kind::AdAccount, "recommendations") => recommendations::apply(state, call, object),
        (Kind::AdAccount, "adrules_library") => rules::create(state, call, object.id),
        (Kind::Rule, "execute") => rules::run(state, call, object),
        (Kind::Rule, "preview") => rules::preview(state, call, object),
        (Kind::Business, "ad_studies") => studies::create(state, call, object),
        (Kind::Campaign | Kind::AdSet, "budget_schedules") => schedules::create(state, call, object),
        (Kind::AdAccount, "assigned_users") => roles::assign(state, call, object),
        (Kind::AdAccount, "async_batch_requests") => async_sets::create_batch(state, call, object.id),
        _ => return None,
    })
}
