//! Logins: the dialog, codes, tokens and their inspection.

mod deaths;
mod dialog;
pub(crate) mod page;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::params::Params;
use crate::state::{APP, APP_NAME, APP_SECRET, Change, Code, Grant, Holder, State, sealed};
use crate::token;

pub(crate) use deaths::{Death, happen, known};
pub(crate) use dialog::{Dialogue, dialog};

/// How long a person's token lives, also after an exchange.
const TOKEN_DAYS: i64 = 60;
/// How long data may be read after the last login.
const DATA_ACCESS_DAYS: i64 = 90;
/// A token is made younger at most this often.
const EXCHANGE_HOURS: i64 = 24;
/// How long a code of `oauth/client_code` may be used.
const CLIENT_CODE_MINUTES: i64 = 10;

/// `GET` or `POST /oauth/access_token`: a code, a token to be exchanged, or the app's own credentials.
pub(crate) fn access_token(state: &mut State, params: &Params, now: Timestamp) -> Result<Value, Refusal> {
    if params.has("code") && !params.has("client_secret") {
        return redeem_on_device(state, params, now);
    }
    client(params)?;
    match params.text("grant_type").as_deref() {
        Some("client_credentials") => {
            let token = format!("{APP}|{}", state.fresh_secret("app"));
            state.commit(Change::Token { digest: sealed(&token), grant: token::app_grant(now) });
            Ok(json!({ "access_token": token, "token_type": "bearer" }))
        }
        Some("fb_exchange_token") => {
            let old = params.required("fb_exchange_token")?;
            let mut grant = Grant::clone(&*token::grant(state, &old, now)?);
            // Meta, "System users: refresh an expiring token": required, and true.
            if grant.holder == Holder::SystemUser
                && grant.expires.is_some()
                && !params.boolean("set_token_expires_in_60_days")?
            {
                return Err(Refusal::required("set_token_expires_in_60_days"));
            }
            if grant.expires.is_some() && !is_young(&grant, now) {
                grant.expires = Some(after(now, SignedDuration::from_hours(24 * TOKEN_DAYS)));
                grant.issued = now;
            }
            Ok(issued(state, grant, now))
        }
        _ if params.has("code") => redeem(state, params, now),
        _ => Err(Refusal::required("code")),
    }
}

/// `GET /debug_token`: what a token is, also when it is dead.
pub(crate) fn debug_token(state: &State, caller: &Grant, params: &Params, now: Timestamp) -> Result<Value, Refusal> {
    if caller.app != APP {
        let message =
            "You must provide an app access token, or a user access token that is an owner or developer of the app";
        return Err(Refusal::invalid(message));
    }
    let input = params.required("input_token")?;
    let alive = token::grant(state, &input, now);
    let known = state.token(&sealed(&input)).cloned().or_else(|| alive.clone().ok());
    let mut data = Map::new();
    if let Some(grant) = known {
        data = described(state, &grant);
    }
    data.insert("is_valid".to_owned(), Value::Bool(alive.is_ok()));
    if let Err(refusal) = alive {
        let envelope = refusal.envelope("");
        let member = |name: &str| envelope.pointer(&format!("/error/{name}")).cloned().unwrap_or_default();
        let mut error = Map::new();
        error.insert("code".to_owned(), member("code"));
        error.insert("message".to_owned(), member("message"));
        if !member("error_subcode").is_null() {
            error.insert("subcode".to_owned(), member("error_subcode"));
        }
        data.insert("error".to_owned(), Value::Object(error));
        data.entry("scopes").or_insert_with(|| json!([]));
    }
    Ok(json!({ "data": data }))
}

/// `GET /oauth/revoke`: one token dies.
pub(crate) fn revoke(state: &mut State, params: &Params) -> Result<Value, Refusal> {
    client(params)?;
    let digest = sealed(&params.required("revoke_token")?);
    if let Some(mut grant) = state.token(&digest).map(|grant| Grant::clone(grant)) {
        grant.dead = Some(467);
        state.commit(Change::Token { digest, grant });
    }
    Ok(json!({ "success": true }))
}

/// Whether the token is long-lived and was made less than a day ago; an exchange then gives the same time again.
fn is_young(grant: &Grant, now: Timestamp) -> bool {
    let lives = grant.expires.map(|expires| expires.duration_since(grant.issued));
    let is_long = lives.is_some_and(|lives| lives > SignedDuration::from_hours(EXCHANGE_HOURS));
    is_long && now.duration_since(grant.issued) < SignedDuration::from_hours(EXCHANGE_HOURS)
}

/// `GET /oauth/client_code`: a code with which a device gets a token of its own for the same person.
pub(crate) fn client_code(state: &mut State, params: &Params, now: Timestamp) -> Result<Value, Refusal> {
    client(params)?;
    let grant = token::grant(state, &params.required("access_token")?, now)?;
    let code = format!("AQ{}", state.fresh_secret("client_code"));
    let given = Code {
        app: grant.app,
        redirect_uri: params.required("redirect_uri")?,
        person: grant.person,
        scopes: grant.scopes.clone(),
        declined: grant.declined.clone(),
        expires: after(now, SignedDuration::from_mins(CLIENT_CODE_MINUTES)),
        used: false,
    };
    state.commit(Change::Code { digest: sealed(&code), code: given });
    Ok(json!({ "code": code }))
}

/// A device has no app secret; it gets an id of its own with the token.
fn redeem_on_device(state: &mut State, params: &Params, now: Timestamp) -> Result<Value, Refusal> {
    let mut body = redeem(state, params, now)?;
    let machine = params.text("machine_id").unwrap_or_else(|| state.fresh_secret("machine"));
    if let Value::Object(map) = &mut body {
        map.insert("machine_id".to_owned(), json!(machine));
    }
    Ok(body)
}

fn client(params: &Params) -> Result<(), Refusal> {
    if params.required("client_id")? != APP.to_string() {
        return Err(Refusal::new(
            101,
            "Error validating application. Cannot get application info due to a system error.",
        ));
    }
    if params.text("client_secret").as_deref() != Some(APP_SECRET) {
        return Err(Refusal::new(1, "Error validating client secret."));
    }
    Ok(())
}

fn redeem(state: &mut State, params: &Params, now: Timestamp) -> Result<Value, Refusal> {
    let digest = sealed(&params.required("code")?);
    let Some(code) = state.code(&digest).cloned() else {
        return Err(Refusal::new(100, "Invalid verification code format.").subcode(36_009));
    };
    if code.used {
        return Err(Refusal::new(100, "This authorization code has been used.").subcode(36_009));
    }
    if code.expires <= now {
        return Err(Refusal::new(100, "This authorization code has expired.").subcode(36_007));
    }
    if params.text("redirect_uri").as_deref() != Some(code.redirect_uri.as_str()) {
        let message = "Error validating verification code. Please make sure your redirect_uri is identical to the one you \
                       used in the OAuth dialog request";
        return Err(Refusal::new(100, message).subcode(36_008));
    }
    state.commit(Change::CodeUsed { digest });
    let grant = Grant {
        app: code.app,
        holder: Holder::User,
        person: code.person,
        page: None,
        scopes: code.scopes,
        declined: code.declined,
        issued: now,
        logged_in: Some(now),
        expires: Some(after(now, SignedDuration::from_hours(24 * TOKEN_DAYS))),
        dead: None,
        dead_code: None,
    };
    Ok(issued(state, grant, now))
}

fn issued(state: &mut State, grant: Grant, now: Timestamp) -> Value {
    let expires_in = grant.expires.map(|at| at.duration_since(now).as_secs());
    let token = token_for(state, grant);
    let mut body = Map::new();
    body.insert("access_token".to_owned(), json!(token));
    body.insert("token_type".to_owned(), json!("bearer"));
    if let Some(seconds) = expires_in {
        body.insert("expires_in".to_owned(), json!(seconds));
    }
    Value::Object(body)
}

/// Makes a token for a grant, and keeps its digest.
fn token_for(state: &mut State, grant: Grant) -> String {
    let token = format!("EAA{}", state.fresh_secret("token"));
    state.commit(Change::Token { digest: sealed(&token), grant });
    token
}

fn described(state: &State, grant: &Grant) -> Map<String, Value> {
    let second = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_second);
    let data_access = grant.logged_in.map(|login| after(login, SignedDuration::from_hours(24 * DATA_ACCESS_DAYS)));
    let accounts: Vec<String> =
        crate::state::ACCOUNTS.iter().filter(|&&id| state.object(id).is_some()).map(u64::to_string).collect();
    let granular: Vec<Value> = grant
        .scopes
        .iter()
        .map(|scope| match scope.as_str() {
            "ads_management" | "ads_read" => json!({ "scope": scope, "target_ids": accounts }),
            _ => json!({ "scope": scope }),
        })
        .collect();
    let mut data = Map::from_iter([
        ("app_id".to_owned(), json!(grant.app.to_string())),
        ("type".to_owned(), json!(grant.holder.word())),
        ("application".to_owned(), json!(APP_NAME)),
        ("data_access_expires_at".to_owned(), json!(second(data_access))),
        ("expires_at".to_owned(), json!(second(grant.expires))),
        ("issued_at".to_owned(), json!(grant.issued.as_second())),
        ("scopes".to_owned(), json!(grant.scopes)),
        ("granular_scopes".to_owned(), Value::Array(granular)),
    ]);
    if grant.holder != Holder::App {
        data.insert("user_id".to_owned(), json!(grant.person.to_string()));
    }
    if let Some(page) = grant.page {
        data.insert("profile_id".to_owned(), json!(page.to_string()));
    }
    data
}

fn after(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}
