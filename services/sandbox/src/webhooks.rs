//! Webhooks: what happened in the world is told to whoever subscribed, signed as Meta signs it.
//!
//! `subscriptions` keeps who wants what; `watch` sees what a change means; `outbox` holds what is still to be told;
//! `delivery` sends it, again if need be; `outgoing` is the HTTP of it. What must hold: nothing is told before the
//! change is kept, and a subscriber that answers 200 is told each thing as often as `webhook_copies` says. What waits
//! in the outbox is not journalled: a kill loses it, as a subscriber of Meta has to bear too.

mod delivery;
mod outbox;
mod outgoing;
mod subscriptions;
mod watch;

use serde_json::Value;

pub(crate) use delivery::handshake;
pub(crate) use outbox::Outbox;
pub(crate) use subscriptions::{
    is_wanted, list, list_apps, list_page_apps, subscribe, subscribe_account, subscribe_page, unsubscribe,
    unsubscribe_app,
};
pub(crate) use watch::{Seen, Watch};

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    Made,
    Changed,
    /// Nobody did anything, but its review went on.
    Aged,
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Notice {
    /// A field of an object changed.
    Changed {
        /// `ad_account` or `page`.
        object: String,
        /// The account or page.
        id: u64,
        field: String,
        value: Value,
    },
    /// A person took everything back that the app was granted.
    Deauthorized { app: u64, person: u64 },
}
