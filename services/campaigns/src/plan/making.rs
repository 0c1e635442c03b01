//! Making some nodes of a plan: an intent for each, one call or one batch, and what came of it.

use graph::objects;
use proto::common::v1::RowError;
use uuid::Uuid;

use super::{
    Ids, Node,
    apply::{End, PAUSE, Run},
};
use crate::{
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
            [(intent, form, _)] => vec![self.context.send_one(intent, form.clone(), &self.on()).await?],
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

    /// One batch. Where Meta lost it whole, each of its items is lost.
    async fn send_batch(&self, prepared: &[Prepared]) -> Result<Result<Vec<Sent>, End>, Error> {
        let store = &self.context.store;
        let ids: Vec<Uuid> = prepared.iter().map(|(intent, ..)| intent.id).collect();
        store.sending(&self.tenant, &ids).await?;
        let calls = prepared
            .iter()
            .map(|(intent, form, _)| {
                objects::create(intent.kind, intent.account, form.clone(), intent.label.as_deref())
            })
            .collect();
        let answers = match self.context.graph.send_all(&self.on(), calls).await {
            Ok(answers) => answers,
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
            sent.push(self.context.settle(intent, answer, None).await?);
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
