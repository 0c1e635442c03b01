//! The only crate that knows Meta.
//!
//! A call is a value ([`Call`]) that a noun's module describes and [`Client`] sends: it leases the token from auth,
//! takes a permit from ratelimit, sends once, reads the answer and what Meta says about its quota, and sends again only
//! what may be repeated. What must not be repeated and was perhaps executed comes back as [`Error::OutcomeUnknown`].
//!
//! Invariants: one permit per HTTP attempt; a caller's word that an unsafe call goes ([`Before`]) is written down when
//! lease and permit are in hand, at most five seconds before it is handed to the connection; the token stands in one header
//! and in no URL, log or error; no retry below this crate.

pub mod accounts;
pub mod ad_sets;
pub mod ads;
mod answer;
pub mod audiences;
mod batch;
mod before;
mod breaker;
mod budget;
mod call;
pub mod campaigns;
mod client;
pub mod codec;
mod codes;
mod cost;
pub mod creatives;
mod deliver;
mod dependent;
mod error;
pub mod events;
mod expand;
mod gather;
pub mod images;
pub mod insights;
pub mod labels;
mod lease;
mod many;
mod meta_error;
pub mod oauth;
pub mod objects;
mod on;
mod outcome;
pub mod passthrough;
mod permit;
mod reserve;
mod retry;
mod settings;
#[cfg(test)]
mod tests;
mod transport;
mod usage;
mod version_watch;
pub mod versions;

pub use answer::{Ack, Answer, Created, Page, Unless, digits};
pub use before::{Before, Refusal};
pub use breaker::BreakerSettings;
pub use call::{Call, File, Replay, UseCase, Verb};
pub use client::Client;
pub use dependent::{Batch, BatchError, Item, Reference, Replied};
pub use error::Error;
pub use expand::{Edge, Fields};
pub use meta_error::{MetaError, Verdict};
pub use on::{Asset, On, Priority};
pub use reserve::Reservation;
pub use settings::Settings;
