//! A connection for tests of rules.

use jiff::Timestamp;
use uuid::Uuid;
use vocabulary::ids::{ConnectionId, MetaAppId};

use super::{Connection, ConnectionKind, ConnectionState, Upkeep};

/// One that works and never ends.
pub(crate) fn connection() -> Connection {
    Connection {
        tenant: "acme".parse().unwrap(),
        id: ConnectionId(Uuid::from_u128(7)),
        kind: ConnectionKind::SystemUser,
        state: ConnectionState::Active,
        state_reason: String::new(),
        app: MetaAppId::new(1),
        user_id: "10".to_owned(),
        scopes: Vec::new(),
        expected_scopes: Vec::new(),
        granular_scopes: Vec::new(),
        expires: None,
        data_access_expires: None,
        inspected: Timestamp::UNIX_EPOCH,
        upkeep: Upkeep::default(),
        token_version: 1,
        key_version: 1,
        version: 1,
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
    }
}
