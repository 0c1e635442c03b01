//! The nodes of the graph: which fields and edges each kind has, and what may be written.

pub(crate) mod accounts;
pub(crate) mod activities;
pub(crate) mod ad_sets;
pub(crate) mod ads;
pub(crate) mod advice;
pub(crate) mod apps;
pub(crate) mod archive;
pub(crate) mod async_sets;
pub(crate) mod audiences;
pub(crate) mod budgets;
pub(crate) mod bulk;
pub(crate) mod businesses;
pub(crate) mod campaigns;
pub(crate) mod catalogs;
pub(crate) mod ceilings;
pub(crate) mod changes;
pub(crate) mod conversions;
pub(crate) mod copies;
pub(crate) mod creatives;
pub(crate) mod datasets;
pub(crate) mod drawing;
pub(crate) mod events;
pub(crate) mod film;
pub(crate) mod goals;
pub(crate) mod images;
pub(crate) mod instagram;
pub(crate) mod known;
pub(crate) mod labels;
pub(crate) mod leads;
pub(crate) mod lifecycle;
pub(crate) mod members;
pub(crate) mod metadata;
pub(crate) mod people;
pub(crate) mod picture;
pub(crate) mod recommendations;
pub(crate) mod reviews;
pub(crate) mod roles;
pub(crate) mod rules;
pub(crate) mod saved_audiences;
pub(crate) mod schedules;
pub(crate) mod studies;
pub(crate) mod system_users;
pub(crate) mod targeting;
pub(crate) mod thumbnails;
pub(crate) mod value_rules;
pub(crate) mod videos;
pub(crate) mod volume;
pub(crate) mod write;

use serde_json::Value;

use crate::edge::Ids;
use crate::insights;
use crate::render::{Shown, View};
use crate::state::{Kind, Object, State, effective, iso, shown_id};
use crate::version::Version;

/// Since when the plain lists of ads objects have light twins, which give the same ids.
const LIGHT_SINCE: Version = Version(26);

/// What a node shows when no fields are named. For most it is the id alone.
pub(crate) fn default_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::AdAccount => &["account_id"],
        Kind::Image => &["hash"],
        Kind::Page | Kind::App => &["name", "category"],
        Kind::Person | Kind::Business | Kind::Label => &["name"],
        Kind::LeadForm => &["name", "status", "locale"],
        Kind::Lead => &["created_time", "field_data"],
        Kind::Catalog | Kind::ProductSet => &["name"],
        Kind::Product => &["name", "retailer_id"],
        Kind::Video => &["updated_time"],
        Kind::Run => insights::RUN_DEFAULTS,
        _ => &[],
    }
}

/// The id under which a node is addressed in paths.
pub(crate) fn path_id(object: &Object) -> String {
    match shown_id(object) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// One field of a node.
pub(crate) fn show(view: &View<'_>, object: &Object, name: &str) -> Shown {
    if name == "id" {
        return Shown::Value(shown_id(object));
    }
    if let Some(shown) = computed(view, object, name).or_else(|| own(view, object, name)) {
        return shown;
    }
    if known::is_known(object.kind, name) {
        return Shown::Kept;
    }
    match edge(view, object, name) {
        Some(ids) => Shown::Edge(ids),
        None if name == "insights" && insights::is_target(object.kind) => Shown::Insights,
        None => Shown::Unknown,
    }
}

/// Fields that several kinds have and that are computed for all alike.
fn computed(view: &View<'_>, object: &Object, name: &str) -> Option<Shown> {
    use Kind::{Ad, AdAccount, AdSet, Audience, Campaign, Creative, Image, Label, Video};
    let has_status = matches!(object.kind, Campaign | AdSet | Ad);
    let has_times = has_status || matches!(object.kind, Image | Video | Label);
    match name {
        "account_id" if object.account != 0 => Some(Shown::text(object.account.to_string())),
        "account" if object.account != 0 && object.kind != AdAccount => Some(Shown::Node(object.account)),
        "status" if has_status || matches!(object.kind, Creative | Image) => Some(Shown::Word(object.status.word())),
        "configured_status" if has_status => Some(Shown::Word(object.status.word())),
        "effective_status" if has_status => Some(Shown::Word(effective(view.state, object, view.now))),
        "created_time" if has_times => Some(Shown::text(iso(view.state, object.account, object.created))),
        "updated_time" if has_times => Some(Shown::text(iso(view.state, object.account, object.updated))),
        "adlabels" if matches!(object.kind, Campaign | AdSet | Ad | Creative) => Some(labels::shown(view, object)),
        "time_created" if object.kind == Audience => Some(Shown::Value(object.created.as_second().into())),
        "time_updated" if object.kind == Audience => Some(Shown::Value(object.updated.as_second().into())),
        _ => None,
    }
}

/// Fields that one kind computes.
fn own(view: &View<'_>, object: &Object, name: &str) -> Option<Shown> {
    match object.kind {
        Kind::AdAccount => accounts::show(view, object, name),
        Kind::Campaign => campaigns::show(view, object, name),
        Kind::AdSet => ad_sets::show(view, object, name),
        Kind::Ad => ads::show(view, object, name),
        Kind::Creative => creatives::show(view, object, name),
        Kind::Image => images::show(view, object, name),
        Kind::Video => videos::show(view, object, name),
        Kind::Audience => audiences::show(view, object, name),
        Kind::Dataset => datasets::show(view, object, name),
        Kind::CustomConversion => conversions::show(view, object, name),
        Kind::Page => people::show_page(view, object, name),
        Kind::Run => insights::show_run(view, object, name),
        Kind::SavedAudience => saved_audiences::show(view, object, name),
        Kind::Person => people::show_person(object, name),
        Kind::Business => businesses::show(view, object, name),
        Kind::Instagram => instagram::show(view, object, name),
        Kind::Media => instagram::show_media(view, object, name),
        Kind::LeadForm => leads::show_form(view, object, name),
        Kind::Lead => leads::show_lead(view, object, name),
        Kind::Catalog | Kind::ProductSet | Kind::Product => catalogs::show(view, object, name),
        Kind::AsyncSet => async_sets::show_set(view, object, name),
        Kind::AsyncRequest => async_sets::show_request(view, object, name),
        Kind::Rule => rules::show(view, object, name),
        Kind::Study => studies::show(view, object, name),
        Kind::Cell => studies::show_cell(object, name),
        Kind::Schedule => schedules::show(view, object, name),
        Kind::ValueRuleSet => value_rules::show(object, name),
        Kind::App | Kind::Label | Kind::RuleRun | Kind::Objective => None,
    }
}

/// The objects behind an edge, newest first; `None` where the kind has no such edge.
pub(crate) fn edge(view: &View<'_>, object: &Object, name: &str) -> Option<Ids> {
    use Kind::{
        Ad, AdAccount, AdSet, Audience, Business, Campaign, Catalog, Cell, Creative, CustomConversion, Dataset, Image,
        Instagram, Label, LeadForm, Media, Page, Person, ProductSet, Rule, SavedAudience, Study, ValueRuleSet, Video,
    };
    let kind = match (object.kind, name) {
        (AdAccount, "light_campaigns") if view.version >= LIGHT_SINCE => Campaign,
        (AdAccount, "light_adsets") if view.version >= LIGHT_SINCE => AdSet,
        (AdAccount, "light_ads") if view.version >= LIGHT_SINCE => Ad,
        (AdAccount, "value_rule_set") => ValueRuleSet,
        (AdAccount | Label, "campaigns") => Campaign,
        (AdAccount | Campaign | Label, "adsets") => AdSet,
        (AdAccount | Campaign | AdSet | Label, "ads") => Ad,
        (AdAccount | Label, "adcreatives") => Creative,
        (AdAccount, "adimages") => Image,
        (AdAccount, "advideos") => Video,
        (AdAccount, "adlabels") => Label,
        (AdAccount, "customaudiences") => Audience,
        (AdAccount, "customconversions") => CustomConversion,
        (AdAccount | Business, "adspixels") | (Business, "owned_pixels") => Dataset,
        (Business, "owned_ad_accounts") => AdAccount,
        (Business, "owned_pages") => Page,
        (Business, "instagram_accounts" | "owned_instagram_accounts") | (Page, "page_backed_instagram_accounts") => {
            Instagram
        }
        (Business, "business_users") => return Some(businesses::people(view.state, object.id, false).into()),
        (Business, "system_users") => return Some(businesses::people(view.state, object.id, true).into()),
        (Business, "owned_product_catalogs") => Catalog,
        (Catalog, "product_sets") => ProductSet,
        (Catalog | ProductSet, "products") => return Some(catalogs::products(view.state, object).into()),
        (AdAccount, "saved_audiences") => SavedAudience,
        (AdAccount, "adrules_library") => Rule,
        (Study | Cell, _) => return studies::edge(object, name),
        (Page, "leadgen_forms") => LeadForm,
        (Instagram, "media") => Media,
        (Person, "assigned_ad_accounts") => return Some(owned(object, AdAccount)),
        (Person, "assigned_pages") => return Some(owned(object, Page)),
        (AdSet, "adcreatives") => {
            let ads = view.state.children(object.id, Ad).filter_map(|id| view.state.object(id));
            let mut ids: Vec<u64> = ads.filter_map(|ad| ad.creative).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.reverse();
            return Some(ids.into());
        }
        (Ad, "adcreatives") => return Some(Ids::Listed(object.creative.into_iter().collect())),
        (AdAccount, "promote_pages") => return Some(owned(object, Page)),
        (AdAccount, "instagram_accounts" | "connected_instagram_accounts") => {
            return Some(owned(object, Instagram));
        }
        (Page, "instagram_accounts") => return Some(owned(object, Instagram)),
        (Business, "client_ad_accounts" | "client_pages") => return Some(Ids::Listed(Vec::new())),
        _ => return None,
    };
    if matches!(kind, Image | Video) {
        return Some(by_update(view.state, view.state.children(object.id, kind)).into());
    }
    Some(Ids::Below { parent: object.id, kind })
}

/// Media are listed with what changed last first, on which clients rely that read until they meet what they know.
pub(crate) fn by_update(state: &State, ids: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_by_key(|&id| std::cmp::Reverse((state.object(id).map(|object| object.updated), id)));
    ids
}

/// What the business of an account or page owns.
fn owned(object: &Object, kind: Kind) -> Ids {
    object.owner.map_or(Ids::Listed(Vec::new()), |parent| Ids::Below { parent, kind })
}
