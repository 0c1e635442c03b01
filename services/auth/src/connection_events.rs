//! What happens to connections, as rows in an order of their tenant: written with the change, read by whoever watches.

use std::time::Duration;

use graph::oauth::GranularScope;
use jiff::Timestamp;
use vocabulary::ids::{ConnectionId, TenantId};

use crate::{
    connections::{Connection, ConnectionState},
    error::Error,
    grants,
    now::Now,
    store::{Store, connection_events},
};

/// How many objects an event names.
const NAMED: usize = 10;

/// How many events are read at once.
const PAGE: i64 = 100;

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A token came in by log-in or import.
    Connected,
    /// The token ends soon.
    Expiring,
    /// Meta stops giving data for the token soon.
    DataAccessExpiring,
    /// There is a newer token.
    Refreshed,
    /// The token died.
    Invalidated,
    /// A permission is gone.
    ScopeLost,
    /// The owner must do something at Facebook first.
    Checkpoint,
    /// It works again.
    Restored,
    /// We ended it.
    Revoked,
    /// It is gone.
    Deleted,
}

impl EventKind {
    const ALL: [Self; 10] = [
        Self::Connected,
        Self::Expiring,
        Self::DataAccessExpiring,
        Self::Refreshed,
        Self::Invalidated,
        Self::ScopeLost,
        Self::Checkpoint,
        Self::Restored,
        Self::Revoked,
        Self::Deleted,
    ];

    /// As it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Expiring => "expiring",
            Self::DataAccessExpiring => "data_access_expiring",
            Self::Refreshed => "refreshed",
            Self::Invalidated => "invalidated",
            Self::ScopeLost => "scope_lost",
            Self::Checkpoint => "checkpoint",
            Self::Restored => "restored",
            Self::Revoked => "revoked",
            Self::Deleted => "deleted",
        }
    }

    /// From what was stored.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Something that happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To which one.
    pub connection: ConnectionId,
    /// How it stands since.
    pub state: ConnectionState,
    /// Why, for a person.
    pub reason: String,
    /// Whole days until what is ending ends.
    pub days_left: Option<i32>,
    /// The permissions that are gone.
    pub lost_scopes: Vec<String>,
    /// When the token ends.
    pub expires: Option<Timestamp>,
    /// When it happened.
    pub happened: Timestamp,
}

impl Event {
    /// Of a connection as it stands since.
    pub fn of(connection: &Connection, kind: EventKind, now: Timestamp) -> Self {
        Self {
            kind,
            connection: connection.id,
            state: connection.state,
            reason: connection.state_reason.clone(),
            days_left: None,
            lost_scopes: Vec::new(),
            expires: connection.expires,
            happened: now,
        }
    }

    /// That something of it ends.
    pub fn ending(connection: &Connection, kind: EventKind, end: Timestamp, now: Timestamp) -> Self {
        let seconds = end.as_second().saturating_sub(now.as_second()).max(0);
        Self {
            days_left: Some(i32::try_from(seconds / 86_400).unwrap_or(i32::MAX)),
            reason: connection.upkeep.problem.clone(),
            ..Self::of(connection, kind, now)
        }
    }
}

/// What an inspection or a failed refresh changed, as events.
pub fn of_change(before: &Connection, after: &Connection, now: Timestamp) -> Vec<Event> {
    use ConnectionState::{Active, Checkpoint, NeedsConsent, Revoked};
    let lost = grants::missing(&before.scopes, &after.scopes);
    let narrowed = narrowed(before, after);
    let mut events = Vec::new();
    if !(lost.is_empty() && narrowed.is_empty()) {
        let reasons = [after.state_reason.clone()].into_iter().chain(narrowed.iter().map(|(_, words)| words.clone()));
        let reason = reasons.filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join("; ");
        let lost_scopes = lost.iter().cloned().chain(narrowed.into_iter().map(|(scope, _)| scope)).collect();
        events.push(Event { reason, lost_scopes, ..Event::of(after, EventKind::ScopeLost, now) });
    }
    let kind = match (before.state, after.state) {
        (before, after) if before == after => None,
        (_, Active) => Some(EventKind::Restored),
        (_, Checkpoint) => Some(EventKind::Checkpoint),
        // The lost permission is why, and has been told.
        (_, NeedsConsent) if !lost.is_empty() => None,
        (_, NeedsConsent) => Some(EventKind::Invalidated),
        (_, Revoked) => Some(EventKind::Revoked),
    };
    events.extend(kind.map(|kind| Event::of(after, kind, now)));
    events
}

/// The permissions that hold for less than before, each with words for a person.
fn narrowed(before: &Connection, after: &Connection) -> Vec<(String, String)> {
    let targets = |connection: &Connection, scope: &str| {
        let of_scope = |granular: &&GranularScope| granular.scope == scope;
        connection.granular_scopes.iter().find(of_scope).map(|granular| granular.target_ids.clone())
    };
    let narrowed = after.granular_scopes.iter().filter_map(|GranularScope { scope, target_ids }| {
        let had = targets(before, scope)?;
        if target_ids.is_empty() {
            return None; // holds for all
        }
        if had.is_empty() {
            return Some((scope.clone(), format!("{scope} holds for {} objects only", target_ids.len())));
        }
        let gone = grants::missing(&had, target_ids);
        let named = gone.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        match gone.len() {
            0 => None,
            count if count > NAMED => {
                Some((scope.clone(), format!("{scope} is gone for {named} and {} more", count - NAMED)))
            }
            _ => Some((scope.clone(), format!("{scope} is gone for {named}"))),
        }
    });
    narrowed.collect()
}

/// Where in the tenant's order a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// After this one.
    Sequence(i64),
    /// With what happens next.
    Now,
    /// With the oldest that is kept.
    Oldest,
}

/// The use cases.
#[derive(Clone)]
pub struct ConnectionEvents {
    store: Store,
    kept: Duration,
    now: Now,
}

impl ConnectionEvents {
    /// Over the store; events are forgotten after `kept`.
    pub fn new(store: Store, kept: Duration, now: Now) -> Self {
        Self { store, kept, now }
    }

    /// The sequence after which a reader goes on. Fails where what follows has been forgotten, or cannot have been seen.
    pub async fn begin(&self, tenant: &TenantId, from: From) -> Result<i64, Error> {
        let clock = connection_events::clock(&self.store.client().await?, tenant.as_str()).await?;
        match from {
            From::Now => Ok(clock.newest),
            From::Oldest => Ok(clock.oldest - 1),
            From::Sequence(seen) if (clock.oldest - 1..=clock.newest).contains(&seen) => Ok(seen),
            From::Sequence(_) => Err(Error::field(
                "resume_token",
                "is so old that what follows it has been forgotten: list the connections, then watch without one",
                "RESUME_TOKEN",
            )),
        }
    }

    /// What comes after a sequence, in its order, at most a hundred at once.
    pub async fn after(&self, tenant: &TenantId, sequence: i64) -> Result<Vec<(i64, Event)>, Error> {
        let client = self.store.client().await?;
        Ok(connection_events::after(&client, tenant.as_str(), sequence, PAGE).await?)
    }

    /// Forgets what happened long ago.
    pub async fn sweep(&self) -> Result<(), Error> {
        Ok(connection_events::sweep(&self.store.client().await?, (self.now)() - self.kept).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::testing::connection;

    fn kinds(before: &Connection, after: &Connection) -> Vec<EventKind> {
        of_change(before, after, Timestamp::UNIX_EPOCH).into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn a_kind_reads_back_as_it_was_stored() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(EventKind::from_word("moon"), None);
    }

    #[test]
    fn each_change_of_state_is_told_and_nothing_else() {
        use ConnectionState::{Active, Checkpoint, NeedsConsent};
        let state = |state| Connection { state, ..connection() };
        for (before, after, told) in [
            (Active, Active, vec![]),
            (NeedsConsent, NeedsConsent, vec![]),
            (Active, NeedsConsent, vec![EventKind::Invalidated]),
            (Checkpoint, NeedsConsent, vec![EventKind::Invalidated]),
            (Active, Checkpoint, vec![EventKind::Checkpoint]),
            (Checkpoint, Active, vec![EventKind::Restored]),
            (NeedsConsent, Active, vec![EventKind::Restored]),
        ] {
            assert_eq!(kinds(&state(before), &state(after)), told, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_permission_that_holds_for_less_than_before_is_told_and_named() {
        let holding = |targets: &[&str]| {
            let target_ids = targets.iter().map(|id| (*id).to_owned()).collect();
            let granular = GranularScope { scope: "ads_read".to_owned(), target_ids };
            Connection { granular_scopes: vec![granular], ..connection() }
        };
        let events = of_change(&holding(&["1", "2", "3"]), &holding(&["2"]), Timestamp::UNIX_EPOCH);
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind, events[0].reason.as_str()), (EventKind::ScopeLost, "ads_read is gone for 1, 3"));
        assert_eq!(events[0].lost_scopes, ["ads_read"]);
        let many: Vec<_> = (0..30).map(|id| id.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let reason = of_change(&holding(&many), &holding(&["29"]), Timestamp::UNIX_EPOCH)[0].reason.clone();
        assert!(reason.ends_with(" and 19 more"), "{reason}");
        assert_eq!(kinds(&holding(&[]), &holding(&["1"])), [EventKind::ScopeLost]);
        for (before, after) in [(vec!["1"], vec!["1", "2"]), (vec!["1"], vec![]), (vec!["1", "2"], vec!["2", "1"])] {
            assert_eq!(kinds(&holding(&before), &holding(&after)), [], "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_lost_permission_is_named_once_whether_or_not_it_stops_the_connection() {
        let before = Connection { scopes: vec!["ads_read".to_owned(), "leads".to_owned()], ..connection() };
        let after = Connection { scopes: vec!["leads".to_owned()], ..connection() };
        let events = of_change(&before, &after, Timestamp::UNIX_EPOCH);
        assert_eq!(events[0].lost_scopes, ["ads_read"]);
        assert_eq!(kinds(&before, &after), [EventKind::ScopeLost]);
        let stopped = Connection { state: ConnectionState::NeedsConsent, ..after };
        assert_eq!(kinds(&before, &stopped), [EventKind::ScopeLost]);
    }
}
