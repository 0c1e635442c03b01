//! `GET /search` and the `targeting*` edges: what can be aimed at, looked up in the catalogue.

mod detailed;
mod places;
mod sentences;

use serde_json::{Value, json};

use crate::catalogue::{self, Entry};
use crate::error::Refusal;
use crate::paging;
use crate::params::{Params, as_text};
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State};

/// The kinds of search, in the words of the official SDKs; Meta's pages write some with capitals.
const TYPES: &[&str] = &[
    "adcountry",
    "adeducationmajor",
    "adeducationschool",
    "adgeolocation",
    "adgeolocationmeta",
    "adinterest",
    "adinterestsuggestion",
    "adinterestvalid",
    "adlocale",
    "adradiussuggestion",
    "adtargetingcategory",
    "adworkemployer",
    "adworkposition",
    "adzipcode",
];

/// `GET /search?type=..`.
pub(crate) fn answer(state: &State, call: &Call) -> Result<Value, Refusal> {
    call.caller.may_read()?;
    let kind = call.params.required("type")?.to_ascii_lowercase();
    let params = &call.params;
    let rows = match kind.as_str() {
        "adinterest" => found("interests", &params.required("q")?),
        "adinterestsuggestion" => detailed::suggested(&names(params, "interest_list")?),
        "adinterestvalid" => valid_interests(params)?,
        "adtargetingcategory" => detailed::category(params)?,
        "adeducationschool" => written("education_schools", params)?,
        "adeducationmajor" => written("education_majors", params)?,
        "adworkemployer" => written("work_employers", params)?,
        "adworkposition" => written("work_positions", params)?,
        "adgeolocation" => places::found(params)?,
        "adgeolocationmeta" => return places::meta(params),
        "adradiussuggestion" => places::radius(params)?,
        "adcountry" => places::countries(params),
        "adzipcode" => places::zips(params),
        "adlocale" => locales(params),
        _ => return Err(Refusal::invalid(format!("Param type must be one of {{{}}}", TYPES.join(", ")))),
    };
    page(state, call, rows)
}

/// The edges of an ad account that search; `None` for another edge.
pub(crate) fn of_account(state: &State, call: &Call, account: &Object, edge: &str) -> Option<Result<Value, Refusal>> {
    let rows = match edge {
        "targetingsearch" => detailed::searched(&call.params),
        "targetingbrowse" => detailed::browsed(&call.params),
        "targetingsuggestions" => detailed::suggestions(&call.params),
        "targetingvalidation" => detailed::validated(&call.params),
        "broadtargetingcategories" => Ok(detailed::broad()),
        "targetingsentencelines" => return Some(sentences::of_account(state, call, account)),
        "deprecatedtargetingadsets" | "affectedadsets" => return Some(deprecated(state, call, account)),
        _ => return None,
    };
    Some(rows.and_then(|rows| page(state, call, rows)))
}

/// `GET /{ad set or ad}/targetingsentencelines`.
pub(crate) fn sentence_lines(state: &State, object: &Object) -> Value {
    sentences::of_object(state, object)
}

/// Cuts a page out of rows that stand in the same order whenever they are asked for.
fn page(state: &State, call: &Call, rows: Vec<Value>) -> Result<Value, Refusal> {
    let keys: Vec<u64> = (0_u64..).take(rows.len()).collect();
    let page = paging::cut(&keys, &call.params)?;
    let shown = rows.into_iter().zip(&keys).filter(|(_, key)| page.keys.contains(key)).map(|(row, _)| row).collect();
    let link = View::of(state, call).link(&call.path.join("/"));
    Ok(paging::answer(&page, shown, &call.params, &link))
}

/// Ad sets that aim at interests which Meta merged (Meta, "Detailed targeting updates").
fn deprecated(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let ids: Vec<u64> = state
        .children(account.id, Kind::AdSet)
        .rev()
        .filter(|&id| state.object(id).is_some_and(|ad_set| holds_gone(ad_set.fields.get("targeting"))))
        .collect();
    let fields = crate::fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

fn holds_gone(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(map)) => {
            let own = map.get("id").map(as_text).and_then(|id| id.parse().ok());
            own.and_then(catalogue::gone).is_some() || map.values().any(|value| holds_gone(Some(value)))
        }
        Some(Value::Array(items)) => items.iter().any(|value| holds_gone(Some(value))),
        _ => false,
    }
}

/// Entries of a class that answer a query, as rows of the interest searches.
fn found(kind: &str, query: &str) -> Vec<Value> {
    catalogue::words(kind, query).into_iter().map(interest).collect()
}

fn interest(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "name": entry.name,
        "audience_size_lower_bound": entry.lower,
        "audience_size_upper_bound": entry.upper,
        "path": entry.path,
        "description": null,
        "topic": entry.path.get(1),
    })
}

/// Interests by name or by id, each with whether it can be aimed at.
fn valid_interests(params: &Params) -> Result<Vec<Value>, Refusal> {
    let by_name = names(params, "interest_list")?.into_iter().map(|name| {
        let entry = catalogue::named(Some("interests"), &name);
        (json!({ "name": name, "valid": false }), entry)
    });
    let by_id = names(params, "interest_fbid_list")?.into_iter().map(|id| {
        let entry = id.parse().ok().and_then(catalogue::entry).filter(|entry| entry.kind.0 == "interests");
        (json!({ "id": id, "valid": false }), entry)
    });
    Ok(by_name.chain(by_id).map(|(unknown, entry)| entry.map_or(unknown, valid)).collect())
}

fn valid(entry: &Entry) -> Value {
    let mut row = interest(entry);
    if let Value::Object(map) = &mut row {
        map.insert("valid".to_owned(), Value::Bool(true));
    }
    row
}

/// What people write into their profiles: schools, fields of study, employers and job titles.
fn written(kind: &str, params: &Params) -> Result<Vec<Value>, Refusal> {
    let rows = catalogue::words(kind, &params.required("q")?).into_iter().map(|entry| {
        json!({
            "id": entry.id.to_string(),
            "name": entry.name,
            "subtext": "",
            "coverage": entry.lower,
            "audience_size_lower_bound": entry.lower,
            "audience_size_upper_bound": entry.upper,
        })
    });
    Ok(rows.collect())
}

fn locales(params: &Params) -> Vec<Value> {
    let query = params.text("q").unwrap_or_default();
    let hits = catalogue::LOCALES.iter().filter(|(_, name)| catalogue::rank(name, &query).is_some());
    hits.map(|(key, name)| json!({ "key": key, "name": name })).collect()
}

/// A list of names or ids; none where it is not given.
fn names(params: &Params, name: &str) -> Result<Vec<String>, Refusal> {
    Ok(params.words(name)?.unwrap_or_default())
}
