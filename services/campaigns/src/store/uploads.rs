use std::time::Duration;

use storage::{Error, audit};
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use super::{Store, account, id};

/// An upload in parts.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) id: Uuid,
    pub(crate) account: AdAccountId,
    pub(crate) file_name: String,
    pub(crate) sha256: Vec<u8>,
    pub(crate) bytes_total: i64,
    pub(crate) next_offset: i64,
    /// The encoded picture, once Meta has it.
    pub(crate) image: Option<Vec<u8>>,
}

impl Store {
    /// Keeps a new upload, and says so in the audit. One of the same id, from a repeat of the request, stays as it is.
    pub(crate) async fn keep_upload(&self, upload: &Upload, entry: audit::Entry<'_>) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO uploads (tenant_id, id, account_id, file_name, sha256, bytes_total)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant_id, id) DO NOTHING";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let Upload { id, file_name, sha256, bytes_total, .. } = upload;
        let kept = transaction
            .execute(&statement, &[&entry.tenant, id, &account(upload.account), file_name, sha256, bytes_total])
            .await?;
        if kept > 0 {
            audit::append(&transaction, entry).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// `None` where the tenant's account has no such upload, or it was forgotten.
    pub(crate) async fn upload(&self, tenant: &TenantId, of: AdAccountId, id: Uuid) -> Result<Option<Upload>, Error> {
        const SQL: &str = "
            SELECT id, account_id, file_name, sha256, bytes_total, next_offset, image
              FROM uploads
             WHERE tenant_id = $1 AND account_id = $2 AND id = $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &account(of), &id]).await?;
        row.as_ref().map(Upload::try_from).transpose()
    }

    /// Adds the part that begins where the last one ended, and says where the next one begins.
    pub(crate) async fn add_part(&self, tenant: &TenantId, id: Uuid, from: i64, content: &[u8]) -> Result<i64, Error> {
        const ADVANCE: &str = "
            UPDATE uploads
               SET next_offset = next_offset + $4,
                   touched_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND next_offset = $3
            RETURNING next_offset";
        const PART: &str = "
            INSERT INTO upload_parts (tenant_id, upload_id, part_from, content)
            VALUES ($1, $2, $3, $4)";
        let length = i64::try_from(content.len()).unwrap_or(i64::MAX);
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(ADVANCE).await?;
        let row = transaction.query_opt(&statement, &[&tenant.as_str(), &id, &from, &length]).await?;
        let next = row.ok_or(Error::Raced)?.try_get(0)?;
        let statement = transaction.prepare_cached(PART).await?;
        transaction.execute(&statement, &[&tenant.as_str(), &id, &from, &content]).await?;
        transaction.commit().await?;
        Ok(next)
    }

    /// All parts in order, as one.
    pub(crate) async fn parts(&self, tenant: &TenantId, id: Uuid) -> Result<Vec<u8>, Error> {
        const SQL: &str = "
            SELECT content
              FROM upload_parts
             WHERE tenant_id = $1 AND upload_id = $2
             ORDER BY part_from";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let rows = client.query(&statement, &[&tenant.as_str(), &id]).await?;
        let mut whole = Vec::new();
        for row in rows {
            whole.extend_from_slice(row.try_get(0)?);
        }
        Ok(whole)
    }

    /// Something was done at Meta, or is going to be: the audit says so. Nothing of ours changes with it.
    pub(crate) async fn audited(&self, entry: audit::Entry<'_>) -> Result<(), Error> {
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        audit::append(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// Meta has the picture, so the parts go.
    pub(crate) async fn end_upload(&self, tenant: &TenantId, id: Uuid, image: &[u8]) -> Result<(), Error> {
        const DONE: &str = "
            UPDATE uploads
               SET image = $3,
                   touched_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2";
        const PARTS: &str = "
            DELETE FROM upload_parts
             WHERE tenant_id = $1 AND upload_id = $2";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(DONE).await?;
        transaction.execute(&statement, &[&tenant.as_str(), &id, &image]).await?;
        let statement = transaction.prepare_cached(PARTS).await?;
        transaction.execute(&statement, &[&tenant.as_str(), &id]).await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets uploads of all tenants that nobody went on with for `age`.
    pub(crate) async fn sweep_uploads(&self, age: Duration) -> Result<u64, Error> {
        const SQL: &str = "
            WITH gone AS (
                DELETE FROM uploads
                 WHERE touched_at < clock_timestamp() - $1::bigint * interval '1 second'
                RETURNING tenant_id, id)
            DELETE FROM upload_parts p
             USING gone
             WHERE p.tenant_id = gone.tenant_id AND p.upload_id = gone.id";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        Ok(client.execute(&statement, &[&age]).await?)
    }
}

impl TryFrom<&Row> for Upload {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get("id")?,
            account: AdAccountId::new(id(row.try_get("account_id")?)),
            file_name: row.try_get("file_name")?,
            sha256: row.try_get("sha256")?,
            bytes_total: row.try_get("bytes_total")?,
            next_offset: row.try_get("next_offset")?,
            image: row.try_get("image")?,
        })
    }
}
