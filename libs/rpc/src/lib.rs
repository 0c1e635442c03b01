//! How services speak gRPC: one way to fail, one way to know the caller, one server, one client.
//!
//! - [`fault`] turns an error into a `Status` that says what the caller does next; nothing else makes one.
//! - [`server`] is the stack that every request passes: trace, deadline, who calls, may they, the method itself. What
//!   leaves it has exactly one ErrorInfo where it failed.
//! - [`caller`] is who calls: verified here again by [`token`], never believed from a header.
//! - [`pool`] holds HTTP/2 connections to one service; [`client`] adds to each call who we are, the deadline and the trace.
//! - [`operations`] serves long work from a service's own rows, [`chains`] its audit to auth.
//!
//! There are no globals but the service's name, so that several services run in one process in tests.

pub mod caller;
pub mod chains;
pub mod client;
pub mod deadline;
pub mod fault;
pub mod methods;
pub mod operations;
pub mod pool;
pub mod server;
pub mod testing;
pub mod token;
pub mod trace;

mod context;
mod identity;

pub use caller::{Caller, Principal, Scopes, Tenants, open, open_untenanted};
pub use chains::{ChainApi, ChainQuery, ChainStore};
pub use client::{Channel, Peer, PeerSettings, ServiceIdentity, for_tenant, on_behalf};
pub use fault::{
    Code, ErrorReason, Fault, FieldError, Fields, Precondition, QuotaViolation, Upstream, Violation, row_error, status,
};
pub use operations::{Asked, CANCEL, OperationApi, OperationPage, OperationStore};
pub use pool::{Pool, Rendezvous};
pub use server::{Error, Server, carried, stopping};
pub use token::{Claims, Keys, Rule, TokenError, Trust, TrustedIssuer, Verified, Verifier};

/// The largest message of a service, in bytes, unless it says otherwise: hand it to the generated server's
/// `max_decoding_message_size` and `max_encoding_message_size`.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest message of a service that moves rows, in bytes.
pub const ROW_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
