//! Rows that seal something, whatever their table: read and replaced in small steps while everybody else goes on.
//!
//! A step replaces what it has read or nothing: where a refresh or an import was faster, its value stays and lies under
//! the new key anyway.

use storage::{Error, GenericClient};

use super::row_key;
use crate::vault::{
    RowKey,
    columns::{SEALED, SealedTable},
};

/// A row's key and what it seals.
#[derive(Debug, Clone)]
pub struct SealedRow {
    /// The row, as text.
    pub row: String,
    /// Its key.
    pub key: RowKey,
    /// Its sealed columns in the order of [`SealedTable::columns`]; `None` where a column holds nothing.
    pub values: Vec<Option<Vec<u8>>>,
}

/// The rows of a table that lie under keys of the tenant older than `version`, after a row, in their order.
pub async fn under_older(
    client: &impl GenericClient,
    table: &SealedTable,
    tenant: &str,
    (version, after, limit): (i32, &str, i64),
) -> Result<Vec<SealedRow>, Error> {
    let SealedTable { table, tenant: owner, row, row_type, columns } = table;
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT {row}::text AS row, tenant_key_version, key_version, wrapped_key, ARRAY[{columns}]::bytea[] AS values
           FROM {table}
          WHERE {owner} = $1 AND wrapped_key IS NOT NULL AND tenant_key_version < $2
            AND ($3::text = '' OR {row} > nullif($3, '')::{row_type})
          ORDER BY {row}
          LIMIT $4"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&tenant, &version, &after, &limit]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok(SealedRow { row: row.try_get("row")?, key: row_key(row)?, values: row.try_get("values")? })
    };
    rows.iter().map(read).collect()
}

/// Puts the row's key and values into the place of those that were read. `false` where they are others by now.
pub async fn replace(
    client: &impl GenericClient,
    table: &SealedTable,
    tenant: &str,
    (old, new): (&SealedRow, &SealedRow),
) -> Result<bool, Error> {
    let SealedTable { table, tenant: owner, row, row_type, columns } = table;
    let values = columns.iter().enumerate().map(|(at, column)| format!("{column} = ($6::bytea[])[{}]", at + 1));
    let values = values.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "UPDATE {table}
            SET tenant_key_version = $3, key_version = $4, wrapped_key = $5, {values}
          WHERE {owner} = $1 AND {row} = $2::text::{row_type}
            AND tenant_key_version = $7 AND key_version = $8 AND wrapped_key = $9"
    );
    let statement = client.prepare_cached(&sql).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &tenant,
        &old.row,
        &new.key.tenant_key_version,
        &new.key.key_version,
        &new.key.wrapped,
        &new.values,
        &old.key.tenant_key_version,
        &old.key.key_version,
        &old.key.wrapped,
    ];
    Ok(client.execute(&statement, values).await? == 1)
}

/// How many rows of the tenant lie under keys older than `version`, and the oldest version of those.
pub async fn left(client: &impl GenericClient, tenant: &str, version: i32) -> Result<(i64, Option<i32>), Error> {
    let parts = SEALED.iter().map(|SealedTable { table, tenant: owner, .. }| {
        format!(
            "SELECT tenant_key_version FROM {table}
              WHERE {owner} = $1 AND wrapped_key IS NOT NULL AND tenant_key_version < $2"
        )
    });
    let all = parts.collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("SELECT count(*), min(tenant_key_version) FROM ({all}) AS older");
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_one(&statement, &[&tenant, &version]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// How many rows of the tenant lie under this version of its key, or a later one.
pub async fn under(client: &impl GenericClient, tenant: &str, version: i32) -> Result<i64, Error> {
    let parts = SEALED.iter().map(|SealedTable { table, tenant: owner, .. }| {
        format!("SELECT 1 FROM {table} WHERE {owner} = $1 AND wrapped_key IS NOT NULL AND tenant_key_version >= $2")
    });
    let all = parts.collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("SELECT count(*) FROM ({all}) AS newer");
    let statement = client.prepare_cached(&sql).await?;
    Ok(client.query_one(&statement, &[&tenant, &version]).await?.try_get(0)?)
}

/// An expression that counts the rows of the tenant `$1` under the version that another expression gives.
pub(super) fn count(version: &str) -> String {
    let parts = SEALED.iter().map(|SealedTable { table, tenant, .. }| {
        format!(
            "(SELECT count(*) FROM {table} AS r
               WHERE r.{tenant} = $1 AND r.wrapped_key IS NOT NULL AND r.tenant_key_version = {version})"
        )
    });
    format!("({})", parts.collect::<Vec<_>>().join(" + "))
}
