//! The changes of the world: the only way it moves, and the lines of its journal.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::activity::Activity;
use super::object::Object;

/// One committed change. Secrets are held as digests only, so that no file of the sandbox holds a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// An object is there, or is changed.
    Put(Box<Object>),
    /// A token was given out or changed its state.
    Token { digest: String, grant: Grant },
    /// A login code was given out.
    Code { digest: String, code: Code },
    /// A login code was used.
    CodeUsed { digest: String },
    /// People were added to an audience or removed from it.
    Members(Members),
    /// Bytes of a picture or video, in base64, at a place of its file.
    Media { key: String, at: usize, bytes: String },
    /// Something was done in an account that `activities` tells.
    Activity(Box<Activity>),
    /// Events were taken in by a dataset.
    Events { dataset: u64, events: Vec<Event> },
}

/// Whose a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Holder {
    User,
    SystemUser,
    Page,
    App,
    /// A token made for one dataset in the events manager; it sends events to that dataset, and does nothing else.
    Dataset,
}

impl Holder {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::SystemUser => "SYSTEM_USER",
            Self::Page => "PAGE",
            Self::App => "APP",
            // Meta's own tool makes such a token for a system user of its own.
            Self::Dataset => "SYSTEM_USER",
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) app: u64,
    pub(crate) holder: Holder,
    /// The person or system user; the app itself for an app token, the dataset for a dataset's token.
    pub(crate) person: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<u64>,
    pub(crate) scopes: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) declined: BTreeSet<String>,
    pub(crate) issued: Timestamp,
    /// When the person last logged in; an exchange does not change that. None for what is no person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logged_in: Option<Timestamp>,
    /// None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    /// The subcode of 190 with which it died, if it did; 0 where it died without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead: Option<i64>,
    /// The code with which it died, where that was not 190.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_code: Option<i64>,
}

/// A login code: one use, ten minutes, one redirect address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) app: u64,
    pub(crate) redirect_uri: String,
    pub(crate) person: u64,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) declined: BTreeSet<String>,
    pub(crate) expires: Timestamp,
    pub(crate) used: bool,
}

/// One call to an audience's `users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members {
    pub(crate) audience: u64,
    pub(crate) at: Timestamp,
    pub(crate) remove: bool,
    /// Whether the people take the place of all that were there, once the session is complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replace: bool,
    /// A digest per person.
    pub(crate) people: Vec<String>,
    pub(crate) received: u64,
    pub(crate) invalid: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<Batch>,
}

/// The place of a call in an upload session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) session: String,
    pub(crate) seq: u64,
    pub(crate) last: bool,
    /// The keys of its rows, which all batches of a session have alike.
    #[serde(default)]
    pub(crate) schema: Vec<String>,
}

/// One event as a dataset took it in, in Meta's words. Of the person nothing is kept but a digest and the names of the
/// keys under which somebody was looked for.
#[expect(clippy::struct_field_names, reason = "Meta's own names")]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own on the event")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) event_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<String>,
    /// Unix seconds.
    pub(crate) event_time: i64,
    pub(crate) action_source: String,
    pub(crate) received: Timestamp,
    /// False for a repetition of the same name and id within 48 hours.
    pub(crate) effective: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) test_event_code: Option<String>,
    /// The page on which it happened, without its query, which may name a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// A digest of the strongest key of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// The names of the keys of `user_data`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<String>,
    /// The names of the members of `custom_data`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) custom_fields: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<Device>,
    /// Whether a browser told it, not a server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) from_browser: bool,
    /// Digests of the keys by which a browser's event and a server's are known to be the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<String>,
    /// Whether it may only be attributed, not learnt from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) opt_out: bool,
    /// Whether its processing is limited (`LDU`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) limited: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partner_agent: Option<String>,
}

/// What a browser says of itself, in the words of a dataset's statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) kind: String,
    pub(crate) system: String,
    pub(crate) browser: String,
}
