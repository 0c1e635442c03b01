//! From a message to the parameters of a form.

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, Value};
use proto::meta::v1::{Form, Write};
use serde_json::{Map, Value as Json};

use super::{
    CodecError, dynamic,
    facts::{self, EXTRA, Fact},
    time,
};

/// Which fields are sent.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// All that are set and may be sent on create.
    Create,
    /// Those that the mask names; a masked field that is unset is cleared.
    Update(&'a [String]),
}

/// Keys of money and state, which guardrails look at: never through `extra`, under any of Meta's spellings.
const GUARDED: [&str; 14] = [
    "daily_budget",
    "lifetime_budget",
    "bid_amount",
    "bid_strategy",
    "bid_constraints",
    "spend_cap",
    "status",
    "configured_status",
    "effective_status",
    "budget_schedule_specs",
    "adset_budgets",
    "adset_bid_amounts",
    "daily_spend_cap",
    "lifetime_spend_cap",
];

/// The parameters that say this message to Meta.
///
/// # Errors
/// When `extra` is wrong, or the mask names what cannot be changed or cleared.
pub fn encode(message: &impl Message, name: &str, mode: Mode<'_>) -> Result<Vec<(String, String)>, CodecError> {
    let message = dynamic(name, &message.encode_to_vec())?;
    let facts = facts::of(&message.descriptor());
    if let Mode::Update(mask) = mode {
        check_mask(mask, &facts)?;
    }
    let mut form = Vec::new();
    for fact in &facts.fields {
        let set = message.has_field(&fact.field);
        let masked = matches!(mode, Mode::Update(mask) if mask.iter().any(|path| path == fact.field.name()));
        let goes = match mode {
            Mode::Create => set && !matches!(fact.write, Write::Never | Write::Update),
            Mode::Update(_) => masked,
        };
        if !goes {
            continue;
        }
        let text = if set {
            plain(&json(&message.get_field(&fact.field), &fact.field.kind(), fact, fact.field.name())?)
        } else {
            let clear = fact.clear.clone();
            clear.ok_or_else(|| CodecError::NotClearable { field: fact.field.name().to_owned() })?
        };
        form.push((fact.word.clone(), text));
    }
    let wants_extra = match mode {
        Mode::Create => true,
        Mode::Update(mask) => mask.iter().any(|path| path == EXTRA),
    };
    if wants_extra {
        form.extend(extra(&message, "")?.into_iter().map(|(key, value)| (key, plain(&value))));
    }
    Ok(form)
}

fn check_mask(mask: &[String], facts: &facts::Facts) -> Result<(), CodecError> {
    for path in mask {
        if path == EXTRA {
            continue;
        }
        let refuse = |reason: String| Err(CodecError::Mask { field: path.clone(), reason });
        if let Some((parent, _)) = path.split_once('.') {
            return refuse(format!("Meta replaces `{parent}` whole, so name `{parent}`"));
        }
        match facts.fields.iter().find(|fact| fact.field.name() == path) {
            None => return refuse("there is no such field".to_owned()),
            Some(fact) if matches!(fact.write, Write::Never | Write::Create) => {
                return refuse("it cannot be changed after the create".to_owned());
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A parameter of a form is text: a JSON text is sent as its content, everything else as JSON.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn json(value: &Value, kind: &Kind, fact: &Fact, path: &str) -> Result<Json, CodecError> {
    Ok(match value {
        Value::List(items) => {
            let items =
                items.iter().enumerate().map(|(index, item)| json(item, kind, fact, &format!("{path}[{index}]")));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let MapKey::String(key) = key else { continue };
                object.insert(key.clone(), scalar(value, fact.form));
            }
            Json::Object(object)
        }
        Value::Message(message) if facts::is_timestamp(kind) => match (time::of(message), fact.form) {
            (Some(time), Form::Unix) => Json::from(time.as_second()),
            (Some(time), _) => Json::from(time::iso(time)),
            (None, _) => {
                let reason = "is no moment between the years -9999 and 9999".to_owned();
                return Err(CodecError::Field { field: path.to_owned(), reason, rule: "TIMESTAMP_OUT_OF_RANGE" });
            }
        },
        Value::Message(message) => {
            let object = object(message, path)?;
            if fact.form == Form::JsonText { Json::from(object.to_string()) } else { object }
        }
        Value::EnumNumber(number) => match kind {
            Kind::Enum(enumeration) => match enumeration.get_value(*number).filter(|_| *number != 0) {
                Some(value) => Json::from(facts::enum_word(enumeration, &value)),
                None => {
                    let reason = format!("{number} is no value of {}", enumeration.name());
                    return Err(CodecError::Field { field: path.to_owned(), reason, rule: "UNKNOWN_ENUM_VALUE" });
                }
            },
            _ => Json::Null,
        },
        other => scalar(other, fact.form),
    })
}

/// Integers of 64 bits travel as digits in a string unless the field says otherwise: a JSON number loses long ids.
fn scalar(value: &Value, form: Form) -> Json {
    match (value, form) {
        (Value::String(text), _) => Json::from(text.as_str()),
        (Value::Bool(flag), _) => Json::from(*flag),
        (Value::I32(number), _) => Json::from(*number),
        (Value::U32(number), _) => Json::from(*number),
        (Value::I64(number), Form::Number | Form::Unix) => Json::from(*number),
        (Value::U64(number), Form::Number | Form::Unix) => Json::from(*number),
        (Value::I64(number), _) => Json::from(number.to_string()),
        (Value::U64(number), _) => Json::from(number.to_string()),
        (Value::F32(number), _) => Json::from(*number),
        (Value::F64(number), _) => Json::from(*number),
        _ => Json::Null,
    }
}

fn object(message: &DynamicMessage, path: &str) -> Result<Json, CodecError> {
    let mut object = Map::new();
    for fact in &facts::of(&message.descriptor()).fields {
        if !message.has_field(&fact.field) || fact.write == Write::Never {
            continue;
        }
        let path = format!("{path}.{}", fact.field.name());
        object.insert(fact.word.clone(), json(&message.get_field(&fact.field), &fact.field.kind(), fact, &path)?);
    }
    object.extend(extra(message, path)?);
    Ok(Json::Object(object))
}

/// What we do not type, checked so that it cannot go round what we do.
fn extra(message: &DynamicMessage, path: &str) -> Result<Vec<(String, Json)>, CodecError> {
    let Some(value) = message.get_field_by_name(EXTRA) else { return Ok(Vec::new()) };
    let Some(entries) = value.as_map() else { return Ok(Vec::new()) };
    let facts = facts::of(&message.descriptor());
    let mut out = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let (MapKey::String(key), Value::String(text)) = (key, value) else { continue };
        let field = if path.is_empty() { format!("{EXTRA}[{key}]") } else { format!("{path}.{EXTRA}[{key}]") };
        let refuse = |reason: String, rule| Err(CodecError::Field { field: field.clone(), reason, rule });
        if let Some(fact) = facts.fields.iter().find(|fact| fact.word == *key || fact.read_word == *key) {
            return refuse(format!("use the field `{}`", fact.field.name()), "EXTRA_IS_TYPED");
        }
        if GUARDED.contains(&key.as_str()) {
            return refuse("money and status only go through their own fields".to_owned(), "EXTRA_IS_GUARDED");
        }
        match serde_json::from_str(text) {
            Ok(value) => out.push((key.clone(), value)),
            Err(_) => return refuse("is no JSON text; a string needs its quotes".to_owned(), "EXTRA_IS_NO_JSON"),
        }
    }
    out.sort_by(|(left, _), (right, _)| left.cmp(right)); // a map has no order, a fingerprint and a golden test need one
    Ok(out)
}
