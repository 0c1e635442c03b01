//! Applying a plan: level by level, each node with its own intent, and on from wherever an earlier run stopped.
//!
//! Nothing is remembered but what stands in the rows, so a kill at any moment loses nothing: what is `sending` then is
//! looked for, what is `prepared` was never sent, and what is `done` is not made again.

use std::{collections::HashSet, time::Duration};

use futures::TryStreamExt;
use graph::objects::Kind;
use proto::common::v1::RowError;
use proto::plans::v1::{ApplyPlanResult, CreatedResource, Plan};
use rpc::Fault;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use super::{Node, diff, nodes, pictures, steps};
use crate::{
    context::Context,
    error::Error,
    looking::Looked,
    mirror, mutation,
    operations::Held,
    settings::Marker,
    store::{
        accounts::Made,
        intents::{Intent, State},
        plans::Plan as Stored,
    },
};

/// How many items Meta takes in one batch.
pub(super) const BATCH: usize = 50;
/// How long to wait where nobody says how long.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// What the worker needs to know: which plan, and for whom. The caller was authorised when the work was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) account: AdAccountId,
    pub(crate) plan: Uuid,
    pub(crate) actor: String,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All of it was made.
    Done(ApplyPlanResult),
    /// It cannot go on.
    Failed(RowError),
    /// It goes on after this time, when what it waits for is there.
    Later(Duration, &'static str),
}

/// What a run that failed leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Names of what exists at Meta.
    pub(crate) made: Vec<String>,
    /// Nodes whose answer was lost and that nobody has found or missed yet.
    pub(crate) unsure: Vec<String>,
}

/// Somebody asked for it to stop.
#[derive(Debug, thiserror::Error)]
#[error("it was cancelled")]
struct Cancelled;

impl Fault for Cancelled {
    fn code(&self) -> rpc::Code {
        rpc::Code::Cancelled
    }

    fn reason(&self) -> rpc::ErrorReason {
        rpc::ErrorReason::Cancelled
    }
}

/// One run over one plan.
pub(crate) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) held: &'a Held,
    pub(super) tenant: TenantId,
    pub(super) actor: &'a str,
    pub(super) stored: Stored,
    pub(super) plan: Plan,
    /// Nodes that Meta refused in this run. An earlier run's are tried again.
    refused: HashSet<String>,
    /// The quota that is held for it.
    pub(super) reservation: Option<graph::Reservation>,
}

impl<'a> Run<'a> {
    /// Reads the plan.
    pub(crate) async fn new(context: &'a Context, held: &'a Held, input: &'a Input) -> Result<Self, Error> {
        let tenant: TenantId = held.claimed.tenant.parse().map_err(|_| Error::NotFound("tenant".to_owned()))?;
        let (stored, plan) = context.stored_plan(&tenant, input.account, input.plan).await?;
        let (actor, refused) = (&input.actor, HashSet::new());
        Ok(Self { context, held, tenant, actor, stored, plan, refused, reservation: None })
    }

    /// Goes as far as it can.
    pub(crate) async fn run(&mut self) -> Result<End, Error> {
        let cancelled = self.held.claimed.cancel_requested;
        if !cancelled && let Some(end) = self.reserve().await? {
            return Ok(end);
        }
        let end = self.make_all(cancelled).await;
        self.give_back(&end).await;
        end
    }

    async fn make_all(&mut self, cancelled: bool) -> Result<End, Error> {
        if !cancelled {
            if let Some(end) = self.label().await? {
                return Ok(end);
            }
            if let Some(end) = self.pictures().await? {
                return Ok(end);
            }
        }
        for kind in Kind::ALL {
            self.held.change(|metadata| phase(kind).clone_into(&mut metadata.phase));
            if let Some(end) = self.level(kind).await? {
                return Ok(end);
            }
        }
        Ok(End::Done(self.result().await?))
    }

    /// The label comes first: whatever is lost later is found by it.
    async fn label(&mut self) -> Result<Option<End>, Error> {
        if self.context.settings.marker != Marker::Label || self.stored.label.is_some() {
            return Ok(None);
        }
        self.held.change(|metadata| "making the label".clone_into(&mut metadata.phase));
        let call = graph::labels::create(self.stored.account, &diff::label_name(&self.stored));
        match self.context.graph.send_traced(&self.on(), call).await {
            Ok(made) => {
                let (store, label) = (&self.context.store, made.value.id);
                let mut client = store.postgres.client().await?;
                let transaction = client.transaction().await.map_err(storage::Error::from)?;
                store.note_plan(&transaction, &self.tenant, self.stored.id, None, Some(&label), None).await?;
                let made = Made { trace: made.trace_id, actor: self.actor, request: None };
                store.label_made(&transaction, &self.tenant, self.stored.account, &label, made).await?;
                transaction.commit().await.map_err(storage::Error::from)?;
                self.stored.label = Some(label);
                Ok(None)
            }
            Err(error) => Ok(Some(self.wait_or_fail(&Error::from(error)))),
        }
    }

    /// A picture that the account lacks would be refused with the creatives, when the campaign is made already.
    async fn pictures(&mut self) -> Result<Option<End>, Error> {
        let wanted = pictures(&self.plan);
        if self.stored.pictures || wanted.is_empty() {
            return Ok(None);
        }
        self.held.change(|metadata| "looking for the pictures".clone_into(&mut metadata.phase));
        let mut there = HashSet::new();
        for chunk in wanted.chunks(BATCH) {
            let hashes: Vec<&str> = chunk.iter().map(|(hash, _)| hash.as_str()).collect();
            let call = graph::images::find(self.stored.account, &hashes);
            let on = self.on();
            let found: Result<Vec<_>, graph::Error> = self.context.graph.pages(&on, call).try_collect().await;
            match found {
                Ok(pages) => there.extend(pages.into_iter().flatten().map(|image: graph::images::Image| image.hash)),
                Err(error) => return Ok(Some(self.wait_or_fail(&Error::from(error)))),
            }
        }
        let mut findings = crate::rules::Findings::default();
        for (hash, field) in &wanted {
            let known = there.contains(hash);
            findings.check(known, field, "is no picture of this ad account: upload it first", "PICTURE_MISSING");
        }
        if let Err(error) = findings.finish() {
            return Ok(Some(End::Failed(mutation::row_error(&error))));
        }
        let client = self.context.store.postgres.client().await?;
        self.context.store.note_plan(&client, &self.tenant, self.stored.id, None, None, Some(true)).await?;
        self.stored.pictures = true;
        Ok(None)
    }

    /// Makes all nodes of one kind.
    async fn level(&mut self, kind: Kind) -> Result<Option<End>, Error> {
        loop {
            if self.context.stop.is_cancelled() {
                return Ok(Some(End::Later(Duration::ZERO, "restart")));
            }
            let intents = self.intents().await?;
            let cancelled = self.tell(&intents).await?;
            let is_lost = |intent: &&Intent| is_open(intent) && (cancelled || intent.kind == kind);
            let lost: Vec<&Intent> = intents.iter().filter(is_lost).collect();
            if !lost.is_empty() {
                match self.resolve(&lost).await? {
                    Some(end) => return Ok(Some(end)),
                    None => continue,
                }
            }
            // Only now is it sure what there is, and so what to tell whoever asked for a stop.
            if cancelled {
                return Ok(Some(End::Failed(rpc::row_error(&Cancelled))));
            }
            let ids = diff::ids(&self.plan, &intents);
            let open = nodes(&self.plan).into_iter().filter(|node| node.kind == kind);
            let open: Vec<Node<'_>> = open.filter(|node| !ids.contains_key(node.temporary_id)).collect();
            if open.is_empty() {
                return Ok(None);
            }
            if open.iter().any(|node| self.refused.contains(node.temporary_id)) {
                return Ok(Some(End::Failed(self.first_error(&intents))));
            }
            // Meta locks a campaign while it adds an ad set, so two of one campaign never share a batch.
            let size = if matches!(kind, Kind::Creative | Kind::Ad) { BATCH } else { 1 };
            let (refused, end) = self.make(open.get(..size.min(open.len())).unwrap_or_default(), &ids).await?;
            self.refused.extend(refused);
            if end.is_some() {
                return Ok(end);
            }
        }
    }

    /// Looks for what was sent and not answered. `None`: all of it is sure now. Where Meta cannot be asked, the plan waits as
    /// for any other call, and then ends; what is not sure by then is the sweep's.
    async fn resolve(&self, open: &[&Intent]) -> Result<Option<End>, Error> {
        let mut again: Option<Duration> = None;
        for intent in open {
            if intent.state == State::Prepared {
                self.context.store.forget(&self.tenant, intent.id).await?;
                continue;
            }
            self.context.store.lost(&self.tenant, intent.id, None).await?;
            match self.context.look(intent).await {
                Ok(Looked::Found(_) | Looked::Absent(_)) => {}
                Ok(Looked::Again(delay)) => again = Some(again.map_or(delay, |sooner| sooner.min(delay))),
                Err(error @ Error::Store(_)) => return Err(error),
                Err(error) => return Ok(Some(self.wait_or_fail(&error))),
            }
        }
        Ok(again.map(|delay| End::Later(delay, "meta")))
    }

    /// Everything that exists now, and where it is not what was asked for.
    async fn result(&self) -> Result<ApplyPlanResult, Error> {
        let intents = self.intents().await?;
        let ids = diff::ids(&self.plan, &intents);
        let mut result = ApplyPlanResult::default();
        for node in nodes(&self.plan) {
            let Some(id) = ids.get(node.temporary_id).and_then(|id| id.parse::<u64>().ok()) else { continue };
            let object = self.context.store.object(&self.tenant, self.stored.account, node.kind, id).await?;
            let graph = object.map(|object| object.graph).unwrap_or_default();
            let resource = mirror::resource_name(self.stored.account, node.kind, id);
            result.differences.extend(diff::differences(&resource, &node.form(&ids)?, &graph));
            result.created.push(CreatedResource {
                temporary_id: node.temporary_id.to_owned(),
                resource,
                effective_status: mirror::text(&graph, "effective_status").to_owned(),
            });
        }
        result.differences.truncate(500);
        Ok(result)
    }

    /// What exists at Meta of this plan and what perhaps does, for a failure to name. What was never sent is forgotten.
    pub(crate) async fn left(&self) -> Result<Left, Error> {
        let mut left = Left::default();
        for intent in self.intents().await? {
            match (intent.state, intent.object) {
                (State::Done, Some(id)) => {
                    left.made.push(mirror::resource_name(intent.account, intent.kind, id));
                }
                (State::Sending | State::Unknown, _) => {
                    self.context.store.lost(&self.tenant, intent.id, None).await?;
                    left.unsure.push(format!("{} {:?} ({})", intent.kind, intent.name, intent.temporary_id));
                }
                (State::Prepared, _) => self.context.store.forget(&self.tenant, intent.id).await?,
                (State::Done | State::Failed, _) => {}
            }
        }
        Ok(left)
    }

    /// Shows each node's state. Once it has ended badly, what was not begun is skipped.
    pub(crate) async fn show(&self, ended: bool) -> Result<(), Error> {
        let intents = self.intents().await?;
        self.parts(&intents, ended);
        Ok(())
    }

    async fn tell(&self, intents: &[Intent]) -> Result<bool, Error> {
        self.parts(intents, false);
        self.held.change(|metadata| {
            metadata.waiting_on.clear();
            metadata.next_attempt_time = None;
            metadata.quota_until = None;
        });
        self.held.tell(self.context.now()).await
    }

    fn parts(&self, intents: &[Intent], ended: bool) {
        let labelled = self.context.settings.marker == Marker::Label;
        let steps = steps::steps(&self.plan, &self.stored, intents, labelled);
        let parts = steps::parts(&steps, ended);
        let total = parts.len();
        self.held.parts(parts, total);
    }

    pub(super) async fn intents(&self) -> Result<Vec<Intent>, Error> {
        Ok(self.context.store.intents_of_plan(&self.tenant, self.stored.id).await?)
    }

    pub(super) fn on(&self) -> graph::On {
        let reservation = self.reservation.clone();
        graph::On { reservation, ..self.context.applying(&self.tenant, self.stored.account) }
    }

    /// What waiting helps is waited for, as long as the patience lasts.
    pub(super) fn wait_or_fail(&self, error: &Error) -> End {
        let patience = Duration::from_secs(self.context.settings.patience_seconds);
        if !error.is_temporary() || self.held.age(self.context.now()) > patience {
            return End::Failed(mutation::row_error(error));
        }
        let quota = matches!(error.code(), rpc::Code::ResourceExhausted);
        End::Later(error.retry_after().unwrap_or(PAUSE), if quota { "quota" } else { "meta" })
    }

    fn first_error(&self, intents: &[Intent]) -> RowError {
        let mut refused = intents.iter().filter(|intent| self.refused.contains(&intent.temporary_id));
        refused.find_map(|intent| intent.error.clone()).unwrap_or_default()
    }
}

/// Begun, and not known to be done or failed.
fn is_open(intent: &Intent) -> bool {
    matches!(intent.state, State::Prepared | State::Sending | State::Unknown)
}

fn phase(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "making the campaign",
        Kind::AdSet => "making ad sets",
        Kind::Creative => "making creatives",
        Kind::Ad => "making ads",
    }
}
