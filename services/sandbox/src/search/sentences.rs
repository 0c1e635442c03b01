//! `targetingsentencelines`: a targeting told in words.

use serde_json::{Map, Value, json};

use super::places;
use crate::catalogue::{self, KINDS, PlaceKind};
use crate::error::Refusal;
use crate::params::{as_integer, as_text};
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State, shown_id};

/// `GET /act_X/targetingsentencelines?targeting_spec=`.
pub(super) fn of_account(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    call.params.required("targeting_spec")?;
    let Some(Value::Object(spec)) = call.params.json("targeting_spec")? else {
        return Err(Refusal::invalid("Param targeting_spec must be a valid JSON object").blame(&["targeting_spec"]));
    };
    Ok(told(View::of(state, call).state, account, &spec))
}

/// The same for an ad set, or for the one that an ad stands in.
pub(super) fn of_object(state: &State, object: &Object) -> Value {
    let ad_set = if object.kind == Kind::Ad { object.ad_set.and_then(|id| state.object(id)) } else { Some(object) };
    let spec = ad_set.and_then(|ad_set| ad_set.fields.get("targeting")).and_then(Value::as_object);
    told(state, object, &spec.cloned().unwrap_or_default())
}

fn told(state: &State, of: &Object, spec: &Map<String, Value>) -> Value {
    let lines: Vec<Value> = lines(state, spec)
        .into_iter()
        .filter(|(_, children)| !children.is_empty())
        .map(|(content, children)| json!({ "content": content, "children": children }))
        .collect();
    json!({ "id": shown_id(of), "targetingsentencelines": lines })
}

fn lines(state: &State, spec: &Map<String, Value>) -> Vec<(&'static str, Vec<String>)> {
    let mut lines = vec![
        ("Location:", located(spec.get("geo_locations"))),
        ("Excluded location:", located(spec.get("excluded_geo_locations"))),
        ("Custom audience:", audiences(state, spec.get("custom_audiences"))),
        ("Excluded custom audience:", audiences(state, spec.get("excluded_custom_audiences"))),
        ("Age:", vec![ages(spec)]),
        ("Gender:", genders(spec)),
        ("Language:", languages(spec)),
        ("People who match:", matched(spec)),
    ];
    for element in list(spec.get("flexible_spec")) {
        if let Value::Object(element) = element {
            let content = if lines.iter().any(|(content, all)| *content == "People who match:" && !all.is_empty()) {
                "And must also match:"
            } else {
                "People who match:"
            };
            lines.push((content, matched(element)));
        }
    }
    if let Some(Value::Object(exclusions)) = spec.get("exclusions") {
        lines.push(("Exclude:", matched(exclusions)));
    }
    lines.push(("Placements:", list(spec.get("publisher_platforms")).map(|word| titled(&as_text(word))).collect()));
    lines
}

fn located(places: Option<&Value>) -> Vec<String> {
    let Some(Value::Object(places)) = places else { return Vec::new() };
    let mut names = Vec::new();
    for kind in PlaceKind::ALL {
        for item in list(places.get(kind.member())) {
            let name = places::name(kind, item);
            let radius = item.get("radius").map(as_text);
            let unit = if item.get("distance_unit").is_some_and(|unit| unit == "kilometer") { "km" } else { "mi" };
            names.push(radius.map_or_else(|| name.clone(), |radius| format!("{name} (+{radius} {unit})")));
        }
    }
    for item in list(places.get("custom_locations")) {
        let point = |name: &str| item.get(name).map(as_text).unwrap_or_default();
        names.push(
            item.get("address_string")
                .map_or_else(|| format!("({}, {})", point("latitude"), point("longitude")), as_text),
        );
    }
    names
}

fn audiences(state: &State, value: Option<&Value>) -> Vec<String> {
    let named = |item: &Value| {
        let id = crate::nodes::write::id_of(item)?;
        Some(state.object(id).map_or_else(|| id.to_string(), |audience| audience.name().to_owned()))
    };
    list(value).filter_map(named).collect()
}

fn ages(spec: &Map<String, Value>) -> String {
    let age = |name: &str, default: i64| spec.get(name).and_then(as_integer).unwrap_or(default);
    let (least, most) = (age("age_min", 18), age("age_max", 65));
    // Nobody older can be told apart.
    let plus = if most >= 65 { "+" } else { "" };
    format!("{least} - {most}{plus}")
}

fn genders(spec: &Map<String, Value>) -> Vec<String> {
    let word = |item: &Value| match as_integer(item) {
        Some(1) => Some("Male".to_owned()),
        Some(2) => Some("Female".to_owned()),
        _ => None,
    };
    list(spec.get("genders")).filter_map(word).collect()
}

fn languages(spec: &Map<String, Value>) -> Vec<String> {
    let named =
        |item: &Value| as_integer(item).and_then(catalogue::locale).map_or_else(|| as_text(item), str::to_owned);
    list(spec.get("locales")).map(named).collect()
}

/// One text for each class: `Interests: Tea or Coffee`.
fn matched(spec: &Map<String, Value>) -> Vec<String> {
    let class = |kind: &&str| {
        let names: Vec<String> = list(spec.get(*kind)).map(entry_name).collect();
        (!names.is_empty()).then(|| format!("{}: {}", titled(kind), names.join(" or ")))
    };
    let numbered = ["relationship_statuses", "education_statuses"].into_iter().filter_map(|kind| {
        let names: Vec<String> = list(spec.get(kind))
            .map(|item| {
                as_integer(item)
                    .and_then(|number| catalogue::word(kind, number))
                    .map_or_else(|| as_text(item), str::to_owned)
            })
            .collect();
        (!names.is_empty()).then(|| format!("{}: {}", titled(kind), names.join(" or ")))
    });
    KINDS.iter().filter_map(class).chain(numbered).collect()
}

fn entry_name(item: &Value) -> String {
    let id = crate::nodes::write::id_of(item).and_then(catalogue::entry);
    id.map_or_else(|| item.get("name").map_or_else(|| as_text(item), as_text), |entry| entry.name.to_owned())
}

fn titled(word: &str) -> String {
    let spaced = word.replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().to_string() + letters.as_str())
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
