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

/// How long a port that is in use is waited for.
const PORT_PATIENCE: Duration = Duration::from_secs(15);

/// Where the stack stands.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "stack")]
pub(crate) struct Options {
    /// The gateway's port; the others follow it
    #[arg(long, value_name = "PORT", default_value_t = 7400, value_parser = clap::value_parser!(u16).range(1024..=65_400))]
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
    /// For programs that call Meta's own hosts, with the certificate that they must trust.
    proxy: String,
    proxy_ca: PathBuf,
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
    /// Nothing of it is left when the stack has stopped.
    temporary: bool,
}

/// Somebody asked us to stop before we were done.
#[derive(Debug, thiserror::Error)]
#[error("stopped before the end; everything that was started has ended")]
pub(crate) struct Interrupted;

/// Runs the stack until it is asked to stop.
pub(crate) async fn run(options: Options) -> Result<()> {
    let _telemetry = crate::telemetry::quiet("dev");
    let mut stack = Stack::start(options, Process::new()).await?;
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
    pub(crate) async fn start(options: Options, process: Process) -> Result<Self> {
        sandbox_server::refuse_in_production("dev")?;
        let ports = Ports::new(options.port_base);
        wait_for_ports(ports, &process).await?;
        let temporary = options.data.is_none();
        let name = format!("adplane-dev-{}", uuid::Uuid::new_v4().simple());
        let folder = std::path::absolute(options.data.unwrap_or_else(|| std::env::temp_dir().join(name)))?;
        let files = Files::in_folder(&folder);
        let data = (!temporary).then(|| files.servers());
        let servers = devstack::Stack::start(devstack::Options { data, ..Default::default() }).await?;
        if temporary {
            servers.guard().remove_at_end(&folder); // told before it is made, so that no kill leaves secrets behind
        }
        let mut stack = Self { ready: unready(ports, &files), children: Vec::new(), servers, process, temporary };
        let stop = stack.process.stop.clone();
        let raised = stop.run_until_cancelled(stack.raise(ports, &files)).await;
        match raised.unwrap_or_else(|| Err(Interrupted.into())) {
            Ok(()) => Ok(stack),
            Err(error) => {
                stack.stop().await;
                Err(error)
            }
        }
    }

    async fn raise(&mut self, ports: Ports, files: &Files) -> Result<()> {
        secrets::prepare(files)?;
        let postgres_url = self.servers.create_database("adplane").await?;
        let config = Config { ports, files, postgres_url: postgres_url.clone(), redis_url: self.servers.redis_url() };
        config.write()?;
        crate::migrate::apply(&storage::PostgresSettings::at(postgres_url.as_str())).await?;
        let http = http()?;
        self.child("sandbox", &sandbox_arguments(ports, files, !self.temporary), files)?;
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
        let child = Running::start(name, arguments, files.log(name))?;
        if let Some(pid) = child.pid() {
            self.servers.guard().service(pid); // it stops before the databases do, also when this process is killed
        }
        self.children.push(child);
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
            let pid = child.pid();
            child.stop().await;
            if let Some(pid) = pid {
                self.servers.guard().forget(pid);
            }
        }
        self.servers.stop().await;
    }
}

fn unready(ports: Ports, files: &Files) -> Ready {
    Ready {
        ready: false,
        gateway: url(ports.of(Service::Gateway)),
        sandbox: url(ports.sandbox()),
        proxy: url(ports.proxy()),
        proxy_ca: files.proxy_ca(),
        admin: url(ports.admin()),
        token: String::new(),
        ad_account: String::new(),
        dataset: String::new(),
    }
}

fn sandbox_arguments(ports: Ports, files: &Files, kept: bool) -> Vec<String> {
    let (listen, proxy) = (loopback(ports.sandbox()), loopback(ports.proxy()));
    let mut arguments = vec!["sandbox".to_owned(), "--listen".to_owned(), listen, "--proxy".to_owned(), proxy];
    arguments.extend(["--proxy-ca".to_owned(), files.proxy_ca().display().to_string()]);
    if kept {
        // Campaigns that we remember and Meta does not would be no restart but a loss.
        arguments.extend(["--data".to_owned(), files.sandbox().display().to_string()]);
    }
    arguments
}

/// The children of a stack that was killed a moment ago may still be stopping, so a taken port is waited for.
async fn wait_for_ports(ports: Ports, process: &Process) -> Result<()> {
    let began = Instant::now();
    let mut said = false;
    loop {
        let taken = ports.all().into_iter().find(|port| TcpListener::bind(loopback(*port)).is_err());
        let Some(port) = taken else { return Ok(()) };
        if began.elapsed() > PORT_PATIENCE {
            bail!("port {port} of 127.0.0.1 is in use; stop what uses it, or choose other ports with --port-base");
        }
        if !said {
            said = true;
            let patience = PORT_PATIENCE.as_secs();
            _ = writeln!(std::io::stderr(), "port {port} is in use; waiting up to {patience} s for it");
        }
        let pause = tokio::time::sleep(Duration::from_millis(200));
        process.stop.run_until_cancelled(pause).await.ok_or(Interrupted)?;
    }
}

/// For asking the children whether they are ready.
fn http() -> Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build().context("an HTTP client")
}
