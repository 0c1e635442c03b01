//! What happens to connections, and what stops with one.

use proto::auth::v1 as pb;
use vocabulary::names;

use super::timestamp;
use crate::{
    assets::{Asset, Blast, User},
    connection_events::{Event, EventKind},
    connections::{Connection, ConnectionState},
};

/// An event.
pub fn connection_event(sequence: i64, event: &Event) -> pb::ConnectionEvent {
    pb::ConnectionEvent {
        sequence,
        kind: pb::ConnectionEventKind::from(event.kind).into(),
        connection: names::of_connection(event.connection),
        state: pb::ConnectionState::from(event.state).into(),
        reason: event.reason.clone(),
        days_left: event.days_left,
        lost_scopes: event.lost_scopes.iter().take(100).cloned().collect(),
        expire_time: event.expires.map(timestamp),
        event_time: Some(timestamp(event.happened)),
    }
}

/// How a connection fares.
pub fn health(connection: &Connection) -> pb::ConnectionHealth {
    let upkeep = &connection.upkeep;
    match connection.state {
        ConnectionState::NeedsConsent => pb::ConnectionHealth::NeedsConsent,
        ConnectionState::Checkpoint => pb::ConnectionHealth::Checkpoint,
        ConnectionState::Revoked => pb::ConnectionHealth::Revoked,
        ConnectionState::Active if upkeep.failures > 0 => pb::ConnectionHealth::RefreshFailing,
        ConnectionState::Active if upkeep.told.or(upkeep.told_data).is_some() => pb::ConnectionHealth::Expiring,
        ConnectionState::Active => pb::ConnectionHealth::Good,
    }
}

impl From<EventKind> for pb::ConnectionEventKind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Connected => Self::Connected,
            EventKind::Expiring => Self::Expiring,
            EventKind::DataAccessExpiring => Self::DataAccessExpiring,
            EventKind::Refreshed => Self::Refreshed,
            EventKind::Invalidated => Self::Invalidated,
            EventKind::ScopeLost => Self::ScopeLost,
            EventKind::Checkpoint => Self::Checkpoint,
            EventKind::Restored => Self::Restored,
            EventKind::Revoked => Self::Revoked,
            EventKind::Deleted => Self::Deleted,
        }
    }
}

impl From<ConnectionState> for pb::ConnectionState {
    fn from(state: ConnectionState) -> Self {
        match state {
            ConnectionState::Active => Self::Active,
            ConnectionState::NeedsConsent => Self::NeedsConsent,
            ConnectionState::Checkpoint => Self::Checkpoint,
            ConnectionState::Revoked => Self::Revoked,
        }
    }
}

impl From<&Blast> for pb::GetBlastRadiusResponse {
    fn from(blast: &Blast) -> Self {
        let shown = |assets: &[Asset]| assets.iter().map(Into::into).collect();
        Self {
            lost: shown(&blast.lost),
            lost_total: blast.lost_total,
            kept: shown(&blast.kept),
            kept_total: blast.kept_total,
            users: blast.users.iter().map(Into::into).collect(),
            users_total: blast.users_total,
        }
    }
}

impl From<&User> for pb::ConnectionUser {
    fn from(user: &User) -> Self {
        Self {
            service: user.service.clone(),
            caller: user.caller.clone(),
            leases: user.leases,
            last_hour_time: Some(timestamp(user.last_hour)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::testing::connection;

    #[test]
    fn health_says_more_than_the_state() {
        let mut ending = connection();
        assert_eq!(health(&ending), pb::ConnectionHealth::Good);
        ending.upkeep.told = Some(14);
        assert_eq!(health(&ending), pb::ConnectionHealth::Expiring);
        ending.upkeep.failures = 1;
        assert_eq!(health(&ending), pb::ConnectionHealth::RefreshFailing);
        ending.state = ConnectionState::Checkpoint;
        assert_eq!(health(&ending), pb::ConnectionHealth::Checkpoint);
    }
}
