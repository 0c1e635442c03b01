//! `adplane dev`: the whole suite on loopback, with the sandbox as Meta, for people and for tests.

mod admin;
mod children;
mod config;
mod first_day;
mod layout;
mod secrets;

use std::{
    io::Write,
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use runtime::Process;
use serde::Serialize;

use self::{
    children::Running,
    config::Config,
    layout::{Files, Ports, loopback, url},
};
use crate::{sandbox_server, serve::Service};

/// Where the stack stands.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "stack")]
pub(crate) struct Options {
    /// The gateway's port; the others follow it
    #[arg(long, value_name = "PORT", default_value_t = 7400)]
    port_base: u16,
    /// Keeps everything in this folder between runs; without it nothing is kept
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// What `adplane dev` prints when it is ready, in one line of JSON.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "the keys are a contract with scripts")]
pub(crate) struct Ready {
    ready: bool,
    pub(crate) gateway: String,
    sandbox: String,
    admin: String,
    pub(crate) token: String,
    ad_account: String,
    dataset: String,
}

impl Ready {
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A running stack.
pub(crate) struct Stack {
    pub(crate) ready: Ready,
    children: Vec<Running>,
    servers: devstack::Stack,
    process: Process,
    /// Removed with everything in it when the stack has stopped; `None` where the data is kept.
    temporary: Option<PathBuf>,
}

/// Runs the stack until it is asked to stop.
pub(crate) async fn run(options: Options) -> Result<()> {
    let _telemetry = crate::telemetry::quiet("dev");
    let mut stack = Stack::start(options).await?;
    writeln!(std::io::stdout().lock(), "{}", stack.ready.line())?;
    let ended = stack.wait().await;
    stack.stop().await;
    match ended {
        Some(words) => bail!(words),
        None => Ok(()),
    }
}

impl Stack {
    /// Starts everything and connects the development tenant.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        sandbox_server::refuse_in_production("dev")?;
        let process = Process::new();
        if options.port_base > u16::MAX - Ports::SPAN {
            bail!("--port-base must be at most {}", u16::MAX - Ports::SPAN);
        }
        let ports = Ports::new(options.port_base);
        wait_for_ports(ports).await?;
        let (folder, temporary) = match options.data {
            Some(folder) => (std::path::absolute(folder)?, None),
            None => {
                let folder = std::env::temp_dir().join(format!("adplane-dev-{}", uuid::Uuid::new_v4().simple()));
                (folder.clone(), Some(folder))
            }
        };
        let files = Files::in_folder(&folder);
        secrets::prepare(&files)?;
        let data = temporary.is_none().then(|| files.servers());
        let servers = devstack::Stack::start(devstack::Options { data, ..Default::default() }).await?;
        let mut stack = Self { ready: unready(ports), children: Vec::new(), servers, process, temporary };
        match stack.raise(ports, &files).await {
            Ok(()) => Ok(stack),
            Err(error) => {
                stack.stop().await;
                Err(error)
            }
        }
    }

    async fn raise(&mut self, ports: Ports, files: &Files) -> Result<()> {
        let postgres_url = self.servers.create_database("adplane").await?;
        let config = Config { ports, files, postgres_url: postgres_url.clone(), redis_url: self.servers.redis_url() };
        config.write()?;
        crate::migrate::apply(&storage::PostgresSettings::at(postgres_url.as_str())).await?;
        let http = http()?;
        self.child("sandbox", &sandbox_arguments(ports, files, self.temporary.is_none()), files)?;
        for service in Service::ALL {
            let arguments = ["serve", service.name(), "--config"].map(str::to_owned).into_iter();
            let arguments: Vec<String> =
                arguments.chain([files.config(service.name()).display().to_string()]).collect();
            self.child(service.name(), &arguments, files)?;
        }
        let admins = Service::ALL.into_iter().map(|service| (url(ports.admin_of(service)), "/readyz"));
        let addresses = [(url(ports.sandbox()), "/__sandbox/clock")].into_iter().chain(admins);
        for (child, (address, path)) in self.children.iter_mut().zip(addresses) {
            child.ready(&http, &address, path).await?;
        }
        self.process.tasks.spawn(admin::serve(ports, http, self.process.stop.clone()));
        let access = first_day::access(&self.ready.gateway, files).await?;
        self.ready.token = access.token;
        self.ready.ad_account = access.ad_account;
        self.ready.dataset = access.dataset;
        self.ready.ready = true;
        Ok(())
    }

    fn child(&mut self, name: &'static str, arguments: &[String], files: &Files) -> Result<()> {
        self.children.push(Running::start(name, arguments, files.log(name))?);
        Ok(())
    }

    /// Returns when somebody asks the stack to stop, or with the words of a child that ended by itself.
    pub(crate) async fn wait(&mut self) -> Option<String> {
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        while self.process.stop.run_until_cancelled(tick.tick()).await.is_some() {
            if let Some(words) = self.children.iter_mut().find_map(Running::ended) {
                return Some(words);
            }
        }
        None
    }

    /// Stops everything: the gateway first, the databases last.
    pub(crate) async fn stop(mut self) {
        self.process.finish(Duration::from_secs(5)).await;
        while let Some(child) = self.children.pop() {
            child.stop().await;
        }
        self.servers.stop().await;
        if let Some(folder) = self.temporary {
            drop(std::fs::remove_dir_all(folder)); // what cannot be removed is in the system's own folder for such things
        }
    }
}

fn unready(ports: Ports) -> Ready {
    Ready {
        ready: false,
        gateway: url(ports.of(Service::Gateway)),
        sandbox: url(ports.sandbox()),
        admin: url(ports.admin()),
        token: String::new(),
        ad_account: String::new(),
        dataset: String::new(),
    }
}

fn sandbox_arguments(ports: Ports, files: &Files, kept: bool) -> Vec<String> {
    let mut arguments = vec!["sandbox".to_owned(), "--listen".to_owned(), loopback(ports.sandbox())];
    if kept {
        // Campaigns that we remember and Meta does not would be no restart but a loss.
        arguments.extend(["--data".to_owned(), files.sandbox().display().to_string()]);
    }
    arguments
}

/// The children of a stack that was killed a moment ago may still be stopping.
async fn wait_for_ports(ports: Ports) -> Result<()> {
    let began = Instant::now();
    loop {
        let taken = ports.all().into_iter().find(|port| TcpListener::bind(loopback(*port)).is_err());
        let Some(port) = taken else { return Ok(()) };
        if began.elapsed() > Duration::from_secs(20) {
            bail!("port {port} of 127.0.0.1 is in use; stop what uses it, or choose other ports with --port-base");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// For asking the children whether they are ready.
fn http() -> Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build().context("an HTTP client")
}
