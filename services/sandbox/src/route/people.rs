//! The nodes of people and their signals: audiences, datasets, pages, leads, businesses and catalogues. Each function answers `None` where the
//! node has no such edge.

use serde_json::{Value, json};

use super::Call;
use crate::error::Refusal;
use crate::nodes::audiences::{self, sharing, terms};
use crate::nodes::{
    businesses, catalogs, conversions, datasets, events, instagram, leads, members, people as holders, system_users,
};
use crate::state::{Kind, Object, State};

type Answer = Option<Result<Value, Refusal>>;

pub(super) fn get(state: &mut State, call: &Call, object: &Object, edge: &str) -> Answer {
    Some(match (object.kind, edge) {
        (Kind::AdAccount, "customaudiences") => audiences::list(state, call, object),
        (Kind::AdAccount, "customaudiencestos") => Ok(terms::list()),
        (Kind::AdAccount, "adspixels") => datasets::list(state, call, object),
        (Kind::Audience, "sessions") => Ok(members::sessions(state, call, object)),
        (Kind::Audience, "adaccounts") | (Kind::Dataset, "shared_accounts") => sharing::accounts(state, call, object),
        (Kind::Audience, "shared_account_info") => Ok(sharing::info(state, object)),
        (Kind::Audience, "ads") => audiences::ads(state, call, object),
        (Kind::Audience, "health") => Ok(json!({ "data": [] })),
        (Kind::Audience, "salts") => {
            Ok(json!({ "data": [{ "app_id": call.caller.grant.app.to_string(), "salts": [] }] }))
        }
        (Kind::Dataset, "stats") => datasets::stats::read(state, call, object),
        (Kind::Dataset, "da_checks") => Ok(datasets::checks(state, object)),
        (Kind::CustomConversion, "stats") => conversions::read_stats(state, call, object),
        (Kind::LeadForm | Kind::Ad, "leads") => leads::list(state, call, object),
        (Kind::LeadForm, "test_leads") => leads::list_tests(state, call, object),
        (Kind::Instagram, "insights") => instagram::account_insights(state, call, object),
        (Kind::Media, "insights") => instagram::media_insights(state, call, object),
        (Kind::Catalog, "check_batch_request_status") => catalogs::status(state, call, object),
        // What the caller sees of itself stands under its own id as well.
        (Kind::Person, "accounts" | "adaccounts" | "businesses" | "business_users")
            if object.id == call.caller.grant.person =>
        {
            return holders::edge(state, call, edge);
        }
        _ => return None,
    })
}

pub(super) fn post(state: &mut State, call: &Call, object: &Object, edge: &str) -> Answer {
    Some(match (object.kind, edge) {
        (Kind::AdAccount, "customaudiences") => audiences::create(state, call, object.id),
        (Kind::AdAccount, "customaudiencestos") => terms::accept(state, call, object),
        (Kind::AdAccount, "customconversions") => conversions::create(state, call, object.id),
        (Kind::AdAccount | Kind::Business, "adspixels") => datasets::create(state, call, object),
        (Kind::Audience, "users") => members::change(state, call, object),
        (Kind::Audience, "usersreplace") => members::replace(state, call, object),
        (Kind::Audience, "adaccounts") => sharing::change(state, call, object, true),
        (Kind::Dataset, "events") => events::receive(state, call, object),
        (Kind::Dataset, "shared_accounts") => datasets::share(state, call, object, true),
        (Kind::Page, "leadgen_forms") => leads::create_form(state, call, object),
        (Kind::Page, "page_backed_instagram_accounts") => instagram::back_by_page(state, call, object),
        (Kind::LeadForm, "test_leads") => leads::create_test(state, call, object),
        (Kind::Business, "adaccount") => businesses::open_account(state, call, object),
        (Kind::Business, "business_users") => businesses::invite(state, call, object),
        (Kind::Business, "system_users") => system_users::create(state, call, object),
        (Kind::Business, "system_user_access_tokens") => system_users::client_token(state, call, object),
        (Kind::Person, "applications") => system_users::install(state, call, object),
        (Kind::Person, "access_tokens") => system_users::make_token(state, call, object),
        (Kind::Business, "owned_product_catalogs") => catalogs::create(state, call, object),
        (Kind::Catalog, "product_sets") => catalogs::create_set(state, call, object),
        (Kind::Catalog, "products") => catalogs::create_product(state, call, object),
        (Kind::Catalog, "items_batch" | "batch") => catalogs::batch(state, call, object),
        _ => return None,
    })
}

pub(super) fn delete(state: &mut State, call: &Call, object: &Object, edge: &str) -> Answer {
    Some(match (object.kind, edge) {
        (Kind::AdAccount, "usersofanyaudience") => members::remove_everywhere(state, call, object),
        (Kind::Audience, "users") => members::change(state, call, object),
        (Kind::Audience, "adaccounts") => sharing::change(state, call, object, false),
        (Kind::Dataset, "shared_accounts") => datasets::share(state, call, object, false),
        (Kind::Person, "access_tokens") => system_users::take_back(state, call, object),
        _ => return None,
    })
}

/// Changes a node.
pub(super) fn update(state: &mut State, call: &Call, object: &Object) -> Answer {
    Some(match object.kind {
        Kind::Audience => audiences::update(state, call, object),
        Kind::Dataset => datasets::update(state, call, object),
        Kind::CustomConversion => conversions::update(state, call, object),
        Kind::LeadForm => leads::update_form(state, call, object),
        Kind::Catalog | Kind::ProductSet | Kind::Product => catalogs::update(state, call, object),
        _ => return None,
    })
}

/// Deletes a node.
pub(super) fn remove(state: &mut State, call: &Call, object: &Object) -> Answer {
    Some(match object.kind {
        Kind::Audience => audiences::delete(state, call, object),
        Kind::CustomConversion => conversions::delete(state, call, object),
        Kind::Lead => leads::delete(state, call, object),
        Kind::Catalog | Kind::ProductSet | Kind::Product => catalogs::delete(state, call, object),
        _ => return None,
    })
}
