//! The login dialog: what a person decides there, and the way back to the app.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{DATA_ACCESS_DAYS, after, token_for};
use crate::params::Params;
use crate::state::{APP, Change, Code, Dialog, Grant, Holder, SCOPES, State, USER, sealed};

/// How long a login code may be used.
const CODE_MINUTES: i64 = 10;
/// How long a token lives that comes straight out of the dialog.
const SHORT_TOKEN_HOURS: i64 = 2;

/// Permissions that can be granted, and open nothing here (Meta, "Permissions reference").
const OTHER_SCOPES: &[&str] = &[
    "attribution_read",
    "email",
    "instagram_branded_content_ads_brand",
    "instagram_branded_content_brand",
    "instagram_branded_content_creator",
    "instagram_content_publish",
    "instagram_manage_comments",
    "instagram_manage_events",
    "instagram_manage_messages",
    "instagram_shopping_tag_products",
    "manage_app_solution",
    "pages_manage_cta",
    "pages_manage_engagement",
    "pages_manage_instant_articles",
    "pages_manage_posts",
    "pages_messaging",
    "pages_read_user_content",
    "pages_user_gender",
    "pages_user_locale",
    "pages_user_timezone",
    "publish_video",
    "read_insights",
    "user_age_range",
    "user_birthday",
    "user_friends",
    "user_gender",
    "user_hometown",
    "user_likes",
    "user_link",
    "user_location",
    "user_photos",
    "user_posts",
    "user_videos",
    "whatsapp_business_management",
    "whatsapp_business_messaging",
];

/// What the dialog answers.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// Back to the app.
    Redirect(String),
    /// Something is wrong; in plain words.
    Refused(String),
    /// The person is asked.
    Question(Question),
}

/// What the person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The scopes that the app asks for.
    pub(crate) scopes: Vec<String>,
    /// The parameters of the dialog, to be sent again with the decision.
    pub(crate) hidden: Vec<(String, String)>,
}

enum Decision {
    Granted { scopes: BTreeSet<String>, declined: BTreeSet<String> },
    Denied,
}

/// `GET /dialog/oauth`. The settings say whether the person grants at once, denies, or is asked by a page; its buttons,
/// and programs that play the person, decide with `sandbox_decision=grant` or `deny` and one `sandbox_scope[]` for each
/// scope that is granted (default: all).
pub(crate) fn dialog(state: &mut State, params: &Params, now: Timestamp) -> Dialogue {
    let text = |name: &str| params.text(name).unwrap_or_default();
    if text("client_id") != APP.to_string() {
        return Dialogue::Refused("Invalid App ID: the provided app ID does not look like a valid app ID.".to_owned());
    }
    let Ok(address) = url::Url::parse(&text("redirect_uri")) else {
        return Dialogue::Refused("Invalid redirect_uri: it must be an absolute address.".to_owned());
    };
    if !matches!(address.scheme(), "http" | "https") {
        return Dialogue::Refused("Invalid redirect_uri: it must begin with https:// or http://.".to_owned());
    }
    let asked = scopes(params);
    if let Some(unknown) = asked.iter().find(|scope| !is_scope(scope)) {
        return Dialogue::Refused(format!("Invalid Scopes: {unknown}. Ask for permissions that there are."));
    }
    let decision = match (text("sandbox_decision").as_str(), state.settings.dialog) {
        ("deny", _) | ("", Dialog::Deny) => Decision::Denied,
        ("", Dialog::Ask) => return Dialogue::Question(question(params, asked)),
        _ => granted(state, params, asked),
    };
    Dialogue::Redirect(match decision {
        Decision::Denied => denied(address, params),
        Decision::Granted { scopes, declined } => back(state, address, params, scopes, declined, now),
    })
}

/// Whether Meta knows the permission; most are about what a sandbox of ads does not have.
fn is_scope(scope: &str) -> bool {
    SCOPES.contains(&scope) || OTHER_SCOPES.contains(&scope)
}

/// A configuration of Facebook Login for Business stands for scopes of its own; here for all that there are.
fn scopes(params: &Params) -> Vec<String> {
    if params.has("config_id") {
        return SCOPES.iter().map(|&scope| scope.to_owned()).collect();
    }
    let text = params.text("scope").unwrap_or_default();
    let mut scopes: Vec<String> = text.split([',', ' ']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    if !scopes.iter().any(|scope| scope == "public_profile") {
        scopes.push("public_profile".to_owned());
    }
    scopes
}

fn question(params: &Params, scopes: Vec<String>) -> Question {
    let kept = |name: &str| !name.starts_with("sandbox_");
    let hidden = params.iter().filter(|(name, _)| kept(name));
    Question { scopes, hidden: hidden.map(|(name, value)| (name.clone(), crate::params::as_text(value))).collect() }
}

fn granted(state: &State, params: &Params, asked: Vec<String>) -> Decision {
    let ticked = params.words("sandbox_scope").ok().flatten();
    let refused = |scope: &String| {
        let is_ticked = ticked.as_ref().is_none_or(|ticked| ticked.contains(scope) || scope == "public_profile");
        !is_ticked || state.settings.declined_scopes.contains(scope)
    };
    let (declined, scopes) = asked.into_iter().partition(refused);
    Decision::Granted { scopes, declined }
}

fn denied(mut address: url::Url, params: &Params) -> String {
    address
        .query_pairs_mut()
        .append_pair("error", "access_denied")
        .append_pair("error_code", "200")
        .append_pair("error_description", "Permissions error")
        .append_pair("error_reason", "user_denied");
    with_state(&mut address, params);
    address.into()
}

/// The way back: with a code, or with a short-lived token behind the `#` where `response_type=token` asks for it.
fn back(
    state: &mut State,
    mut address: url::Url,
    params: &Params,
    scopes: BTreeSet<String>,
    declined: BTreeSet<String>,
    now: Timestamp,
) -> String {
    let wanted = params.words("response_type").ok().flatten().unwrap_or_default();
    let wants = |word: &str| wanted.iter().any(|given| given == word);
    let granted = scopes.iter().cloned().collect::<Vec<_>>().join(",");
    if wants("token") {
        let expires = after(now, SignedDuration::from_hours(SHORT_TOKEN_HOURS));
        let grant = Grant {
            app: APP,
            holder: Holder::User,
            person: USER,
            page: None,
            scopes,
            declined,
            issued: now,
            logged_in: Some(now),
            expires: Some(expires),
            dead: None,
            dead_code: None,
        };
        let token = token_for(state, grant);
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("access_token", &token);
        pairs.append_pair("expires_in", &(SHORT_TOKEN_HOURS * 3_600).to_string());
        let data_access = after(now, SignedDuration::from_hours(24 * DATA_ACCESS_DAYS));
        pairs.append_pair("data_access_expiration_time", &data_access.as_second().to_string());
        if let Some(given) = params.text("state") {
            pairs.append_pair("state", &given);
        }
        address.set_fragment(Some(&pairs.finish()));
        return address.into();
    }
    let code = format!("AQ{}", state.fresh_secret("code"));
    let redirect_uri = params.text("redirect_uri").unwrap_or_default();
    let expires = after(now, SignedDuration::from_mins(CODE_MINUTES));
    let given = Code { app: APP, redirect_uri, person: USER, scopes, declined, expires, used: false };
    state.commit(Change::Code { digest: sealed(&code), code: given });
    address.query_pairs_mut().append_pair("code", &code);
    if wants("granted_scopes") {
        address.query_pairs_mut().append_pair("granted_scopes", &granted);
    }
    with_state(&mut address, params);
    address.into()
}

fn with_state(address: &mut url::Url, params: &Params) {
    if let Some(given) = params.text("state") {
        address.query_pairs_mut().append_pair("state", &given);
    }
}
