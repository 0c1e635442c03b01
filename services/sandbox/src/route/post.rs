//! What can be created below a node, and changed of it.

use serde_json::Value;

use super::{Call, more, people};
use crate::error::Refusal;
use crate::insights;
use crate::nodes::{
    self, accounts, ad_sets, ads, apps, async_sets, campaigns, copies, creatives, images, labels, rules, schedules,
    studies, thumbnails, value_rules, videos,
};
use crate::state::{Kind, Object, State};
use crate::webhooks;

/// Updates a node.
pub(super) fn node(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    match object.kind {
        Kind::App => apps::update(state, call, object),
        Kind::AdAccount => accounts::update(state, call, object),
        Kind::Campaign => campaigns::update(state, call, object),
        Kind::AdSet => ad_sets::update(state, call, object),
        Kind::Ad => ads::update(state, call, object),
        Kind::Creative => creatives::update(state, call, object),
        Kind::Video => videos::update(state, call, object),
        Kind::Rule => rules::update(state, call, object),
        Kind::Study => studies::update(state, call, object),
        Kind::Schedule => schedules::update(state, call, object),
        Kind::Label => labels::rename(state, call, object),
        Kind::ValueRuleSet => value_rules::update(state, call, object),
        Kind::AsyncSet => async_sets::update(state, call, object),
        _ => people::update(state, call, object)
            .unwrap_or_else(|| Err(Refusal::missing("post", &nodes::path_id(object)))),
    }
}

/// Posts to an edge.
pub(super) fn edge(state: &mut State, call: &Call, object: &Object, edge: &str) -> Result<Value, Refusal> {
    if let Some(answer) = more::post(state, call, object, edge) {
        return answer;
    }
    let account = object.id;
    match (object.kind, edge) {
        (Kind::App, "subscriptions") => webhooks::subscribe(state, call, object),
        (Kind::AdAccount, "subscribed_apps") => webhooks::subscribe_account(state, call, object),
        (Kind::Page, "subscribed_apps") => webhooks::subscribe_page(state, call, object),
        (Kind::AdAccount, "campaigns") => campaigns::create(state, call, account),
        (Kind::AdAccount, "adsets") => ad_sets::create(state, call, account),
        (Kind::AdAccount, "ads") => ads::create(state, call, account),
        (Kind::AdAccount, "adcreatives") => creatives::create(state, call, account),
        (Kind::AdAccount, "adimages") => images::create(state, call, account),
        (Kind::AdAccount, "advideos") => videos::create(state, call, account),
        (Kind::AdAccount, "adlabels") => labels::create(state, call, account),
        (Kind::AdAccount, "value_rule_set") => value_rules::create(state, call, account),
        (Kind::Campaign | Kind::AdSet | Kind::Ad, "copies") => copies::create(state, call, object),
        (Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Creative, "adlabels") => labels::attach(state, call, object),
        (Kind::Video, "thumbnails") => thumbnails::create(state, call, object),
        (Kind::Run, _) => Err(Refusal::unknown_path(edge)),
        (_, "insights") if insights::is_target(object.kind) => insights::start(state, call, object),
        _ => people::post(state, call, object, edge).unwrap_or_else(|| Err(Refusal::unknown_path(edge))),
    }
}
