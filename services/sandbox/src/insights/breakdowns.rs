//! Breakdowns of rows and of actions: their words, and which may stand together.

use crate::error::Refusal;
use crate::state::{Kind, Settings};

/// A way to break rows down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Breakdown {
    Country,
    Region,
    Market,
    Dma,
    Age,
    Gender,
    PublisherPlatform,
    PlatformPosition,
    ImpressionDevice,
    DevicePlatform,
    Hour,
    AudienceHour,
    FrequencyValue,
    Product,
    Segment,
    MediaType,
    Destination,
    AdFormatAsset,
    BodyAsset,
    CallToActionAsset,
    DescriptionAsset,
    ImageAsset,
    LinkUrlAsset,
    TitleAsset,
    VideoAsset,
    Mmm,
    /// About a place with a page of its own; no ad of the sandbox has one.
    Place,
    /// Of Apple's attribution, which no campaign of the sandbox takes part in: it has no rows.
    Skan(&'static str),
    /// A word that Meta's SDKs know and its documentation does not explain: one row, of the value `unknown`.
    Other(&'static str),
}

use Breakdown::{
    AdFormatAsset, Age, AudienceHour, BodyAsset, CallToActionAsset, Country, DescriptionAsset, Destination,
    DevicePlatform, Dma, FrequencyValue, Gender, Hour, ImageAsset, ImpressionDevice, LinkUrlAsset, Market, MediaType,
    Mmm, Other, Place, PlatformPosition, Product, PublisherPlatform, Region, Segment, Skan, TitleAsset, VideoAsset,
};

/// Meta's words, beside those of [`SKAN`] and [`OTHERS`].
const WORDS: &[(&str, Breakdown)] = &[
    ("ad_format_asset", AdFormatAsset),
    ("age", Age),
    ("body_asset", BodyAsset),
    ("call_to_action_asset", CallToActionAsset),
    ("comscore_market", Market),
    ("conversion_destination", Destination),
    ("country", Country),
    ("description_asset", DescriptionAsset),
    ("device_platform", DevicePlatform),
    ("dma", Dma),
    ("frequency_value", FrequencyValue),
    ("gender", Gender),
    ("hourly_stats_aggregated_by_advertiser_time_zone", Hour),
    ("hourly_stats_aggregated_by_audience_time_zone", AudienceHour),
    ("image_asset", ImageAsset),
    ("impression_device", ImpressionDevice),
    ("link_url_asset", LinkUrlAsset),
    ("media_type", MediaType),
    ("mmm", Mmm),
    ("place_page_id", Place),
    ("platform_position", PlatformPosition),
    ("product_id", Product),
    ("publisher_platform", PublisherPlatform),
    ("region", Region),
    ("title_asset", TitleAsset),
    ("user_segment_key", Segment),
    ("video_asset", VideoAsset),
];

const SKAN: &[&str] = &[
    "app_id",
    "coarse_conversion_value",
    "fidelity_type",
    "hsid",
    "is_conversion_id_modeled",
    "postback_sequence_index",
    "redownload",
    "skan_campaign_id",
    "skan_conversion_id",
    "skan_version",
];

const OTHERS: &[&str] = &[
    "ad_extension_domain",
    "ad_extension_url",
    "affiliate_click_region",
    "affiliate_link_url",
    "breakdown_ad_objective",
    "breakdown_reporting_ad_id",
    "creative_automation_asset_id",
    "creative_fingerprint_details",
    "creative_format_classification",
    "creative_media_type_breakdown",
    "creative_relaxation_asset_type",
    "existing_post_id",
    "flexible_format_asset_type",
    "gen_ai_asset_type",
    "impression_view_time_advertiser_hour_v2",
    "instagram_ads_follow_type",
    "instagram_ads_instagram_media_product_type",
    "instagram_ads_time_since_creation_bucket",
    "internal_campaign_id",
    "is_auto_advance",
    "is_rendered_as_delayed_skip_ad",
    "landing_destination",
    "marketing_messages_btn_name",
    "mdsa_landing_destination",
    "media_asset_url",
    "media_creator",
    "media_destination_url",
    "media_format",
    "media_id",
    "media_origin_url",
    "media_text_content",
    "msa_seller_name",
    "overlap_segment",
    "placement_path",
    "product_brand_breakdown",
    "product_category_breakdown",
    "product_group_content_id_breakdown",
    "reels_trending_topic",
    "rta_ugc_topic",
    "rule_set_id",
    "rule_set_name",
    "signal_source",
    "signal_source_bucket",
    "sot_attribution_model_type",
    "sot_attribution_window",
    "sot_channel",
    "sot_event_type",
    "sot_source",
    "standard_event_content_type",
    "user_persona_id",
    "user_persona_name",
    "zip",
];

impl Breakdown {
    pub(super) fn word(self) -> &'static str {
        match self {
            Skan(word) | Other(word) => word,
            _ => WORDS.iter().find(|(_, known)| *known == self).map_or("", |(word, _)| word),
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        let find = |list: &[&'static str]| list.iter().find(|known| **known == word).copied();
        WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, breakdown)| *breakdown)
            .or_else(|| find(SKAN).map(Skan))
            .or_else(|| find(OTHERS).map(Other))
    }

    pub(super) fn is_asset(self) -> bool {
        AdFormatAsset <= self && self <= VideoAsset
    }

    pub(super) fn is_hourly(self) -> bool {
        matches!(self, Hour | AudienceHour)
    }

    /// For which an account must be opted in (Meta, 'Insights: breakdowns', August 2026).
    pub(super) fn needs_opt_in(self) -> bool {
        matches!(self, ImpressionDevice | AudienceHour | FrequencyValue)
    }
}

/// A way to break the items of `actions` and its like down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionBreakdown {
    Type,
    TargetId,
    Destination,
    Device,
    Reaction,
    CardId,
    CardName,
    VideoSound,
    VideoType,
    /// Known, and never set on an action of the sandbox.
    Unset(&'static str),
}

const ACTION_WORDS: &[(&str, ActionBreakdown)] = &[
    ("action_canvas_component_name", ActionBreakdown::Unset("action_canvas_component_name")),
    ("action_carousel_card_id", ActionBreakdown::CardId),
    ("action_carousel_card_name", ActionBreakdown::CardName),
    ("action_converted_product_id", ActionBreakdown::Unset("action_converted_product_id")),
    ("action_destination", ActionBreakdown::Destination),
    ("action_device", ActionBreakdown::Device),
    ("action_reaction", ActionBreakdown::Reaction),
    ("action_target_id", ActionBreakdown::TargetId),
    ("action_type", ActionBreakdown::Type),
    ("action_video_sound", ActionBreakdown::VideoSound),
    ("action_video_type", ActionBreakdown::VideoType),
    ("conversion_destination", ActionBreakdown::Unset("conversion_destination")),
    ("is_business_ai_assisted", ActionBreakdown::Unset("is_business_ai_assisted")),
    ("matched_persona_id", ActionBreakdown::Unset("matched_persona_id")),
    ("matched_persona_name", ActionBreakdown::Unset("matched_persona_name")),
    ("signal_source_bucket", ActionBreakdown::Unset("signal_source_bucket")),
    ("standard_event_content_type", ActionBreakdown::Unset("standard_event_content_type")),
];

impl ActionBreakdown {
    pub(super) fn word(self) -> &'static str {
        ACTION_WORDS.iter().find(|(_, known)| *known == self).map_or("", |(word, _)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        ACTION_WORDS.iter().find(|(known, _)| *known == word).map(|(_, breakdown)| *breakdown)
    }
}

/// Sets of row breakdowns that Meta allows, in the order of the enum (Meta, 'Insights: breakdowns', "Combining
/// breakdowns"); the last rows are not in its table and taken in practice. Any breakdown may also stand alone.
const SETS: &[&[Breakdown]] = &[
    &[Age, Gender],
    &[PublisherPlatform, ImpressionDevice],
    &[PublisherPlatform, PlatformPosition],
    &[PublisherPlatform, PlatformPosition, ImpressionDevice],
    &[Country, Age],
    &[Country, Gender],
    &[PublisherPlatform, DevicePlatform],
    &[PublisherPlatform, PlatformPosition, DevicePlatform],
];

/// Reads `breakdowns`; fails for words that are unknown.
pub(super) fn rows(words: &[String], dma_lives: bool) -> Result<Vec<Breakdown>, Refusal> {
    let mut breakdowns = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let known = Breakdown::parse(word).filter(|breakdown| *breakdown != Dma || dma_lives);
        let Some(breakdown) = known else {
            let listed = WORDS.iter().map(|(word, _)| *word).chain(SKAN.iter().chain(OTHERS).copied());
            return Err(unknown("breakdowns", at, listed));
        };
        breakdowns.push(breakdown);
    }
    breakdowns.sort_unstable();
    breakdowns.dedup();
    Ok(breakdowns)
}

/// Reads `action_breakdowns`. Without any, actions are broken down by their type; an empty list says so too.
pub(super) fn actions(words: Option<&[String]>) -> Result<Vec<ActionBreakdown>, Refusal> {
    let Some(words) = words.filter(|words| !words.is_empty()) else { return Ok(vec![ActionBreakdown::Type]) };
    let mut breakdowns = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some(breakdown) = ActionBreakdown::parse(word) else {
            return Err(unknown("action_breakdowns", at, ACTION_WORDS.iter().map(|(word, _)| *word)));
        };
        if !breakdowns.contains(&breakdown) {
            breakdowns.push(breakdown);
        }
    }
    Ok(breakdowns)
}

fn unknown<'a>(param: &str, at: usize, listed: impl Iterator<Item = &'a str>) -> Refusal {
    let listed = listed.collect::<Vec<_>>().join(", ");
    Refusal::invalid(format!("{param}[{at}] must be one of the following values: {listed}"))
}

/// Fails where the breakdowns may not stand together, or not at the level.
pub(super) fn check(
    rows: &[Breakdown],
    actions: &[ActionBreakdown],
    level: Kind,
    settings: &Settings,
) -> Result<(), Refusal> {
    if level == Kind::AdAccount && rows.iter().any(|it| matches!(it, ImageAsset | VideoAsset | Place)) {
        return Err(Refusal::invalid(
            "The breakdowns image_asset, video_asset and place_page_id are not available at the account level",
        ));
    }
    if is_allowed(rows) && actions.iter().all(|action| goes_with(*action, rows, actions)) {
        return Ok(());
    }
    let words = actions.iter().map(|action| action.word()).chain(rows.iter().map(|row| row.word()));
    let columns = words.collect::<Vec<_>>().join(", ");
    let text = format!("Current combination of data breakdown columns ({columns}) is invalid");
    Err(if settings.breakdown_refusal_code_2 {
        Refusal::new(2, format!("(#2) {text}")).subcode(1_504_041)
    } else {
        Refusal::invalid(text)
    })
}

fn is_allowed(rows: &[Breakdown]) -> bool {
    let without_asset: Vec<Breakdown> = rows.iter().copied().filter(|row| !row.is_asset()).collect();
    let assets = rows.len() - without_asset.len();
    match (assets, without_asset.as_slice()) {
        (0, set) => set.len() < 2 || SETS.contains(&set) || set.iter().all(|it| matches!(it, Skan(_))),
        (1, set) => matches!(set, [] | [Age | Gender] | [Age, Gender]),
        _ => false,
    }
}

/// Type, target and destination go with every set; the others with few.
fn goes_with(action: ActionBreakdown, rows: &[Breakdown], actions: &[ActionBreakdown]) -> bool {
    use ActionBreakdown as Action;
    let dealt = |action: &Action| !matches!(action, Action::Type | Action::TargetId | Action::Destination);
    let alone = |kinds: &[Action]| actions.iter().filter(|it| dealt(it)).all(|it| kinds.contains(it));
    match action {
        Action::Type | Action::TargetId | Action::Destination | Action::Unset(_) => true,
        Action::Device => {
            alone(&[Action::Device])
                && rows.iter().all(|it| matches!(it, PublisherPlatform | PlatformPosition | ImpressionDevice))
        }
        Action::Reaction => alone(&[Action::Reaction]) && rows.is_empty(),
        Action::CardId | Action::CardName => {
            alone(&[Action::CardId, Action::CardName])
                && matches!(rows, [] | [ImpressionDevice | Country | Age | Gender] | [Age, Gender])
        }
        Action::VideoSound => alone(&[Action::VideoSound]) && rows.is_empty(),
        Action::VideoType => alone(&[Action::VideoType]) && rows.is_empty(),
    }
}

/// Every set of row breakdowns that is allowed, for tests that walk over all of them.
#[cfg(test)]
pub(super) fn every_set() -> Vec<Vec<Breakdown>> {
    let alone = WORDS.iter().map(|(_, breakdown)| vec![*breakdown]);
    let pairs = SETS.iter().map(|set| set.to_vec());
    let assets = [vec![Age, BodyAsset], vec![Gender, TitleAsset], vec![Age, Gender, LinkUrlAsset]];
    std::iter::once(Vec::new()).chain(alone).chain(pairs).chain(assets).chain([vec![Other("zip")]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &str) -> Vec<String> {
        list.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn verdict(given: &str, by_action: &str) -> Result<(), Refusal> {
        let rows = rows(&words(given), false)?;
        let actions = actions(Some(&words(by_action)))?;
        check(&rows, &actions, Kind::Ad, &Settings::default())
    }

    #[test]
    fn the_sets_of_the_documentation_and_of_airbyte_are_taken() {
        for (given, by_action) in [
            ("gender,age", "action_type,action_target_id,action_destination"),
            ("publisher_platform,platform_position,impression_device", "action_type"),
            ("publisher_platform,impression_device", "action_device,action_type"),
            ("device_platform", ""),
            ("device_platform,publisher_platform", ""),
            ("comscore_market", ""),
            ("product_id", ""),
            ("", "action_reaction"),
            ("", "action_carousel_card_id,action_carousel_card_name"),
            ("age,gender", "action_carousel_card_name"),
            ("", "action_video_sound"),
            ("", "action_video_type"),
            ("body_asset,age,gender", ""),
            ("app_id,skan_conversion_id", ""),
            ("country,age", ""),
        ] {
            assert_eq!(verdict(given, by_action), Ok(()), "{given} {by_action}");
        }
    }

    #[test]
    fn other_sets_are_refused_with_their_columns() {
        for (given, by_action) in [
            ("age,publisher_platform", ""),
            ("age,region", ""),
            ("age", "action_reaction"),
            ("country", "action_device"),
            ("body_asset,title_asset", ""),
            ("country,body_asset", ""),
            ("", "action_reaction,action_device"),
        ] {
            assert!(verdict(given, by_action).is_err(), "{given} {by_action}");
        }
        let refusal = verdict("age,region", "").unwrap_err().envelope("").to_string();
        assert!(refusal.contains("data breakdown columns (action_type, region, age) is invalid"), "{refusal}");
        let refusal = verdict("shoe_size", "").unwrap_err().envelope("").to_string();
        assert!(refusal.contains("(#100) breakdowns[0] must be one of the following values: ad_format_asset, age"));
        assert!(verdict("dma", "").is_err());
        assert!(rows(&words("dma"), true).is_ok());
    }

    #[test]
    fn the_refusal_may_have_the_other_code() {
        let settings = Settings { breakdown_refusal_code_2: true, ..Settings::default() };
        let refusal = check(&[Region, Age], &[ActionBreakdown::Type], Kind::Ad, &settings).unwrap_err();
        assert_eq!(refusal.code(), 2);
        assert_eq!(refusal.envelope("")["error"]["error_subcode"], 1_504_041);
    }
}
