//! Which columns hold sealed values: what a rotation goes through. A test compares the list with the schema, so that no
//! sealed column is forgotten.

/// The table of the keys that sign tokens.
pub const SIGNING_KEYS: &str = "signing_keys";

/// A table whose rows have a key of their own that seals some of their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedTable {
    /// Its name.
    pub table: &'static str,
    /// The column that says whose key wraps the row's key.
    pub tenant: &'static str,
    /// The column that tells rows apart; as text it is the row of the [`Place`](super::seal::Place).
    pub row: &'static str,
    /// Its type.
    pub row_type: &'static str,
    /// What is sealed, all under the one key of the row.
    pub columns: &'static [&'static str],
}

/// All of them.
pub const SEALED: &[SealedTable] = &[
    SealedTable { table: "connections", tenant: "tenant_id", row: "id", row_type: "uuid", columns: &["sealed_token"] },
    SealedTable {
        table: "meta_apps",
        tenant: "vault_tenant",
        row: "app_id",
        row_type: "text",
        columns: &["sealed_secret"],
    },
    SealedTable {
        table: SIGNING_KEYS,
        tenant: "vault_tenant",
        row: "key_id",
        row_type: "text",
        columns: &["sealed_private"],
    },
    SealedTable {
        table: "meta_app_secrets",
        tenant: "vault_tenant",
        row: "id",
        row_type: "text",
        columns: &["sealed_replaced"],
    },
];
