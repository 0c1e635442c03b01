//! Benchmarks, as ratios to a baseline of the same run: `make bench`, or `bench SUITE...` for some of them.
//!
//! Others work on the machine too, so time on the clock says little; the CPU that a server's process took for a
//! request is what is compared. Baseline and subject run as child processes of this program, under the same load, turn
//! about. Nothing here fails for being slow: a run ends well when it could measure.
//!
//! A new benchmark is a `Suite` in the list below: it starts its servers with `Server::start`, measures with `rounds`,
//! and gives its figures.

mod auth_servers;
mod auth_suite;
mod cpu;
mod figure;
mod load;
mod quota;
mod report;
mod sandbox_suite;
mod server;
mod spread;
mod storm_store;
mod storm_suite;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use figure::Figure;
use tikv_jemallocator::Jemalloc;

/// As the one binary has it; baselines too.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Some benchmarks that belong together. Its name is that of its file in `target/bench`.
struct Suite {
    name: &'static str,
    run: fn() -> anyhow::Result<Vec<Figure>>,
}

const SUITES: &[Suite] = &[
    Suite { name: "sandbox", run: sandbox_suite::run },
    Suite { name: "auth", run: auth_suite::run },
    Suite { name: "quota", run: quota::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["serve", kind] => server::serve(kind),
        names => measure(names),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::failed(&error),
    }
}

/// Runs the suites of these names, or all, and reports each as it ends.
fn measure(names: &[&str]) -> anyhow::Result<()> {
    if let Some(unknown) = names.iter().find(|name| SUITES.iter().all(|suite| suite.name != **name)) {
        let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("there is no benchmark {unknown:?}; there are: {}", known.join(", "));
    }
    for suite in SUITES.iter().filter(|suite| names.is_empty() || names.contains(&suite.name)) {
        let figures = (suite.run)().with_context(|| format!("benchmark {}", suite.name))?;
        report::table(&figures)?;
        report::file(suite.name, &figures)?;
    }
    Ok(())
}
