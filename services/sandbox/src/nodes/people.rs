//! People, pages, Instagram accounts and businesses, and what a token's holder sees of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::businesses::SYSTEM;
use crate::edge::Ids;
use crate::error::Refusal;
use crate::fields;
use crate::render::{Shown, View};
use crate::route::Call;
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

/// `GET /me/{edge}`; `None` where people have no such edge.
pub(crate) fn edge(state: &mut State, call: &Call, edge: &str) -> Option<Result<Value, Refusal>> {
    let kind = match edge {
        "permissions" => return Some(Ok(permissions(&call.caller.grant))),
        "adaccounts" | "assigned_ad_accounts" => Kind::AdAccount,
        "accounts" | "assigned_pages" => Kind::Page,
        "businesses" => Kind::Business,
        "business_users" => Kind::Person,
        _ => return None,
    };
    if kind == Kind::Page {
        for page in state.all(kind).collect::<Vec<_>>() {
            give_page_token(state, &call.caller.grant, &call.caller.token, page, call.now);
        }
    }
    let ids = if kind == Kind::Person {
        // People of the business, not its system users, of which nobody logs in.
        let own = |id: &u64| state.object(*id).is_some_and(|person| !person.fields.contains_key(SYSTEM));
        Ids::Listed(state.all(kind).filter(own).collect())
    } else {
        Ids::All(kind)
    };
    Some(listed(state, call, ids))
}

fn listed(state: &State, call: &Call, ids: Ids) -> Result<Value, Refusal> {
    let fields = fields::of(&call.params)?;
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

/// `DELETE /{person}/permissions[/{permission}]`: one, or all, which kills the person's tokens with 190/458.
pub(crate) fn revoke(state: &mut State, call: &Call, permission: Option<&str>) -> Value {
    let person = call.caller.grant.person;
    let hit: Vec<(String, Grant)> = state
        .tokens()
        .filter(|(_, grant)| grant.person == person && grant.app == call.caller.grant.app)
        .map(|(digest, grant)| (digest.clone(), grant.clone()))
        .collect();
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
        state.notice(Notice::Deauthorized { app: call.caller.grant.app, person });
    }
    json!({ "success": true })
}

fn permissions(grant: &Grant) -> Value {
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
