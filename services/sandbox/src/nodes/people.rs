//! People, pages, Instagram accounts and businesses, and what a token's holder sees of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::edge::Ids;
use crate::error::Refusal;
use crate::fields;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Change, Grant, Holder, Kind, Object, State, sealed};
use crate::webhooks::Notice;

pub(crate) const PERSON_FIELDS: &str = "email first_name id last_name name role";
pub(crate) const BUSINESS_FIELDS: &str =
    "created_time id link name primary_page timezone_id verification_status vertical";
pub(crate) const INSTAGRAM_FIELDS: &str = "followers_count id media_count name profile_picture_url username";
pub(crate) const PAGE_FIELDS: &str = "access_token category fan_count id instagram_business_account link name tasks";

/// `GET /me/{edge}`; `None` where people have no such edge.
pub(crate) fn edge(state: &mut State, call: &Call, edge: &str) -> Option<Result<Value, Refusal>> {
    let kind = match edge {
        "permissions" => return Some(Ok(permissions(&call.caller.grant))),
        "adaccounts" => Kind::AdAccount,
        "accounts" => Kind::Page,
        "businesses" => Kind::Business,
        "business_users" | "assigned_ad_accounts" => Kind::Person,
        _ => return None,
    };
    if kind == Kind::Page {
        for page in state.all(kind).collect::<Vec<_>>() {
            give_page_token(state, &call.caller.grant, &call.caller.token, page, call.now);
        }
    }
    Some(listed(state, call, Ids::All(kind)))
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
        "link" => Some(Shown::text(format!("https://www.facebook.com/{}", page.id))),
        _ => None,
    }
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
