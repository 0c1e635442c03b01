//! What a call is counted under, by its path.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::Value;

use super::{Call, Verb, node};
use crate::fields::{self, Field};
use crate::params::Params;
use crate::state::{Holder, Kind, Object, State};
use crate::token::Caller;
use crate::usage::{Bucket, Charge, UseCase};

/// From how long ago on reach with breakdowns is counted for itself (Meta, "Insights API: limits").
const REACH_MONTHS: i32 = 13;

/// What the call is counted under. One of several ids counts once for each.
pub(crate) fn charge(state: &State, call: &Call) -> Charge {
    let first = call.path.first().map(String::as_str).unwrap_or_default();
    let edge = call.path.get(1).map(String::as_str).unwrap_or_default();
    if matches!(first, "oauth" | "dialog") || matches!(edge, "events" | "instruments") {
        return Charge::default();
    }
    let mut buckets = match first {
        "" => {
            let ids = call.params.words("ids").ok().flatten().unwrap_or_default();
            ids.iter().flat_map(|id| of_node(state, call, id, "")).collect()
        }
        name => of_node(state, call, name, edge),
    };
    if !buckets.is_empty() {
        buckets.push(Bucket::Burst);
    }
    Charge { buckets, writes: call.verb != Verb::Get }
}

fn of_node(state: &State, call: &Call, name: &str, edge: &str) -> Vec<Bucket> {
    let Some(object) = node(state, name) else { return platform(&call.caller) };
    match object.kind {
        Kind::Page => page(&call.caller, object.id, edge),
        Kind::LeadForm => leads(&call.caller, object.owner),
        Kind::Lead => leads(&call.caller, object.owner.and_then(|form| state.object(form)).and_then(|form| form.owner)),
        Kind::Ad if edge == "leads" => leads(&call.caller, promoted_page(state, object)),
        Kind::Instagram => vec![Bucket::UseCase(UseCase::Instagram, object.id)],
        Kind::Media => match object.owner {
            Some(owner) => vec![Bucket::UseCase(UseCase::Instagram, owner)],
            None => platform(&call.caller),
        },
        Kind::Catalog => vec![Bucket::UseCase(catalog(edge), object.id)],
        Kind::ProductSet | Kind::Product => match object.owner {
            Some(owner) => vec![Bucket::UseCase(UseCase::CatalogManagement, owner)],
            None => platform(&call.caller),
        },
        _ if object.account != 0 => of_account(state, call, object, edge),
        _ => platform(&call.caller),
    }
}

fn of_account(state: &State, call: &Call, object: &Object, edge: &str) -> Vec<Bucket> {
    let account = object.account;
    if object.kind == Kind::Run || edge == "insights" {
        let mut buckets =
            vec![Bucket::UseCase(UseCase::AdsInsights, account), Bucket::InsightsAccount(account), Bucket::InsightsApp];
        let today = crate::state::day(state, account, call.now);
        if is_far_reach(&call.params, today) {
            buckets.push(Bucket::InsightsReach(account));
        }
        return buckets;
    }
    let of_audience =
        matches!(edge, "customaudiences" | "saved_audiences" | "usersofanyaudience" | "customaudiencestos");
    if of_audience || matches!(object.kind, Kind::Audience | Kind::SavedAudience) {
        return vec![Bucket::UseCase(UseCase::CustomAudience, account)];
    }
    let mut buckets = vec![Bucket::UseCase(UseCase::AdsManagement, account)];
    if call.verb == Verb::Get && has_insights(fields::of(&call.params).ok().flatten().as_deref()) {
        buckets.extend([Bucket::InsightsAccount(account), Bucket::InsightsApp]);
    }
    let creates = object.kind == Kind::AdAccount && matches!(edge, "campaigns" | "adsets" | "ads");
    let updates = matches!(object.kind, Kind::Campaign | Kind::AdSet | Kind::Ad) && edge.is_empty();
    if call.verb == Verb::Post && (creates || updates) {
        buckets.push(Bucket::Mutations(account));
    }
    buckets
}

/// The platform's limits: the app's, and for a person's token that person's.
fn platform(caller: &Caller) -> Vec<Bucket> {
    let mut buckets = vec![Bucket::App];
    if caller.grant.holder == Holder::User {
        buckets.push(Bucket::User(caller.grant.person));
    }
    buckets
}

/// A page has use cases for its own tokens and those of system users; a person's token falls under the page's platform
/// limit (Meta, "Rate limits": pages).
fn page(caller: &Caller, id: u64, edge: &str) -> Vec<Bucket> {
    let use_case = match edge {
        "leadgen_forms" => return leads(caller, Some(id)),
        "conversations" | "messages" | "messenger_profile" => UseCase::Messenger,
        _ => UseCase::Pages,
    };
    if matches!(caller.grant.holder, Holder::Page | Holder::SystemUser) {
        return vec![Bucket::UseCase(use_case, id)];
    }
    let mut buckets = platform(caller);
    buckets.push(Bucket::Page(id));
    buckets
}

fn leads(caller: &Caller, page: Option<u64>) -> Vec<Bucket> {
    page.map_or_else(|| platform(caller), |page| vec![Bucket::UseCase(UseCase::Leadgen, page)])
}

/// The page that an ad's leads are of: that of its ad set, or of its creative.
fn promoted_page(state: &State, ad: &Object) -> Option<u64> {
    let id = |value: Option<&Value>| value.and_then(crate::nodes::write::id_of);
    let ad_set = ad.ad_set.and_then(|id| state.object(id));
    let creative = ad.creative.and_then(|id| state.object(id));
    id(ad_set.and_then(|it| it.fields.get("promoted_object")?.get("page_id")))
        .or_else(|| id(creative.and_then(|it| it.fields.get("object_story_spec")?.get("page_id"))))
}

fn catalog(edge: &str) -> UseCase {
    match edge {
        "items_batch" | "localized_items_batch" | "batch" => UseCase::CatalogBatch,
        _ => UseCase::CatalogManagement,
    }
}

/// Whether insights stand among the fields, however deep.
fn has_insights(fields: Option<&[Field]>) -> bool {
    fields.into_iter().flatten().any(|field| field.name == "insights" || has_insights(Some(&field.inner)))
}

/// Whether reach is asked for with breakdowns, further back than Meta keeps it at hand.
fn is_far_reach(params: &Params, today: Date) -> bool {
    let has = |name: &str| params.words(name).ok().flatten().is_some_and(|words| !words.is_empty());
    let reach = params.words("fields").ok().flatten().is_some_and(|words| words.iter().any(|word| word == "reach"));
    if !reach || !has("breakdowns") {
        return false;
    }
    let oldest = today.checked_sub(REACH_MONTHS.months()).unwrap_or(today);
    let since = params.json("time_range").ok().flatten();
    let since = since.as_ref().and_then(|range| range.get("since")?.as_str()?.parse::<Date>().ok());
    match since {
        Some(since) => since < oldest,
        None => params.text("date_preset").is_some_and(|preset| preset == "maximum"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Source};
    use crate::token;
    use crate::version::Version;

    fn words(path: &str, query: &str, verb: Verb, holder: Holder) -> Vec<&'static str> {
        let now = "2026-11-15T20:30:00Z".parse().unwrap();
        let state = State::new(&Source::Small, 1, now);
        let mut grant = token::app_grant(now);
        grant.holder = holder;
        let call = Call {
            verb,
            path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            params: Params::from_form(query),
            files: Vec::new(),
            version: Version(25),
            now,
            base: String::new(),
            caller: Caller { token: "T".to_owned(), grant: grant.into() },
            trace: String::new(),
            background: false,
        };
        let all = charge(&state, &call).buckets;
        all.into_iter().filter(|bucket| *bucket != Bucket::Burst).map(Bucket::word).collect()
    }

    fn read(path: &str) -> Vec<&'static str> {
        words(path, "", Verb::Get, Holder::SystemUser)
    }

    #[test]
    fn calls_are_counted_under_what_they_are_about() {
        for (path, expected) in [
            ("act_1000000000001/campaigns", vec!["ads_management"]),
            ("act_1000000000001/insights", vec!["ads_insights", "insights_account", "insights_app"]),
            ("act_1000000000001/customaudiences", vec!["custom_audience"]),
            ("3000000000000001", vec!["pages"]),
            ("3000000000000001/leadgen_forms", vec!["leadgen"]),
            ("3000000000000001/conversations", vec!["messenger"]),
            ("4000000000000001/media", vec!["instagram"]),
            ("8000000000000001/products", vec!["catalog_management"]),
            ("8000000000000001/items_batch", vec!["catalog_batch"]),
            ("me/adaccounts", vec!["app"]),
            ("2000000000000001/events", vec![]),
            ("oauth/access_token", vec![]),
        ] {
            assert_eq!(read(path), expected, "{path}");
        }
    }

    #[test]
    fn a_persons_token_falls_under_the_platforms_limits() {
        assert_eq!(words("me", "", Verb::Get, Holder::User), ["app", "user"]);
        assert_eq!(words("3000000000000001", "", Verb::Get, Holder::User), ["app", "user", "page"]);
    }

    #[test]
    fn every_one_of_several_ids_counts() {
        let ids = format!("ids=act_{},act_{},3000000000000001", ACCOUNTS[0], ACCOUNTS[0]);
        assert_eq!(words("", &ids, Verb::Get, Holder::SystemUser), ["ads_management", "ads_management", "pages"]);
    }

    #[test]
    fn creates_and_updates_of_ads_objects_are_mutations() {
        let post = |path: &str| words(path, "", Verb::Post, Holder::SystemUser);
        assert_eq!(post("act_1000000000001/adsets"), ["ads_management", "mutations"]);
        assert_eq!(post("120200000000000001"), ["ads_management", "mutations"]);
        assert_eq!(post("act_1000000000001/adimages"), ["ads_management"]);
    }

    #[test]
    fn insights_among_the_fields_count_as_insights_too() {
        let nested = |fields: &str| words("act_1000000000001/campaigns", fields, Verb::Get, Holder::SystemUser);
        assert_eq!(nested("fields=name,insights{spend}"), ["ads_management", "insights_account", "insights_app"]);
        assert_eq!(nested("fields=ads{insights{spend}}"), ["ads_management", "insights_account", "insights_app"]);
        assert_eq!(nested("fields=name"), ["ads_management"]);
    }

    #[test]
    fn reach_far_back_is_counted_for_itself() {
        let ask = |range: &str| {
            let query =
                format!("fields=reach&breakdowns=age&time_range={{\"since\":\"{range}\",\"until\":\"2026-11-01\"}}");
            words("act_1000000000001/insights", &query, Verb::Get, Holder::SystemUser).contains(&"insights_reach")
        };
        assert!(ask("2025-10-14"));
        assert!(!ask("2025-10-16"));
    }
}
