//! Looking for a create whose answer was lost, until it is sure whether Meta made it.
//!
//! Absence now is not absence: Meta may commit after our timeout, and reads lag. So absence is concluded only after three
//! looks, the last of them `settle_seconds` after it was known that the answer was lost: only from then on is it sure that
//! no byte of ours is still on its way. A twin that comes later still is found by [`crate::sweep`].

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use graph::objects::{self, Kind};
use jiff::Timestamp;
use proto::common::v1::RowError;
use rpc::Fault;
use serde_json::{Value, json};

use crate::{
    context::Context,
    error::Error,
    mirror,
    settings::Marker,
    store::intents::{Intent, State},
};

/// How many looks it takes to believe that something is not there.
const LOOKS: i32 = 3;
/// How far Meta's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(60);

/// What a look came to.
#[derive(Debug)]
pub(crate) enum Looked {
    /// Meta made it; the intent is done.
    Found(Value),
    /// Meta did not make it; the intent has failed.
    Absent(RowError),
    /// Not sure yet: look again after this time.
    Again(Duration),
}

/// It was sent, the answer was lost, and Meta did not make it.
#[derive(Debug, thiserror::Error)]
#[error("it was sent to Meta, which neither answered nor made it: send it again under a new request_id")]
struct NotMade;

impl Fault for NotMade {
    fn code(&self) -> rpc::Code {
        rpc::Code::Unavailable
    }

    fn reason(&self) -> rpc::ErrorReason {
        rpc::ErrorReason::MetaUnavailable
    }
}

/// It was sent, the answer was lost, and looking for it did not work for a whole day.
#[derive(Debug, thiserror::Error)]
#[error(
    "its answer was lost, and Meta could not be asked whether it made it: look in Ads Manager before sending it again"
)]
pub(crate) struct NotSure;

impl Fault for NotSure {
    fn code(&self) -> rpc::Code {
        rpc::Code::Unknown
    }

    fn reason(&self) -> rpc::ErrorReason {
        rpc::ErrorReason::OutcomeUnknown
    }
}

impl Context {
    /// One look for a lost create, and what follows from it.
    pub(crate) async fn look(&self, intent: &Intent) -> Result<Looked, Error> {
        if let (State::Done, Some(id)) = (intent.state, intent.object) {
            let stored = self.store.object(&intent.tenant, intent.account, intent.kind, id).await?;
            return Ok(Looked::Found(stored.map(|stored| stored.graph).unwrap_or_default()));
        }
        if let (State::Failed, Some(error)) = (intent.state, &intent.error) {
            return Ok(Looked::Absent(error.clone()));
        }
        let sent = intent.sent.unwrap_or_else(|| self.now());
        let began = Instant::now();
        if let Some((id, graph)) = self.find(intent, sent).await? {
            let detail = json!({ "name": intent.name, "found_after": "lost answer" });
            self.store.made(intent, id, &graph, self.now(), detail).await?;
            return Ok(Looked::Found(graph));
        }
        let (looks, age) = self.store.looked(&intent.tenant, intent.id).await?;
        // As old as it was when the look began: what appeared meanwhile may not have been seen.
        match next_look(looks, age.saturating_sub(began.elapsed()), self.settings.settle()) {
            Some(delay) => Ok(Looked::Again(delay)),
            None => {
                let error = rpc::row_error(&NotMade);
                let until = sent.checked_add(Duration::from_secs(self.settings.sweep_seconds)).ok();
                self.store.failed(&intent.tenant, intent.id, &error, until).await?;
                Ok(Looked::Absent(error))
            }
        }
    }

    /// Looks through what Meta has for the thing that was meant. Matched exactly and here: Meta's filters are not exact.
    pub(crate) async fn find(&self, intent: &Intent, sent: Timestamp) -> Result<Option<(u64, Value)>, Error> {
        let label = intent.label.as_deref().filter(|_| self.settings.marker == Marker::Label);
        let call = match (intent.kind, label) {
            (Kind::AdSet | Kind::Ad, _) => objects::beneath(intent.kind, intent.parent),
            (kind, Some(label)) => objects::labelled(kind, label),
            (kind, None) => objects::search(kind, intent.account),
        };
        let on = self.looking(&intent.tenant, intent.account);
        let mut pages = std::pin::pin!(self.graph.pages(&on, call));
        while let Some(page) = pages.try_next().await? {
            for graph in page {
                let Some(id) = mirror::number(&graph, "id") else { continue };
                if is_match(intent, label, sent, &graph) && !self.store.is_adopted(intent, id).await? {
                    return Ok(Some((id, graph)));
                }
            }
        }
        Ok(None)
    }
}

/// Is this what the intent meant?
fn is_match(intent: &Intent, label: Option<&str>, sent: Timestamp, graph: &Value) -> bool {
    let labelled = label.is_none_or(|label| {
        let labels = graph.get("adlabels").and_then(Value::as_array);
        let carries = |labels: &Vec<Value>| labels.iter().any(|it| mirror::text(it, "id") == label);
        match intent.kind {
            // Beneath a parent stand other people's things too, and Meta leaves out the labels of what has none.
            Kind::AdSet | Kind::Ad => labels.is_some_and(carries),
            // The edge of a label has only what carries it; where Meta says the labels, they must agree.
            Kind::Campaign | Kind::Creative => labels.is_none_or(carries),
        }
    });
    let created = mirror::time(graph, "created_time");
    let earliest = sent.checked_sub(SKEW).unwrap_or(sent);
    labelled
        && mirror::text(graph, "name") == intent.name
        && crate::store::objects::parent(intent.kind, graph) == intent.parent
        && created.is_none_or(|created| created >= earliest)
}

/// When to look again; `None` once absence is sure. The looks lie at about a tenth, a half and all of the time to settle.
fn next_look(looks: i32, age: Duration, settle: Duration) -> Option<Duration> {
    if looks >= LOOKS && age >= settle {
        return None;
    }
    let due = match looks {
        ..=1 => settle / 10,
        2 => settle / 2,
        _ => settle,
    };
    Some(due.saturating_sub(age).max(Duration::from_millis(100)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation, mutation::Order};

    fn lost() -> Intent {
        let order = Order {
            account: vocabulary::ids::AdAccountId::new(1),
            kind: Kind::AdSet,
            parent: 2,
            name: "US".to_owned(),
            form: Vec::new(),
            path: "ad_set",
        };
        mutation::intent(&"acme".parse().unwrap(), "callers/test", [0; 32], &order)
    }

    #[test]
    fn only_the_very_thing_is_a_match() {
        let sent: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let good = json!({"id": "9", "name": "US", "campaign_id": "2", "adlabels": [{"id": "7"}],
                          "created_time": "2026-11-22T02:00:03-0800"});
        assert!(is_match(&lost(), Some("7"), sent, &good));
        let table = [
            ("name", json!("DE")),
            ("campaign_id", json!("3")),
            ("adlabels", json!([{"id": "8"}])),
            ("created_time", json!("2026-11-22T09:58:59+0000")),
        ];
        for (key, value) in table {
            let mut other = good.clone();
            other[key] = value;
            assert!(!is_match(&lost(), Some("7"), sent, &other), "{key}");
        }
    }

    #[test]
    fn what_carries_no_label_beneath_a_parent_is_somebody_elses() {
        let sent: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let theirs = json!({"id": "9", "name": "US", "campaign_id": "2", "created_time": "2026-11-22T10:00:03+0000"});
        assert!(!is_match(&lost(), Some("7"), sent, &theirs));
        let ours = Intent { kind: Kind::Campaign, parent: 0, ..lost() };
        assert!(is_match(&ours, Some("7"), sent, &theirs), "the edge of a label has only what carries it");
    }

    #[test]
    fn absence_takes_three_looks_and_the_time_to_settle() {
        let settle = Duration::from_secs(180);
        let seconds = Duration::from_secs;
        assert_eq!(next_look(1, seconds(2), settle), Some(seconds(16)));
        assert_eq!(next_look(2, seconds(18), settle), Some(seconds(72)));
        assert_eq!(next_look(3, seconds(90), settle), Some(seconds(90)));
        assert_eq!(next_look(3, seconds(180), settle), None);
        assert_eq!(next_look(2, seconds(600), settle), Some(Duration::from_millis(100)));
    }
}
