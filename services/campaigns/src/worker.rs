//! Workers: each holds one operation at a time, says now and then that it lives, and puts back what has to wait.

use std::time::Duration;

use graph::objects::Kind;
use proto::{campaigns::v1 as pb, common::v1::RowError};
use rpc::Fault;
use runtime::Process;
use storage::operations::Claimed;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use crate::{
    context::Context,
    error::Error,
    looking::{Looked, NotSure},
    mirror,
    operations::{self, Held},
    plan::apply::{End, Input, Left, Run},
    store::plans::State,
};

/// How long a worker sleeps that found nothing to do.
const IDLE: Duration = Duration::from_millis(500);
/// How long a look waits after one that failed.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest that a look waits after several that failed.
const PAUSE_MAX: Duration = Duration::from_mins(5);
const RESULT: &str = "adplane.plans.v1.ApplyPlanResult";

/// Works until the process stops.
pub(crate) fn spawn(context: &Context, process: &Process) {
    for _ in 0..context.settings.workers {
        process.tasks.spawn(run(context.clone(), process.stop.clone()));
    }
}

async fn run(context: Context, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let claimed =
            context.store.operations.claim(&[operations::APPLY, operations::LOOK], context.settings.lease()).await;
        match claimed {
            Ok(Some(claimed)) => Box::pin(work(&context, claimed)).await,
            other => {
                if let Err(error) = other {
                    warn!(error = &error as &dyn std::error::Error, "no work can be claimed");
                }
                let woken = tokio::time::timeout(IDLE, context.wake.notified());
                if stop.run_until_cancelled(woken).await.is_none() {
                    return;
                }
            }
        }
    }
}

async fn work(context: &Context, claimed: Claimed) {
    let (kind, id) = (claimed.kind.clone(), claimed.id);
    let held = match Held::new(context.store.operations.clone(), claimed) {
        Ok(held) => held,
        Err(error) => {
            return warn!(error = &error as &dyn std::error::Error, operation.id = %id, "an unreadable operation");
        }
    };
    let worked = tokio::select! {
        worked = step(context, &held) => worked,
        lost = pulse(context, &held) => Err(lost),
    };
    match worked {
        Ok(()) => info!(operation.id = %id, operation.kind = kind, "an operation went on or ended"),
        // What was begun stands in the intents; whoever holds the row next goes on from there.
        Err(error) => warn!(error = &error as &dyn std::error::Error, operation.id = %id, "an operation was let go"),
    }
}

/// Extends the lease until it is lost.
async fn pulse(context: &Context, held: &Held) -> Error {
    let mut tick = tokio::time::interval(context.settings.lease() / 3);
    loop {
        tick.tick().await;
        match held.tell(context.now()).await {
            Err(Error::Store(error)) if error.is_fenced() => return Error::Store(error),
            Ok(_) | Err(_) => {} // an outage that outlasts the lease shows as a fence later
        }
    }
}

async fn step(context: &Context, held: &Held) -> Result<(), Error> {
    if held.claimed.kind == operations::LOOK { look(context, held).await } else { apply(context, held).await }
}

/// One look for a lost create.
async fn look(context: &Context, held: &Held) -> Result<(), Error> {
    let now = context.now();
    let tenant: TenantId = held.claimed.tenant.parse().map_err(|_| Error::NotFound("tenant".to_owned()))?;
    let intent = match Uuid::from_slice(&held.claimed.input) {
        Ok(id) => context.store.intent(&tenant, id).await?,
        Err(_) => None,
    };
    let Some(intent) = intent else {
        return held.end(Err(crate::mutation::row_error(&Error::NotFound("intent".to_owned()))), now).await;
    };
    match context.look(&intent).await {
        Ok(Looked::Found(graph)) => held.end(Ok(result(intent.account, intent.kind, &graph)?), now).await,
        Ok(Looked::Absent(error)) => held.end(Err(error), now).await,
        Ok(Looked::Again(delay)) => held.later(delay, "meta", now).await,
        Err(error) => {
            if held.age(now) >= Duration::from_secs(context.settings.sweep_seconds) {
                let error = rpc::row_error(&NotSure);
                context.store.failed(&tenant, intent.id, &error, None).await?;
                return held.end(Err(error), now).await;
            }
            warn!(error = &error as &dyn std::error::Error, intent.id = %intent.id, "a look failed; another follows");
            held.later(look_pause(&error, held.claimed.attempt), "meta", now).await
        }
    }
}

/// How long to wait after a look that failed. What waiting alone does not help is asked for ever more rarely.
fn look_pause(error: &Error, attempt: i32) -> Duration {
    if error.is_temporary() {
        return error.retry_after().unwrap_or(PAUSE);
    }
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(6);
    (PAUSE * 2_u32.pow(doublings)).min(PAUSE_MAX)
}

/// The object as the result of an operation.
fn result(account: AdAccountId, kind: Kind, graph: &serde_json::Value) -> Result<prost_types::Any, Error> {
    Ok(match kind {
        Kind::Campaign => operations::any(kind.message(), &mirror::read::<pb::Campaign>(account, graph)?),
        Kind::AdSet => operations::any(kind.message(), &mirror::read::<pb::AdSet>(account, graph)?),
        Kind::Creative => operations::any(kind.message(), &mirror::read::<pb::Creative>(account, graph)?),
        Kind::Ad => operations::any(kind.message(), &mirror::read::<pb::Ad>(account, graph)?),
    })
}

/// A plan, as far as it can go now.
async fn apply(context: &Context, held: &Held) -> Result<(), Error> {
    let Ok(input) = serde_json::from_slice::<Input>(&held.claimed.input) else {
        return held.end(Err(crate::mutation::row_error(&Error::NotFound("plan".to_owned()))), context.now()).await;
    };
    let mut run = Run::new(context, held, &input).await?;
    let end = match run.run().await {
        Ok(end) => end,
        Err(error) if error.is_temporary() => End::Later(error.retry_after().unwrap_or(PAUSE), "store"),
        Err(Error::Store(error)) if error.is_fenced() => return Err(Error::Store(error)),
        Err(error) => End::Failed(crate::mutation::row_error(&error)),
    };
    let now = context.now();
    run.show(matches!(end, End::Failed(_))).await?;
    let (outcome, state) = match end {
        End::Later(delay, waiting_on) => return held.later(delay, waiting_on, now).await,
        End::Done(result) => (Ok(operations::any(RESULT, &result)), State::Applied),
        End::Failed(error) => {
            let left = run.left().await?;
            let nothing = left.made.is_empty() && left.unsure.is_empty();
            (Err(naming(error, &left)), if nothing { State::Draft } else { State::Partial })
        }
    };
    let tenant: TenantId = held.claimed.tenant.parse().map_err(|_| Error::NotFound("tenant".to_owned()))?;
    let mut client = context.store.postgres.client().await?;
    let transaction = client.transaction().await.map_err(storage::Error::from)?;
    context.store.note_plan(&transaction, &tenant, input.plan, Some(state), None, None).await?;
    held.end_in(&transaction, outcome, now).await?;
    Ok(transaction.commit().await.map_err(storage::Error::from)?)
}

/// A failure names what was made before it, and what perhaps was.
fn naming(mut error: RowError, left: &Left) -> RowError {
    if !left.made.is_empty() {
        error.message = format!("{}; made before and still there, PAUSED: {}", error.message, left.made.join(", "));
    }
    if !left.unsure.is_empty() {
        let unsure = left.unsure.join(", ");
        error.message = format!("{}; perhaps made, PAUSED, and still looked for: {unsure}", error.message);
    }
    if left.made.is_empty() && left.unsure.is_empty() {
        error.message.push_str("; nothing was made");
    } else {
        error.metadata.insert("next_action".to_owned(), "fix it in a new plan, or ApplyPlan again to go on".to_owned());
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_waiting_does_not_help_becomes_rare() {
        let error = Error::NotFound("ad account".to_owned());
        let seconds = |attempt| look_pause(&error, attempt).as_secs();
        assert_eq!([0, 1, 2, 3, 6, 7, 99].map(seconds), [5, 5, 10, 20, 160, 300, 300]);
    }
}
