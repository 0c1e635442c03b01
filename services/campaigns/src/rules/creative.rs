//! What a creative must hold (Meta, "Ad creative").

use proto::campaigns::v1::{Creative, LinkData, ObjectStorySpec};

use super::{Findings, name};

/// Checks a creative that is to be made. `is_picture` says whether a text may stand where a picture's hash belongs.
pub(crate) fn create(creative: &Creative, path: &str, is_picture: &dyn Fn(&str) -> bool, findings: &mut Findings) {
    name(creative.name.as_deref(), path, findings);
    let kinds = [
        creative.object_story_spec.is_some(),
        creative.object_story_id.is_some(),
        creative.source_instagram_media_id.is_some(),
        creative.extra.contains_key("asset_feed_spec"),
    ];
    findings.check(
        kinds.contains(&true),
        &format!("{path}.object_story_spec"),
        "is required, or object_story_id, or source_instagram_media_id",
        "REQUIRED",
    );
    if let Some(story) = &creative.object_story_spec {
        let feed = creative.extra.contains_key("asset_feed_spec");
        spec(story, &format!("{path}.object_story_spec"), feed, is_picture, findings);
    }
    findings.at_most(creative.extra.len(), 100, &format!("{path}.extra"));
}

fn spec(story: &ObjectStorySpec, path: &str, feed: bool, is_picture: &dyn Fn(&str) -> bool, findings: &mut Findings) {
    let page = story.page_id.as_deref().unwrap_or_default();
    findings.check(!page.is_empty(), &format!("{path}.page_id"), "is required", "REQUIRED");
    let kinds = [
        story.link_data.is_some(),
        story.video_data.is_some(),
        story.photo_data.is_some(),
        story.template_data.is_some(),
    ];
    let count = kinds.into_iter().filter(|given| *given).count();
    let known = count == 1 || (count == 0 && (feed || !story.extra.is_empty()));
    let description = "needs exactly one of link_data, video_data, photo_data and template_data";
    findings.check(known, path, description, "ONE_KIND_OF_DATA");
    if let Some(data) = &story.link_data {
        link(data, &format!("{path}.link_data"), is_picture, findings);
    }
    if let Some(data) = &story.template_data {
        link(data, &format!("{path}.template_data"), is_picture, findings);
    }
    if let Some(data) = &story.video_data {
        let path = format!("{path}.video_data");
        findings.check(data.video_id.is_some(), &format!("{path}.video_id"), "is required", "REQUIRED");
        let still = data.image_hash.is_some() || data.image_url.is_some();
        findings.check(still, &format!("{path}.image_hash"), "is required, or image_url", "REQUIRED");
        picture(data.image_hash.as_deref(), &path, is_picture, findings);
    }
    if let Some(data) = &story.photo_data {
        let path = format!("{path}.photo_data");
        let given = data.image_hash.is_some() || data.url.is_some();
        findings.check(given, &format!("{path}.image_hash"), "is required, or url", "REQUIRED");
        picture(data.image_hash.as_deref(), &path, is_picture, findings);
    }
}

fn link(data: &LinkData, path: &str, is_picture: &dyn Fn(&str) -> bool, findings: &mut Findings) {
    address(data.link.as_deref(), &format!("{path}.link"), findings);
    picture(data.image_hash.as_deref(), path, is_picture, findings);
    let both = data.image_hash.is_some() && data.picture.is_some();
    findings.check(!both, &format!("{path}.picture"), "goes instead of image_hash, not with it", "PICTURE_TWICE");
    let cards = data.child_attachments.len();
    let number = cards == 0 || (2..=10).contains(&cards);
    findings.check(number, &format!("{path}.child_attachments"), "must be 2 to 10 cards", "CARDS_OUT_OF_RANGE");
    for (index, card) in data.child_attachments.iter().enumerate() {
        let path = format!("{path}.child_attachments[{index}]");
        address(card.link.as_deref(), &format!("{path}.link"), findings);
        picture(card.image_hash.as_deref(), &path, is_picture, findings);
    }
}

fn address(link: Option<&str>, field: &str, findings: &mut Findings) {
    let link = link.unwrap_or_default();
    let known = link.starts_with("https://") || link.starts_with("http://");
    findings.check(known, field, "must be an address that begins with https:// or http://", "NO_ADDRESS");
}

fn picture(hash: Option<&str>, path: &str, is_picture: &dyn Fn(&str) -> bool, findings: &mut Findings) {
    let known = hash.is_none_or(is_picture);
    findings.check(known, &format!("{path}.image_hash"), "must be 32 hex digits from an upload", "NO_PICTURE");
}

#[cfg(test)]
mod tests {
    use proto::campaigns::v1::{ChildAttachment, VideoData};

    use super::*;

    fn good() -> Creative {
        let link_data = LinkData {
            link: Some("https://shop.example".to_owned()),
            image_hash: Some("c8".to_owned()),
            ..LinkData::default()
        };
        let story =
            ObjectStorySpec { page_id: Some("3".to_owned()), link_data: Some(link_data), ..ObjectStorySpec::default() };
        Creative { name: Some("K".to_owned()), object_story_spec: Some(story), ..Creative::default() }
    }

    fn told(creative: &Creative) -> Vec<(String, &'static str)> {
        let mut findings = Findings::default();
        create(creative, "c", &|text| text == "c8", &mut findings);
        findings.told()
    }

    fn change(change: impl FnOnce(&mut ObjectStorySpec)) -> Creative {
        let mut creative = good();
        change(creative.object_story_spec.as_mut().unwrap());
        creative
    }

    #[test]
    fn a_creative_is_a_new_post_or_an_old_one() {
        assert_eq!(told(&good()), []);
        let old = Creative { object_story_spec: None, object_story_id: Some("3_4".to_owned()), ..good() };
        assert_eq!(told(&old), []);
        let none = Creative { object_story_spec: None, ..good() };
        assert_eq!(told(&none), [("c.object_story_spec".to_owned(), "REQUIRED")]);
    }

    #[test]
    fn each_rule_names_its_field_and_itself() {
        let table = [
            (change(|it| it.page_id = None), "c.object_story_spec.page_id", "REQUIRED"),
            (change(|it| it.link_data = None), "c.object_story_spec", "ONE_KIND_OF_DATA"),
            (
                change(|it| it.link_data.as_mut().unwrap().link = Some("shop".to_owned())),
                "c.object_story_spec.link_data.link",
                "NO_ADDRESS",
            ),
            (
                change(|it| it.link_data.as_mut().unwrap().image_hash = Some("-9".to_owned())),
                "c.object_story_spec.link_data.image_hash",
                "NO_PICTURE",
            ),
            (
                change(|it| {
                    let card =
                        ChildAttachment { link: Some("https://x.example".to_owned()), ..ChildAttachment::default() };
                    it.link_data.as_mut().unwrap().child_attachments = vec![card];
                }),
                "c.object_story_spec.link_data.child_attachments",
                "CARDS_OUT_OF_RANGE",
            ),
            (
                change(|it| {
                    it.link_data = None;
                    it.video_data = Some(VideoData { video_id: Some("7".to_owned()), ..VideoData::default() });
                }),
                "c.object_story_spec.video_data.image_hash",
                "REQUIRED",
            ),
        ];
        for (creative, field, rule) in table {
            assert_eq!(told(&creative), [(field.to_owned(), rule)]);
        }
    }
}
