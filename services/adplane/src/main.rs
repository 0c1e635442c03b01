//! The one binary of Adplane: a server of any service, the whole stack for a laptop, and a command-line client.

mod demo;
mod dev;
mod exit;
mod migrate;
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
