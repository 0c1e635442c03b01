//! What a client needs to know of a sandbox that is ready: one line of JSON.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::net::TcpListener;

use crate::server::Listeners;
use crate::state::{ACCOUNTS, APP, APP_SECRET, DATASET, INSTAGRAM, PAGE, SYSTEM_USER_TOKEN};

/// Addresses, and the ids and secrets that every world has. The keys are a contract with scripts.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "the keys are a contract with scripts")]
pub struct Ready {
    ready: bool,
    /// The base URL.
    pub sandbox: String,
    /// For `HTTPS_PROXY`; null without `--proxy`.
    pub proxy: Option<String>,
    /// The certificate to trust with it.
    pub proxy_ca: Option<PathBuf>,
    app_id: String,
    app_secret: &'static str,
    /// A system user's token that never expires.
    pub token: &'static str,
    /// The first ad account, with `act_`.
    pub ad_account: String,
    dataset: String,
    page: String,
    instagram_user: String,
}

impl Ready {
    pub(crate) fn of(listeners: &Listeners, certificate: Option<&Path>) -> std::io::Result<Self> {
        let [first, ..] = ACCOUNTS;
        Ok(Self {
            ready: true,
            sandbox: url(&listeners.graph)?,
            proxy: listeners.proxy.as_ref().map(url).transpose()?,
            proxy_ca: certificate.map(Path::to_owned),
            app_id: APP.to_string(),
            app_secret: APP_SECRET,
            token: SYSTEM_USER_TOKEN,
            ad_account: format!("act_{first}"),
            dataset: DATASET.to_string(),
            page: PAGE.to_string(),
            instagram_user: INSTAGRAM.to_string(),
        })
    }

    /// As it is printed.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn url(listener: &TcpListener) -> std::io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
