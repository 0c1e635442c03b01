//! Limitador over Redis, a limiter that people use: built from a crate of its own, and run as a child of a server here.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::CEILING;
use super::replica::ready;

/// Its program beside this one, built now. Fails, with a reason of one line, where it cannot be built.
pub(super) fn built() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("limitador/Cargo.toml");
    let folder = std::env::current_exe()?.parent().context("this program's folder")?.to_owned();
    let target = folder.parent().context("the folder of targets")?;
    let built = std::process::Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--release", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .output()
        .context("cargo cannot be run")?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        bail!("it could not be built: {}", reason(&said));
    }
    Ok(target.join("release/limitador-peer"))
}

/// The first line that names an error, and what OpenSSL's build says where that is what is missing.
fn reason(said: &str) -> String {
    let line = |word: &str| said.lines().map(str::trim).find(|line| line.contains(word));
    let first = line("error").unwrap_or("cargo said nothing of why");
    match line("Could not find directory of OpenSSL") {
        Some(missing) => format!("{missing} (libssl-dev and pkg-config bring it)"),
        None => first.to_owned(),
    }
}

/// A Redis, and limitador before it.
pub(super) async fn serve(told: &Value) -> anyhow::Result<()> {
    let program = told.get("program").and_then(Value::as_str).context("where limitador is")?;
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // It ends with its input, and so with this process.
    let mut input = child.stdin.take().context("its input")?;
    let told = serde_json::json!({ "redis": devstack::shared().redis_url(), "ceiling": CEILING });
    input.write_all(format!("{told}\n").as_bytes()).await?;
    let mut output = BufReader::new(child.stdout.take().context("its output")?).lines();
    let address = output.next_line().await?.context("limitador did not start")?;
    let stores = devstack::shared().stack().pids().into_iter().chain(child.id()).collect::<Vec<_>>();
    ready(&address, "", &stores)?;
    let ended = child.wait().await?;
    drop(input);
    bail!("limitador ended: {ended}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_it_cannot_be_built_is_one_line() {
        let said = "warning: x\nerror: failed to run custom build command for `openssl-sys v0.9.1`\n\nCaused by:\n  \
                    Could not find directory of OpenSSL installation, and this\n";
        assert!(reason(said).starts_with("Could not find directory of OpenSSL installation"));
        assert_eq!(reason("a\nerror: no matching package\nb"), "error: no matching package");
        assert_eq!(reason(""), "cargo said nothing of why");
    }
}
