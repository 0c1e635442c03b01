//! A tenant's consent at Meta: taken in, looked at, ended.

use std::time::Duration;

use graph::oauth::{App, Inspection, Oauth, SYSTEM_USER};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use storage::operations::Claimed;
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, ConnectionId, MetaAppId, TenantId},
    names,
};

use crate::{
    assets::{AssetKind, Claims, Found, Walk},
    by::{By, Repeat},
    connection_events::{Event, EventKind},
    discovery,
    error::Error,
    grants,
    lifecycle::plan::Plan,
    meta_apps::{MetaApps, refused},
    now::Now,
    revocations::Subject,
    sensitive,
    store::{self, Store, Told, connection_events, connections, owners, revocations},
    tenants::Tenants,
    vault::{self, Cell, Sealed, Vault},
};

mod ending;
mod inspect;
mod model;
#[cfg(test)]
pub(crate) mod testing;
mod upkeep;

pub(crate) use self::inspect::Look;
pub use self::{
    model::{Connection, ConnectionKind, ConnectionState, Listing, Standing, standing},
    upkeep::Upkeep,
};

/// The use cases.
#[derive(Clone)]
pub struct Connections {
    store: Store,
    vault: Vault,
    apps: MetaApps,
    tenants: Tenants,
    oauth: Oauth,
    plan: Plan,
    now: Now,
}

/// A token with what Meta says of it, checked and not yet stored.
pub struct Checked {
    token: SecretString,
    app: App,
    kind: ConnectionKind,
    inspection: Inspection,
    expected: Vec<String>,
    standing: Standing,
    reached: Walk,
}

/// A connection, what it reaches, and what became of its ad accounts.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The connection.
    pub connection: Connection,
    /// What it reaches.
    pub found: Vec<Found>,
    /// What became of the ad accounts.
    pub claims: Claims,
    /// The operation that looks into them; `None` where that is done.
    pub looking: Option<String>,
}

/// What is needed to ask what a connection reaches.
pub struct Reaching {
    connection: Connection,
    app: App,
    token: SecretString,
}

impl Connections {
    /// Over the store, the vault and Meta.
    pub fn new(
        (store, vault, now): (Store, Vault, Now),
        (apps, tenants): (MetaApps, Tenants),
        (oauth, plan): (Oauth, Plan),
    ) -> Self {
        Self { store, vault, apps, tenants, oauth, plan, now }
    }

    /// Fails where an operator has closed the vault.
    pub fn require_open_vault(&self) -> Result<(), Error> {
        Ok(self.vault.require_open_for_leases()?)
    }

    /// Grows whenever what the vault has opened is to be forgotten.
    pub fn vault_generation(&self) -> i64 {
        self.vault.generation()
    }

    /// Our app, in the version of the tenant of `by`.
    pub async fn app(&self, by: &By, app: MetaAppId) -> Result<App, Error> {
        let tenant = self.tenants.get(by).await?;
        tenant.require_active()?;
        self.apps.open(app, &tenant.meta_version).await
    }

    /// Asks Meta about a token and, where it works, what it reaches. Refuses a token that is dead, of another app, or of
    /// another kind than it should be.
    pub async fn check(
        &self,
        app: App,
        token: SecretString,
        kind: ConnectionKind,
        expected: Vec<String>,
    ) -> Result<Checked, Error> {
        let inspection = self.oauth.inspect(&app, &token).await.map_err(refused)?;
        let refuse = |cause| Err(Error::CredentialRefused { cause, source: None });
        let is_system_user = inspection.kind == SYSTEM_USER;
        match kind {
            _ if !inspection.is_valid => return refuse("token_invalid"),
            _ if inspection.app != Some(app.id) => return refuse("token_of_another_app"),
            ConnectionKind::SystemUser if !is_system_user => return refuse("not_a_system_user"),
            ConnectionKind::SystemUser | ConnectionKind::User => {}
        }
        let standing = standing(&inspection, &expected);
        let mut reached = Walk::default();
        // A token that lacks a permission is kept, not used. The look into many accounts is long work.
        if standing.state == ConnectionState::Active {
            while reached.step(&self.oauth, &app, &token).await? && !reached.is_long() {}
        }
        Ok(Checked { token, app, kind, inspection, expected, standing, reached })
    }

    /// Seals a checked token and stores what it reaches. A token of the same person or system user replaces the older one.
    pub async fn keep(
        &self,
        by: &By,
        checked: Checked,
        told: &str,
        (repeat, answer): (&Repeat, impl FnOnce(&Connected) -> Vec<u8>),
    ) -> Result<Connected, Error> {
        let (tenant, now) = (&by.tenant, (self.now)());
        self.prepare(tenant).await?;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let user = &checked.inspection.user_id;
        let older = connections::of_user(&transaction, tenant.as_str(), checked.app.id, checked.kind, user).await?;
        if let Some(older) = older.as_ref().filter(|older| older.state == ConnectionState::Active) {
            let missing = grants::missing(&checked.expected, &checked.inspection.scopes);
            let lacks: Vec<_> = missing.into_iter().filter(|scope| older.scopes.contains(scope)).collect();
            if !lacks.is_empty() {
                return Err(Error::Lesser { connection: names::of_connection(older.id), lacks });
            }
        }
        let connection = checked.connection(tenant.clone(), older.as_ref(), now).begun(&self.plan, now);
        let sealed = self.seal(&connection, &checked.token).await?;
        connections::put(&transaction, &connection, &sealed).await?;
        let looking = if checked.is_looked_into() {
            None
        } else {
            Some(discovery::enqueue(&self.store, &transaction, (by, connection.id), now).await?.name)
        };
        let kinds: &[AssetKind] = if looking.is_some() { &AssetKind::LISTED } else { &AssetKind::ALL };
        let found = checked.reached.found();
        let claims = match connection.state {
            ConnectionState::Active => store_found(&transaction, &connection, (&found, kinds), now).await?,
            // Nobody has looked. What an older token reached says whose leases wait for consent.
            _ => Claims::default(),
        };
        let connected = Connected { connection, found, claims, looking };
        let event = Event::of(&connected.connection, EventKind::Connected, now);
        connection_events::append(&transaction, tenant.as_str(), &event).await?;
        let resource = names::of_connection(connected.connection.id);
        let told = Told { action: told, resource: &resource, detail: self.detail(&connected).await };
        // Last, because everybody who ends something waits for it.
        end_losing(&transaction, &connected, now).await?;
        if connected.connection.token_version > 1 {
            // Holders of the older token take up this one at once.
            let subject = Subject::Connection(connected.connection.id);
            revocations::append(&transaction, tenant.as_str(), &subject, now).await?;
        }
        self.store.commit(transaction, by, told, Some((repeat, answer(&connected)))).await?;
        Ok(connected)
    }

    /// What `keep` would store.
    pub fn preview(&self, by: &By, checked: Checked) -> Connected {
        let connection = checked.connection(by.tenant.clone(), None, (self.now)());
        Connected { connection, found: checked.reached.found(), claims: Claims::default(), looking: None }
    }

    /// One connection.
    pub async fn get(&self, by: &By, id: ConnectionId) -> Result<Connection, Error> {
        self.find(by, id).await.map(|(connection, _)| connection)
    }

    /// The tenant's connections by age.
    pub async fn list(&self, by: &By, listing: &Listing) -> Result<Vec<Connection>, Error> {
        let client = self.store.client().await?;
        Ok(connections::list(&client, by.tenant.as_str(), listing).await?)
    }

    /// What is needed to look again at what a connection reaches.
    pub async fn reaching(&self, by: &By, id: ConnectionId) -> Result<Reaching, Error> {
        let (connection, token) = self.open(by, id).await?;
        connection.require_active()?;
        let app = self.app(by, connection.app).await?;
        Ok(Reaching { connection, app, token })
    }

    /// One step of that look. Says whether there is more.
    pub async fn step(&self, reaching: &Reaching, walk: &mut Walk) -> Result<bool, Error> {
        Ok(walk.step(&self.oauth, &reaching.app, &reaching.token).await?)
    }

    /// Stores what a look found when it was through, with the end of the work that looked. It took its time: nothing is
    /// stored where the connection works no more or has another token since, or where the work is somebody else's.
    pub async fn reached(
        &self,
        by: &By,
        reaching: Reaching,
        walk: Walk,
        (work, body): (&Claimed, impl FnOnce(&Connected) -> Vec<u8>),
    ) -> Result<(), Error> {
        let (looked, found) = (reaching.connection, walk.found());
        let resource = names::of_connection(looked.id);
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        self.store.operations().hold(&transaction, work).await?;
        let connection = connections::lock(&transaction, by.tenant.as_str(), looked.id).await?;
        let connection = connection.ok_or_else(|| Error::NotFound { resource: resource.clone() })?;
        connection.require_active()?;
        if connection.token_version != looked.token_version {
            return Err(Error::Stale { resource, etag: connection.etag() });
        }
        let now = (self.now)();
        let claims = store_found(&transaction, &connection, (&found, &AssetKind::ALL), now).await?;
        let connected = Connected { connection, found, claims, looking: None };
        self.store.operations().finish_in(&transaction, work, &body(&connected)).await?;
        let told = Told { action: "connections.discover", resource: &resource, detail: self.detail(&connected).await };
        end_losing(&transaction, &connected, now).await?;
        Ok(self.store.commit(transaction, by, told, None).await?)
    }

    /// The connection as it stands, where this etag allows to end it.
    pub async fn revocable(&self, by: &By, id: ConnectionId, etag: &str) -> Result<(Connection, bool), Error> {
        let (connection, _) = self.find(by, id).await?;
        // One that has ended may be what an earlier run of this request began: whatever its etag, it goes on.
        if connection.state != ConnectionState::Revoked {
            connection.require_etag(etag)?;
        }
        Ok((connection, false))
    }

    /// Removes a revoked connection from every list. A token that a crash left there is destroyed first.
    pub async fn delete(
        &self,
        by: &By,
        connection: &Connection,
        (repeat, answer): (&Repeat, Vec<u8>),
    ) -> Result<(), Error> {
        let (tenant, now) = (by.tenant.as_str(), (self.now)());
        self.bury(by, connection.id, Duration::ZERO).await?;
        let resource = names::of_connection(connection.id);
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !connections::delete(&transaction, connection).await? {
            transaction.rollback().await?;
            drop(client); // Whoever waits for a second connection holds none.
            return Err(Error::Stale { resource, etag: self.get(by, connection.id).await?.etag() });
        }
        let event = Event::of(connection, EventKind::Deleted, now);
        connection_events::append(&transaction, tenant, &event).await?;
        let told = Told { action: "connections.delete", resource: &resource, detail: json!({}) };
        Ok(self.store.commit(transaction, by, told, Some((repeat, answer))).await?)
    }

    /// The connection as it stands, where this etag allows to remove it.
    pub async fn deletable(&self, by: &By, id: ConnectionId, etag: &str) -> Result<Connection, Error> {
        let (connection, _) = self.find(by, id).await?;
        connection.require_etag(etag)?;
        match connection.state {
            ConnectionState::Revoked => Ok(connection),
            state => Err(Error::WrongState { resource: names::of_connection(id), state: state.shown() }),
        }
    }

    /// One connection with its token; a shredded one does not work any more.
    pub async fn open(&self, by: &By, id: ConnectionId) -> Result<(Connection, SecretString), Error> {
        let (connection, sealed) = self.find(by, id).await?;
        match sealed {
            Some(sealed) if connection.state != ConnectionState::Revoked => {
                let token = self.unseal(&connection, &sealed).await?;
                Ok((connection, token))
            }
            _ => Err(Error::WrongState { resource: names::of_connection(id), state: "REVOKED" }),
        }
    }

    /// Opens a sealed token.
    pub async fn unseal(&self, connection: &Connection, sealed: &Sealed) -> Result<SecretString, Error> {
        let row = connection.id.to_string();
        Ok(vault::text(&self.vault.open(&cell(connection.tenant.as_str(), &row), sealed).await?)?)
    }

    /// To be called before a row is locked in which a token is then sealed.
    pub(crate) async fn prepare(&self, tenant: &TenantId) -> Result<(), Error> {
        Ok(self.vault.prepare(tenant.as_str()).await?)
    }

    /// Seals a token for a connection as it was read, under a new key of its row: with the older key gone, the older token
    /// does not open any more. The row has to stay as it is until the sealed token is stored.
    pub(crate) async fn seal(&self, connection: &Connection, token: &SecretString) -> Result<Sealed, Error> {
        let row = connection.id.to_string();
        let cell = cell(connection.tenant.as_str(), &row);
        Ok(self.vault.seal(&cell, connection.key_version, token.expose_secret().as_bytes()).await?)
    }

    /// What somebody else wrote, as the audit may hold it.
    pub(crate) async fn veiled(&self, connection: &Connection, text: &str) -> String {
        sensitive::text(&self.vault, connection.tenant.as_str(), text).await
    }

    /// What the audit tells of a connection; the person at Meta as a keyed hash.
    async fn detail(&self, connected: &Connected) -> serde_json::Value {
        let Connected { connection, found, claims, looking } = connected;
        json!({
            "meta_app": connection.app.to_string(),
            "user": sensitive::hashed(&self.vault, connection.tenant.as_str(), &connection.user_id).await,
            "state": connection.state.word(),
            "token_version": connection.token_version,
            "missing_scopes": grants::missing(&connection.expected_scopes, &connection.scopes),
            "assets": found.len(),
            "claimed": claims.claimed.len(),
            "taken": claims.taken.len(),
            "operation": looking,
        })
    }

    /// The app of a connection, in the version of its tenant, whether or not that is suspended: its tokens are kept alive.
    pub(crate) async fn app_of(&self, connection: &Connection) -> Result<App, Error> {
        let tenant = self.tenants.get(&By::ourselves(connection.tenant.clone())).await?;
        self.apps.open(connection.app, &tenant.meta_version).await
    }

    async fn find(&self, by: &By, id: ConnectionId) -> Result<(Connection, Option<Sealed>), Error> {
        let client = self.store.client().await?;
        let found = connections::get(&client, by.tenant.as_str(), id).await?;
        found.ok_or_else(|| Error::NotFound { resource: names::of_connection(id) })
    }
}

fn cell<'a>(tenant: &'a str, row: &'a str) -> Cell<'a> {
    Cell { tenant, table: "connections", column: "sealed_token", row }
}

/// Replaces what the connection reaches of these kinds, and claims the ad accounts that nobody owns.
async fn store_found(
    transaction: &storage::Transaction<'_>,
    connection: &Connection,
    (found, kinds): (&[Found], &[AssetKind]),
    now: Timestamp,
) -> Result<Claims, Error> {
    let tenant = connection.tenant.as_str();
    store::assets::replace(transaction, (tenant, connection.id), kinds, found, now).await?;
    let accounts: Vec<AdAccountId> = found.iter().filter_map(Found::ad_account).collect();
    let (claimed, taken) = owners::claim_all(transaction, &accounts, tenant, now).await?;
    Ok(Claims { claimed, taken })
}

/// Until it claimed them, whoever reached these ad accounts could use them.
async fn end_losing(
    transaction: &storage::Transaction<'_>,
    connected: &Connected,
    now: Timestamp,
) -> Result<(), Error> {
    let (claimed, keep) = (&connected.claims.claimed, [connected.connection.tenant.to_string()]);
    if !claimed.is_empty() {
        revocations::append_losing(transaction, claimed, &keep, now).await?;
    }
    Ok(())
}

impl Checked {
    /// Whether all that it reaches was looked into, which a token that is not used has no need of.
    fn is_looked_into(&self) -> bool {
        self.reached.is_whole() || self.standing.state != ConnectionState::Active
    }

    fn connection(&self, tenant: TenantId, older: Option<&Connection>, now: Timestamp) -> Connection {
        Connection {
            tenant,
            id: older.map_or_else(|| ConnectionId(Uuid::now_v7()), |older| older.id),
            kind: self.kind,
            state: self.standing.state,
            state_reason: self.standing.reason.clone(),
            app: self.app.id,
            user_id: self.inspection.user_id.clone(),
            scopes: self.inspection.scopes.clone(),
            expected_scopes: self.expected.clone(),
            granular_scopes: self.inspection.granular_scopes.clone(),
            expires: model::moment(self.inspection.expires_at),
            data_access_expires: model::moment(self.inspection.data_access_expires_at),
            inspected: now,
            upkeep: Upkeep::default(),
            token_version: older.map_or(1, |older| older.token_version + 1),
            key_version: older.map_or(0, |older| older.key_version),
            version: older.map_or(1, |older| older.version + 1),
            created: older.map_or(now, |older| older.created),
            updated: now,
        }
    }
}
