//! People, pages, Instagram accounts and businesses, and what a token's holder sees of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::businesses::SYSTEM;
use super::roles;
use crate::edge::Ids;
use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::render::{Shown, View};
use crate::route::{Call, Verb};
use crate::state::{Change, Grant, Holder, Kind, Object, State, sealed};
use crate::webhooks::Notice;

pub(crate) const PERSON_FIELDS: &str = "business created_by created_time email finance_permission first_name id \
    invited_user_type ip_permission last_name marked_for_removal name pending_email role system_user_id tasks title \
    two_fac_status";
pub(crate) const PAGE_FIELDS: &str = "about access_token business category category_list connected_instagram_account \
    connected_page_backed_instagram_account description emails fan_count followers_count has_lead_access id \
    instagram_business_account is_owned is_published is_webhooks_subscribed leadgen_tos_accepted link location name \
    overall_star_rating owner_business phone promotion_eligible rating_count tasks talking_about_count username \
    verification_status website";

/// What a page of `me/accounts` shows where no fields are named.
const OWN_PAGE: &[&str] = &["access_token", "category", "category_list", "name", "id", "tasks"];
/// Each of these lets its holder see which ad accounts there are.
const ACCOUNTS: &[&str] = &["ads_read", "ads_management", "business_management"];

/// `GET /me/{edge}`; `None` where people have no such edge.
pub(crate) fn edge(state: &mut State, call: &Call, edge: &str) -> Option<Result<Value, Refusal>> {
    let (kind, scopes) = match edge {
        "permissions" => return Some(permissions(state, call, call.caller.grant.person, None)),
        "adaccounts" | "assigned_ad_accounts" => (Kind::AdAccount, ACCOUNTS),
        "accounts" | "assigned_pages" => (Kind::Page, ["pages_show_list"].as_slice()),
        "businesses" => (Kind::Business, ["business_management"].as_slice()),
        "business_users" => (Kind::Person, ["business_management"].as_slice()),
        _ => return None,
    };
    if let Err(refusal) = needs_one(call, scopes) {
        return Some(Err(refusal));
    }
    if kind == Kind::Page {
        for page in state.all(kind).collect::<Vec<_>>() {
            give_page_token(state, &call.caller.grant, &call.caller.token, page, call.now);
        }
    }
    let person = call.caller.grant.person;
    let is_own = |id: &u64| {
        state.object(*id).is_some_and(|object| match kind {
            Kind::AdAccount => roles::reaches(state, object, person),
            // People of the business, not its system users, of which nobody logs in.
            Kind::Person => !object.fields.contains_key(SYSTEM),
            _ => true,
        })
    };
    let all = state.all(kind).all(|id| is_own(&id));
    let ids = if all { Ids::All(kind) } else { Ids::Listed(state.all(kind).filter(is_own).collect()) };
    Some(listed(state, call, ids, kind))
}

/// Fails where the caller may not see what a business has.
pub(crate) fn may_list(call: &Call, kind: Kind, edge: &str) -> Result<(), Refusal> {
    match (call.verb, kind, edge) {
        (Verb::Get, Kind::Business, "owned_ad_accounts" | "client_ad_accounts") => needs_one(call, ACCOUNTS),
        (Verb::Get, Kind::Business, "system_users" | "business_users") => call.caller.needs("business_management"),
        _ => Ok(()),
    }
}

/// Fails where the token has none of the permissions.
fn needs_one(call: &Call, scopes: &[&str]) -> Result<(), Refusal> {
    let refusals = scopes.iter().map(|scope| call.caller.needs(scope));
    refusals.reduce(Result::or).unwrap_or(Ok(()))
}

fn listed(state: &State, call: &Call, ids: Ids, kind: Kind) -> Result<Value, Refusal> {
    let usual = || OWN_PAGE.iter().map(|name| Field::plain(name)).collect();
    let fields = fields::of(&call.params)?.or_else(|| (kind == Kind::Page).then(usual));
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

pub(crate) fn show_page(view: &View<'_>, page: &Object, name: &str) -> Option<Shown> {
    match name {
        "access_token" => Some(Shown::text(page_token(view.state, view.token, page.id))),
        "instagram_business_account" => {
            let instagram = page.owner.and_then(|owner| view.state.children(owner, Kind::Instagram).next());
            Some(Shown::node(instagram))
        }
        "connected_page_backed_instagram_account" => {
            Some(Shown::node(view.state.children(page.id, Kind::Instagram).next()))
        }
        "connected_instagram_account" => show_page(view, page, "instagram_business_account"),
        "business" | "owner_business" => Some(Shown::node(page.owner)),
        "link" => Some(Shown::text(format!("https://www.facebook.com/{}", page.id))),
        "fan_count" | "followers_count" if !page.fields.contains_key(name) => Some(Shown::Value(json!(4_210))),
        "is_published" | "promotion_eligible" | "has_lead_access" | "leadgen_tos_accepted" | "is_owned" => {
            Some(Shown::Value(Value::Bool(true)))
        }
        _ => None,
    }
}

pub(crate) fn show_person(person: &Object, name: &str) -> Option<Shown> {
    let part = |at: usize| match person.name().split(' ').nth(at) {
        Some(part) => Shown::text(part),
        None => Shown::Absent,
    };
    Some(match name {
        "business" => Shown::node(person.owner),
        "first_name" => part(0),
        "last_name" => part(1),
        "role" if !person.fields.contains_key(name) => Shown::text("ADMIN"),
        "created_time" => Shown::text(super::businesses::utc(person.created)),
        _ => return None,
    })
}

/// `/{person}/permissions[/{permission}]`: read, or taken away. People see and give up their own; the app those of all
/// who use it.
pub(crate) fn permissions(
    state: &mut State,
    call: &Call,
    person: u64,
    permission: Option<&str>,
) -> Result<Value, Refusal> {
    let caller = &call.caller.grant;
    if caller.holder == Holder::App && caller.person == person {
        let message = "An active access token must be used to query information about the current user.";
        return Err(Refusal::new(2500, message));
    }
    if caller.holder != Holder::App && caller.person != person {
        return Err(Refusal::missing(call.verb.word(), &person.to_string()));
    }
    match (call.verb, permission) {
        (Verb::Get, None) if caller.person == person => Ok(granted(caller)),
        (Verb::Get, None) => Ok(newest(state, caller.app, person).map_or_else(|| json!({ "data": [] }), granted)),
        (Verb::Delete, _) => Ok(revoke(state, caller.app, person, permission)),
        _ => Err(Refusal::missing(call.verb.word(), &person.to_string())),
    }
}

/// Takes one permission of a person back, or all, which kills the person's tokens with 190/458.
fn revoke(state: &mut State, app: u64, person: u64, permission: Option<&str>) -> Value {
    let of_person = state.tokens().filter(|(_, grant)| grant.person == person && grant.app == app);
    let hit: Vec<(String, Grant)> = of_person.map(|(digest, grant)| (digest.clone(), grant.clone())).collect();
    for (digest, mut grant) in hit {
        match permission {
            Some(permission) => {
                if grant.scopes.remove(permission) {
                    grant.declined.insert(permission.to_owned());
                }
            }
            None => grant.dead = Some(458),
        }
        state.commit(Change::Token { digest, grant });
    }
    if permission.is_none() {
        state.notice(Notice::Deauthorized { app, person });
    }
    json!({ "success": true })
}

/// The last grant that the person gave the app and that lives.
fn newest(state: &State, app: u64, person: u64) -> Option<&Grant> {
    let own = |grant: &&Grant| grant.person == person && grant.app == app && grant.dead.is_none();
    state.tokens().map(|(_, grant)| grant).filter(own).max_by_key(|grant| grant.issued)
}

fn granted(grant: &Grant) -> Value {
    let row = |permission: &String, status: &str| json!({ "permission": permission, "status": status });
    let granted = grant.scopes.iter().map(|scope| row(scope, "granted"));
    let declined = grant.declined.iter().map(|scope| row(scope, "declined"));
    json!({ "data": granted.chain(declined).collect::<Vec<_>>() })
}

/// The token of a page follows from the person's token, so that it need not be kept to be shown again.
fn page_token(state: &State, token: &str, page: u64) -> String {
    format!("EAAP{}", sealed(&format!("{}:{page}:{token}", state.seed)))
}

fn give_page_token(state: &mut State, grant: &Grant, token: &str, page: u64, now: Timestamp) {
    let digest = sealed(&page_token(state, token, page));
    if state.token(&digest).is_none() {
        let grant = Grant { holder: Holder::Page, page: Some(page), issued: now, expires: None, ..grant.clone() };
        state.commit(Change::Token { digest, grant });
    }
}
