//! How tokens die without their app's doing: on demand, at `/__sandbox/tokens`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{Change, Grant, State, sealed};

/// What happened to a person or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The token's time is over.
    Expired,
    /// The person took the app away.
    AppRemoved,
    /// The person has to log in and confirm something first.
    Checkpoint,
    /// The person changed the password.
    PasswordChanged,
    /// The person never confirmed the account.
    Unconfirmed,
    /// The token was revoked.
    Revoked,
    /// The person lost the role on the page.
    RoleLost,
    /// The person did what Facebook asked for: tokens that a checkpoint or a missing confirmation stopped work again.
    CheckpointPassed,
}

/// The subcodes of what a person can undo.
const HEALS: [i64; 2] = [459, 464];

impl Event {
    /// What becomes of a grant: 190 with the subcode that says so (Meta, "Access token debugging and error handling").
    fn befall(self, grant: &mut Grant, now: Timestamp) {
        grant.dead = match self {
            Self::Expired => {
                grant.expires = Some(now);
                return;
            }
            Self::AppRemoved => Some(458),
            Self::Checkpoint => Some(459),
            Self::PasswordChanged => Some(460),
            Self::Unconfirmed => Some(464),
            Self::Revoked => Some(467),
            Self::RoleLost => Some(492),
            Self::CheckpointPassed => grant.dead.filter(|subcode| !HEALS.contains(subcode)),
        };
    }
}

/// Which tokens it happens to: those that fit all that is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Death {
    pub(crate) event: Event,
    /// One token.
    pub(crate) token: Option<String>,
    /// All tokens of a person.
    pub(crate) person: Option<String>,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Known {
    #[serde(rename = "type")]
    kind: &'static str,
    person: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    scopes: Vec<String>,
    issued: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_subcode: Option<i64>,
}

/// Lets tokens die; gives how many.
pub(crate) fn happen(state: &mut State, death: &Death, now: Timestamp) -> usize {
    let digest = death.token.as_deref().map(sealed);
    let fits = |kept: &String, grant: &Grant| {
        digest.as_ref().is_none_or(|digest| digest == kept)
            && death.person.as_ref().is_none_or(|person| *person == grant.person.to_string())
    };
    let hit: Vec<(String, Grant)> = state
        .tokens()
        .filter(|(kept, grant)| fits(kept, grant))
        .map(|(kept, grant)| (kept.clone(), grant.clone()))
        .collect();
    let count = hit.len();
    for (digest, mut grant) in hit {
        death.event.befall(&mut grant, now);
        state.commit(Change::Token { digest, grant });
    }
    count
}

/// All tokens that were given out.
pub(crate) fn known(state: &State) -> Vec<Known> {
    let mut all: Vec<Known> = state
        .tokens()
        .map(|(_, grant)| Known {
            kind: grant.holder.word(),
            person: grant.person.to_string(),
            page: grant.page.map(|page| page.to_string()),
            scopes: grant.scopes.iter().cloned().collect(),
            issued: grant.issued,
            expires: grant.expires,
            dead_subcode: grant.dead,
        })
        .collect();
    all.sort_by(|left, right| (left.issued, &left.person).cmp(&(right.issued, &right.person)));
    all
}
