//! What is done from time to time: creates that a dead replica left, late twins, uploads and answers that nobody wants.

use std::time::Duration;

use graph::objects::{self, Kind};
use runtime::Process;
use serde_json::json;
use storage::audit::Entry;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    context::{self, Context},
    error::Error,
    mirror,
    settings::Marker,
    store::intents::{Intent, State},
};

/// How often this round is made.
const PERIOD: Duration = Duration::from_secs(5);
/// How often one lost create is looked for once it was taken for absent.
const TWIN_PERIOD: Duration = Duration::from_mins(30);
/// An upload with which nobody goes on is forgotten after this time.
const UPLOAD_AGE: Duration = Duration::from_hours(1);
/// Operations are kept for 30 days after their end.
const OPERATION_AGE: Duration = Duration::from_hours(30 * 24);

/// Sweeps until `stop`. A round once begun is finished.
pub(crate) fn spawn(context: &Context, process: &Process) {
    process.tasks.spawn(run(context.clone(), process.stop.clone()));
}

async fn run(context: Context, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if let Err(error) = context.sweep().await {
            warn!(error = &error as &dyn std::error::Error, "a sweep was cut short; the next one goes on");
        }
    }
}

impl Context {
    /// One round.
    pub(crate) async fn sweep(&self) -> Result<(), Error> {
        // Whoever is alive has an answer within the time of a call, so older rows are of the dead.
        for intent in self.store.abandoned(self.settings.call()).await? {
            self.recover(&intent).await?;
        }
        while let Some(intent) = self.store.due_sweep(TWIN_PERIOD).await? {
            self.remove_twin(&intent).await?;
        }
        self.store.sweep_uploads(UPLOAD_AGE).await?;
        self.store.operations.sweep(OPERATION_AGE).await?;
        self.store.requests.sweep().await?;
        Ok(())
    }

    /// What was not sent is forgotten; what was perhaps sent is looked for.
    async fn recover(&self, intent: &Intent) -> Result<(), Error> {
        if intent.state == State::Prepared {
            return Ok(self.store.forget(&intent.tenant, intent.id).await?);
        }
        info!(intent.id = %intent.id, "looking for a create that nobody looks for");
        let found = self.look_for(intent).await?;
        if let (Some(request), crate::mutation::Outcome::Looking(operation)) = (intent.request, found) {
            let answer = json!({ "operation": operation.name }).to_string();
            self.store.requests.answer(intent.tenant.as_str(), request, answer.as_bytes()).await?;
        }
        Ok(())
    }

    /// Deletes a twin that Meta made after it was taken for absent. Only one that is PAUSED and nobody's: everything of
    /// ours is made so. Creatives stay: Meta gives one id to equal content, so others may use it. Without a label nothing is
    /// deleted, for a name alone does not say whose it is.
    async fn remove_twin(&self, intent: &Intent) -> Result<(), Error> {
        if intent.kind == Kind::Creative || intent.label.is_none() || self.settings.marker != Marker::Label {
            return Ok(());
        }
        let sent = intent.sent.unwrap_or_else(|| self.now());
        let Some((id, graph)) = self.find(intent, sent).await? else { return Ok(()) };
        if mirror::text(&graph, "status") != "PAUSED" || self.is_spoken_for(intent, id).await? {
            return Ok(());
        }
        warn!(intent.id = %intent.id, object.id = id, "a late twin is deleted");
        let on = context::stopping(&intent.tenant, intent.account);
        let trace = match self.graph.send_traced(&on, objects::delete(id)).await {
            Err(graph::Error::Missing { .. }) => None,
            other => other?.trace_id,
        };
        let resource = mirror::resource_name(intent.account, intent.kind, id);
        let entry = Entry {
            tenant: intent.tenant.as_str(),
            actor: "services/campaigns",
            action: &format!("{}.delete_late_twin", intent.kind),
            resource: &resource,
            request_id: intent.request,
            detail: json!({ "fbtrace_id": trace, "name": intent.name }),
        };
        Ok(self.store.changed(&intent.tenant, intent.account, intent.kind, None, entry).await?)
    }

    /// Could it be what another create made? One that is on its way is told by its row; one that has ended has adopted its
    /// object. In this order: what is on its way at the first question has adopted nothing before the second.
    async fn is_spoken_for(&self, intent: &Intent, id: u64) -> Result<bool, Error> {
        Ok(self.store.is_rivalled(intent).await? || self.store.is_adopted(intent, id).await?)
    }
}
