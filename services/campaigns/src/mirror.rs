//! The messages that mirror Meta's objects, and the Graph JSON that is stored of them.

use aws_lc_rs::digest;
use graph::{
    codec::{self, CodecError, Mode},
    objects::Kind,
};
use jiff::Timestamp;
use prost::Message;
use proto::campaigns::v1 as pb;
use serde_json::Value;
use vocabulary::ids::AdAccountId;

use crate::error::Error;

/// A message that mirrors one kind of object.
pub(crate) trait Mirrored: Message + Default + Clone {
    /// Of which kind.
    const KIND: Kind;

    /// Meta's id, where it has one.
    fn id(&self) -> Option<&str>;
    /// Meta's name of it.
    fn name(&self) -> &str;
    /// Its id within a plan; empty elsewhere.
    fn temporary_id(&self) -> &str;
    /// Sets what is ours: its name with us and its etag.
    fn adopt(&mut self, resource_name: String, etag: String);
}

macro_rules! mirrored {
    ($($message:ident => $kind:ident),*) => {$(
        impl Mirrored for pb::$message {
            const KIND: Kind = Kind::$kind;

            fn id(&self) -> Option<&str> {
                self.id.as_deref()
            }

            fn name(&self) -> &str {
                self.name.as_deref().unwrap_or_default()
            }

            fn temporary_id(&self) -> &str {
                self.temporary_id.as_deref().unwrap_or_default()
            }

            fn adopt(&mut self, resource_name: String, etag: String) {
                self.resource_name = resource_name;
                self.etag = etag;
            }
        }
    )*};
}

mirrored!(Campaign => Campaign, AdSet => AdSet, Creative => Creative, Ad => Ad);

/// What a create of this message sends.
///
/// # Errors
/// When its `extra` or its enums are wrong.
pub(crate) fn form<M: Mirrored>(message: &M) -> Result<Vec<(String, String)>, CodecError> {
    Ok(graph::objects::complete(M::KIND, codec::encode(message, M::KIND.message(), Mode::Create)?))
}

/// The message that this Graph JSON says.
///
/// # Errors
/// When it is no object.
pub(crate) fn read<M: Mirrored>(account: AdAccountId, graph: &Value) -> Result<M, Error> {
    let mut message: M = codec::decode(M::KIND.message(), graph)?;
    let name = message.id().map(|id| resource_name(account, M::KIND, id)).unwrap_or_default();
    message.adopt(name, etag(graph));
    Ok(message)
}

/// `adAccounts/act_1/campaigns/2`.
pub(crate) fn resource_name(account: AdAccountId, kind: Kind, id: impl std::fmt::Display) -> String {
    format!("adAccounts/{}/{}/{id}", account.act(), collection(kind))
}

/// The collection of our resource names.
pub(crate) fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "campaigns",
        Kind::AdSet => "adSets",
        Kind::Creative => "creatives",
        Kind::Ad => "ads",
    }
}

/// What changes by itself and is nobody's decision: it does not move the etag.
const VOLATILE: [&str; 6] =
    ["updated_time", "budget_remaining", "effective_status", "learning_stage_info", "thumbnail_url", "adlabels"];

/// A short hash of what somebody decided about the object.
pub(crate) fn etag(graph: &Value) -> String {
    let mut graph = graph.clone();
    if let Some(object) = graph.as_object_mut() {
        object.retain(|key, _| !VOLATILE.contains(&key.as_str()));
    }
    let digest = digest::digest(&digest::SHA256, graph.to_string().as_bytes()); // keys are sorted: the map is a B-tree
    hex::encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// A text of the object, such as its name. Empty where there is none.
pub(crate) fn text<'a>(graph: &'a Value, key: &str) -> &'a str {
    graph.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number of the object that Meta writes as digits.
pub(crate) fn number(graph: &Value, key: &str) -> Option<u64> {
    let value = graph.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A moment of the object. Meta writes the offset without a colon.
pub(crate) fn time(graph: &Value, key: &str) -> Option<Timestamp> {
    let text = text(graph, key);
    text.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_campaign_reads_back_under_its_own_name() {
        let graph = json!({"id": "2", "name": "Summer", "objective": "OUTCOME_SALES", "daily_budget": "500", "new": 1});
        let campaign: pb::Campaign = read(AdAccountId::new(1), &graph).unwrap();
        assert_eq!(campaign.resource_name, "adAccounts/act_1/campaigns/2");
        assert_eq!(campaign.name(), "Summer");
        assert_eq!(campaign.daily_budget, Some(500));
        assert_eq!(campaign.extra["new"], "1");
    }

    #[test]
    fn an_ad_says_its_creative_by_another_word_than_it_reads_it() {
        let ad = pb::Ad {
            name: Some("A".to_owned()),
            creative: Some(pb::CreativeRef { creative_id: Some("31".to_owned()), ..pb::CreativeRef::default() }),
            ..pb::Ad::default()
        };
        assert!(form(&ad).unwrap().contains(&("creative".to_owned(), r#"{"creative_id":"31"}"#.to_owned())));
        let read: pb::Ad = read(AdAccountId::new(1), &json!({"id": "4", "creative": {"id": "31"}})).unwrap();
        assert_eq!(read.creative.unwrap().creative_id.unwrap(), "31");
    }

    #[test]
    fn what_changes_by_itself_does_not_move_the_etag() {
        let graph = json!({"id": "2", "name": "Summer", "budget_remaining": "5"});
        assert_eq!(etag(&graph), etag(&json!({"id": "2", "name": "Summer", "budget_remaining": "4"})));
        assert_ne!(etag(&graph), etag(&json!({"id": "2", "name": "Winter", "budget_remaining": "5"})));
    }
}
