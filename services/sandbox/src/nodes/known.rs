//! Which fields a kind of node has.

use std::cmp::Ordering;
use std::sync::OnceLock;

use super::{
    accounts, ad_sets, ads, apps, async_sets, audiences, businesses, campaigns, catalogs, conversions, creatives,
    datasets, images, instagram, labels, leads, people, rules, saved_audiences, schedules, studies, value_rules,
    videos,
};
use crate::insights;
use crate::state::Kind;

/// More than there are kinds.
const KINDS_MAX: usize = 64;

/// Whether a kind has a field of that name; every field of every row of every page asks.
pub(crate) fn is_known(kind: Kind, name: &str) -> bool {
    static SORTED: [OnceLock<Vec<&'static str>>; KINDS_MAX] = [const { OnceLock::new() }; KINDS_MAX];
    let sorted = || {
        let mut names: Vec<&str> = fields(kind).split_whitespace().collect();
        names.sort_unstable_by(|one, other| order(one, other));
        names
    };
    SORTED
        .get(kind as usize)
        .is_some_and(|names| names.get_or_init(sorted).binary_search_by(|known| order(known, name)).is_ok())
}

/// By length first, which is quicker to compare than letters.
fn order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// The names of all fields of a kind, with spaces between; computed or not, and most of them never set here.
pub(super) fn fields(kind: Kind) -> &'static str {
    match kind {
        Kind::App => apps::FIELDS,
        Kind::AdAccount => accounts::FIELDS,
        Kind::Campaign => campaigns::FIELDS,
        Kind::AdSet => ad_sets::FIELDS,
        Kind::Ad => ads::FIELDS,
        Kind::Creative => creatives::FIELDS,
        Kind::Image => images::FIELDS,
        Kind::Video => videos::FIELDS,
        Kind::Label => labels::FIELDS,
        Kind::Audience => audiences::FIELDS,
        Kind::SavedAudience => saved_audiences::FIELDS,
        Kind::Dataset => datasets::FIELDS,
        Kind::CustomConversion => conversions::FIELDS,
        Kind::Page => people::PAGE_FIELDS,
        Kind::Instagram => instagram::FIELDS,
        Kind::Business => businesses::FIELDS,
        Kind::Person => people::PERSON_FIELDS,
        Kind::Run => insights::RUN_FIELDS,
        Kind::LeadForm => leads::FORM_FIELDS,
        Kind::Lead => leads::LEAD_FIELDS,
        Kind::Media => instagram::MEDIA_FIELDS,
        Kind::Catalog => catalogs::FIELDS,
        Kind::ProductSet => catalogs::SET_FIELDS,
        Kind::Product => catalogs::PRODUCT_FIELDS,
        Kind::AsyncSet => async_sets::SET_FIELDS,
        Kind::AsyncRequest => async_sets::REQUEST_FIELDS,
        Kind::Rule => rules::FIELDS,
        Kind::RuleRun => rules::RUN_FIELDS,
        Kind::Study => studies::FIELDS,
        Kind::Cell => studies::CELL_FIELDS,
        Kind::Objective => studies::OBJECTIVE_FIELDS,
        Kind::Schedule => schedules::FIELDS,
        Kind::ValueRuleSet => value_rules::FIELDS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_to_its_kind_alone() {
        assert!(is_known(Kind::Campaign, "buying_type"));
        assert!(!is_known(Kind::Ad, "buying_type"));
        assert!(!is_known(Kind::Campaign, ""));
    }

    #[test]
    fn the_last_kind_has_its_place() {
        assert!((Kind::ValueRuleSet as usize) < KINDS_MAX);
        assert!(is_known(Kind::ValueRuleSet, "id"));
    }
}
