//! Going through what lies under older keys, in small steps.

use secrecy::ExposeSecret;

use super::{Mode, is_unreadable};
use crate::{
    error::Error,
    store::{
        Store,
        keys::{
            kek::{self, UnderKek},
            rows::{self, SealedRow},
        },
    },
    vault::{
        Cell, RowKey, Vault, VaultError,
        columns::{SEALED, SealedTable},
        hash_place,
        provider::Wrapped,
        seal::{Key, SealError},
        tenant_place,
    },
};

/// So many rows are read at once.
const ROWS: i64 = 100;
/// So many keys under the key-encryption key: each may be two calls to another machine.
const KEKS: i64 = 5;

/// Where a pass stands, from one batch to the next.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Which table of [`SEALED`].
    table: usize,
    /// The last row that was read.
    after: String,
    /// The last version that was read; for the key-encryption key only.
    after_version: i32,
    /// How many this pass has replaced.
    pub(super) replaced: i64,
    /// The first that does not open, and how many of them there are.
    pub(super) unreadable: Option<(String, i64)>,
}

impl Pass {
    fn note_unreadable(&mut self, name: impl FnOnce() -> String) {
        let (_, count) = self.unreadable.get_or_insert_with(|| (name(), 0));
        *count += 1;
    }

    /// Brings a batch of a tenant's rows under a version of its key. `false` when there was nothing left to read.
    pub(super) async fn rows(
        &mut self,
        (store, vault): (&Store, &Vault),
        tenant: &str,
        (version, mode): (i32, Mode),
    ) -> Result<bool, Error> {
        let Some(table) = SEALED.get(self.table) else { return Ok(false) };
        let client = store.client().await?;
        let batch = rows::under_older(&client, table, tenant, (version, &self.after, ROWS)).await?;
        let Some(last) = batch.last() else {
            (self.table, self.after) = (self.table + 1, String::new());
            return Ok(true);
        };
        self.after.clone_from(&last.row);
        for old in &batch {
            match vault.renewed(table, tenant, old, (version, mode)).await {
                Ok(new) => self.replaced += i64::from(rows::replace(&client, table, tenant, (old, &new)).await?),
                Err(error) if is_unreadable(&error) => {
                    self.note_unreadable(|| format!("{}/{}", table.table, old.row));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Brings a batch of wrapped keys under the key-encryption key of this process, which has this name.
    pub(super) async fn keks(&mut self, (store, vault): (&Store, &Vault), kek: &str) -> Result<bool, Error> {
        let client = store.client().await?;
        let batch = kek::under_others(&client, kek, (&self.after, self.after_version), KEKS).await?;
        let Some(last) = batch.last() else { return Ok(false) };
        self.after.clone_from(&last.tenant);
        self.after_version = last.version.unwrap_or_default();
        for old in &batch {
            match vault.wrapped_anew(old).await {
                Ok(new) => self.replaced += i64::from(kek::replace(&client, old, &new).await?),
                Err(error) if is_unreadable(&error) => {
                    self.note_unreadable(|| format!("the key of tenants/{} under {}", old.tenant, old.wrapped.by));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Vault {
    /// A row as it should be: its key wrapped by this version of the tenant's key, and in one mode all of it new.
    async fn renewed(
        &self,
        table: &'static SealedTable,
        tenant: &str,
        old: &SealedRow,
        (version, mode): (i32, Mode),
    ) -> Result<SealedRow, VaultError> {
        self.sealing.require_open()?;
        let cell = |column| Cell { tenant, table: table.table, column, row: &old.row };
        // The place of a row's key does not depend on the column.
        let place = cell("");
        let (from, to) = (old.key.tenant_key_version, version);
        let old_key = self.tenant_key_of(tenant, from).await?.unwrap_key(&place.key_place(from), &old.key.wrapped)?;
        let new_tenant_key = self.tenant_key_of(tenant, to).await?;
        let wrap = |key: &Key| key.wrap(&new_tenant_key, &place.key_place(to));
        if mode == Mode::Rewrap {
            let key = RowKey { tenant_key_version: to, wrapped: wrap(&old_key)?, ..old.key.clone() };
            return Ok(SealedRow { key, ..old.clone() });
        }
        let (new_key, key_version) = (Key::random()?, old.key.key_version.checked_add(1).ok_or(SealError)?);
        let mut values = Vec::with_capacity(old.values.len());
        for (column, value) in table.columns.iter().zip(&old.values) {
            let value = value.as_ref().map(|value| {
                let plain = old_key.open(&cell(column).place(old.key.key_version), value)?;
                new_key.seal(&cell(column).place(key_version), plain.expose_secret())
            });
            values.push(value.transpose()?);
        }
        let key = RowKey { tenant_key_version: to, key_version, wrapped: wrap(&new_key)? };
        Ok(SealedRow { row: old.row.clone(), key, values })
    }

    /// A tenant's key, or that of its hashes, wrapped by what wraps now.
    async fn wrapped_anew(&self, old: &UnderKek) -> Result<Wrapped, VaultError> {
        self.sealing.require_open()?;
        let place = match old.version {
            Some(version) => tenant_place(&old.tenant, version),
            None => hash_place(&old.tenant),
        };
        let key = self.providers.unwrap(&old.wrapped, &place).await?;
        Ok(self.providers.wrap(&key, &place).await?)
    }
}
