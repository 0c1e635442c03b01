//! `adplane operations`: long work, of any service.

use anyhow::{Context, Result};
use client::Client;
use proto::operations::v1::{CancelOperationRequest, GetOperationRequest, Operation, operation::Outcome};

use crate::{
    demo::OperationFailed,
    door::{Door, named},
    output::{moment, note},
};

/// What to do with long work.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Shows how far one is
    Get(One),
    /// Follows one to its end; the exit code is that of what became of it
    Wait(One),
    /// Asks one to stop
    Cancel(One),
}

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// As operations/auth-0199… or without the first word
    operation: String,
    #[command(flatten)]
    door: Door,
}

pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Get(One { operation, door }) => {
            let request = GetOperationRequest { name: named("operations", &operation) };
            let answer = door.open()?.operations().get_operation(request).await?.into_inner();
            door.output().thing(&answer.operation.context("an answer without an operation")?, parts)
        }
        Verb::Wait(One { operation, door }) => {
            let done = follow(&door.open()?, &named("operations", &operation)).await?;
            door.output().thing(&done, parts)
        }
        Verb::Cancel(One { operation, door }) => {
            let request = CancelOperationRequest { name: named("operations", &operation), ..Default::default() };
            door.open()?.operations().cancel_operation(request).await?;
            door.output().done("asked to stop")
        }
    }
}

/// Follows it to its end and tells on stderr how far it is. Fails where it ended badly.
pub(crate) async fn follow(client: &Client, name: &str) -> Result<Operation> {
    let mut told = String::new();
    let done = client.wait(name, |operation| {
        let now = progress(operation);
        if now != told {
            _ = note(&now); // whoever closed stderr does not want to know
            told = now;
        }
    });
    let done = done.await?;
    OperationFailed::check(&done, &format!("{name} ended badly"))?;
    Ok(done)
}

fn progress(operation: &Operation) -> String {
    let metadata = operation.metadata.clone().unwrap_or_default();
    let waiting = match metadata.waiting_on.as_str() {
        "" => String::new(),
        on => format!(", waiting for {on}"),
    };
    format!("{} of {} steps  {}{waiting}", metadata.steps_done, metadata.steps_total, metadata.phase)
}

/// An operation, by name.
pub(crate) fn parts(operation: &Operation) -> Vec<(&'static str, String)> {
    let metadata = operation.metadata.clone().unwrap_or_default();
    let state = match &operation.outcome {
        Some(Outcome::Error(error)) => format!("failed: {}", error.message),
        _ if operation.done => "done".to_owned(),
        _ if metadata.cancel_requested => "stopping".to_owned(),
        _ => "under way".to_owned(),
    };
    let all = [
        ("operation", operation.name.clone()),
        ("of", metadata.resource.clone()),
        ("state", state),
        ("progress", progress(operation)),
        ("goes on at", moment(metadata.next_attempt_time.as_ref())),
        ("parts", metadata.parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join(", ")),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
