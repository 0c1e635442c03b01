//! System users of a business, and the tokens that are made for them.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::businesses::{self, SYSTEM};
use super::write;
use crate::error::Refusal;
use crate::route::Call;
use crate::state::{APP, Change, Grant, Holder, Kind, Object, State, sealed};

const ROLES: &[&str] = &[
    "ADMIN",
    "ADS_RIGHTS_REVIEWER",
    "DEFAULT",
    "DEVELOPER",
    "EMPLOYEE",
    "FINANCE_ANALYST",
    "FINANCE_EDIT",
    "FINANCE_EDITOR",
    "FINANCE_VIEW",
    "MANAGE",
    "PARTNER_CENTER_ADMIN",
    "PARTNER_CENTER_ANALYST",
    "PARTNER_CENTER_EDUCATION",
    "PARTNER_CENTER_MARKETING",
    "PARTNER_CENTER_OPERATIONS",
];
/// Where a system user keeps the apps that are installed for it.
const APPS: &str = "_apps";
/// The life of a token that is made to expire.
const EXPIRES_DAYS: i64 = 60;
/// The subcode of 190 of a token that was taken back.
const TAKEN_BACK: i64 = 467;

/// `POST /{business}/system_users`: makes one, or renames the one that `system_user_id` names.
pub(crate) fn create(state: &mut State, call: &Call, business: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let role = call.params.text("role").unwrap_or_else(|| "EMPLOYEE".to_owned());
    if !ROLES.contains(&role.as_str()) {
        return Err(Refusal::invalid(format!("Param role must be one of {{{}}}", ROLES.join(", "))).blame(&["role"]));
    }
    let name = call.params.required("name")?;
    let mut user = match call.params.text("system_user_id") {
        Some(_) => of_business(state, call, business)?,
        None => {
            // The first one does not count: it is the business's own admin.
            let most = state.settings.system_users_max;
            if businesses::people(state, business.id, true).len() > most {
                let advice = format!("A business with this access has at most {} system users.", most + 1);
                return Err(
                    Refusal::new(3_965, "(#3965) Maximum of system users reached").shown("Limit Reached", advice)
                );
            }
            let mut user = Object::new(state.fresh_id(), Kind::Person, 0, call.now).with(json!({ SYSTEM: true }));
            user.owner = Some(business.id);
            user
        }
    };
    user.fields.insert("name".to_owned(), json!(name));
    user.fields.insert("role".to_owned(), json!(role));
    user.updated = call.now;
    let id = user.id;
    write::keep(state, user);
    Ok(json!({ "id": id.to_string() }))
}

/// `POST /{system-user}/applications`: installs the app, without which no token is made.
pub(crate) fn install(state: &mut State, call: &Call, user: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let app = app(call)?;
    let mut user = user.clone();
    let apps = user.fields.entry(APPS).or_insert_with(|| json!([]));
    if let Value::Array(apps) = apps
        && !apps.contains(&json!(app))
    {
        apps.push(json!(app));
    }
    write::keep(state, user);
    Ok(write::validated())
}

/// `POST /{system-user}/access_tokens`.
pub(crate) fn make_token(state: &mut State, call: &Call, user: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let app = app(call)?;
    let installed = user.fields.get(APPS).and_then(Value::as_array).is_some_and(|apps| apps.contains(&json!(app)));
    if !installed {
        let advice = format!("Install the app first: POST /{}/applications with business_app={app}.", user.id);
        return Err(
            Refusal::invalid("The app is not installed for this system user").shown("App Not Installed", advice)
        );
    }
    let scopes = scopes(call)?;
    let token = format!("EAAS{}", state.fresh_secret("system user token"));
    give(state, call, user.id, &token, scopes)?;
    Ok(json!({ "access_token": token, "token_type": "bearer" }))
}

/// `POST /{business}/system_user_access_tokens`: a token for a client's business, which stays the same for the same
/// system user and scopes, so that `fetch_only` finds it.
pub(crate) fn client_token(state: &mut State, call: &Call, business: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let user = match call.params.text("system_user_id") {
        Some(_) => of_business(state, call, business)?.id,
        None => businesses::people(state, business.id, true).last().copied().unwrap_or_default(),
    };
    let scopes = scopes(call)?;
    let words = scopes.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let token = format!("EAAC{}", sealed(&format!("{}:{user}:{}:{words}", state.seed, business.id)));
    let known = state.token(&sealed(&token)).is_some_and(|grant| grant.dead.is_none());
    if !known && call.params.boolean("fetch_only")? {
        return Err(Refusal::invalid("There is no token yet; call without fetch_only").blame(&["fetch_only"]));
    }
    if !known {
        give(state, call, user, &token, scopes)?;
    }
    Ok(json!({ "access_token": token }))
}

/// `DELETE /{system-user}/access_tokens`: takes all of them back.
pub(crate) fn take_back(state: &mut State, call: &Call, user: &Object) -> Result<Value, Refusal> {
    call.caller.needs("business_management")?;
    let all = state.tokens().filter(|(_, grant)| grant.person == user.id && grant.dead.is_none());
    let hit: Vec<(String, Grant)> = all.map(|(digest, grant)| (digest.clone(), grant.clone())).collect();
    for (digest, mut grant) in hit {
        grant.dead = Some(TAKEN_BACK);
        state.commit(Change::Token { digest, grant });
    }
    Ok(write::validated())
}

fn give(state: &mut State, call: &Call, user: u64, token: &str, scopes: BTreeSet<String>) -> Result<(), Refusal> {
    let expires = if call.params.boolean("set_token_expires_in_60_days")? {
        call.now.checked_add(SignedDuration::from_hours(24 * EXPIRES_DAYS)).ok()
    } else {
        None
    };
    let grant = Grant {
        app: APP,
        holder: Holder::SystemUser,
        person: user,
        page: None,
        scopes,
        declined: BTreeSet::new(),
        issued: call.now,
        logged_in: None,
        expires,
        dead: None,
        dead_code: None,
    };
    state.commit(Change::Token { digest: sealed(token), grant });
    Ok(())
}

fn app(call: &Call) -> Result<String, Refusal> {
    let app = call.params.required("business_app")?;
    if app == APP.to_string() {
        return Ok(app);
    }
    Err(Refusal::invalid("Param business_app must be an app of the business").blame(&["business_app"]))
}

/// What the token may do: at most what the caller may.
fn scopes(call: &Call) -> Result<BTreeSet<String>, Refusal> {
    let words = call.params.words("scope")?.filter(|words| !words.is_empty());
    let words: BTreeSet<String> = words.ok_or_else(|| Refusal::required("scope"))?.into_iter().collect();
    match words.iter().find(|word| !call.caller.grant.scopes.contains(*word)) {
        None => Ok(words),
        Some(word) => {
            Err(Refusal::invalid(format!("Param scope has {word}, which the app does not have")).blame(&["scope"]))
        }
    }
}

fn of_business(state: &State, call: &Call, business: &Object) -> Result<Object, Refusal> {
    let id = write::required_id(&call.params, "system_user_id")?;
    let user = state.of_kind(id, Kind::Person);
    let own = user.filter(|user| user.owner == Some(business.id) && user.fields.contains_key(SYSTEM));
    own.cloned().ok_or_else(|| {
        Refusal::invalid("Param system_user_id must be a system user of the business").blame(&["system_user_id"])
    })
}
