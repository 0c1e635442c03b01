//! From Graph JSON to a message.

use std::collections::HashMap;

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, Value};
use proto::meta::v1::Form;
use serde_json::Value as Json;

use super::{
    CodecError, descriptor,
    facts::{self, EXTRA, Fact},
    time,
};

/// The message of that full name which says what this JSON object says.
///
/// # Errors
/// When the JSON is no object, or our types do not have that name.
pub fn decode<M: Message + Default>(name: &str, object: &Json) -> Result<M, CodecError> {
    let Json::Object(_) = object else { return Err(CodecError::NotAnObject) };
    let message = read(&DynamicMessage::new(descriptor(name)?), object);
    M::decode(message.encode_to_vec().as_slice())
        .map_err(|source| CodecError::Bytes { message: name.to_owned(), source })
}

fn read(empty: &DynamicMessage, object: &Json) -> DynamicMessage {
    use prost_reflect::ReflectMessage;
    let mut message = empty.clone();
    let facts = facts::of(&message.descriptor());
    let mut extra = HashMap::new();
    for (key, json) in object.as_object().into_iter().flatten() {
        match facts.read_as(key) {
            Some(fact) if is_unset(json, fact) => {}
            Some(fact) => match field(json, fact) {
                Some(value) => message.set_field(&fact.field, value),
                None => keep(&mut extra, key, json),
            },
            None => keep(&mut extra, key, json),
        }
    }
    if !extra.is_empty() && message.descriptor().get_field_by_name(EXTRA).is_some() {
        message.set_field_by_name(EXTRA, Value::Map(extra));
    }
    message
}

fn keep(extra: &mut HashMap<MapKey, Value>, key: &str, json: &Json) {
    extra.insert(MapKey::String(key.to_owned()), Value::String(json.to_string()));
}

/// Meta writes an unset budget of an ad set as "0"; no legal amount is zero.
fn is_unset(json: &Json, fact: &Fact) -> bool {
    json.is_null() || (fact.form == Form::Digits && (json == "0" || json == 0))
}

fn field(json: &Json, fact: &Fact) -> Option<Value> {
    let kind = fact.field.kind();
    if fact.field.is_map() {
        return map(json, &fact.field);
    }
    if fact.field.is_list() {
        // One unknown member sends the whole list to `extra`: half a list would be a lie.
        let items = json.as_array()?.iter().map(|item| single(item, &kind, fact.form));
        return items.collect::<Option<Vec<_>>>().map(Value::List);
    }
    single(json, &kind, fact.form)
}

fn map(json: &Json, field: &FieldDescriptor) -> Option<Value> {
    let Kind::Message(entry) = field.kind() else { return None };
    let kind = entry.map_entry_value_field().kind();
    let entries = json.as_object()?.iter().map(|(key, value)| {
        let value = match kind {
            // A map of texts holds what it cannot hold as text as JSON text, such as `{"custom_tos":1}`.
            Kind::String if !value.is_string() => Value::String(value.to_string()),
            _ => single(value, &kind, Form::Unspecified)?,
        };
        Some((MapKey::String(key.clone()), value))
    });
    entries.collect::<Option<HashMap<_, _>>>().map(Value::Map)
}

fn single(json: &Json, kind: &Kind, form: Form) -> Option<Value> {
    Some(match kind {
        Kind::String => Value::String(match json {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(), // ids come as numbers in places
            Json::Object(_) | Json::Array(_) if form == Form::JsonText => json.to_string(),
            _ => return None,
        }),
        Kind::Bool => Value::Bool(match json {
            Json::Bool(flag) => *flag,
            Json::Number(number) => number.as_i64()? != 0,
            Json::String(text) => text.parse().ok()?,
            _ => return None,
        }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::try_from(integer(json)?).ok()?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::try_from(integer(json)?).ok()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(i64::try_from(integer(json)?).ok()?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::try_from(integer(json)?).ok()?),
        Kind::Double => Value::F64(json.as_f64().or_else(|| json.as_str()?.parse().ok())?),
        Kind::Float | Kind::Bytes => return None, // no message of ours mirrors Meta with these
        Kind::Enum(enumeration) => Value::EnumNumber(facts::enum_number(enumeration, json.as_str()?)?),
        Kind::Message(message) if facts::is_timestamp(kind) => {
            Value::Message(time::message(message.clone(), time::parse(json)?))
        }
        Kind::Message(message) => {
            let inner;
            let json = match json {
                Json::String(text) if form == Form::JsonText => {
                    inner = serde_json::from_str(text).ok()?;
                    &inner
                }
                other => other,
            };
            json.as_object()?;
            Value::Message(read(&DynamicMessage::new(message.clone()), json))
        }
    })
}

fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}
