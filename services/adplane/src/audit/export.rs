//! `adplane audit export`: an archive of the audit, which goes on where a lost connection cut it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use client::Client;
use proto::auth::v1::{AuditCheckpoint, AuditFilter, ExportAuditEntriesRequest};
use tonic::{Code, Status};

use super::Filter;
use crate::{
    door::Door,
    output::{json, note},
};

/// Between two tries after the stream was cut.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries without anything new in between.
const TRIES_MAX: u32 = 30;

/// What to export, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Where to write; else to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    door: Door,
}

pub(crate) async fn run(Options { filter, output, door }: Options) -> Result<()> {
    let client = door.open()?;
    let filter = filter.message()?;
    match output {
        None => told(export(&client, &filter, &mut std::io::stdout()).await?),
        Some(path) => {
            // Under another name until it is whole, so that nobody takes half an archive for one.
            let unfinished = path.with_extension("unfinished");
            let named = || unfinished.display().to_string();
            let mut file = BufWriter::new(File::create(&unfinished).with_context(named)?);
            let entries = export(&client, &filter, &mut file).await?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(named)?.sync_all()?;
            std::fs::rename(&unfinished, &path).with_context(|| path.display().to_string())?;
            told(entries)
        }
    }
}

fn told(entries: u64) -> Result<()> {
    note(&format!("{entries} entries, and the heads of the chains; compare them later with `adplane audit verify`"))
}

/// Writes everything, and says how many entries it was.
async fn export(client: &Client, filter: &AuditFilter, to: &mut impl Write) -> Result<u64> {
    let (mut written, mut resume_token, mut tries) = (0, String::new(), 0);
    loop {
        let seen = written;
        match follow(client, filter, &mut resume_token, (&mut written, to)).await {
            Ok(Some(whole)) => {
                writeln!(to, "{{\"checkpoint\":{}}}", json(&whole)?)?;
                to.flush()?;
                return Ok(written);
            }
            Ok(None) => {}
            Err(error) if error.downcast_ref::<Status>().is_some_and(is_lost) && tries < TRIES_MAX => {}
            Err(error) => return Err(error),
        }
        tries = if written > seen { 0 } else { tries + 1 };
        anyhow::ensure!(tries <= TRIES_MAX, "the export ends again and again before it is whole");
        tokio::time::sleep(PAUSE).await;
    }
}

/// One stream: until it is cut, or the export is whole.
async fn follow(
    client: &Client,
    filter: &AuditFilter,
    resume_token: &mut String,
    (written, to): (&mut u64, &mut impl Write),
) -> Result<Option<AuditCheckpoint>> {
    let request = ExportAuditEntriesRequest { filter: Some(filter.clone()), resume_token: resume_token.clone() };
    let mut stream = client.audit().export_audit_entries(request).await?.into_inner();
    while let Some(piece) = stream.message().await? {
        for entry in &piece.entries {
            writeln!(to, "{}", json(entry)?)?;
            *written += 1;
        }
        *resume_token = piece.resume_token;
        if let Some(checkpoint) = piece.checkpoint.filter(|checkpoint| checkpoint.complete) {
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}

fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
}
