//! The settings of each service for a suite in one process: shorter times than production's, else the defaults.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Result;
use rpc::PeerSettings;
use runtime::settings::Secret;
use storage::{PostgresSettings, RedisSettings};

use crate::roles;

/// The services that prove themselves to auth.
const WITH_SECRETS: [&str; 6] = ["gateway", "ratelimit", "campaigns", "insights", "audiences", "conversions"];
/// 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// What bootstrap asks for.
pub(crate) const BOOTSTRAP_CODE: &str = "once-and-never-again";
/// Any free port.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where everything of one suite is.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) secrets: PathBuf,
    /// As the server's owner; services sign in as their own roles.
    pub(crate) postgres: String,
    pub(crate) redis: String,
    pub(crate) sandbox: String,
    pub(crate) gateway: String,
    pub(crate) auth: String,
    pub(crate) ratelimit: String,
    /// The services that keep a chain of the audit, by name.
    pub(crate) chains: BTreeMap<String, String>,
}

/// Writes every secret that the services read from files.
pub(crate) fn write_secrets(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("services"))?;
    for service in WITH_SECRETS {
        fs::write(folder.join("services").join(service), format!("secret-of-{service}"))?;
    }
    for key in ["kek", "page_key", "permit_key", "member_key"] {
        fs::write(folder.join(key), KEY)?;
    }
    Ok(fs::write(folder.join("bootstrap_code"), BOOTSTRAP_CODE)?)
}

impl Places {
    /// The gateway, with these services behind it.
    pub(crate) fn gateway(&self, services: &[(&str, String)]) -> gateway::Settings {
        gateway::Settings {
            admin_listen: ANYWHERE,
            services: services.iter().map(|(name, url)| ((*name).to_owned(), url.clone())).collect(),
            auth: self.peer(&self.auth, "gateway"),
            ..gateway::Settings::default()
        }
    }

    pub(crate) fn auth(&self) -> auth::Settings {
        auth::Settings {
            postgres: self.postgres_as("auth"),
            graph: self.graph(),
            dialog_url: self.sandbox.clone(),
            kek_file: self.secrets.join("kek"),
            service_secrets_dir: self.secrets.join("services"),
            bootstrap_code_file: Some(self.secrets.join("bootstrap_code")),
            page_key_file: self.secret("page_key"),
            public_base_url: self.gateway.clone(),
            services: self.chains.clone(),
            anchor_seconds: 1,
            signing_publish_seconds: 5,
            ..auth::Settings::default()
        }
    }

    pub(crate) fn ratelimit(&self) -> ratelimit::Settings {
        ratelimit::Settings {
            admin_listen: ANYWHERE,
            redis: RedisSettings::at(self.redis.as_str()),
            postgres: self.postgres_as("ratelimit"),
            auth: self.peer(&self.auth, "ratelimit"),
            permit_key_file: self.secret("permit_key"),
            page_key_file: self.secret("page_key"),
            ..ratelimit::Settings::default()
        }
    }

    pub(crate) fn campaigns(&self) -> campaigns::Settings {
        campaigns::Settings {
            admin_listen: ANYWHERE,
            postgres: self.postgres_as("campaigns"),
            auth: self.peer(&self.auth, "campaigns"),
            ratelimit: self.peer(&self.ratelimit, "campaigns"),
            graph: self.graph(),
            page_key_file: self.secret("page_key"),
            settle_seconds: 2,
            ..campaigns::Settings::default()
        }
    }

    pub(crate) fn insights(&self) -> insights::Settings {
        let poller = insights::PollerSettings {
            idle_milliseconds: 50,
            poll_milliseconds_min: 100,
            ..insights::PollerSettings::default()
        };
        insights::Settings {
            admin_listen: ANYWHERE,
            postgres: self.postgres_as("insights"),
            auth: self.peer(&self.auth, "insights"),
            ratelimit: self.peer(&self.ratelimit, "insights"),
            graph: self.graph(),
            page_key_file: self.secret("page_key"),
            poller,
            ..insights::Settings::default()
        }
    }

    pub(crate) fn audiences(&self) -> audiences::Settings {
        audiences::Settings {
            admin_listen: ANYWHERE,
            postgres: self.postgres_as("audiences"),
            auth: self.peer(&self.auth, "audiences"),
            ratelimit: self.peer(&self.ratelimit, "audiences"),
            graph: self.graph(),
            page_key_file: self.secret("page_key"),
            member_key_file: self.secret("member_key"),
            settle_seconds: 2,
            ..audiences::Settings::default()
        }
    }

    pub(crate) fn conversions(&self) -> conversions::Settings {
        conversions::Settings {
            admin_listen: ANYWHERE,
            postgres: self.postgres_as("conversions"),
            auth: self.peer(&self.auth, "conversions"),
            ratelimit: self.peer(&self.ratelimit, "conversions"),
            graph: self.graph(),
            page_key_file: self.secret("page_key"),
            ..conversions::Settings::default()
        }
    }

    fn postgres_as(&self, service: &str) -> PostgresSettings {
        let url = roles::url_of(&self.postgres, service);
        // Six services of several suites share one server and its 100 connections.
        PostgresSettings { pool_size: 4, ..PostgresSettings::at(url.as_str()) }
    }

    fn graph(&self) -> graph::Settings {
        graph::Settings { base_url: self.sandbox.clone(), call_timeout_seconds: 20, ..graph::Settings::default() }
    }

    fn peer(&self, endpoint: &str, service: &str) -> PeerSettings {
        let service_secret_file = self.secrets.join("services").join(service);
        PeerSettings { endpoint: endpoint.to_owned(), service_secret_file, ..PeerSettings::default() }
    }

    fn secret(&self, name: &str) -> Secret {
        Secret::in_file(self.secrets.join(name))
    }
}
