//! A Meta that runs on a laptop: one stateful Graph API, over plain HTTP and as an HTTPS proxy for Meta's own hosts.
//!
//! What Meta accepts it accepts, and what Meta refuses it refuses, with Meta's codes. A request goes through `door`
//! (HTTP: parameters, faults, log), is counted by `usage`, finds its handler in `route`, and changes the world only by
//! `State::commit`, so that a journal of the changes is the whole truth and survives a kill.
//!
//! What must hold: a change is journalled before its answer leaves; ids are unique over all types; a number of the
//! insights is the sum of its parts over days, levels and breakdowns (reach apart); the same seed and clock give the
//! same world. Nothing here is fit to stand where strangers can reach it.

mod batch;
mod body;
mod catalogue;
mod clock;
mod door;
mod edge;
mod error;
mod estimates;
mod faults;
mod fields;
mod filter;
mod insights;
mod journal;
mod loose;
mod nodes;
mod oauth;
mod options;
mod paging;
mod params;
mod previews;
mod proxy;
mod ready;
mod reference;
mod render;
mod request_line;
mod requests;
mod route;
mod search;
mod server;
mod spec;
mod state;
mod token;
mod usage;
mod version;
mod webhooks;

pub use options::{Options, ParseError, Tier, World};
pub use ready::Ready;
pub use server::{Listeners, Server, serve, serve_on};
