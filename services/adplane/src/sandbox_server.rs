//! `adplane sandbox`: Meta's stand-in, for development and tests only. Says where it is in one line of JSON.

use std::{io::Write, net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use runtime::{
    Process,
    settings::{Environment, environment},
};

/// How the stand-in behaves.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:7480")]
    listen: SocketAddr,
    /// Where its HTTPS proxy listens, for programs that call graph.facebook.com itself; without it there is none
    #[arg(long, value_name = "ADDRESS")]
    proxy: Option<SocketAddr>,
    /// Writes the certificate that clients of the proxy must trust to this file; else the ready line names its place
    #[arg(long, value_name = "FILE", requires = "proxy")]
    proxy_ca: Option<PathBuf>,
    /// The world it holds
    #[arg(long, default_value = "small")]
    world: sandbox::World,
    /// What its numbers come from; the same seed gives the same numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The access tier of its app, which decides how many calls it grants
    #[arg(long, default_value = "standard")]
    tier: sandbox::Tier,
    /// Where its clock begins; without it the machine's own
    #[arg(long, value_name = "RFC3339")]
    clock: Option<Timestamp>,
    /// Keeps the world in this folder, through kills too
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Stops when standard input ends
    #[arg(long)]
    stop_with_parent: bool,
}

/// A command for development was called in production.
#[derive(Debug, thiserror::Error)]
#[error("`adplane {0}` is for development and tests and refuses to run with ADPLANE_ENV=production")]
pub(crate) struct Refused(pub(crate) &'static str);

/// Nothing that stands in for Meta may run beside real money.
pub(crate) fn refuse_in_production(command: &'static str) -> Result<(), Refused> {
    match environment() {
        Environment::Production => Err(Refused(command)),
        Environment::Development => Ok(()),
    }
}

pub(crate) async fn run(options: Options) -> Result<()> {
    refuse_in_production("sandbox")?;
    let _telemetry = crate::telemetry::quiet("sandbox");
    let process = if options.stop_with_parent { Process::with_parent_pipe() } else { Process::new() };
    let settings = sandbox::Options {
        listen: options.listen,
        proxy: options.proxy,
        proxy_ca: options.proxy_ca,
        world: options.world,
        seed: options.seed,
        tier: options.tier,
        clock: options.clock,
        data: options.data,
    };
    let listeners = sandbox::Listeners::bind(&settings).await.context("an address of the sandbox")?;
    let server = sandbox::Server::open(listeners, settings, process.stop).await?;
    writeln!(std::io::stdout().lock(), "{}", server.ready()?.line())?;
    server.serve().await
}
