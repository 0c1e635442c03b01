//! The settings file of each service of a laptop's stack.

use anyhow::Result;
use toml::{Table, Value};

use super::layout::{Files, Ports, loopback, url};
use crate::serve::Service;

/// The sandbox answers at once or not at all.
const CALL_TIMEOUT_SECONDS: i64 = 10;

/// What the services have in common.
pub(crate) struct Config<'a> {
    pub(crate) ports: Ports,
    pub(crate) files: &'a Files,
    pub(crate) postgres_url: String,
    pub(crate) redis_url: String,
}

impl Config<'_> {
    /// Writes every file.
    pub(crate) fn write(&self) -> Result<()> {
        for service in Service::ALL {
            super::secrets::write(&self.files.config(service.name()), &toml::to_string(&self.of(service))?)?;
        }
        let postgres = table([("postgres", self.postgres().into())]);
        super::secrets::write(&self.files.config("migrate"), &toml::to_string(&postgres)?)
    }

    fn of(&self, service: Service) -> Table {
        let mut settings = table([
            ("listen", loopback(self.ports.of(service)).into()),
            ("admin_listen", loopback(self.ports.admin_of(service)).into()),
            ("reflection", true.into()),
        ]);
        settings.extend(match service {
            Service::Gateway => self.gateway(),
            Service::Auth => self.auth(),
            Service::Ratelimit => self.ratelimit(),
            Service::Campaigns | Service::Insights | Service::Audiences | Service::Conversions => self.worker(service),
        });
        settings
    }

    fn gateway(&self) -> Table {
        let services = Service::ALL.into_iter().filter(|service| *service != Service::Gateway);
        let services = services.map(|service| (service.name(), url(self.ports.of(service)).into()));
        let auth = self.peer(Service::Auth, Service::Gateway);
        table([("services", Value::Table(table(services))), ("auth", auth)])
    }

    fn auth(&self) -> Table {
        // Those that keep a chain of the audit.
        let chains =
            [Service::Ratelimit, Service::Campaigns, Service::Insights, Service::Audiences, Service::Conversions];
        let chains = chains.map(|service| (service.name(), url(self.ports.of(service)).into()));
        table([
            ("services", Value::Table(table(chains))),
            ("postgres", self.postgres().into()),
            ("graph", self.graph().into()),
            ("dialog_url", url(self.ports.sandbox()).into()),
            ("kek_file", self.secret("kek")),
            ("service_secrets_dir", path(&self.files.service_secrets())),
            ("bootstrap_code_file", self.secret("bootstrap_code")),
            ("page_key_file", self.secret("page_key")),
            ("public_base_url", url(self.ports.of(Service::Gateway)).into()),
            ("token_seconds", 86_400.into()),
        ])
    }

    fn ratelimit(&self) -> Table {
        table([
            ("redis", Value::Table(table([("url", self.redis_url.clone().into())]))),
            ("auth", self.peer(Service::Auth, Service::Ratelimit)),
            ("permit_key_file", self.secret("permit_key")),
            ("postgres", self.postgres().into()),
            ("ceilings", Value::Table(table([("tier", "standard".into())]))),
            ("page_key_file", self.secret("page_key")),
        ])
    }

    fn worker(&self, service: Service) -> Table {
        let mut settings = table([
            ("postgres", self.postgres().into()),
            ("graph", self.graph().into()),
            ("auth", self.peer(Service::Auth, service)),
            ("ratelimit", self.peer(Service::Ratelimit, service)),
            ("page_key_file", self.secret("page_key")),
        ]);
        match service {
            Service::Audiences => settings.extend(table([("member_key_file", self.secret("member_key"))])),
            // What a killed dispatcher held is sent again after its lease; it must outlast a call.
            Service::Conversions => {
                let lease = Value::from(CALL_TIMEOUT_SECONDS + 5);
                settings.extend(table([("dispatcher", Value::Table(table([("lease_seconds", lease)])))]));
            }
            _ => {}
        }
        settings
    }

    fn postgres(&self) -> Table {
        table([("url", self.postgres_url.clone().into())])
    }

    fn graph(&self) -> Table {
        let timeout = Value::from(CALL_TIMEOUT_SECONDS);
        table([("base_url", url(self.ports.sandbox()).into()), ("call_timeout_seconds", timeout)])
    }

    fn peer(&self, to: Service, from: Service) -> Value {
        let secret = self.files.service_secrets().join(from.name());
        Value::Table(table([("endpoint", url(self.ports.of(to)).into()), ("service_secret_file", path(&secret))]))
    }

    fn secret(&self, name: &str) -> Value {
        path(&self.files.secret(name))
    }
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn path(path: &std::path::Path) -> Value {
    Value::String(path.display().to_string())
}
