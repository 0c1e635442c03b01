//! What a whole plan must hold: each node's own rules, and that the nodes refer to each other rightly.

use std::collections::{HashMap, HashSet};

use graph::objects::Kind;
use proto::plans::v1::Plan;

use super::{Around, Findings, ad, ad_set, campaign, creative};
use crate::mirror;

/// What a temporary id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Node(Kind),
    Picture,
}

/// Checks a plan that is to be stored. `least_daily_budget` is the account's, where it is known.
pub(crate) fn create(plan: &Plan, least_daily_budget: Option<i64>, findings: &mut Findings) {
    findings.at_most(plan.ad_sets.len(), 50, "plan.ad_sets");
    findings.at_most(plan.media.len(), 100, "plan.media");
    findings.at_most(plan.creatives.len(), 100, "plan.creatives");
    findings.at_most(plan.ads.len(), 200, "plan.ads");
    let Some(top) = &plan.campaign else {
        findings.add("plan.campaign", "is required", "REQUIRED");
        return;
    };
    if !findings.is_empty() {
        return; // too large to be looked at further
    }
    let ids = ids(plan, findings);
    campaign::create(top, "plan.campaign", least_daily_budget, findings);
    encodes(top, "plan.campaign", findings);
    let around = Around::of(top, least_daily_budget);
    for (index, node) in plan.ad_sets.iter().enumerate() {
        let path = format!("plan.ad_sets[{index}]");
        ad_set::create(node, &path, around, findings);
        refers(node.campaign_id.as_deref(), &ids, Is::Node(Kind::Campaign), &format!("{path}.campaign_id"), findings);
        encodes(node, &path, findings);
    }
    let is_picture = |text: &str| is_hash(text) || ids.get(text) == Some(&Is::Picture);
    for (index, node) in plan.creatives.iter().enumerate() {
        let path = format!("plan.creatives[{index}]");
        creative::create(node, &path, &is_picture, findings);
        encodes(node, &path, findings);
    }
    for (index, node) in plan.ads.iter().enumerate() {
        let path = format!("plan.ads[{index}]");
        ad::create(node, &path, findings);
        refers(node.adset_id.as_deref(), &ids, Is::Node(Kind::AdSet), &format!("{path}.adset_id"), findings);
        let shown = node.creative.as_ref().and_then(|creative| creative.creative_id.as_deref());
        let existing = shown.is_some_and(|id| id.parse::<u64>().is_ok()); // a creative that Meta has already
        if !existing {
            refers(shown, &ids, Is::Node(Kind::Creative), &format!("{path}.creative.creative_id"), findings);
        }
        encodes(node, &path, findings);
    }
    names(plan, findings);
}

/// Does it look like a picture's hash at Meta?
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Every temporary id of the plan and what it stands for. Says what is wrong with them.
fn ids<'a>(plan: &'a Plan, findings: &mut Findings) -> HashMap<&'a str, Is> {
    let mut given: Vec<(String, &'a str, Is)> = Vec::new();
    let mut node = |path: String, id: &'a Option<String>, kind| {
        given.push((format!("{path}.temporary_id"), id.as_deref().unwrap_or_default(), Is::Node(kind)));
    };
    if let Some(it) = &plan.campaign {
        node("plan.campaign".to_owned(), &it.temporary_id, Kind::Campaign);
    }
    for (index, it) in plan.ad_sets.iter().enumerate() {
        node(format!("plan.ad_sets[{index}]"), &it.temporary_id, Kind::AdSet);
    }
    for (index, it) in plan.creatives.iter().enumerate() {
        node(format!("plan.creatives[{index}]"), &it.temporary_id, Kind::Creative);
    }
    for (index, it) in plan.ads.iter().enumerate() {
        node(format!("plan.ads[{index}]"), &it.temporary_id, Kind::Ad);
    }
    for (index, it) in plan.media.iter().enumerate() {
        given.push((format!("plan.media[{index}].temporary_id"), &it.temporary_id, Is::Picture));
        let field = format!("plan.media[{index}].image_hash");
        findings.check(is_hash(&it.image_hash), &field, "must be 32 hex digits from an upload", "NO_PICTURE");
    }
    let mut ids = HashMap::new();
    for (field, id, is) in given {
        let known = id.strip_prefix('-').is_some_and(|digits| digits.parse::<u32>().is_ok_and(|number| number > 0));
        findings.check(known, &field, "is required: -1, -2 and so on", "NO_TEMPORARY_ID");
        let fresh = !known || ids.insert(id, is).is_none();
        findings.check(fresh, &field, "is already the temporary id of another node", "TEMPORARY_ID_REPEATED");
    }
    ids
}

/// A reference that is there must name a node of that kind. One that is missing is said by the node's own rules.
fn refers(id: Option<&str>, ids: &HashMap<&str, Is>, is: Is, field: &str, findings: &mut Findings) {
    let Some(id) = id.filter(|id| !id.is_empty()) else { return };
    let wanted = match is {
        Is::Node(kind) => kind.word(),
        Is::Picture => "picture",
    };
    let description = format!("must be the temporary id of a {wanted} of this plan, not {id:?}");
    findings.check(ids.get(id) == Some(&is), field, &description, "UNKNOWN_REFERENCE");
}

/// Does the codec take it? That finds what is wrong with `extra` and with numbers of enums.
fn encodes<M: mirror::Mirrored>(node: &M, path: &str, findings: &mut Findings) {
    if let Err(error) = mirror::form(node) {
        findings.codec(path, &error);
    }
}

/// Names are unique beneath each parent: a lost create is found again by them.
fn names(plan: &Plan, findings: &mut Findings) {
    let mut seen = HashSet::new();
    let ad_sets = plan.ad_sets.iter().map(|it| (Kind::AdSet, it.campaign_id.as_deref(), it.name.as_deref(), "ad_sets"));
    let creatives = plan.creatives.iter().map(|it| (Kind::Creative, None, it.name.as_deref(), "creatives"));
    let ads = plan.ads.iter().map(|it| (Kind::Ad, it.adset_id.as_deref(), it.name.as_deref(), "ads"));
    for level in [ad_sets.collect::<Vec<_>>(), creatives.collect(), ads.collect()] {
        for (index, (kind, parent, name, list)) in level.into_iter().enumerate() {
            let fresh = name.is_none() || seen.insert((kind, parent, name));
            let description = "must be unique beneath its parent";
            findings.check(fresh, &format!("plan.{list}[{index}].name"), description, "NAME_REPEATED");
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::campaigns::v1::{AdSet, Creative};
    use proto::plans::v1::Media;

    use super::*;
    use crate::plan::samples;

    fn told(plan: &Plan) -> Vec<(String, &'static str)> {
        let mut findings = Findings::default();
        create(plan, Some(100), &mut findings);
        findings.told()
    }

    #[test]
    fn a_good_plan_passes() {
        assert_eq!(told(&samples::plan()), []);
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_path() {
        let mut plan = samples::plan();
        plan.campaign.as_mut().unwrap().objective = 0;
        plan.ad_sets[1].daily_budget = Some(1);
        plan.ads[0].adset_id = Some("-77".to_owned());
        plan.media[0].image_hash = "nothex".to_owned();
        let told = told(&plan);
        let expected = [
            ("plan.media[0].image_hash", "NO_PICTURE"),
            ("plan.campaign.objective", "REQUIRED"),
            ("plan.ad_sets[1].daily_budget", "BUDGET_TOO_LOW"),
            ("plan.ads[0].adset_id", "UNKNOWN_REFERENCE"),
        ];
        assert_eq!(told, expected.map(|(field, rule)| (field.to_owned(), rule)));
    }

    #[test]
    fn references_must_be_of_the_right_kind() {
        let mut plan = samples::plan();
        plan.ads[0].adset_id = Some("-1".to_owned()); // the campaign
        assert_eq!(told(&plan), [("plan.ads[0].adset_id".to_owned(), "UNKNOWN_REFERENCE")]);
        plan.ads[0].adset_id = Some("-2".to_owned());
        plan.ads[0].creative.as_mut().unwrap().creative_id = Some("120210000000000031".to_owned());
        assert_eq!(told(&plan), []);
    }

    #[test]
    fn temporary_ids_are_negative_and_unique() {
        let mut plan = samples::plan();
        plan.ad_sets[1].temporary_id = Some("-2".to_owned());
        plan.media.push(Media { temporary_id: "5".to_owned(), image_hash: "a".repeat(32) });
        let rules: Vec<_> = told(&plan).into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["TEMPORARY_ID_REPEATED", "NO_TEMPORARY_ID", "UNKNOWN_REFERENCE"]);
    }

    #[test]
    fn names_are_unique_beneath_a_parent() {
        let mut plan = samples::plan();
        plan.ad_sets[1].name = plan.ad_sets[0].name.clone();
        assert_eq!(told(&plan), [("plan.ad_sets[1].name".to_owned(), "NAME_REPEATED")]);
    }

    #[test]
    fn a_plan_that_is_too_large_is_refused_before_it_is_looked_at() {
        let plan =
            Plan { ad_sets: vec![AdSet::default(); 51], creatives: vec![Creative::default(); 101], ..samples::plan() };
        let expected = [("plan.ad_sets", "TOO_MANY"), ("plan.creatives", "TOO_MANY")];
        assert_eq!(told(&plan), expected.map(|(field, rule)| (field.to_owned(), rule)));
    }

    #[test]
    fn money_does_not_go_round_its_field() {
        let mut plan = samples::plan();
        plan.ad_sets[0].extra.insert("spend_cap".to_owned(), "1".to_owned());
        assert_eq!(told(&plan), [("plan.ad_sets[0].extra[spend_cap]".to_owned(), "EXTRA_IS_GUARDED")]);
    }
}
