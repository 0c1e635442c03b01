//! `metadata=1`: what a node is, which fields it has, and where its edges are.

use serde_json::{Map, Value, json};

use super::{edge, known, path_id};
use crate::insights;
use crate::render::View;
use crate::state::Object;

/// The edges that nodes may have; which of them one has, its kind says.
const EDGES: &[&str] = &[
    "adaccounts",
    "adcreatives",
    "adimages",
    "adlabels",
    "adrules_library",
    "ads",
    "adsets",
    "adspixels",
    "advideos",
    "business_users",
    "campaigns",
    "cells",
    "client_ad_accounts",
    "client_pages",
    "connected_instagram_accounts",
    "customaudiences",
    "customconversions",
    "instagram_accounts",
    "leadgen_forms",
    "media",
    "objectives",
    "owned_ad_accounts",
    "owned_pages",
    "owned_pixels",
    "owned_product_catalogs",
    "product_sets",
    "products",
    "promote_pages",
    "saved_audiences",
    "system_users",
];

/// The member `metadata` of a node's answer.
pub(crate) fn of(view: &View<'_>, object: &Object) -> Value {
    let fields: Vec<Value> =
        known::fields(object.kind).split_whitespace().map(|name| json!({ "name": name })).collect();
    let own = EDGES.iter().copied().filter(|name| edge(view, object, name).is_some());
    let insights = insights::is_target(object.kind).then_some("insights");
    let connections: Map<String, Value> = own
        .chain(insights)
        .map(|name| (name.to_owned(), json!(view.link(&format!("{}/{name}", path_id(object))).address)))
        .collect();
    json!({ "type": object.kind.node_type().to_lowercase(), "fields": fields, "connections": connections })
}
