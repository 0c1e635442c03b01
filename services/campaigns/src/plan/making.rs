//! Making some nodes of a plan: an intent for each, one call or one batch, and what came of it.

use graph::objects;
use proto::common::v1::RowError;
use uuid::Uuid;

use super::{
    Ids, Node,
    apply::{End, PAUSE, Run},
};
use crate::{
    announce::{Announce, is_taken},
    error::Error,
    mutation::{self, Order, Sent},
    store::intents::Intent,
};

/// An intent that is written, what it sends, and where its node stands in the plan.
type Prepared = (Intent, Vec<(String, String)>, String);

impl Run<'_> {
    /// Sends the creates of some nodes. Says which were refused, and why the run must pause or end.
    pub(super) async fn make(&self, batch: &[Node<'_>], ids: &Ids) -> Result<(Vec<String>, Option<End>), Error> {
        let mut prepared = Vec::new();
        for node in batch {
            let form = node.form(ids)?;
            let intent = self.intent(node, &form, ids);
            match self.context.prepare(&intent).await {
                Ok(()) => prepared.push((intent, form, node.path())),
                Err(Error::InFlight(_)) => {
                    self.withdraw(&prepared).await?;
                    return Ok((Vec::new(), Some(End::Later(PAUSE, "another create of this name"))));
                }
                Err(error) => return Err(error),
            }
        }
        let sent = match prepared.as_slice() {
            [(intent, form, _)] => match self.context.send_one(intent, form.clone(), &self.on()).await {
                Ok(sent) => vec![sent],
                Err(Error::InFlight(_)) => return Ok((Vec::new(), Some(End::Later(PAUSE, "restart")))),
                Err(error) => return Err(error),
            },
            _ => match self.send_batch(&prepared).await? {
                Ok(sent) => sent,
                Err(end) => return Ok((Vec::new(), Some(end))),
            },
        };
        let (mut refused, mut end) = (Vec::new(), None);
        for ((intent, _, path), sent) in prepared.iter().zip(sent) {
            match sent {
                Sent::Made(_) | Sent::Lost => {} // what was lost is looked for in the next round
                Sent::Refused(error) => {
                    let error = mutation::row_error(&error.at(path.clone()));
                    self.context.store.failed(&self.tenant, intent.id, &error, None).await?;
                    refused.push(intent.temporary_id.clone());
                }
                Sent::Unsent(error) => end = Some(self.wait_or_fail(&error)),
            }
        }
        Ok((refused, end))
    }

    /// One batch. Where Meta lost it whole, each of its items is lost. Where a row is no longer there to be sent, another
    /// worker has the plan, and sends what is missing itself: then nothing of the batch is sent.
    async fn send_batch(&self, prepared: &[Prepared]) -> Result<Result<Vec<Sent>, End>, Error> {
        let store = &self.context.store;
        let ids: Vec<Uuid> = prepared.iter().map(|(intent, ..)| intent.id).collect();
        let announce = Announce { store, tenant: &self.tenant, intents: &ids };
        let calls = prepared
            .iter()
            .map(|(intent, form, _)| {
                objects::create(intent.kind, intent.account, form.clone(), intent.label.as_deref())
            })
            .collect();
        let answers = match self.context.graph.send_all_announced(&self.on(), calls, &announce).await {
            Ok(answers) => answers,
            Err(error) if is_taken(&error) => {
                self.withdraw(prepared).await?;
                return Ok(Err(End::Later(PAUSE, "restart")));
            }
            Err(graph::Error::OutcomeUnknown { .. } | graph::Error::Malformed { .. }) => {
                for id in ids {
                    store.lost(&self.tenant, id, None).await?;
                }
                return Ok(Ok(prepared.iter().map(|_| Sent::Lost).collect()));
            }
            Err(error) => {
                self.withdraw(prepared).await?;
                return Ok(Err(self.wait_or_fail(&Error::from(error))));
            }
        };
        let mut sent = Vec::with_capacity(prepared.len());
        for ((intent, ..), answer) in prepared.iter().zip(answers) {
            let (answer, trace) = match answer {
                Ok(answer) => (Ok(answer.value), answer.trace_id),
                Err(error) => (Err(error), None),
            };
            sent.push(self.context.settle(intent, answer, trace).await?);
        }
        Ok(Ok(sent))
    }

    async fn withdraw(&self, prepared: &[Prepared]) -> Result<(), Error> {
        let ids: Vec<Uuid> = prepared.iter().map(|(intent, ..)| intent.id).collect();
        Ok(self.context.store.withdraw(&self.tenant, &ids).await?)
    }

    fn intent(&self, node: &Node<'_>, form: &[(String, String)], ids: &Ids) -> Intent {
        let parent = node.parent().and_then(|id| ids.get(id)).and_then(|id| id.parse().ok()).unwrap_or(0);
        let order = Order {
            account: self.stored.account,
            kind: node.kind,
            parent,
            name: node.name.to_owned(),
            form: Vec::new(),
            path: "plan",
        };
        let sent = RowError {
            message: format!("{form:?}"), // any message does: what counts is its hash
            ..RowError::default()
        };
        Intent {
            label: self.stored.label.clone(),
            plan: Some(self.stored.id),
            temporary_id: node.temporary_id.to_owned(),
            ..mutation::intent(&self.tenant, self.actor, mutation::fingerprint(node.kind.word(), &sent), &order)
        }
    }
}

#[cfg(test)]
mod tests {
    use graph::objects::Kind;

    use crate::{
        operations::{APPLY, Held},
        plan::{apply::Input, nodes, samples},
        tests::house::House,
    };

    use super::*;

    #[tokio::test]
    async fn a_worker_that_lost_its_plan_sends_nothing_of_a_batch() {
        let house = House::open().await;
        let (context, plan) = (&house.context, samples::plan());
        house.apply(&house.store_plan(plan.clone()).await).await;
        let operations = &context.store.operations;
        let claimed = operations.claim(&[APPLY], std::time::Duration::from_secs(60)).await.unwrap().unwrap();
        let held = Held::new(operations.clone(), claimed).unwrap();
        let input: Input = serde_json::from_slice(&held.claimed.input).unwrap();
        let run = Run::new(context, &held, &input).await.unwrap();
        let mut prepared = Vec::new();
        for node in nodes(&plan).iter().filter(|node| node.kind == Kind::Ad) {
            let intent = run.intent(node, &[], &Ids::new());
            context.prepare(&intent).await.unwrap();
            prepared.push((intent, Vec::new(), node.path()));
        }
        // The worker that has the plan now begins with forgetting what was not sent.
        context.store.forget(&run.tenant, prepared[0].0.id).await.unwrap();
        let sent = run.send_batch(&prepared).await.unwrap();
        assert!(matches!(sent, Err(End::Later(..))), "{sent:?}");
        assert_eq!(house.meta.count("POST"), 0);
        assert_eq!(house.intents(&["prepared", "sending", "unknown"]).await, 0);
    }
}
