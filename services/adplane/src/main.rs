//! The one binary of Adplane: a server of any service, the whole stack for a laptop, and a command-line client.

mod audit;
mod bootstrap;
mod connections;
mod demo;
mod dev;
mod door;
mod exit;
mod keys;
mod migrate;
mod moment;
mod operations;
mod output;
mod quota;
#[cfg(test)]
mod runbooks;
mod sandbox_server;
mod serve;
mod show;
mod telemetry;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use tikv_jemallocator::Jemalloc;

/// Servers that run for weeks and allocate on every request keep their memory small with it, and spend less time on it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Adplane: the control plane for Meta advertising.
#[derive(Debug, Parser)]
#[command(name = "adplane", version, about, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs one service
    Serve(serve::Options),
    /// Brings the database to this version
    Migrate(migrate::Options),
    /// Runs everything on this machine's loopback, with the sandbox as Meta
    Dev(dev::Options),
    /// Does the main job and shows its results
    Demo(Box<demo::Options>),
    /// Stands in for Meta
    Sandbox(sandbox_server::Options),
    /// Shows ad accounts, campaigns, quotas and operations
    #[command(subcommand)]
    Show(show::What),
    /// Makes the first operator and the first tenant of an installation
    Bootstrap(bootstrap::Options),
    /// Makes a token out of a caller's secret
    Token(bootstrap::TokenOptions),
    /// The tenant's consents at Meta: how they fare, and what happens to them
    #[command(subcommand)]
    Connections(connections::Verb),
    /// The vault's keys, and its lock
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Who changed what, and whether anybody changed that afterwards
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Long work, of any service
    #[command(subcommand)]
    Operations(operations::Verb),
    /// The quota at Meta: why calls wait, who spent it
    #[command(subcommand)]
    Quota(quota::Verb),
}

fn main() -> ExitCode {
    let command = Command::parse();
    match runtime::run(run(command.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(std::io::stderr(), "{}", exit::words(&error));
            exit::code(&error)
        }
    }
}

async fn run(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Serve(options) => serve::run(options).await,
        Verb::Migrate(options) => migrate::run(options).await,
        Verb::Dev(options) => dev::run(options).await,
        Verb::Demo(options) => demo::run(*options).await,
        Verb::Sandbox(options) => sandbox_server::run(options).await,
        Verb::Show(what) => show::run(what).await,
        Verb::Bootstrap(options) => bootstrap::run(options).await,
        Verb::Token(options) => bootstrap::token(options).await,
        Verb::Connections(verb) => connections::run(verb).await,
        Verb::Keys(verb) => keys::run(verb).await,
        Verb::Audit(verb) => audit::run(verb).await,
        Verb::Operations(verb) => operations::run(verb).await,
        Verb::Quota(verb) => quota::run(verb).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Command::command().debug_assert();
    }
}
