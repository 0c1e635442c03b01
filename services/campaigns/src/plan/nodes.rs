//! The nodes of a plan, parents first, and what each of them sends once the ids that it refers to are known.

use std::collections::HashMap;

use graph::{codec::CodecError, objects::Kind};
use proto::campaigns::v1::{ChildAttachment, Creative, LinkData};
use proto::plans::v1::Plan;

use crate::mirror::{self, Mirrored};

/// What stands for a temporary id: Meta's id of the object, or a picture's hash.
pub(crate) type Ids = HashMap<String, String>;

/// One node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    plan: &'a Plan,
    pub(crate) kind: Kind,
    index: usize,
    pub(crate) temporary_id: &'a str,
    pub(crate) name: &'a str,
}

/// All nodes that become objects, in the order of making.
pub(crate) fn nodes(plan: &Plan) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    level(plan, plan.campaign.as_slice(), &mut nodes);
    level(plan, &plan.ad_sets, &mut nodes);
    level(plan, &plan.creatives, &mut nodes);
    level(plan, &plan.ads, &mut nodes);
    nodes
}

fn level<'a, M: Mirrored>(plan: &'a Plan, messages: &'a [M], nodes: &mut Vec<Node<'a>>) {
    nodes.extend(messages.iter().enumerate().map(|(index, message)| Node {
        plan,
        kind: M::KIND,
        index,
        temporary_id: message.temporary_id(),
        name: message.name(),
    }));
}

impl Node<'_> {
    /// Where it stands in a request that brings the plan.
    pub(crate) fn path(&self) -> String {
        match self.kind {
            Kind::Campaign => "plan.campaign".to_owned(),
            Kind::AdSet => format!("plan.ad_sets[{}]", self.index),
            Kind::Creative => format!("plan.creatives[{}]", self.index),
            Kind::Ad => format!("plan.ads[{}]", self.index),
        }
    }

    /// The temporary id of the node beneath which it is made; `None` for those directly in the account.
    pub(crate) fn parent(&self) -> Option<&str> {
        match self.kind {
            Kind::Campaign | Kind::Creative => None,
            Kind::AdSet => self.plan.ad_sets.get(self.index)?.campaign_id.as_deref(),
            Kind::Ad => self.plan.ads.get(self.index)?.adset_id.as_deref(),
        }
    }

    /// What is sent to make it. References that are not in `ids` stay as they are.
    pub(crate) fn form(&self, ids: &Ids) -> Result<Vec<(String, String)>, CodecError> {
        match self.kind {
            Kind::Campaign => self.plan.campaign.as_ref().map_or(Ok(Vec::new()), mirror::form),
            Kind::AdSet => self.resolved(&self.plan.ad_sets, |ad_set| resolve(&mut ad_set.campaign_id, ids)),
            Kind::Creative => self.resolved(&self.plan.creatives, |creative| resolve_pictures(creative, ids)),
            Kind::Ad => self.resolved(&self.plan.ads, |ad| {
                resolve(&mut ad.adset_id, ids);
                if let Some(creative) = &mut ad.creative {
                    resolve(&mut creative.creative_id, ids);
                }
            }),
        }
    }

    fn resolved<M: Mirrored>(
        &self,
        level: &[M],
        resolve: impl FnOnce(&mut M),
    ) -> Result<Vec<(String, String)>, CodecError> {
        let Some(message) = level.get(self.index) else { return Ok(Vec::new()) };
        let mut message = message.clone();
        resolve(&mut message);
        mirror::form(&message)
    }
}

/// Every picture of the plan: its hash, and the field that names it.
pub(crate) fn pictures(plan: &Plan) -> Vec<(String, String)> {
    let media: Ids = plan.media.iter().map(|it| (it.temporary_id.clone(), it.image_hash.clone())).collect();
    let mut pictures: Vec<(String, String)> = plan
        .media
        .iter()
        .enumerate()
        .map(|(index, it)| (it.image_hash.clone(), format!("plan.media[{index}].image_hash")))
        .collect();
    for (index, creative) in plan.creatives.iter().enumerate() {
        let mut creative = creative.clone();
        each_picture(&mut creative, &mut |hash| {
            let own = hash.as_ref().filter(|hash| !media.contains_key(*hash));
            pictures.extend(own.map(|hash| (hash.clone(), format!("plan.creatives[{index}].object_story_spec"))));
        });
    }
    pictures.sort();
    pictures.dedup_by(|left, right| left.0 == right.0);
    pictures
}

fn resolve(reference: &mut Option<String>, ids: &Ids) {
    if let Some(id) = reference.as_ref().and_then(|id| ids.get(id)) {
        *reference = Some(id.clone());
    }
}

fn resolve_pictures(creative: &mut Creative, ids: &Ids) {
    each_picture(creative, &mut |hash| resolve(hash, ids));
}

/// Visits every place of a creative where a picture's hash stands.
fn each_picture(creative: &mut Creative, visit: &mut dyn FnMut(&mut Option<String>)) {
    let Some(story) = &mut creative.object_story_spec else { return };
    let links: [&mut Option<LinkData>; 2] = [&mut story.link_data, &mut story.template_data];
    for link in links.into_iter().flatten() {
        visit(&mut link.image_hash);
        let cards: &mut Vec<ChildAttachment> = &mut link.child_attachments;
        for card in cards {
            visit(&mut card.image_hash);
        }
    }
    if let Some(video) = &mut story.video_data {
        visit(&mut video.image_hash);
    }
    if let Some(photo) = &mut story.photo_data {
        visit(&mut photo.image_hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    #[test]
    fn parents_come_before_children() {
        let plan = samples::plan();
        let kinds: Vec<_> = nodes(&plan).iter().map(|node| (node.kind.word(), node.temporary_id.to_owned())).collect();
        let expected =
            [("campaign", "-1"), ("ad_set", "-2"), ("ad_set", "-3"), ("creative", "-5"), ("ad", "-6"), ("ad", "-7")];
        assert_eq!(kinds, expected.map(|(kind, id)| (kind, id.to_owned())));
    }

    #[test]
    fn a_node_is_sent_with_the_ids_of_those_it_refers_to() {
        let plan = samples::plan();
        let ids: Ids = [("-2", "22"), ("-5", "55")].map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        let all = nodes(&plan);
        let ad = all.iter().find(|node| node.temporary_id == "-6").unwrap();
        let expected =
            [("name", "A one"), ("adset_id", "22"), ("creative", r#"{"creative_id":"55"}"#), ("status", "PAUSED")];
        assert_eq!(ad.form(&ids).unwrap(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_picture_of_the_plan_is_sent_by_its_hash() {
        let plan = samples::plan();
        let ids: Ids = [("-4".to_owned(), samples::HASH.to_owned())].into();
        let all = nodes(&plan);
        let creative = all.iter().find(|node| node.kind == Kind::Creative).unwrap();
        let form = creative.form(&ids).unwrap();
        let spec = form.iter().find(|(name, _)| name == "object_story_spec").unwrap();
        assert!(spec.1.contains(&format!(r#""image_hash":"{}""#, samples::HASH)), "{}", spec.1);
        assert_eq!(pictures(&plan), [(samples::HASH.to_owned(), "plan.media[0].image_hash".to_owned())]);
    }
}
