//! Somebody at a terminal, with a token.

use std::{path::Path, process::Output};

use harness::Suite;
use serde_json::Value;
use tokio::process::Command;

/// Where commands are typed.
pub(crate) struct Terminal {
    environment: Vec<(&'static str, String)>,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Terminal {
    /// Of the first tenant's caller.
    pub(crate) fn of_tenant(suite: &Suite) -> Self {
        Self::with(suite, suite.tenant.token.clone())
    }

    /// Of the operator.
    pub(crate) fn of_operator(suite: &Suite) -> Self {
        Self::with(suite, suite.operator_token().to_owned())
    }

    fn with(suite: &Suite, token: String) -> Self {
        Self { environment: vec![("ADPLANE_ADDRESS", suite.gateway.clone()), ("ADPLANE_TOKEN", token)] }
    }

    /// `adplane ARGUMENTS`, to its end.
    pub(crate) async fn adplane(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(env!("CARGO_BIN_EXE_adplane"));
        said(command.args(arguments).output().await.unwrap())
    }

    /// A piece of shell, in which `adplane` is this program; each line must end well.
    pub(crate) async fn shell(&self, script: &str, more: &[(&str, &str)]) -> Said {
        let folder = Path::new(env!("CARGO_BIN_EXE_adplane")).parent().unwrap().display().to_string();
        let path = format!("{folder}:{}", std::env::var_os("PATH").unwrap_or_default().display());
        let mut command = self.command("sh");
        command.args(["-euc", script]).env("PATH", path).envs(more.iter().copied());
        said(command.output().await.unwrap())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ADPLANE_") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str()))).kill_on_drop(true);
        command
    }
}

fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Said {
    /// What it said, once it has ended well.
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Its lines of JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The rest of the line that begins so.
    pub(crate) fn part(&self, name: &str) -> String {
        let found = self.stdout.lines().find_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with("  ")));
        found.unwrap_or_else(|| panic!("no {name} in {self:?}")).trim().to_owned()
    }
}
