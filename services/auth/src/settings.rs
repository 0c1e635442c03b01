//! What an operator sets. All that is wrong is reported at once, at start.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use runtime::{
    settings::{Check, Faults, Secret},
    telemetry::TelemetrySettings,
};
use serde::Deserialize;
use storage::PostgresSettings;

use crate::{
    issuers::{self, IssuerSettings},
    lifecycle::LifecycleSettings,
    streams::StreamSettings,
    token::Algorithm,
    vault::{ProviderKind, TransitSettings, VaultSettings},
    workloads::ServiceAccountSettings,
};

/// Settings of auth.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where callers reach it. Default `127.0.0.1:7410`.
    pub listen: SocketAddr,
    /// Where health and metrics are. Default `127.0.0.1:7419`.
    pub admin_listen: SocketAddr,
    /// Its database.
    pub postgres: PostgresSettings,
    /// Meta.
    pub graph: graph::Settings,
    /// The host of Meta's log-in dialog. Default: Meta's own.
    pub dialog_url: String,
    /// Who keeps the key-encryption key: `file` or `vault_transit`. Default `file`.
    pub key_provider: ProviderKind,
    /// The key-encryption key: 32 random bytes in base64. Required with `file`; else it only opens what it once wrapped.
    pub kek_file: PathBuf,
    /// Further files with keys that only open: older ones until a rotation is done, and the next one before it wraps.
    /// At most 10. Default: none.
    pub kek_other_files: Vec<PathBuf>,
    /// The transit engine. Required with `vault_transit`.
    pub vault_transit: TransitSettings,
    /// What new keys sign tokens with: `EdDSA` or `ES256`. Default `EdDSA`.
    pub signing_algorithm: Algorithm,
    /// How long a new key is published before it signs, in seconds. 5 to 86,400; default 600, which is twice as long as our
    /// services keep a key set.
    pub signing_publish_seconds: u32,
    /// How long backups of the database are kept, in days: what a receipt of shredding counts from. 1 to 3,650;
    /// default 35.
    pub backup_retention_days: u32,
    /// A folder with one file per service, named as the service and holding the secret it shares with us. Required.
    pub service_secrets_dir: PathBuf,
    /// The one-time code of `Bootstrap`. Default: none, so that nobody can bootstrap.
    pub bootstrap_code_file: Option<PathBuf>,
    /// What authenticates page tokens; the same file for all replicas. Required.
    pub page_key_file: Secret,
    /// What our tokens name as their issuer. Default `adplane`.
    pub issuer: String,
    /// The gateway as browsers reach it; Meta's log-in returns to its path `/oauth/callback`.
    /// Default `http://127.0.0.1:7400`.
    pub public_base_url: String,
    /// Issuers outside, such as a company's identity provider, whose tokens are taken beside ours. At most 20; default none.
    pub issuers: Vec<IssuerSettings>,
    /// The cluster whose service accounts prove which service asks for a token. Default: none, so that only secrets do.
    pub service_accounts: Option<ServiceAccountSettings>,
    /// How long a caller's token lives, in seconds. 60 to 86,400; default 900.
    pub token_seconds: u32,
    /// How long a service's token lives, in seconds. 60 to 86,400; default 3,600.
    pub service_token_seconds: u32,
    /// How long a lease lives, in seconds. 10 to 120; default 120.
    pub lease_seconds: u32,
    /// Where the services are whose audit is shown and anchored here: their names to `http://host:port`. Default: none, so
    /// that only our own audit is.
    pub services: BTreeMap<String, String>,
    /// How often the heads of the audit's chains are anchored, in seconds. 1 to 60; default 60.
    pub anchor_seconds: u32,
    /// For how many days every anchor is kept, and everything that was found broken; of what is older, one of each chain and
    /// day. 7 to 3,650; default 90.
    pub anchors_kept_days: u32,
    /// Streams that callers and services hold open.
    pub streams: StreamSettings,
    /// The life of connections: refreshes, inspections, events.
    pub lifecycle: LifecycleSettings,
    /// Reflection on the gRPC port. Default off.
    pub reflection: bool,
    /// Logs, metrics and traces.
    pub telemetry: TelemetrySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7410)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7419)),
            postgres: PostgresSettings::default(),
            graph: graph::Settings::default(),
            dialog_url: graph::oauth::DIALOG_HOST.to_owned(),
            key_provider: ProviderKind::File,
            kek_file: PathBuf::new(),
            kek_other_files: Vec::new(),
            vault_transit: TransitSettings::default(),
            signing_algorithm: Algorithm::EdDsa,
            signing_publish_seconds: 600,
            backup_retention_days: 35,
            service_secrets_dir: PathBuf::new(),
            bootstrap_code_file: None,
            page_key_file: Secret::default(),
            issuer: "adplane".to_owned(),
            public_base_url: "http://127.0.0.1:7400".to_owned(),
            issuers: Vec::new(),
            service_accounts: None,
            token_seconds: 900,
            service_token_seconds: 3_600,
            lease_seconds: 120,
            services: BTreeMap::new(),
            anchor_seconds: 60,
            anchors_kept_days: 90,
            streams: StreamSettings::default(),
            lifecycle: LifecycleSettings::default(),
            reflection: false,
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl Settings {
    /// Where Meta's log-in returns to; nothing else is allowed.
    pub fn redirect_uri(&self) -> String {
        format!("{}/oauth/callback", self.public_base_url.trim_end_matches('/'))
    }

    /// The page that a person is sent to before Meta's log-in.
    pub fn login_page(&self) -> String {
        format!("{}/oauth/begin", self.public_base_url.trim_end_matches('/'))
    }

    /// How long a caller's token lives.
    pub fn token_life(&self) -> Duration {
        Duration::from_secs(self.token_seconds.into())
    }

    /// How long a service's token lives.
    pub fn service_token_life(&self) -> Duration {
        Duration::from_secs(self.service_token_seconds.into())
    }

    /// Who keeps the key-encryption key.
    pub fn vault(&self) -> VaultSettings<'_> {
        VaultSettings {
            provider: self.key_provider,
            kek_file: &self.kek_file,
            kek_other_files: &self.kek_other_files,
            transit: &self.vault_transit,
        }
    }

    /// How long a new key is published before it signs.
    pub fn signing_publish(&self) -> Duration {
        Duration::from_secs(self.signing_publish_seconds.into())
    }

    /// How often heads are anchored, and how long all of the anchors are kept.
    pub fn anchoring(&self) -> (Duration, Duration) {
        let kept = Duration::from_hours(24) * self.anchors_kept_days;
        (Duration::from_secs(self.anchor_seconds.into()), kept)
    }

    /// How long a lease lives.
    pub fn lease_life(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.into())
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("postgres", self.postgres.faults());
        faults.nested("graph", self.graph.faults());
        faults.section("lifecycle", &self.lifecycle);
        faults.check(is_address(&self.dialog_url), "dialog_url", "must be an http or https address");
        faults.check(is_address(&self.public_base_url), "public_base_url", "must be an http or https address");
        match self.key_provider {
            ProviderKind::File => {
                faults.check(!self.kek_file.as_os_str().is_empty(), "kek_file", "must name a file");
            }
            ProviderKind::VaultTransit => faults.section("vault_transit", &self.vault_transit),
        }
        faults.check(self.kek_other_files.len() <= 10, "kek_other_files", "must name at most 10 files");
        let publish = (5..=86_400).contains(&self.signing_publish_seconds);
        faults.check(publish, "signing_publish_seconds", "must be 5 to 86400");
        let kept = (1..=3_650).contains(&self.backup_retention_days);
        faults.check(kept, "backup_retention_days", "must be 1 to 3650");
        faults.check(!self.service_secrets_dir.as_os_str().is_empty(), "service_secrets_dir", "must name a folder");
        self.page_key_file.check("page_key_file", faults);
        faults.check(!self.issuer.is_empty(), "issuer", "must not be empty");
        faults.check(self.issuers.len() <= 20, "issuers", "must be at most 20");
        issuers::check_all(&self.issuers, &self.issuer, faults);
        if let Some(accounts) = &self.service_accounts {
            faults.section("service_accounts", accounts);
        }
        let token = 60..=86_400;
        faults.check(token.contains(&self.token_seconds), "token_seconds", "must be 60 to 86400");
        faults.check(token.contains(&self.service_token_seconds), "service_token_seconds", "must be 60 to 86400");
        faults.check((10..=120).contains(&self.lease_seconds), "lease_seconds", "must be 10 to 120");
        for (service, endpoint) in &self.services {
            let key = format!("services.{service}");
            faults.check(service != crate::NAME, &key, "is this service, whose chain is read without a call");
            faults.check(is_address(endpoint), &key, "must be an address such as http://campaigns:7430");
        }
        faults.check((1..=60).contains(&self.anchor_seconds), "anchor_seconds", "must be 1 to 60");
        let kept = (7..=3_650).contains(&self.anchors_kept_days);
        faults.check(kept, "anchors_kept_days", "must be 7 to 3650");
        faults.section("streams", &self.streams);
    }
}

fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
