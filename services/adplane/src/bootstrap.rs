//! `adplane bootstrap` and `adplane token`: from an empty installation to a token to call with.

use std::path::PathBuf;

use anyhow::Result;
use proto::auth::v1::{BootstrapRequest, BootstrapResponse, Caller, IssueTokenRequest, Tenant};
use runtime::settings::Secret;
use secrecy::ExposeSecret;

use crate::{
    door::{Form, Gateway, named, tenant},
    output::{note, print},
};

/// The first tenant, and the proof that one may make it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A file with the one-time code: what the setting bootstrap_code_file of auth, or secrets.bootstrap of the chart, holds
    #[arg(long, value_name = "FILE")]
    code_file: PathBuf,
    /// The first tenant: 1 to 40 of a-z, 0-9 and -
    #[arg(long)]
    tenant: String,
    /// What people call it
    #[arg(long)]
    name: String,
    /// What its first caller may do
    #[arg(long, value_delimiter = ',', default_value = "*")]
    scopes: Vec<String>,
    #[command(flatten)]
    gateway: Gateway,
    #[command(flatten)]
    form: Form,
}

/// Whose token.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenOptions {
    /// As callers/0199… or without the first word
    #[arg(long)]
    caller: String,
    /// A file with the caller's secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Fewer scopes than the caller has
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    #[command(flatten)]
    gateway: Gateway,
    #[command(flatten)]
    form: Form,
}

/// Makes the first operator, tenant and caller. Their secrets are shown here and nowhere else.
pub(crate) async fn run(options: Options) -> Result<()> {
    let code = Secret::in_file(options.code_file).read()?;
    let id = tenant(&options.tenant).map_err(|problem| anyhow::anyhow!("--tenant: {problem}"))?;
    let request = BootstrapRequest {
        code: code.expose_secret().trim().to_owned(),
        tenant_id: id.to_string(),
        tenant: Some(Tenant { display_name: options.name.clone(), ..Tenant::default() }),
        caller: Some(Caller { display_name: options.name, scopes: options.scopes, ..Caller::default() }),
        ..BootstrapRequest::default()
    };
    let first = options.gateway.open()?.identity().bootstrap(request).await?.into_inner();
    options.form.output().thing(&first, parts)?;
    note("keep the two secrets now: nobody can show them again. `adplane token` makes tokens out of them.")
}

fn parts(first: &BootstrapResponse) -> Vec<(&'static str, String)> {
    let name = |caller: &Option<Caller>| caller.clone().unwrap_or_default().name;
    vec![
        ("tenant", first.tenant.clone().unwrap_or_default().name),
        ("operator", name(&first.operator)),
        ("its secret", first.operator_secret.clone()),
        ("caller", name(&first.caller)),
        ("its secret", first.caller_secret.clone()),
    ]
}

/// A token, alone on its line: `export ADPLANE_TOKEN=$(adplane token ...)`.
pub(crate) async fn token(options: TokenOptions) -> Result<()> {
    let secret = Secret::in_file(options.secret_file).read()?;
    let request = IssueTokenRequest {
        caller: named("callers", &options.caller),
        secret: secret.expose_secret().trim().to_owned(),
        scopes: options.scopes,
    };
    let answer = options.gateway.open()?.identity().issue_token(request).await?.into_inner();
    if options.form.is_json() {
        return options.form.output().thing(&answer, |_| Vec::new());
    }
    print(&[answer.token])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_secrets_are_shown_the_one_time_that_they_can_be() {
        let named = |name: &str| Some(Caller { name: name.to_owned(), ..Caller::default() });
        let first = BootstrapResponse {
            tenant: Some(Tenant { name: "tenants/acme".to_owned(), ..Tenant::default() }),
            operator: named("callers/1"),
            operator_secret: "one".to_owned(),
            caller: named("callers/2"),
            caller_secret: "two".to_owned(),
        };
        let values: Vec<String> = parts(&first).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["tenants/acme", "callers/1", "one", "callers/2", "two"]);
    }
}
