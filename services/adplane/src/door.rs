//! The way into a running gateway, and the form in which a command answers: what all client verbs have in common.

use anyhow::Result;
use client::Client;
use vocabulary::ids::TenantId;

use crate::output::Output;

/// The gateway and the right to use it.
#[derive(Debug, clap::Args)]
pub(crate) struct Door {
    #[command(flatten)]
    gateway: Gateway,
    /// The caller's token; better in ADPLANE_TOKEN, since every user of the machine sees a command's arguments
    #[arg(long, env = "ADPLANE_TOKEN", hide_env_values = true)]
    token: String,
    /// Which tenant, where the token is for several: the t of tenants/t
    #[arg(long, env = "ADPLANE_TENANT", value_parser = tenant)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    form: Form,
}

/// Where the gateway is.
#[derive(Debug, clap::Args)]
pub(crate) struct Gateway {
    /// The gateway
    #[arg(long, env = "ADPLANE_ADDRESS", default_value = "http://127.0.0.1:7400")]
    address: String,
}

/// For whom the answer is.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Form {
    /// JSON for programs: a line for each thing, with the names of the API
    #[arg(long)]
    json: bool,
}

impl Door {
    pub(crate) fn open(&self) -> Result<Client> {
        let client = Client::connect(&self.gateway.address, &self.token)?;
        Ok(self.tenant.as_ref().map_or_else(|| client.clone(), |tenant| client.for_tenant(tenant)))
    }

    pub(crate) fn output(&self) -> Output {
        self.form.output()
    }

    pub(crate) fn is_for_programs(&self) -> bool {
        self.form.json
    }
}

impl Gateway {
    /// For the calls whose request carries the proof.
    pub(crate) fn open(&self) -> Result<Client> {
        Ok(Client::anonymous(&self.address)?)
    }
}

impl Form {
    pub(crate) fn output(self) -> Output {
        Output::new(self.json)
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }
}

/// With or without the word before it.
pub(crate) fn tenant(text: &str) -> Result<TenantId, String> {
    text.trim_start_matches("tenants/").parse().map_err(|error| format!("{error}"))
}

/// A name of the API, of which people may leave the first word out.
pub(crate) fn named(collection: &str, name: &str) -> String {
    let prefix = format!("{collection}/");
    if name.starts_with(&prefix) { name.to_owned() } else { prefix + name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_go_without_its_collection() {
        assert_eq!(named("connections", "connections/1"), "connections/1");
        assert_eq!(named("connections", "1"), "connections/1");
        assert_eq!(tenant("tenants/acme").unwrap(), tenant("acme").unwrap());
        assert!(tenant("Acme & Sons").is_err());
    }
}
