//! What campaigns, ad sets, creatives and ads have in common at Meta: how they are made, read, changed and found
//! again. What is particular to one of them stands in its own module.

use std::fmt;

use serde_json::{Value, json};
use vocabulary::ids::AdAccountId;

use crate::{
    ad_sets, ads,
    answer::{Ack, Page},
    call::{Call, Replay},
    campaigns, cost, creatives,
    on::Asset,
};

/// Rows asked for per page of a crawl. Meta allows more, but then cuts answers that hold too much data.
const PAGE_ROWS: u32 = 100;

/// What kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A campaign, beneath the ad account.
    Campaign,
    /// An ad set, beneath a campaign.
    AdSet,
    /// A creative, beneath the ad account.
    Creative,
    /// An ad, beneath an ad set.
    Ad,
}

impl Kind {
    /// All of them, parents before children.
    pub const ALL: [Self; 4] = [Self::Campaign, Self::AdSet, Self::Creative, Self::Ad];

    /// A word for rows, logs and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::AdSet => "ad_set",
            Self::Creative => "creative",
            Self::Ad => "ad",
        }
    }

    /// The kind of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Meta's word for the edge of an ad account that holds them.
    pub fn edge(self) -> &'static str {
        match self {
            Self::Campaign => "campaigns",
            Self::AdSet => "adsets",
            Self::Creative => "adcreatives",
            Self::Ad => "ads",
        }
    }

    /// The message that mirrors it, by its full name, for the codec.
    pub fn message(self) -> &'static str {
        match self {
            Self::Campaign => campaigns::MESSAGE,
            Self::AdSet => ad_sets::MESSAGE,
            Self::Creative => creatives::MESSAGE,
            Self::Ad => ads::MESSAGE,
        }
    }

    /// The fields that are read, which are those of its message.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Campaign => campaigns::FIELDS,
            Self::AdSet => ad_sets::FIELDS,
            Self::Creative => creatives::FIELDS,
            Self::Ad => ads::FIELDS,
        }
    }

    /// Every word of `effective_status`. Edges leave archived objects out unless asked for them by name
    /// (Meta, "Manage your ad object's status").
    fn statuses(self) -> &'static [&'static str] {
        match self {
            Self::Campaign => &["ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"],
            Self::AdSet => &["ACTIVE", "PAUSED", "ARCHIVED", "CAMPAIGN_PAUSED", "IN_PROCESS", "WITH_ISSUES"],
            Self::Creative => &[],
            Self::Ad => &[
                "ACTIVE",
                "PAUSED",
                "ARCHIVED",
                "CAMPAIGN_PAUSED",
                "ADSET_PAUSED",
                "IN_PROCESS",
                "WITH_ISSUES",
                "PENDING_REVIEW",
                "DISAPPROVED",
                "PREAPPROVED",
                "PENDING_BILLING_INFO",
            ],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// Makes one. Never safe to repeat: a second call makes a second object. The answer holds the fields, so no read-back
/// is needed. `form` is from [`complete`]; the label is how a lost one is found again.
pub fn create(kind: Kind, account: AdAccountId, form: Vec<(String, String)>, label: Option<&str>) -> Call<Value> {
    let call = Call::post(edge(kind, account), Replay::Never).form(form);
    let call = match label {
        Some(label) => call.json("adlabels", &json!([{ "id": label }])),
        None => call,
    };
    call.fields(kind.fields())
}

/// Lets Meta check a create, which makes nothing.
pub fn check(kind: Kind, account: AdAccountId, form: Vec<(String, String)>) -> Call<Ack> {
    Call::post(edge(kind, account), Replay::Safe).form(form).json("execution_options", &["validate_only"])
}

/// What every create says beside the message's own fields: that nothing begins to spend, and what Meta wants to be
/// said even where there is nothing to say.
pub fn complete(kind: Kind, mut form: Vec<(String, String)>) -> Vec<(String, String)> {
    form.retain(|(name, _)| name != "status");
    match kind {
        Kind::Campaign => campaigns::complete(&mut form),
        Kind::AdSet | Kind::Ad | Kind::Creative => {}
    }
    if kind != Kind::Creative {
        form.push(("status".to_owned(), "PAUSED".to_owned()));
    }
    form
}

/// One, by id, with the account that it is in, which the reader must compare: the id alone proves nothing. Deleted ones
/// are still there by id.
pub fn get(kind: Kind, id: u64) -> Call<Value> {
    Call::get(id).field("fields", format!("{},account_id", kind.fields().join(",")))
}

/// Lets it deliver, or stops it: absolute, so safe to repeat.
pub fn set_status(kind: Kind, id: u64, active: bool) -> Call<Value> {
    let form = vec![("status".to_owned(), if active { "ACTIVE" } else { "PAUSED" }.to_owned())];
    update(kind, id, form)
}

/// What so many reads and writes of an ad account take from each bucket: the bucket in words, and how much.
pub fn costs(account: AdAccountId, reads: usize, writes: usize) -> Vec<(String, u32)> {
    cost::of_job("", Asset::AdAccount(account), reads, writes)
        .into_iter()
        .map(|charge| {
            let scope = charge.scope.unwrap_or_default();
            let kind = scope.kind().as_str_name().trim_start_matches("SCOPE_KIND_");
            let words = [kind, &scope.id, &scope.use_case];
            let bucket = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
            (bucket, charge.cost)
        })
        .collect()
}

/// All of an ad account but the deleted ones, page by page.
pub fn list(kind: Kind, account: AdAccountId) -> Call<Page<Value>> {
    page(kind, edge(kind, account)).fields(kind.fields())
}

/// Those that carry a label. The edge of a label is exact; a match by part of a name does not exist at Meta.
pub fn labelled(kind: Kind, label: &str) -> Call<Page<Value>> {
    page(kind, format!("/{label}/{}", kind.edge())).field("fields", with_label(kind))
}

/// Those beneath a campaign or an ad set.
pub fn beneath(kind: Kind, parent: u64) -> Call<Page<Value>> {
    page(kind, format!("/{parent}/{}", kind.edge())).field("fields", with_label(kind))
}

/// All of an ad account, with what tells whether one of them is ours: the look-up where no label could be made.
pub fn search(kind: Kind, account: AdAccountId) -> Call<Page<Value>> {
    page(kind, edge(kind, account)).field("fields", with_label(kind))
}

/// Changes fields to what the form says: absolute, so safe to repeat.
pub fn update(kind: Kind, id: u64, form: Vec<(String, String)>) -> Call<Value> {
    Call::post(id, Replay::Safe).form(form).fields(kind.fields())
}

/// Lets Meta check an update, which changes nothing.
pub fn check_update(id: u64, form: Vec<(String, String)>) -> Call<Ack> {
    Call::post(id, Replay::Safe).form(form).json("execution_options", &["validate_only"])
}

/// Deletes it and all beneath it.
pub fn delete(id: u64) -> Call<Ack> {
    Call::delete(id)
}

fn edge(kind: Kind, account: AdAccountId) -> String {
    format!("/{}/{}", account.act(), kind.edge())
}

fn page(kind: Kind, path: String) -> Call<Page<Value>> {
    let call = Call::get(path).field("limit", PAGE_ROWS);
    match kind.statuses() {
        [] => call,
        statuses => call.json("effective_status", &statuses),
    }
}

fn with_label(kind: Kind) -> String {
    format!("{},adlabels", kind.fields().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_campaign_goes_out_paused_labelled_and_with_its_categories() {
        let form =
            complete(Kind::Campaign, form(&[("name", "Summer"), ("objective", "OUTCOME_SALES"), ("status", "ACTIVE")]));
        let call = create(Kind::Campaign, AdAccountId::new(1), form, Some("77"));
        let text = call.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "POST /act_1/campaigns",
                "name=Summer",
                "objective=OUTCOME_SALES",
                "special_ad_categories=[]",
                "is_adset_budget_sharing_enabled=false",
                "status=PAUSED",
                r#"adlabels=[{"id":"77"}]"#,
            ]
        );
        assert!(lines[7].starts_with("fields=id,name,objective"));
        assert_eq!(call.replay(), Replay::Never);
    }

    #[test]
    fn a_check_stores_nothing_and_may_be_repeated() {
        let call = check(Kind::Campaign, AdAccountId::new(1), form(&[("name", "Summer")]));
        assert_eq!(call.to_string(), "POST /act_1/campaigns\nname=Summer\nexecution_options=[\"validate_only\"]");
        assert_eq!(call.replay(), Replay::Safe);
    }

    #[test]
    fn a_lost_ad_is_looked_for_in_its_ad_set_whatever_its_state() {
        let text = beneath(Kind::Ad, 5).to_string();
        assert!(
            text.starts_with("GET /5/ads\nlimit=100\neffective_status=[\"ACTIVE\",\"PAUSED\",\"ARCHIVED\","),
            "{text}"
        );
        assert!(text.ends_with(",adlabels"), "{text}");
    }

    #[test]
    fn a_write_takes_a_call_and_three_points() {
        let costs = costs(AdAccountId::new(7), 1, 2);
        assert!(costs.contains(&("AD_ACCOUNT 7 ads_management".to_owned(), 3)), "{costs:?}");
        assert!(costs.contains(&("AD_ACCOUNT 7".to_owned(), 7)), "{costs:?}");
    }

    #[test]
    fn a_creative_has_no_status_of_its_own_to_send() {
        assert_eq!(complete(Kind::Creative, form(&[("name", "K")])), form(&[("name", "K")]));
    }
}
