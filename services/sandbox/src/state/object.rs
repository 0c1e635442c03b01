//! What the world is made of.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The kinds of things that have an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    App,
    AdAccount,
    Campaign,
    AdSet,
    Ad,
    Creative,
    Image,
    Video,
    Label,
    Audience,
    SavedAudience,
    Dataset,
    CustomConversion,
    Page,
    LeadForm,
    Lead,
    Instagram,
    Media,
    Business,
    Person,
    Catalog,
    ProductSet,
    Product,
    Run,
    AsyncSet,
    AsyncRequest,
    Rule,
    RuleRun,
    Study,
    Cell,
    Objective,
    Schedule,
    ValueRuleSet,
}

impl Kind {
    /// As Meta's error texts name the type.
    pub(crate) fn node_type(self) -> &'static str {
        match self {
            Self::App => "Application",
            Self::AdAccount => "AdAccount",
            Self::Campaign => "Campaign",
            Self::AdSet => "AdSet",
            Self::Ad => "Ad",
            Self::Creative => "AdCreative",
            Self::Image => "AdImage",
            Self::Video => "Video",
            Self::Label => "AdLabel",
            Self::Audience => "CustomAudience",
            Self::SavedAudience => "SavedAudience",
            Self::Dataset => "AdsPixel",
            Self::CustomConversion => "CustomConversion",
            Self::Page => "Page",
            Self::LeadForm => "LeadGenData",
            Self::Lead => "LeadGen",
            Self::Instagram => "IGUser",
            Self::Media => "IGMedia",
            Self::Catalog => "ProductCatalog",
            Self::ProductSet => "ProductSet",
            Self::Product => "ProductItem",
            Self::Business => "Business",
            Self::Person => "User",
            Self::Run => "AdReportRun",
            Self::AsyncSet => "AdAsyncRequestSet",
            Self::AsyncRequest => "AdAsyncRequest",
            Self::Rule => "AdRule",
            Self::RuleRun => "AdRuleHistory",
            Self::Study => "AdStudy",
            Self::Cell => "AdStudyCell",
            Self::Objective => "AdStudyObjective",
            Self::Schedule => "HighDemandPeriod",
            Self::ValueRuleSet => "AdsValueAdjustmentRuleCollection",
        }
    }
}

/// The status that an owner sets; what follows from it is `effective_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Active,
    Paused,
    Archived,
    Deleted,
}

impl Status {
    pub(crate) const WORDS: &[&str] = &["ACTIVE", "PAUSED", "DELETED", "ARCHIVED"];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Archived => "ARCHIVED",
            Self::Deleted => "DELETED",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "ACTIVE" => Some(Self::Active),
            "PAUSED" => Some(Self::Paused),
            "ARCHIVED" => Some(Self::Archived),
            "DELETED" => Some(Self::Deleted),
            _ => None,
        }
    }

    /// Whether edges leave it out unless they are asked for it.
    pub(crate) fn is_gone(self) -> bool {
        matches!(self, Self::Archived | Self::Deleted)
    }
}

/// Days on which an ad delivers, in its account's time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) from: Date,
    /// The last day; none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Date>,
    /// What it spends on an average day, in minor units.
    pub(crate) daily_minor: i64,
}

impl Span {
    pub(crate) fn holds(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

/// One thing with an id. Its fields are kept as they are read; links and what rules need stand beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// The ad account it belongs to; for an account its own id, 0 outside of accounts.
    pub(crate) account: u64,
    pub(crate) status: Status,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) campaign: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ad_set: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) creative: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) labels: BTreeSet<u64>,
    /// Since when an ad is under review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) review_from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) spans: Vec<Span>,
    /// When its budget was changed, newest last; only the last hour counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) budget_changes: Vec<Timestamp>,
    pub(crate) fields: Map<String, Value>,
}

impl Object {
    pub(crate) fn new(id: u64, kind: Kind, account: u64, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            account,
            status: Status::Active,
            created: now,
            updated: now,
            owner: None,
            campaign: None,
            ad_set: None,
            creative: None,
            labels: BTreeSet::new(),
            review_from: None,
            spans: Vec::new(),
            budget_changes: Vec::new(),
            fields: Map::new(),
        }
    }

    pub(crate) fn with(mut self, fields: Value) -> Self {
        if let Value::Object(map) = fields {
            self.fields.extend(map);
        }
        self
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name")
    }

    /// A budget or other amount in minor units; 0 where none is set.
    pub(crate) fn minor(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// Everything under whose edges it is listed.
    pub(crate) fn parents(&self) -> impl Iterator<Item = u64> {
        let account = (self.account != 0 && self.account != self.id).then_some(self.account);
        [account, self.owner, self.campaign, self.ad_set, self.creative]
            .into_iter()
            .flatten()
            .chain(self.labels.iter().copied())
    }
}
