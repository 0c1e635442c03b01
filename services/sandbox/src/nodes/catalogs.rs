//! Product catalogues: products, sets of them, and batches of changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::write;
use crate::error::Refusal;
use crate::params::{as_list, as_text};
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "business da_display_settings default_image_url fallback_image_url feed_count id \
    is_catalog_segment is_local_catalog name owner_business parent_catalog_id product_count vertical";
pub(crate) const SET_FIELDS: &str =
    "auto_creation_url filter id metadata name ordering_info product_catalog product_count retailer_id";
pub(crate) const PRODUCT_FIELDS: &str = "additional_image_urls availability brand category color condition currency \
    custom_label_0 custom_label_1 custom_label_2 custom_label_3 custom_label_4 description gender gtin id image_url \
    inventory link name price product_catalog product_type retailer_id retailer_product_group_id review_status sale_price \
    size url visibility";

const VERTICALS: &[&str] = &[
    "adoptable_pets",
    "commerce",
    "destinations",
    "flights",
    "generic",
    "home_listings",
    "hotels",
    "local_service_businesses",
    "media_titles",
    "offer_items",
    "offline_commerce",
    "transactable_items",
    "vehicles",
];
const PRODUCT: &[Row] = &[
    ("retailer_id", Form::Text),
    ("name", Form::Text),
    ("description", Form::Text),
    ("availability", Form::Text),
    ("brand", Form::Text),
    ("category", Form::Text),
    ("condition", Form::Text),
    ("currency", Form::Text),
    ("price", Form::Text),
    ("sale_price", Form::Text),
    ("image_url", Form::Text),
    ("url", Form::Text),
    ("product_type", Form::Text),
    ("inventory", Form::Integer),
    ("color", Form::Text),
    ("size", Form::Text),
    ("custom_label_0", Form::Text),
    ("visibility", Form::Word(&["published", "staging"])),
];
/// The most items of one batch.
const ITEMS_MAX: usize = 5_000;

/// `POST /{business}/owned_product_catalogs`.
pub(crate) fn create(state: &mut State, call: &Call, business: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    call.params.required("name")?;
    let table: &[Row] = &[("name", Form::Text), ("vertical", Form::Word(VERTICALS))];
    let mut fields = spec::read(state, 0, table, &call.params, call.now)?;
    fields.entry("vertical").or_insert_with(|| json!("commerce"));
    made(state, call, Kind::Catalog, business.id, fields)
}

/// `POST /{catalog}/product_sets`. Without a filter it holds everything.
pub(crate) fn create_set(state: &mut State, call: &Call, catalog: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    call.params.required("name")?;
    let table: &[Row] = &[("name", Form::Text), ("filter", Form::Object), ("retailer_id", Form::Text)];
    let mut fields = spec::read(state, 0, table, &call.params, call.now)?;
    if let Some(filter) = fields.get("filter").map(Value::to_string) {
        fields.insert("filter".to_owned(), Value::String(filter));
    }
    made(state, call, Kind::ProductSet, catalog.id, fields)
}

/// `POST /{catalog}/products`.
pub(crate) fn create_product(state: &mut State, call: &Call, catalog: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    let id = call.params.required("retailer_id")?;
    call.params.required("name")?;
    if by_retailer(state, catalog.id, &id).is_some() {
        let message = "A product with this retailer_id exists in the catalog; update it instead";
        return Err(Refusal::new(10_800, format!("(#10800) {message}")).blame(&["retailer_id"]));
    }
    let fields = spec::read(state, 0, PRODUCT, &call.params, call.now)?;
    made(state, call, Kind::Product, catalog.id, fields)
}

fn made(state: &mut State, call: &Call, kind: Kind, owner: u64, fields: Map<String, Value>) -> Result<Value, Refusal> {
    let mut object = Object::new(state.fresh_id(), kind, 0, call.now);
    object.owner = Some(owner);
    object.fields = fields;
    let id = object.id;
    write::keep(state, object);
    write::created(state, call, id)
}

/// `POST /{catalog}`, `/{product-set}` and `/{product}`.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    let table: &[Row] =
        if old.kind == Kind::Product { PRODUCT } else { &[("name", Form::Text), ("filter", Form::Object)] };
    let given = spec::read(state, 0, table, &call.params, call.now)?;
    let mut object = old.clone();
    for (name, value) in given {
        let value = if name == "filter" { Value::String(value.to_string()) } else { value };
        object.fields.insert(name, value);
    }
    object.updated = call.now;
    write::keep(state, object);
    write::updated(state, call, old.id)
}

/// `DELETE` of a catalogue, which takes all in it along, of a set or of a product.
pub(crate) fn delete(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    let below = [Kind::Product, Kind::ProductSet].into_iter().flat_map(|kind| state.children(old.id, kind));
    let all: Vec<u64> = below.chain([old.id]).collect();
    for id in all {
        gone(state, call, id);
    }
    Ok(write::validated())
}

fn gone(state: &mut State, call: &Call, id: u64) {
    if let Some(mut object) = state.object(id).cloned() {
        object.status = Status::Deleted;
        object.updated = call.now;
        write::keep(state, object);
    }
}

/// `POST /{catalog}/items_batch` (and `/batch`, where ids stand beside the data): done at once, told by handle.
pub(crate) fn batch(state: &mut State, call: &Call, catalog: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    let Some(requests) = call.params.list("requests")? else { return Err(Refusal::required("requests")) };
    if requests.len() > ITEMS_MAX {
        return Err(
            Refusal::invalid(format!("Param requests must have at most {ITEMS_MAX} items")).blame(&["requests"])
        );
    }
    let may_create = !call.params.has("allow_upsert") || call.params.boolean("allow_upsert")?;
    let mut errors = Vec::new();
    for request in &requests {
        if let Err((id, message)) = item(state, call, catalog, request, may_create) {
            errors.push(json!({ "id": id, "line": 0, "message": message }));
        }
    }
    let number = state.fresh_id();
    let handle = format!("AczH{number}");
    let mut catalog = state.object(catalog.id).unwrap_or(catalog).clone();
    let told = json!({ "number": number, "errors": errors });
    let batches = catalog.fields.entry("_batches").or_insert_with(|| json!({}));
    if let Value::Object(batches) = batches {
        batches.insert(handle.clone(), told);
    }
    write::keep(state, catalog);
    let mut body = Map::from_iter([("handles".to_owned(), json!([handle]))]);
    if !errors.is_empty() {
        let wrong = errors
            .iter()
            .map(|error| json!({ "retailer_id": error.get("id"), "errors": [{ "message": error.get("message") }] }));
        body.insert("validation_status".to_owned(), wrong.collect());
    }
    Ok(Value::Object(body))
}

fn item(
    state: &mut State,
    call: &Call,
    catalog: &Object,
    request: &Value,
    may_create: bool,
) -> Result<(), (String, String)> {
    let data = request.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    let id = request.get("retailer_id").or_else(|| data.get("id")).map(as_text).unwrap_or_default();
    let fail = |message: &str| Err((id.clone(), message.to_owned()));
    if id.is_empty() {
        return fail("A required field is missing: id");
    }
    let known = by_retailer(state, catalog.id, &id);
    match (request.get("method").map(as_text).unwrap_or_default().as_str(), known) {
        ("DELETE", Some(product)) => gone(state, call, product),
        ("DELETE", None) => return fail("There is no product with this id"),
        ("CREATE" | "UPDATE", Some(product)) => {
            if let Some(mut product) = state.object(product).cloned() {
                product.fields.extend(items(data));
                product.updated = call.now;
                write::keep(state, product);
            }
        }
        ("CREATE", None) => add(state, call, catalog, &id, data),
        ("UPDATE", None) if may_create => add(state, call, catalog, &id, data),
        ("UPDATE", None) => return fail("There is no product with this id, and allow_upsert is false"),
        _ => return fail("The method must be CREATE, UPDATE or DELETE"),
    }
    Ok(())
}

fn add(state: &mut State, call: &Call, catalog: &Object, id: &str, data: Map<String, Value>) {
    let mut product = Object::new(state.fresh_id(), Kind::Product, 0, call.now).with(json!({ "retailer_id": id }));
    product.owner = Some(catalog.id);
    product.fields.extend(items(data));
    write::keep(state, product);
}

/// The members of a batch item as fields of a product: some are named otherwise there.
fn items(data: Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    data.into_iter().filter(|(name, _)| name != "id" && !name.starts_with('_')).map(|(name, value)| {
        match name.as_str() {
            "title" => ("name".to_owned(), value),
            "link" => ("url".to_owned(), value),
            "image_link" => ("image_url".to_owned(), value),
            _ => (name, value),
        }
    })
}

/// `GET /{catalog}/check_batch_request_status?handle=..`.
pub(crate) fn status(state: &mut State, call: &Call, catalog: &Object) -> Result<Value, Refusal> {
    call.caller.needs("catalog_management")?;
    let handle = call.params.required("handle")?;
    let told = catalog.fields.get("_batches").and_then(|batches| batches.get(&handle));
    let Some(told) = told else {
        return Err(Refusal::invalid("Param handle must be one that items_batch gave").blame(&["handle"]));
    };
    let looks = told.get("number").and_then(Value::as_u64).map(|number| state.poll(number)).unwrap_or_default();
    if looks < state.settings.catalog_polls {
        return Ok(json!({ "data": [{ "handle": handle, "status": "in_progress", "errors": [], "warnings": [] }] }));
    }
    let errors = told.get("errors").and_then(as_list).unwrap_or_default();
    let invalid: Vec<&Value> = errors.iter().filter_map(|error| error.get("id")).collect();
    Ok(json!({ "data": [{
        "handle": handle, "status": "finished", "errors": errors, "warnings": [],
        "errors_total_count": errors.len(), "ids_of_invalid_requests": invalid,
    }] }))
}

pub(crate) fn show(view: &View<'_>, object: &Object, name: &str) -> Option<Shown> {
    Some(match (object.kind, name) {
        (Kind::Catalog, "product_count") => Shown::Value(json!(products(view.state, object).len())),
        (Kind::Catalog, "business" | "owner_business") | (_, "product_catalog") => Shown::node(object.owner),
        (Kind::Catalog, "feed_count") => Shown::Value(json!(0)),
        (Kind::Catalog, "is_catalog_segment" | "is_local_catalog") => Shown::Value(Value::Bool(false)),
        (Kind::ProductSet, "product_count") => Shown::Value(json!(products(view.state, object).len())),
        (Kind::Product, "review_status") => Shown::text("approved"),
        (Kind::Product, "visibility") if !object.fields.contains_key(name) => Shown::text("published"),
        _ => return None,
    })
}

/// The products of a catalogue, or those of it that a set's filter lets through.
pub(crate) fn products(state: &State, parent: &Object) -> Vec<u64> {
    let (catalog, filter) = match parent.kind {
        Kind::ProductSet => (parent.owner.unwrap_or_default(), crate::loose::parse(parent.text("filter"))),
        _ => (parent.id, None),
    };
    let all = state.children(catalog, Kind::Product).rev().filter_map(|id| state.object(id));
    let own = all.filter(|product| product.status != Status::Deleted);
    own.filter(|product| filter.as_ref().is_none_or(|filter| passes(product, filter)))
        .map(|product| product.id)
        .collect()
}

/// `{"brand":{"eq":"x"}}`, and groups of such under `and` and `or`.
fn passes(product: &Object, filter: &Value) -> bool {
    let Some(map) = filter.as_object() else { return true };
    map.iter().all(|(key, inner)| match (key.as_str(), inner) {
        ("and", Value::Array(items)) => items.iter().all(|item| passes(product, item)),
        ("or", Value::Array(items)) => items.iter().any(|item| passes(product, item)),
        (field, Value::Object(comparisons)) => {
            let own = product.fields.get(field).map(as_text).unwrap_or_default();
            comparisons.iter().all(|(operator, wanted)| compares(&own, operator, wanted))
        }
        _ => true,
    })
}

fn compares(own: &str, operator: &str, wanted: &Value) -> bool {
    let text = as_text(wanted);
    let holds = || own.to_lowercase().contains(&text.to_lowercase());
    let listed = || as_list(wanted).unwrap_or_default().iter().any(|item| as_text(item) == own);
    match operator {
        "eq" => own.eq_ignore_ascii_case(&text),
        "neq" => !own.eq_ignore_ascii_case(&text),
        "i_contains" | "contains" => holds(),
        "i_not_contains" | "not_contains" => !holds(),
        "is_any" => listed(),
        "is_not_any" => !listed(),
        _ => false,
    }
}

/// The product that `{catalog}:{base64url of its retailer_id}` names.
pub(crate) fn by_path<'a>(state: &'a State, path: &str) -> Option<&'a Object> {
    let (catalog, sealed) = path.split_once(':')?;
    let retailer_id = URL_SAFE_NO_PAD.decode(sealed.trim_end_matches('=')).ok()?;
    let id = by_retailer(state, catalog.parse().ok()?, std::str::from_utf8(&retailer_id).ok()?)?;
    state.object(id)
}

fn by_retailer(state: &State, catalog: u64, retailer_id: &str) -> Option<u64> {
    let mut all = state.children(catalog, Kind::Product).filter_map(|id| state.object(id));
    all.find(|product| product.status != Status::Deleted && product.text("retailer_id") == retailer_id).map(|it| it.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_lets_through_what_it_names() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let product = Object::new(1, Kind::Product, 0, now)
            .with(json!({ "brand": "Northway", "product_type": "Shoes > Trail", "retailer_id": "a" }));
        let table = [
            (json!({}), true),
            (json!({ "brand": { "eq": "northway" } }), true),
            (json!({ "product_type": { "i_contains": "trail" }, "brand": { "neq": "Northway" } }), false),
            (
                json!({ "or": [{ "retailer_id": { "is_any": ["b"] } }, { "retailer_id": { "is_any": ["a", "c"] } }] }),
                true,
            ),
            (json!({ "and": [{ "retailer_id": { "is_not_any": ["a"] } }] }), false),
        ];
        for (filter, through) in table {
            assert_eq!(passes(&product, &filter), through, "{filter}");
        }
    }
}
