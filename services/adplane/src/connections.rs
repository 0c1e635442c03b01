//! `adplane connections`: the tenant's consents at Meta, how they fare, and what happens to them.

mod watch;

use anyhow::{Context, Result};
use client::list_all;
use futures::TryStreamExt;
use proto::auth::v1::{
    Connection, ConnectionFilter, ConnectionState, GetConnectionRequest, ImportSystemUserTokenRequest,
    InspectConnectionRequest, ListConnectionsRequest, RefreshConnectionRequest, RevokeConnectionRequest,
};
use runtime::settings::Secret;
use secrecy::ExposeSecret;
use uuid::Uuid;
use vocabulary::clock::{Clock, SystemClock};

use crate::{
    door::{Door, named},
    moment::Moment,
    output::{Output, moment, note, word},
};

/// What to do with connections.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Shows all, oldest first
    List(List),
    /// Shows one
    Get(One),
    /// Takes a system user's token in; repeated for the same system user it replaces the older token
    Import(Import),
    /// Asks Meta how its token stands
    Inspect(One),
    /// Exchanges its token for a newer one now
    Refresh(One),
    /// Ends it here and at Meta
    Revoke(Revoke),
    /// Shows what happens to the tenant's connections, as it happens
    Watch(watch::Options),
}

/// Which to show.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// Only those whose token ends before this moment, such as 2026-12-24
    #[arg(long)]
    expires_before: Option<Moment>,
    #[command(flatten)]
    door: Door,
}

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// As connections/0199… or without the first word
    connection: String,
    #[command(flatten)]
    door: Door,
}

/// Whose token, and for which app.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A file with the token as Meta's Business Manager showed it
    #[arg(long, value_name = "FILE")]
    token_file: std::path::PathBuf,
    /// The app that it was made for: its id at Meta
    #[arg(long)]
    app: String,
    /// The permissions that it should have, in Meta's words; else ads_management, ads_read, business_management
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    #[command(flatten)]
    door: Door,
}

/// Which one, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// As connections/0199… or without the first word
    connection: String,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    door: Door,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum State {
    /// Works
    Active,
    /// Somebody must consent again
    NeedsConsent,
    /// Its owner must do something at Facebook first
    Checkpoint,
    /// Ended
    Revoked,
}

impl State {
    fn message(self) -> ConnectionState {
        match self {
            Self::Active => ConnectionState::Active,
            Self::NeedsConsent => ConnectionState::NeedsConsent,
            Self::Checkpoint => ConnectionState::Checkpoint,
            Self::Revoked => ConnectionState::Revoked,
        }
    }
}

pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::List(options) => list(options).await,
        Verb::Get(one) => get(one).await,
        Verb::Import(options) => import(options).await,
        Verb::Inspect(one) => inspect(one).await,
        Verb::Refresh(one) => refresh(one).await,
        Verb::Revoke(options) => revoke(options).await,
        Verb::Watch(options) => watch::run(options).await,
    }
}

async fn list(List { state, expires_before, door }: List) -> Result<()> {
    let client = door.open()?;
    let expires_before = expires_before.map(|moment| moment.before(SystemClock.now())).transpose()?;
    let state = state.map_or(ConnectionState::Unspecified, State::message).into();
    let filter = Some(ConnectionFilter { state, expires_before });
    let all = list_all(async |page_token| {
        let request = ListConnectionsRequest { filter, page_size: 1_000, page_token };
        let page = client.connections().list_connections(request).await?.into_inner();
        Ok((page.connections, page.next_page_token))
    });
    let all: Vec<Connection> = all.try_collect().await?;
    door.output().rows(&["connection", "kind", "state", "health", "ends", "user", "app", "missing"], &all, row)
}

fn row(connection: &Connection) -> Vec<String> {
    vec![
        connection.name.clone(),
        kind(connection),
        state(connection.state()),
        health(connection),
        ends(connection),
        connection.user_id.clone(),
        connection.meta_app.clone(),
        connection.missing_scopes.join(","),
    ]
}

async fn get(One { connection, door }: One) -> Result<()> {
    let request = GetConnectionRequest { name: named("connections", &connection) };
    let answer = door.open()?.connections().get_connection(request).await?.into_inner();
    shown(door.output(), answer.connection)
}

fn shown(output: Output, connection: Option<Connection>) -> Result<()> {
    output.thing(&connection.context("auth answered without a connection")?, parts)
}

/// Lines that say nothing are left out.
fn parts(connection: &Connection) -> Vec<(&'static str, String)> {
    let all = [
        ("connection", connection.name.clone()),
        ("kind", kind(connection)),
        ("state", state(connection.state())),
        ("why", connection.state_reason.clone()),
        ("health", health(connection)),
        ("refresh problem", connection.refresh_problem.clone()),
        ("app", connection.meta_app.clone()),
        ("user", connection.user_id.clone()),
        ("permissions", connection.scopes.join(", ")),
        ("missing", connection.missing_scopes.join(", ")),
        ("ends", ends(connection)),
        ("data until", moment(connection.data_access_expire_time.as_ref())),
        ("refreshed", moment(connection.refresh_time.as_ref())),
        ("next refresh", moment(connection.next_refresh_time.as_ref())),
        ("inspected", moment(connection.inspect_time.as_ref())),
        ("made", moment(connection.create_time.as_ref())),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

async fn import(Import { token_file, app, scopes, door }: Import) -> Result<()> {
    let token = Secret::in_file(token_file).read()?;
    let request = ImportSystemUserTokenRequest {
        token: token.expose_secret().trim().to_owned(),
        meta_app: named("metaApps", &app),
        expected_scopes: scopes,
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let answer = door.open()?.connections().import_system_user_token(request).await?.into_inner();
    shown(door.output(), answer.connection)
}

async fn inspect(One { connection, door }: One) -> Result<()> {
    let request = InspectConnectionRequest {
        name: named("connections", &connection),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let answer = door.open()?.connections().inspect_connection(request).await?.into_inner();
    shown(door.output(), answer.connection)
}

async fn refresh(One { connection, door }: One) -> Result<()> {
    let request = RefreshConnectionRequest {
        name: named("connections", &connection),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let answer = door.open()?.connections().refresh_connection(request).await?.into_inner();
    note(if answer.refreshed {
        "there is a newer token"
    } else {
        "nothing newer: the token never ends, or is less than a day old"
    })?;
    shown(door.output(), answer.connection)
}

async fn revoke(Revoke { connection, reason, door }: Revoke) -> Result<()> {
    let request = RevokeConnectionRequest {
        name: named("connections", &connection),
        reason,
        request_id: Uuid::new_v4().to_string(),
        ..RevokeConnectionRequest::default()
    };
    let answer = door.open()?.connections().revoke_connection(request).await?.into_inner();
    note(if answer.revoked_at_meta {
        "the token is gone here, and Meta has taken its permissions back"
    } else {
        "the token is gone here; Meta did not confirm that its permissions are: look in Business Manager"
    })?;
    shown(door.output(), answer.connection)
}

fn kind(connection: &Connection) -> String {
    word(connection.kind().as_str_name(), "CONNECTION_KIND_")
}

fn state(state: ConnectionState) -> String {
    word(state.as_str_name(), "CONNECTION_STATE_")
}

fn health(connection: &Connection) -> String {
    word(connection.health().as_str_name(), "CONNECTION_HEALTH_")
}

fn ends(connection: &Connection) -> String {
    connection.expire_time.as_ref().map_or("never".to_owned(), |end| moment(Some(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_shown_without_what_says_nothing() {
        let connection = Connection {
            name: "connections/1".to_owned(),
            state: ConnectionState::NeedsConsent.into(),
            missing_scopes: vec!["ads_read".to_owned()],
            ..Connection::default()
        };
        let parts = parts(&connection);
        let get = |name: &str| parts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (get("state"), get("missing"), get("ends")),
            (Some("needs consent"), Some("ads_read"), Some("never"))
        );
        assert_eq!(get("next refresh"), None);
    }
}
