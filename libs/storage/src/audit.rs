//! Who changed what: an append-only chain of entries per tenant, written in the transaction of the change.
//!
//! Every entry carries the SHA-256 of the one before it together with its own content, and the tenant's head names the last
//! one. So an edited entry, a missing one and a cut tail show, given a head that was kept elsewhere ([`verify`]).
//!
//! Secrets and people's data never go in: name the credential's id, count the rows, keep a keyed hash. What looks like one
//! nevertheless, in a reason that a person gave, is hidden before it is hashed and stored.

mod entry;
mod veil;
mod verify;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::{Row, types::FromSql};

pub use entry::{Entry, Head, Recorded};
pub use veil::veiled;
pub use verify::{Break, Verdict, Walk, verify};

use crate::{Error, GenericClient, Transaction};

/// The tables, as a migration of the service. Never edited once released: a change is a further migration.
pub const SQL: &str = include_str!("audit/audit.sql");

/// Appends an entry in the caller's transaction and gives the new head.
///
/// Call it last, just before the commit: it locks the tenant's head, and until the commit every other change of that tenant
/// in this service waits. If it fails, the change must not happen either.
///
/// # Errors
/// [`Error::Outage`] or [`Error::Raced`]; roll the transaction back.
pub async fn append(transaction: &Transaction<'_>, mut entry: Entry<'_>) -> Result<Head, Error> {
    // The update changes nothing: it locks the row and returns it, whether it is new or not.
    const LOCK: &str = "
        INSERT INTO audit_heads AS h (tenant_id, sequence, hash)
        VALUES ($1, 0, $2)
        ON CONFLICT (tenant_id) DO UPDATE
           SET sequence = h.sequence
        RETURNING sequence, hash, clock_timestamp() AS now";
    const APPEND: &str = "
        WITH entry AS (
            INSERT INTO audit_entries
                   (tenant_id, sequence, written_at, actor, action, resource, request_id, detail, previous, hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10))
        UPDATE audit_heads
           SET sequence = $2,
               hash = $10
         WHERE tenant_id = $1";
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_one(&statement, &[&entry.tenant, &entry::ORIGIN.as_slice()]).await?;
    let previous: Vec<u8> = row.try_get("hash")?;
    let sequence = row.try_get::<_, i64>("sequence")? + 1;
    let written: Timestamp = row.try_get("now")?;
    entry.detail = veil::detail(entry.detail);
    let detail = entry::canonical(&entry.detail);
    let hash = entry::hash(&previous, sequence, written, &entry, &detail);

    let Entry { tenant, actor, action, resource, request_id, .. } = entry;
    let statement = transaction.prepare_cached(APPEND).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant, &sequence, &written, &actor, &action, &resource, &request_id, &detail, &previous, &hash.as_slice()];
    transaction.execute(&statement, values).await?;
    Ok(Head { sequence, hash })
}

/// Which entries to list, oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing<'a> {
    /// Only by this actor. Empty: all.
    pub actor: &'a str,
    /// Only this action. Empty: all.
    pub action: &'a str,
    /// Only on resources whose name begins so. Empty: all.
    pub resource_prefix: &'a str,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub until: Option<Timestamp>,
    /// Only after this sequence number.
    pub after: i64,
    /// At most so many.
    pub size: usize,
}

/// The tenant's entries, oldest first.
///
/// # Errors
/// [`Error::Outage`] when the database is away.
pub async fn list(client: &impl GenericClient, tenant: &str, listing: Listing<'_>) -> Result<Vec<Recorded>, Error> {
    const SQL: &str = "
        SELECT sequence, written_at, actor, action, resource, request_id, detail, previous, hash
          FROM audit_entries
         WHERE tenant_id = $1
           AND sequence > $2
           AND ($3::text = '' OR actor = $3)
           AND ($4::text = '' OR action = $4)
           AND starts_with(resource, $5)
           AND ($6::timestamptz IS NULL OR written_at >= $6)
           AND ($7::timestamptz IS NULL OR written_at < $7)
         ORDER BY sequence
         LIMIT $8";
    let Listing { actor, action, resource_prefix, from, until, after, size } = listing;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(SQL).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant, &after, &actor, &action, &resource_prefix, &from, &until, &size];
    Ok(client.query(&statement, values).await?.iter().map(Recorded::from).collect())
}

/// The tenant's head, to be kept elsewhere. `None` where the tenant has no entry.
///
/// # Errors
/// [`Error::Outage`] when the database is away.
pub async fn head(client: &impl GenericClient, tenant: &str) -> Result<Option<Head>, Error> {
    const SQL: &str = "
        SELECT sequence, hash
          FROM audit_heads
         WHERE tenant_id = $1";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&tenant]).await?;
    Ok(row.map(|row| head_of(&row)))
}

/// The heads of all tenants of this service, in order of tenant, after `after`: what is anchored.
///
/// # Errors
/// [`Error::Outage`] when the database is away.
pub async fn heads(client: &impl GenericClient, after: &str, size: usize) -> Result<Vec<(String, Head)>, Error> {
    const SQL: &str = "
        SELECT tenant_id, sequence, hash
          FROM audit_heads
         WHERE tenant_id > $1
         ORDER BY tenant_id
         LIMIT $2";
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&after, &size]).await?;
    Ok(rows.iter().map(|row| (legible(row, "tenant_id"), head_of(row))).collect())
}

/// A head as it stands there. A hash that is none becomes one that no entry has.
fn head_of(row: &Row) -> Head {
    let hash: Vec<u8> = legible(row, "hash");
    Head { sequence: legible(row, "sequence"), hash: hash.try_into().unwrap_or(entry::ORIGIN) }
}

/// What stands in a column, or what never stands there where it cannot be read. So a row that somebody made illegible is
/// shown, and fails its check, like one that was edited in any other way; nothing hides behind it.
fn legible<T: Default + for<'a> FromSql<'a>>(row: &Row, column: &str) -> T {
    row.try_get::<_, Option<T>>(column).ok().flatten().unwrap_or_default()
}

impl From<&Row> for Recorded {
    fn from(row: &Row) -> Self {
        let detail: String = legible(row, "detail");
        Self {
            sequence: legible(row, "sequence"),
            // `infinity` is no moment, and nothing was written in 1970.
            written: row.try_get("written_at").unwrap_or(Timestamp::UNIX_EPOCH),
            actor: legible(row, "actor"),
            action: legible(row, "action"),
            resource: legible(row, "resource"),
            request_id: row.try_get("request_id").unwrap_or_default(),
            // Text that is no JSON any more was tampered with; `verify` says so, and a list still shows the rest.
            detail: serde_json::from_str(&detail).unwrap_or(Value::Null),
            detail_text: detail,
            previous: legible(row, "previous"),
            hash: legible(row, "hash"),
        }
    }
}
