//! Lead forms of pages, and the leads that people leave in them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::businesses::utc;
use super::write;
use crate::error::Refusal;
use crate::fields;
use crate::loose;
use crate::params::{as_list, as_text};
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status};

pub(crate) const FORM_FIELDS: &str = "allow_organic_lead block_display_for_non_targeted_viewer context_card created_time \
    creator expired_leads_count follow_up_action_text follow_up_action_url id is_optimized_for_quality leads_count \
    legal_content locale name organic_leads_count page page_id privacy_policy_url question_page_custom_headline questions \
    status thank_you_page tracking_parameters";
pub(crate) const LEAD_FIELDS: &str = "ad_id ad_name adset_id adset_name campaign_id campaign_name created_time \
    custom_disclaimer_responses field_data form_id home_listing id is_organic partner_name platform post retailer_item_id \
    vehicle";

/// How long leads can be read.
const DAYS: i64 = 90;
const FORM_PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("questions", Form::List),
    ("privacy_policy", Form::Object),
    ("follow_up_action_url", Form::Text),
    ("locale", Form::Text),
    ("context_card", Form::Object),
    ("thank_you_page", Form::Object),
    ("tracking_parameters", Form::Object),
    ("question_page_custom_headline", Form::Text),
    ("is_optimized_for_quality", Form::Boolean),
    ("block_display_for_non_targeted_viewer", Form::Boolean),
];
/// What a test lead says where it is not told what.
const ANSWERS: &[(&str, &str)] = &[
    ("EMAIL", "test@fb.com"),
    ("FULL_NAME", "<test lead: dummy data for full_name>"),
    ("PHONE", "+15555550100"),
    ("CITY", "<test lead: dummy data for city>"),
];

/// `POST /{page}/leadgen_forms`.
pub(crate) fn create_form(state: &mut State, call: &Call, page: &Object) -> Result<Value, Refusal> {
    call.caller.needs("pages_manage_ads")?;
    let mut fields = spec::read(state, 0, FORM_PARAMS, &call.params, call.now)?;
    for name in ["name", "questions", "privacy_policy"] {
        call.params.required(name)?;
    }
    let questions = fields.get("questions").and_then(as_list).unwrap_or_default();
    if questions.is_empty() || questions.iter().any(|question| key_of(question).is_none()) {
        let message = "Param questions must be a list of {type, key}, with a label for CUSTOM ones";
        return Err(Refusal::invalid(message).blame(&["questions"]));
    }
    let parsed = questions.iter().map(|question| question.as_str().and_then(loose::parse).unwrap_or(question.clone()));
    fields.insert("questions".to_owned(), parsed.collect());
    if let Some(policy) = fields.remove("privacy_policy") {
        let url = policy.get("url").cloned().ok_or_else(|| Refusal::required("privacy_policy[url]"))?;
        fields.insert("privacy_policy_url".to_owned(), url);
    }
    let mut form = Object::new(state.fresh_id(), Kind::LeadForm, 0, call.now);
    form.owner = Some(page.id);
    form.fields = fields;
    let id = form.id;
    write::keep(state, form);
    Ok(json!({ "id": id.to_string() }))
}

/// `POST /{form}`: archives it or takes it up again.
pub(crate) fn update_form(state: &mut State, call: &Call, form: &Object) -> Result<Value, Refusal> {
    call.caller.needs("pages_manage_ads")?;
    let status = call.params.required("status")?;
    let Some(status @ (Status::Active | Status::Archived)) = Status::parse(&status) else {
        return Err(Refusal::invalid("Param status must be one of {ACTIVE, ARCHIVED}").blame(&["status"]));
    };
    let mut form = form.clone();
    form.status = status;
    write::keep(state, form);
    Ok(write::validated())
}

/// The key under which a question's answer stands; `None` where it is no question.
fn key_of(question: &Value) -> Option<String> {
    let parsed = question.as_str().and_then(loose::parse);
    let question = parsed.as_ref().unwrap_or(question).as_object()?;
    let kind = question.get("type").map(as_text)?;
    match question.get("key").map(as_text) {
        Some(key) => Some(key),
        None if kind == "CUSTOM" => question.get("label").map(|label| as_text(label).to_lowercase().replace(' ', "_")),
        None => Some(kind.to_lowercase()),
    }
}

/// A lead as somebody leaves it, by an ad or without one. It is in the world when this returns.
pub(crate) fn make(
    state: &mut State,
    form: &Object,
    ad: Option<u64>,
    answers: Option<Value>,
    now: Timestamp,
) -> Object {
    let data = answers.unwrap_or_else(|| test_answers(form));
    let mut lead = Object::new(state.fresh_id(), Kind::Lead, 0, now);
    lead.owner = Some(form.id);
    lead.fields.insert("field_data".to_owned(), data);
    lead.fields.insert("form_id".to_owned(), json!(form.id.to_string()));
    lead.fields.insert("platform".to_owned(), json!("fb"));
    if let Some(ad) = ad.and_then(|id| state.of_kind(id, Kind::Ad)) {
        lead.campaign = ad.campaign;
        lead.ad_set = ad.ad_set;
        lead.fields.insert("ad_id".to_owned(), json!(ad.id.to_string()));
    }
    write::keep(state, lead.clone());
    lead
}

fn test_answers(form: &Object) -> Value {
    let questions = form.fields.get("questions").and_then(Value::as_array).into_iter().flatten();
    questions
        .filter_map(|question| {
            let key = key_of(question)?;
            let kind = question.get("type").map(as_text).unwrap_or_default();
            let answer = ANSWERS.iter().find(|(known, _)| *known == kind).map(|(_, answer)| (*answer).to_owned());
            let answer = answer.unwrap_or_else(|| format!("<test lead: dummy data for {key}>"));
            Some(json!({ "name": key, "values": [answer] }))
        })
        .collect()
}

/// `POST /{form}/test_leads`: one at a time; the next after the first was deleted.
pub(crate) fn create_test(state: &mut State, call: &Call, form: &Object) -> Result<Value, Refusal> {
    call.caller.needs("leads_retrieval")?;
    if !tests(state, form).is_empty() {
        let advice = "Delete the test lead that there is, then make another.";
        return Err(Refusal::invalid("A test lead exists already").shown("Test Lead Exists", advice));
    }
    let answers = call.params.list("field_data")?.map(Value::Array);
    let mut lead = make(state, form, None, answers, call.now);
    lead.fields.insert("_test".to_owned(), Value::Bool(true));
    let id = lead.id;
    write::keep(state, lead);
    Ok(json!({ "id": id.to_string() }))
}

/// `GET /{form}/test_leads`.
pub(crate) fn list_tests(state: &State, call: &Call, form: &Object) -> Result<Value, Refusal> {
    call.caller.needs("leads_retrieval")?;
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), tests(state, form), &call.params, fields.as_deref())
}

fn tests(state: &State, form: &Object) -> Vec<u64> {
    let all = state.children(form.id, Kind::Lead).filter_map(|id| state.object(id));
    all.filter(|lead| !lead.status.is_gone() && lead.fields.contains_key("_test")).map(|lead| lead.id).collect()
}

/// `GET /{form}/leads` and `/{ad}/leads`, with `filtering` by `time_created`.
pub(crate) fn list(state: &State, call: &Call, parent: &Object) -> Result<Value, Refusal> {
    call.caller.needs("leads_retrieval")?;
    let (holder, ad) = match parent.kind {
        Kind::Ad => (parent.campaign.unwrap_or_default(), Some(parent.id.to_string())),
        _ => (parent.id, None),
    };
    let all = state.children(holder, Kind::Lead).rev().filter_map(|id| state.object(id));
    let own = all.filter(|lead| ad.as_ref().is_none_or(|ad| lead.text("ad_id") == ad) && is_readable(lead, call.now));
    let ids: Vec<u64> = own.map(|lead| lead.id).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

fn is_readable(lead: &Object, now: Timestamp) -> bool {
    now.duration_since(lead.created) <= SignedDuration::from_hours(24 * DAYS)
}

/// `GET /{lead}`: with the right to, and within 90 days.
pub(crate) fn read(state: &State, call: &Call, lead: &Object) -> Result<Value, Refusal> {
    call.caller.needs("leads_retrieval")?;
    if !is_readable(lead, call.now) {
        return Err(Refusal::missing("get", &lead.id.to_string()));
    }
    let fields = fields::of(&call.params)?;
    View::of(state, call).node(lead, fields.as_deref())
}

/// `DELETE /{lead}`: only test leads.
pub(crate) fn delete(state: &mut State, call: &Call, lead: &Object) -> Result<Value, Refusal> {
    call.caller.needs("leads_retrieval")?;
    if !lead.fields.contains_key("_test") {
        return Err(Refusal::missing("delete", &lead.id.to_string()));
    }
    let mut lead = lead.clone();
    lead.status = Status::Deleted;
    write::keep(state, lead);
    Ok(write::validated())
}

pub(crate) fn show_form(view: &View<'_>, form: &Object, name: &str) -> Option<Shown> {
    let leads = || view.state.children(form.id, Kind::Lead).filter_map(|id| view.state.object(id));
    Some(match name {
        "status" => Shown::text(form.status.word()),
        "created_time" => Shown::text(utc(form.created)),
        "page" => Shown::node(form.owner),
        "page_id" => form.owner.map_or(Shown::Absent, |page| Shown::text(page.to_string())),
        "leads_count" => Shown::Value(json!(leads().filter(|lead| is_readable(lead, view.now)).count())),
        "expired_leads_count" => Shown::Value(json!(leads().filter(|lead| !is_readable(lead, view.now)).count())),
        "organic_leads_count" => Shown::Value(json!(leads().filter(|lead| lead.text("ad_id").is_empty()).count())),
        "locale" if !form.fields.contains_key(name) => Shown::text("en_US"),
        _ => return None,
    })
}

pub(crate) fn show_lead(view: &View<'_>, lead: &Object, name: &str) -> Option<Shown> {
    let id = |id: Option<u64>| id.map_or(Shown::Absent, |id| Shown::text(id.to_string()));
    let named = |id: Option<u64>| match id.and_then(|id| view.state.object(id)) {
        Some(object) => Shown::text(object.name()),
        None => Shown::Absent,
    };
    Some(match name {
        "created_time" => Shown::text(utc(lead.created)),
        "is_organic" => Shown::Value(Value::Bool(lead.text("ad_id").is_empty())),
        "ad_name" => named(lead.text("ad_id").parse().ok()),
        "adset_id" => id(lead.ad_set),
        "adset_name" => named(lead.ad_set),
        "campaign_id" => id(lead.campaign),
        "campaign_name" => named(lead.campaign),
        _ => return None,
    })
}

/// What `POST /__sandbox/leads` says: a form, perhaps an ad, perhaps the answers as a map.
pub(crate) fn by_hand(state: &mut State, given: &Map<String, Value>, now: Timestamp) -> Result<Object, String> {
    let form = given.get("form_id").and_then(write::id_of).and_then(|id| state.of_kind(id, Kind::LeadForm)).cloned();
    let form = form.ok_or("form_id must be a lead form; GET /{page}/leadgen_forms lists them")?;
    let ad = given.get("ad_id").and_then(write::id_of);
    if given.contains_key("ad_id") && ad.and_then(|id| state.of_kind(id, Kind::Ad)).is_none() {
        return Err("ad_id must be an ad".to_owned());
    }
    let answers = given.get("answers").and_then(Value::as_object);
    let answers = answers
        .map(|map| map.iter().map(|(name, value)| json!({ "name": name, "values": [as_text(value)] })).collect());
    Ok(make(state, &form, ad, answers, now))
}
