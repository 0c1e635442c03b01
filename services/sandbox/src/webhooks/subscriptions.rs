//! Who wants to be told what: the subscriptions of an app, and the accounts and pages it is installed on.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::nodes::write;
use crate::params::Params;
use crate::route::Call;
use crate::state::{Holder, Kind, Object, State};

/// The objects that can be subscribed to, and their fields (Meta, "Webhooks reference").
const OBJECTS: &[(&str, &[&str])] = &[
    (
        "ad_account",
        &[
            "ad_recommendations",
            "creative_fatigue",
            "effective_status",
            "in_process_ad_objects",
            "product_set_issue",
            "subscriptions",
            "with_issues_ad_objects",
        ],
    ),
    ("page", &["feed", "leadgen", "messages"]),
];

/// What a page may tell an app; the sandbox itself tells of leads only (Meta, "Page subscribed apps").
#[rustfmt::skip]
const PAGE_FIELDS: &[&str] = &[
    "affiliation", "attire", "awards", "bio", "birthday", "business_integrity", "call_permission_reply",
    "call_settings_update", "calls", "category", "checkins", "comment_poll_response", "company_overview",
    "conversations", "culinary_team", "current_location", "description", "email", "feature_access_list", "feed",
    "follow", "founded", "general_info", "general_manager", "group_feed", "hometown", "hours", "inbox_labels",
    "invalid_topic_placeholder", "invoice_access_bank_slip_events", "invoice_access_invoice_change",
    "invoice_access_invoice_draft_change", "invoice_access_onboarding_status_active", "leadgen", "leadgen_fat",
    "leadgen_update", "live_videos", "local_delivery", "location", "marketing_message_clicks",
    "marketing_message_deliveries", "marketing_message_delivery_failed", "marketing_message_echoes",
    "marketing_message_reads", "marketing_messages_subscriber_upload_status", "mcom_invoice_change", "members",
    "mention", "merchant_review", "message_context", "message_deliveries", "message_echoes", "message_edits",
    "message_mention", "message_reactions", "message_reads", "message_template_status_update", "messages",
    "messaging_account_linking", "messaging_appointments", "messaging_checkout_updates",
    "messaging_customer_information", "messaging_direct_sends", "messaging_fblogin_account_linking",
    "messaging_feedback", "messaging_game_plays", "messaging_handovers", "messaging_in_thread_lead_form_submit",
    "messaging_integrity", "messaging_optins", "messaging_optouts", "messaging_payments",
    "messaging_policy_enforcement", "messaging_postbacks", "messaging_pre_checkouts", "messaging_referrals",
    "mission", "name", "page_about_story", "page_change_proposal", "page_upcoming_change", "parking",
    "payment_options", "payment_request_update", "personal_info", "personal_interests", "phone", "picture",
    "price_range", "product_review", "products", "public_transit", "publisher_subscriptions", "ratings",
    "registration", "response_feedback", "send_cart", "standby", "story_poll_response", "story_share",
    "user_action", "video_text_question_responses", "videos", "website",
];

/// The private members of the app, and of accounts and pages, under which this is kept.
const SUBSCRIPTIONS: &str = "_subscriptions";
const APPS: &str = "_apps";

/// One app's wish to be told about one kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) object: String,
    pub(crate) callback_url: String,
    pub(crate) fields: Vec<String>,
    pub(crate) include_values: bool,
}

impl Subscription {
    /// Reads and checks the parameters of `POST /{app}/subscriptions`.
    pub(super) fn read(params: &Params) -> Result<Self, Refusal> {
        let object = params.required("object")?;
        let Some((_, known)) = OBJECTS.iter().find(|(name, _)| *name == object) else {
            let names: Vec<&str> = OBJECTS.iter().map(|(name, _)| *name).collect();
            return Err(Refusal::invalid(format!("Param object must be one of {{{}}}", names.join(", "))));
        };
        let callback_url = params.required("callback_url")?;
        let fields = params.words("fields")?.unwrap_or_default();
        if fields.is_empty() {
            return Err(Refusal::required("fields"));
        }
        if let Some(unknown) = fields.iter().find(|field| !known.contains(&field.as_str())) {
            return Err(Refusal::invalid(format!("Param fields: {unknown} is none of {{{}}}", known.join(", "))));
        }
        Ok(Self { object, callback_url, fields, include_values: params.boolean("include_values")? })
    }
}

/// The subscriptions of an app.
pub(super) fn of(app: &Object) -> Vec<Subscription> {
    let kept = app.fields.get(SUBSCRIPTIONS).cloned().unwrap_or_default();
    serde_json::from_value(kept).unwrap_or_default()
}

/// Whether anybody is to be told anything.
pub(crate) fn is_wanted(state: &State) -> bool {
    state.apps().any(|app| app.fields.contains_key(SUBSCRIPTIONS))
}

/// Fails unless the call carries a token of this app itself.
pub(super) fn by_app(call_app: u64, holder: Holder, app: u64) -> Result<(), Refusal> {
    if holder == Holder::App && call_app == app {
        return Ok(());
    }
    Err(Refusal::new(15, "(#15) This method must be called with an app access_token."))
}

/// `GET /{app}/subscriptions`.
pub(crate) fn list(call: &Call, app: &Object) -> Result<Value, Refusal> {
    by_app(call.caller.grant.app, call.caller.grant.holder, app.id)?;
    let rows: Vec<Value> = of(app)
        .into_iter()
        .map(|it| {
            let fields: Vec<Value> =
                it.fields.iter().map(|name| json!({ "name": name, "version": call.version.word() })).collect();
            json!({ "object": it.object, "callback_url": it.callback_url, "active": true, "fields": fields })
        })
        .collect();
    Ok(json!({ "data": rows }))
}

/// `POST /{app}/subscriptions`, after the handshake. A second one of the same object takes the place of the first.
pub(crate) fn subscribe(state: &mut State, call: &Call, app: &Object) -> Result<Value, Refusal> {
    by_app(call.caller.grant.app, call.caller.grant.holder, app.id)?;
    let wanted = Subscription::read(&call.params)?;
    let mut all: Vec<Subscription> = of(app).into_iter().filter(|it| it.object != wanted.object).collect();
    all.push(wanted);
    Ok(kept(state, app, &all))
}

/// `DELETE /{app}/subscriptions[?object=]`.
pub(crate) fn unsubscribe(state: &mut State, call: &Call, app: &Object) -> Result<Value, Refusal> {
    by_app(call.caller.grant.app, call.caller.grant.holder, app.id)?;
    let object = call.params.text("object");
    let left: Vec<Subscription> =
        of(app).into_iter().filter(|it| object.as_ref().is_some_and(|object| *object != it.object)).collect();
    Ok(kept(state, app, &left))
}

fn kept(state: &mut State, app: &Object, all: &[Subscription]) -> Value {
    let mut app = app.clone();
    if all.is_empty() {
        app.fields.remove(SUBSCRIPTIONS);
    } else {
        app.fields.insert(SUBSCRIPTIONS.to_owned(), json!(all));
    }
    write::keep(state, app);
    json!({ "success": true })
}

/// An app that an account or a page tells. A page also says which fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Installed {
    app: u64,
    #[serde(default)]
    fields: Vec<String>,
}

fn installed(object: &Object) -> Vec<Installed> {
    let kept = object.fields.get(APPS).cloned().unwrap_or_default();
    serde_json::from_value(kept).unwrap_or_default()
}

/// Whether an account or page tells that app about the field.
pub(super) fn tells(object: &Object, app: u64, field: &str) -> bool {
    installed(object).iter().any(|it| it.app == app && (it.fields.is_empty() || it.fields.iter().any(|f| f == field)))
}

/// `GET /act_X/subscribed_apps`.
pub(crate) fn list_apps(state: &State, account: &Object) -> Value {
    let rows: Vec<Value> = installed(account)
        .iter()
        .map(|it| json!({ "app_id": it.app.to_string(), "app_name": name(state, it.app) }))
        .collect();
    json!({ "data": rows })
}

/// `GET /{page}/subscribed_apps`.
pub(crate) fn list_page_apps(state: &State, page: &Object) -> Value {
    let rows: Vec<Value> = installed(page)
        .iter()
        .map(|it| json!({ "id": it.app.to_string(), "name": name(state, it.app), "subscribed_fields": it.fields }))
        .collect();
    json!({ "data": rows })
}

fn name(state: &State, app: u64) -> String {
    state.of_kind(app, Kind::App).map(|app| app.name().to_owned()).unwrap_or_default()
}

/// `POST /act_X/subscribed_apps`: the caller's app, or the one of `app_id`.
pub(crate) fn subscribe_account(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let app = asked_app(state, call)?;
    Ok(install(state, account, Installed { app, fields: Vec::new() }))
}

/// `POST /{page}/subscribed_apps`, with the page's own token.
pub(crate) fn subscribe_page(state: &mut State, call: &Call, page: &Object) -> Result<Value, Refusal> {
    by_page(call, page)?;
    let fields = call.params.words("subscribed_fields")?.unwrap_or_default();
    if fields.is_empty() {
        return Err(Refusal::required("subscribed_fields"));
    }
    if let Some((at, _)) = fields.iter().enumerate().find(|(_, field)| !PAGE_FIELDS.contains(&field.as_str())) {
        let message = format!("Param subscribed_fields[{at}] must be one of {{{}}}", PAGE_FIELDS.join(", "));
        return Err(Refusal::invalid(message).blame(&["subscribed_fields"]));
    }
    let app = call.caller.grant.app;
    Ok(install(state, page, Installed { app, fields }))
}

/// `DELETE /act_X/subscribed_apps` and `DELETE /{page}/subscribed_apps`.
pub(crate) fn unsubscribe_app(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    if object.kind == Kind::Page {
        by_page(call, object)?;
    } else {
        call.caller.may_write()?;
    }
    let app = asked_app(state, call)?;
    let left: Vec<Installed> = installed(object).into_iter().filter(|it| it.app != app).collect();
    Ok(keep_apps(state, object, &left))
}

fn by_page(call: &Call, page: &Object) -> Result<(), Refusal> {
    if call.caller.grant.holder == Holder::Page && call.caller.grant.page == Some(page.id) {
        return Ok(());
    }
    Err(Refusal::new(210, "(#210) A page access token is required to request this resource."))
}

fn asked_app(state: &State, call: &Call) -> Result<u64, Refusal> {
    let Some(given) = call.params.text("app_id") else { return Ok(call.caller.grant.app) };
    let known = given.parse().ok().and_then(|id| state.of_kind(id, Kind::App));
    known.map(|app| app.id).ok_or_else(|| Refusal::invalid("Param app_id must be the id of an app"))
}

fn install(state: &mut State, object: &Object, new: Installed) -> Value {
    let mut all: Vec<Installed> = installed(object).into_iter().filter(|it| it.app != new.app).collect();
    all.push(new);
    keep_apps(state, object, &all)
}

fn keep_apps(state: &mut State, object: &Object, all: &[Installed]) -> Value {
    let mut object = object.clone();
    object.fields.insert(APPS.to_owned(), json!(all));
    write::keep(state, object);
    json!({ "success": true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_names_a_known_object_and_its_fields() {
        let read = |form: &str| Subscription::read(&Params::from_form(form)).map_err(|refusal| refusal.code());
        let good = read("object=ad_account&callback_url=http://127.0.0.1:1/&fields=effective_status").unwrap();
        assert!(!good.include_values);
        for bad in [
            "callback_url=http://h/&fields=effective_status",
            "object=moon&callback_url=http://h/&fields=x",
            "object=page&callback_url=http://h/&fields=effective_status",
            "object=page&callback_url=http://h/",
        ] {
            assert_eq!(read(bad), Err(100), "{bad}");
        }
    }

    #[test]
    fn a_page_tells_an_app_only_what_was_asked_for() {
        let mut page = Object::new(1, Kind::Page, 0, jiff::Timestamp::UNIX_EPOCH);
        page.fields.insert(APPS.to_owned(), json!([{ "app": 5, "fields": ["leadgen"] }]));
        assert!(tells(&page, 5, "leadgen"));
        assert!(!tells(&page, 5, "feed"));
        assert!(!tells(&page, 6, "leadgen"));
    }
}
