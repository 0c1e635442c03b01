//! A connection as a value, and what Meta's words about a token make of it.

use std::collections::{BTreeMap, BTreeSet};

use graph::oauth::{GranularScope, Inspection, Remedy};
use jiff::Timestamp;
use vocabulary::{
    ids::{ConnectionId, MetaAppId, TenantId},
    names,
};

use super::{Upkeep, upkeep::is_same_end};
use crate::{error::Error, grants, lifecycle::plan::GIVE_UP};

/// One token of one person or system user, for one app; the token itself is not in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one. Version 7, so that ids are in order of age.
    pub id: ConnectionId,
    /// Whose token.
    pub kind: ConnectionKind,
    /// How it stands.
    pub state: ConnectionState,
    /// Why, for a person; empty while it works.
    pub state_reason: String,
    /// The app that it was given to.
    pub app: MetaAppId,
    /// Meta's id of the person or system user.
    pub user_id: String,
    /// The permissions it has.
    pub scopes: Vec<String>,
    /// The permissions that were asked for.
    pub expected_scopes: Vec<String>,
    /// Permissions that hold for some objects only.
    pub granular_scopes: Vec<GranularScope>,
    /// When the token ends; `None` is never.
    pub expires: Option<Timestamp>,
    /// When Meta stops giving data for it; `None` is never.
    pub data_access_expires: Option<Timestamp>,
    /// When Meta last told how it stands.
    pub inspected: Timestamp,
    /// What keeps it alive.
    pub upkeep: Upkeep,
    /// Grows with every new token.
    pub token_version: i64,
    /// The version of the key that seals the token, as it was read; grows with every value that is sealed.
    pub key_version: i32,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A person's, by Meta's log-in.
    User,
    /// A system user's, imported.
    SystemUser,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// Works.
    Active,
    /// Kept, and not leased.
    NeedsConsent,
    /// Kept, and not leased until its owner has done what Facebook asks for.
    Checkpoint,
    /// Ended by us.
    Revoked,
}

/// Which connections to list.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Only those in this state.
    pub state: Option<ConnectionState>,
    /// Only those whose token ends before.
    pub expires_before: Option<Timestamp>,
    /// Only those after this one.
    pub after: ConnectionId,
    /// At most so many.
    pub limit: i64,
}

/// How a token stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How.
    pub state: ConnectionState,
    /// Why, for a person; empty while it works.
    pub reason: String,
}

/// What Meta's words make of a token of which these permissions were expected.
pub fn standing(inspection: &Inspection, expected: &[String]) -> Standing {
    let missing = grants::missing(expected, &inspection.scopes);
    let needs = |reason: String| Standing { state: ConnectionState::NeedsConsent, reason };
    if !inspection.is_valid {
        let problem = inspection.problem.as_deref().unwrap_or("the token is not valid");
        let reason = format!("Meta says: {problem}");
        match inspection.remedy {
            Some(Remedy::Checkpoint) => Standing { state: ConnectionState::Checkpoint, reason },
            _ => needs(reason),
        }
    } else if missing.is_empty() {
        Standing { state: ConnectionState::Active, reason: String::new() }
    } else {
        needs(format!("it lacks {}", missing.join(", ")))
    }
}

/// Unix seconds as a moment; one that no calendar has is never.
pub(super) fn moment(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok())
}

impl Connection {
    /// One that reaches everything, for the tests of other modules.
    #[cfg(test)]
    pub fn for_tests(app: MetaAppId, kind: ConnectionKind, state: ConnectionState, now: Timestamp) -> Self {
        Self {
            tenant: "acme".parse().unwrap(),
            id: ConnectionId(uuid::Uuid::nil()),
            kind,
            state,
            state_reason: String::new(),
            app,
            user_id: "10".to_owned(),
            scopes: Vec::new(),
            expected_scopes: Vec::new(),
            granular_scopes: Vec::new(),
            expires: None,
            data_access_expires: None,
            inspected: now,
            upkeep: Upkeep::default(),
            token_version: 1,
            key_version: 1,
            version: 1,
            created: now,
            updated: now,
        }
    }

    /// Changes with every change.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// Fails where it has changed since; no etag fits always.
    pub fn require_etag(&self, etag: &str) -> Result<(), Error> {
        if etag.is_empty() || etag == self.etag() {
            return Ok(());
        }
        Err(Error::Stale { resource: names::of_connection(self.id), etag: self.etag() })
    }

    /// The permissions that were asked for and are not there.
    pub fn missing_scopes(&self) -> Vec<String> {
        grants::missing(&self.expected_scopes, &self.scopes)
    }

    /// What Meta says otherwise than `before`, in words for the audit.
    pub(super) fn changes(&self, before: &Self) -> Vec<&'static str> {
        let scopes = |connection: &Self| connection.scopes.iter().cloned().collect::<BTreeSet<_>>();
        let granular = |connection: &Self| {
            let targets = |granular: &GranularScope| granular.target_ids.iter().cloned().collect::<BTreeSet<_>>();
            let each = connection.granular_scopes.iter().map(|granular| (granular.scope.clone(), targets(granular)));
            each.collect::<BTreeMap<_, _>>()
        };
        let changed = [
            ("state", self.state != before.state || self.state_reason != before.state_reason),
            ("scopes", scopes(self) != scopes(before)),
            ("granular_scopes", granular(self) != granular(before)),
            ("expires", !is_same_end(self.expires, before.expires)),
            ("data_access_expires", !is_same_end(self.data_access_expires, before.data_access_expires)),
        ];
        changed.into_iter().filter_map(|(word, is_changed)| is_changed.then_some(word)).collect()
    }

    /// Whole days until the token ends; `None` where it never does.
    pub fn days_left(&self, now: Timestamp) -> Option<i32> {
        let seconds = self.expires?.as_second().saturating_sub(now.as_second()).max(0);
        Some(i32::try_from(seconds / 86_400).unwrap_or(i32::MAX))
    }

    /// Fails unless it works.
    pub fn require_active(&self) -> Result<(), Error> {
        let connection = names::of_connection(self.id);
        match self.state {
            ConnectionState::Active => Ok(()),
            ConnectionState::NeedsConsent | ConnectionState::Checkpoint => {
                Err(Error::NeedsConsent { connection, cause: self.state_reason.clone() })
            }
            ConnectionState::Revoked => Err(Error::WrongState { resource: connection, state: "REVOKED" }),
        }
    }

    /// The same after Meta has said how its token stands. A dead token keeps the permissions that it had, and one that
    /// was given up for its end is not restored for the minutes that it still works. `asked` is when Meta was asked.
    pub(super) fn noted(mut self, inspection: &Inspection, asked: Timestamp) -> Self {
        self.inspected = asked;
        if inspection.is_valid {
            self.scopes.clone_from(&inspection.scopes);
            self.granular_scopes.clone_from(&inspection.granular_scopes);
            self.expires = moment(inspection.expires_at);
            self.data_access_expires = moment(inspection.data_access_expires_at);
        }
        let Standing { state, reason } = standing(inspection, &self.expected_scopes);
        let ends_now = self.expires.is_some_and(|end| asked >= end - GIVE_UP);
        let heals = state == ConnectionState::Active && self.state != state;
        if !(heals && ends_now) {
            (self.state, self.state_reason) = (state, reason);
        }
        self
    }
}

impl ConnectionKind {
    /// As it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::SystemUser => "system_user",
        }
    }

    /// From what was stored.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::User, Self::SystemUser].into_iter().find(|kind| kind.word() == word)
    }
}

impl ConnectionState {
    /// As it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsConsent => "needs_consent",
            Self::Checkpoint => "checkpoint",
            Self::Revoked => "revoked",
        }
    }

    /// As callers see it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::NeedsConsent => "NEEDS_CONSENT",
            Self::Checkpoint => "CHECKPOINT",
            Self::Revoked => "REVOKED",
        }
    }

    /// From what was stored.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::NeedsConsent, Self::Checkpoint, Self::Revoked]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::testing::connection;

    fn inspection(is_valid: bool, scopes: &[&str]) -> Inspection {
        Inspection {
            is_valid,
            app: Some(MetaAppId::new(1)),
            kind: "SYSTEM_USER".to_owned(),
            user_id: "10".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            granular_scopes: Vec::new(),
            expires_at: None,
            data_access_expires_at: None,
            problem: None,
            remedy: (!is_valid).then_some(Remedy::Consent),
        }
    }

    #[test]
    fn a_token_without_a_permission_is_kept_and_the_permission_named() {
        let expected = ["ads_management".to_owned(), "ads_read".to_owned()];
        let standing = standing(&inspection(true, &["ads_read"]), &expected);
        assert_eq!(standing.state, ConnectionState::NeedsConsent);
        assert_eq!(standing.reason, "it lacks ads_management");
    }

    #[test]
    fn a_token_with_all_permissions_works() {
        let standing = standing(&inspection(true, &["ads_read", "more"]), &["ads_read".to_owned()]);
        assert_eq!(standing, Standing { state: ConnectionState::Active, reason: String::new() });
    }

    #[test]
    fn a_dead_token_needs_consent_in_metas_words() {
        let dead = Inspection { problem: Some("Session has expired".to_owned()), ..inspection(false, &[]) };
        assert_eq!(standing(&dead, &[]).reason, "Meta says: Session has expired");
        assert_eq!(standing(&dead, &[]).state, ConnectionState::NeedsConsent);
    }

    #[test]
    fn a_checkpoint_is_told_from_lost_consent() {
        let stopped = Inspection { remedy: Some(Remedy::Checkpoint), ..inspection(false, &[]) };
        assert_eq!(standing(&stopped, &[]).state, ConnectionState::Checkpoint);
    }

    #[test]
    fn what_was_given_up_for_its_end_is_not_restored_by_an_answer_of_its_last_minutes() {
        let end = Timestamp::from_second(1_800_000_000).unwrap();
        let works = Inspection { expires_at: Some(end.as_second()), ..inspection(true, &[]) };
        let given_up = connection().noted(&works, end - GIVE_UP * 2).failed("Meta is away", end - GIVE_UP);
        assert_eq!(given_up.state, ConnectionState::NeedsConsent);
        let seen = given_up.clone().noted(&works, end - GIVE_UP / 2);
        assert_eq!((seen.state, &seen.state_reason), (given_up.state, &given_up.state_reason));
        let longer = Inspection { expires_at: None, ..works };
        assert_eq!(given_up.noted(&longer, end - GIVE_UP / 2).state, ConnectionState::Active);
    }

    #[test]
    fn every_change_that_meta_tells_of_has_its_word_and_two_clocks_are_none() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let granular = |targets: &[&str]| GranularScope {
            scope: "ads_read".to_owned(),
            target_ids: targets.iter().map(|id| (*id).to_owned()).collect(),
        };
        let before = Connection {
            scopes: vec!["a".to_owned(), "b".to_owned()],
            granular_scopes: vec![granular(&["1", "2"])],
            expires: Some(now),
            ..connection()
        };
        let same = Connection {
            scopes: vec!["b".to_owned(), "a".to_owned()],
            granular_scopes: vec![granular(&["2", "1"])],
            expires: Some(now + std::time::Duration::from_secs(1)),
            inspected: now,
            ..before.clone()
        };
        assert_eq!(same.changes(&before), Vec::<&str>::new());
        let more = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        for (after, word) in [
            (Connection { scopes: more, ..before.clone() }, "scopes"),
            (Connection { granular_scopes: vec![granular(&["1"])], ..before.clone() }, "granular_scopes"),
            (Connection { expires: None, ..before.clone() }, "expires"),
            (Connection { data_access_expires: Some(now), ..before.clone() }, "data_access_expires"),
            (Connection { state: ConnectionState::Checkpoint, ..before.clone() }, "state"),
        ] {
            assert_eq!(after.changes(&before), [word]);
        }
    }

    #[test]
    fn words_read_back_as_they_were_stored() {
        use ConnectionState::{Active, Checkpoint, NeedsConsent, Revoked};
        for state in [Active, NeedsConsent, Checkpoint, Revoked] {
            assert_eq!(ConnectionState::from_word(state.word()), Some(state));
        }
        for kind in [ConnectionKind::User, ConnectionKind::SystemUser] {
            assert_eq!(ConnectionKind::from_word(kind.word()), Some(kind));
        }
    }
}
