//! Starting and stopping everything.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use client::Client;
use proto::auth::v1::Caller;
use runtime::Process;
use storage::{Postgres, PostgresSettings, migrations};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    first_day::{self, Tenant},
    roles,
    sandbox_view::SandboxView,
    settings::{self, Places},
    stored,
};

/// How long one service may take to stop.
const STOP: Duration = Duration::from_secs(100);

/// A running suite. Stop it with [`Suite::stop`], which checks that it stops in order; dropped, it only ends.
#[derive(Debug)]
pub struct Suite {
    /// The public door.
    pub gateway: String,
    /// Meta's stand-in.
    pub sandbox: SandboxView,
    /// The first tenant, which owns [`crate::AD_ACCOUNT`].
    pub tenant: Tenant,
    /// Another, which owns [`crate::OTHER_AD_ACCOUNT`].
    pub other: Tenant,
    operator: String,
    places: Places,
    running: Running,
    redis: devstack::Stack,
    _secrets: TempDir,
}

/// The services, in the order of their start.
#[derive(Debug, Default)]
struct Running {
    processes: Vec<(&'static str, Process)>,
    servers: JoinSet<(&'static str, Result<()>)>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for (_, process) in &self.processes {
            process.stop.cancel();
        }
    }
}

impl Suite {
    /// Starts everything and does what people do on the first day: about a second.
    ///
    /// # Errors
    /// With what could not be started, and why.
    pub async fn start() -> Result<Self> {
        let secrets = tempfile::tempdir()?;
        settings::write_secrets(secrets.path())?;
        let redis = devstack::Stack::redis_only().await?;
        let postgres = devstack::shared().create_database().await?;
        roles::prepare(&postgres).await?;
        migrate(&roles::url_of(&postgres, "owner")).await?;

        let mut ports = Vec::new();
        for name in ["sandbox", "auth", "ratelimit", "campaigns", "insights", "audiences", "conversions", "gateway"] {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let url = format!("http://{}", listener.local_addr()?);
            ports.push((name, listener, url));
        }
        let at = |name| ports.iter().find(|port| port.0 == name).map(|port| port.2.clone()).unwrap_or_default();
        let places = Places {
            secrets: secrets.path().to_owned(),
            postgres,
            redis: redis.redis_url(),
            sandbox: at("sandbox"),
            gateway: at("gateway"),
            auth: at("auth"),
            ratelimit: at("ratelimit"),
            chains: ["ratelimit", "campaigns", "insights", "audiences", "conversions"]
                .map(|name| (name.to_owned(), at(name)))
                .into(),
        };
        let routes = ["auth", "ratelimit", "campaigns", "insights", "audiences", "conversions"];
        let routes: Vec<_> = routes.into_iter().map(|name| (name, at(name))).collect();
        let mut running = Running::default();
        for (name, listener, _) in ports {
            running.serve(name, listener, &places, &routes);
        }
        let sandbox = SandboxView::new(places.sandbox.clone())?;
        let (operator, tenant, other) = tokio::select! {
            done = first_day::run(&places.gateway) => done.context("the first day")?,
            ended = running.ended() => return Err(ended),
        };
        let gateway = places.gateway.clone();
        Ok(Self { gateway, sandbox, tenant, other, operator, places, running, redis, _secrets: secrets })
    }

    /// A client of the first tenant.
    ///
    /// # Errors
    /// When the token is none.
    pub fn client(&self) -> Result<Client> {
        self.tenant.client()
    }

    /// A client of the operator, who may act for every tenant and names one by `for_tenant`.
    ///
    /// # Errors
    /// When the token is none.
    pub fn operator(&self) -> Result<Client> {
        Ok(Client::connect(&self.gateway, &self.operator)?)
    }

    /// The operator's token.
    pub fn operator_token(&self) -> &str {
        &self.operator
    }

    /// A client of a further caller of the first tenant, with these scopes only.
    ///
    /// # Errors
    /// When auth does not make it.
    pub async fn caller(&self, scopes: &[&str]) -> Result<Client> {
        let caller = Caller {
            tenants: vec![format!("tenants/{}", self.tenant.id)],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Caller::default()
        };
        let token = first_day::caller_token(&self.gateway, &self.operator, &self.tenant.id, caller).await?;
        Ok(Client::connect(&self.gateway, &token)?)
    }

    /// Everything in every table, as text.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tables(&self) -> Result<String> {
        stored::tables(&self.places.postgres).await
    }

    /// The database, as a service's own role.
    pub fn database_of(&self, service: &str) -> String {
        roles::url_of(&self.places.postgres, service)
    }

    /// Everything in Redis, as text.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn redis_keys(&self) -> Result<String> {
        stored::keys(&self.places.redis).await
    }

    /// Stops everything in order, the gateway first.
    ///
    /// # Errors
    /// When a service did not stop in time or ended badly.
    pub async fn stop(mut self) -> Result<()> {
        let stopped = self.running.stop().await;
        self.redis.stop().await;
        stopped
    }
}

impl Running {
    fn serve(&mut self, name: &'static str, listener: TcpListener, places: &Places, routes: &[(&'static str, String)]) {
        let process = Process::detached();
        self.processes.push((name, process.clone()));
        let (places, routes) = (places.clone(), routes.to_vec());
        self.servers.spawn(async move {
            let served = match name {
                "sandbox" => sandbox::serve_on(listener, sandbox::Options::default(), process.stop).await,
                "auth" => auth::serve_on(listener, places.auth(), process).await,
                "ratelimit" => ratelimit::serve_on(listener, places.ratelimit(), process).await,
                "campaigns" => campaigns::serve_on(listener, places.campaigns(), process).await,
                "insights" => insights::serve_on(listener, places.insights(), process).await,
                "audiences" => audiences::serve_on(listener, places.audiences(), process).await,
                "conversions" => conversions::serve_on(listener, places.conversions(), process).await,
                _ => gateway::serve_on(listener, places.gateway(&routes), process).await,
            };
            (name, served)
        });
    }

    /// Returns when a service has ended that nobody stopped.
    async fn ended(&mut self) -> anyhow::Error {
        match self.servers.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended by itself"),
            Some(Ok((name, Err(error)))) => error.context(name),
            Some(Err(error)) => error.into(),
            None => std::future::pending().await,
        }
    }

    async fn stop(&mut self) -> Result<()> {
        while let Some((name, process)) = self.processes.pop() {
            ensure!(process.finish(STOP).await, "{name} did not end its tasks in {} s", STOP.as_secs());
            match tokio::time::timeout(STOP, self.servers.join_next()).await {
                Ok(Some(Ok((ended, Ok(()))))) => ensure!(ended == name, "{ended} ended when {name} was stopped"),
                Ok(Some(Ok((ended, Err(error))))) => return Err(error.context(ended)),
                Ok(Some(Err(error))) => return Err(error.into()),
                Ok(None) => {}
                Err(_) => bail!("{name} did not end in {} s", STOP.as_secs()),
            }
        }
        Ok(())
    }
}

async fn migrate(url: &str) -> Result<()> {
    let schemas = [
        (auth::SCHEMA, auth::migrations()),
        (ratelimit::SCHEMA, ratelimit::migrations()),
        (campaigns::SCHEMA, campaigns::migrations()),
        (insights::SCHEMA, insights::migrations()),
        (audiences::SCHEMA, audiences::migrations()),
        (conversions::SCHEMA, conversions::migrations()),
    ];
    for (schema, sources) in schemas {
        let postgres = Postgres::connect(&PostgresSettings::at(url).in_schema(schema)).await?;
        migrations::run(&postgres, schema, &sources).await.context(schema)?;
    }
    Ok(())
}
