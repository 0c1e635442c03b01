//! What can go wrong, by what the caller should do next.

use std::time::Duration;

use proto::common::v1::ErrorReason;
use rpc::{Code, Fault, FieldError, Precondition, Violation};
use vocabulary::{ids::AdAccountId, page::PageError};

use crate::{
    secret::NoRandomness,
    vault::{VaultError, sealing::Closed},
};

/// Why a call to auth failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field is missing or wrong.
    #[error(transparent)]
    Fields(#[from] FieldError),
    /// No such thing, or another tenant's.
    #[error("{resource} does not exist")]
    NotFound {
        /// Its resource name.
        resource: String,
    },
    /// It exists already.
    #[error("{resource} exists already")]
    Exists {
        /// Its resource name.
        resource: String,
    },
    /// The etag is an old one.
    #[error("{resource} has changed since it was read")]
    Stale {
        /// Its resource name.
        resource: String,
        /// The current etag.
        etag: String,
    },
    /// Its state does not allow this.
    #[error("{resource} is {state}, which does not allow this")]
    WrongState {
        /// Its resource name.
        resource: String,
        /// The state, in capitals.
        state: &'static str,
    },
    /// What should prove who asks does not. Which part is wrong is not said.
    #[error("{what} is not valid")]
    Unproven {
        /// Such as `the caller or its secret`.
        what: &'static str,
    },
    /// Somebody grants what they lack, or asks for what they may not.
    #[error("not allowed without {}", lacks.join(", "))]
    Lacking {
        /// The scopes or tenants.
        lacks: Vec<String>,
    },
    /// Another tenant owns the ad account.
    #[error("ad account {account} belongs to another tenant; an operator must share it")]
    Taken {
        /// The account.
        account: AdAccountId,
    },
    /// No connection of the tenant reaches it.
    #[error("no connection reaches {resource}: connect, or import a system user's token")]
    NotConnected {
        /// Its resource name.
        resource: String,
    },
    /// Those that reach it are dead.
    #[error("{connection} does not work until somebody consents again: {cause}")]
    NeedsConsent {
        /// Its resource name.
        connection: String,
        /// Why, for a person.
        cause: String,
    },
    /// A token that lacks what the one in use has.
    #[error(
        "the new token lacks {}, so the one that {connection} has stays in use: give one that has all permissions, or \
         revoke the connection first",
        lacks.join(", ")
    )]
    Lesser {
        /// The connection's resource name.
        connection: String,
        /// The permissions, in Meta's words.
        lacks: Vec<String>,
    },
    /// A refresh did not work now; the token that is there still does.
    #[error("{connection} could not be refreshed now, and its token works on: {cause}")]
    RefreshFailed {
        /// Its resource name.
        connection: String,
        /// Why, for a person.
        cause: String,
    },
    /// Meta refused our app, our secret, a code or a token.
    #[error("Meta refused the credential: {cause}")]
    CredentialRefused {
        /// A short word, such as `code_used`.
        cause: &'static str,
        /// What Meta answered, where it was an error.
        #[source]
        source: Option<graph::Error>,
    },
    /// The same request_id came before with another request.
    #[error("this request_id was used before with another request: take a new UUID")]
    RequestReused {
        /// The id.
        request_id: String,
    },
    /// The same request is being worked on.
    #[error("the same request is being worked on")]
    RequestInFlight {
        /// The id.
        request_id: String,
    },
    /// Somebody asked for the work to stop before it began.
    #[error("the work was cancelled; nothing was changed")]
    Cancelled,
    /// Somebody asked for a rotation to stop on its way.
    #[error("cancelled after {done} of {total} rows; both keys stay in use, and the next RotateKey goes on from there")]
    Stopped {
        /// Rows under the new key.
        done: i64,
        /// All rows.
        total: i64,
    },
    /// Stored values that do not open, because they were changed or their key is not there any more.
    #[error("{rows} rows do not open, the first is {first}; all others are under the new key")]
    Unreadable {
        /// Which.
        first: String,
        /// How many.
        rows: i64,
    },
    /// Nobody reads a stream that is held open.
    #[error("nothing was read for {seconds} seconds, so the stream was cut: resume with the last token that you saw")]
    SlowReader {
        /// How long a message waited.
        seconds: u64,
    },
    /// Another service of ours does not answer.
    #[error("{service} cannot be asked now")]
    Unreachable {
        /// Which one.
        service: String,
        /// What it answered, where it did.
        #[source]
        source: Option<rpc::Upstream>,
    },
    /// Meta.
    #[error(transparent)]
    Meta(#[from] graph::Error),
    /// The vault.
    #[error("{}", of_vault(.0))]
    Vault(#[from] VaultError),
    /// The store.
    #[error("the store of auth failed")]
    Store(#[from] storage::Error),
    /// No key that signs tokens is open: the vault did not open one since this process started.
    #[error("no tokens can be issued until the vault's key provider can be reached")]
    NoSigner,
    /// A token that somebody showed is not good, or its key cannot be had.
    #[error(transparent)]
    Token(#[from] rpc::TokenError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Signing(#[from] jsonwebtoken::errors::Error),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A stored value has a form that it cannot have.
    #[error("a stored {0} has an impossible form")]
    Corrupt(&'static str),
}

impl Error {
    /// A service of ours is not there, as against one that answers and fails.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { source: None, .. } => true,
            Self::Unreachable { source: Some(told), .. } => {
                matches!(told.code(), Code::Unavailable | Code::DeadlineExceeded)
            }
            _ => false,
        }
    }

    /// A field is wrong.
    pub fn field(field: &str, description: impl Into<String>, reason: &'static str) -> Self {
        Self::Fields(FieldError::new(field, description, reason))
    }

    /// Can the same succeed later without anybody changing anything here?
    pub fn waiting_helps(&self) -> bool {
        self.outage() || self.sealed()
    }

    fn outage(&self) -> bool {
        match self {
            Self::Store(error) | Self::Vault(VaultError::Store(error)) => error.is_outage(),
            _ => false,
        }
    }

    fn sealed(&self) -> bool {
        matches!(self, Self::Vault(error) if error.is_sealed()) || matches!(self, Self::NoSigner)
    }

    /// Who has closed the vault, where that is why.
    fn closed(&self) -> Option<&Closed> {
        match self {
            Self::Vault(VaultError::Closed(closed)) => Some(closed),
            _ => None,
        }
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Fields(_) | Self::RequestReused { .. } => Code::InvalidArgument,
            Self::NotFound { .. } => Code::NotFound,
            Self::Exists { .. } => Code::AlreadyExists,
            Self::Stale { .. } | Self::RequestInFlight { .. } => Code::Aborted,
            Self::Cancelled | Self::Stopped { .. } => Code::Cancelled,
            Self::SlowReader { .. } => Code::ResourceExhausted,
            Self::Unproven { .. } => Code::Unauthenticated,
            Self::Lacking { .. } => Code::PermissionDenied,
            Self::WrongState { .. }
            | Self::Unreadable { .. }
            | Self::Taken { .. }
            | Self::NotConnected { .. }
            | Self::NeedsConsent { .. }
            | Self::Lesser { .. }
            | Self::CredentialRefused { .. } => Code::FailedPrecondition,
            Self::Unreachable { .. } => Code::Unavailable,
            Self::RefreshFailed { .. } => Code::Unavailable,
            Self::Meta(error) => error.code(),
            Self::NoSigner => Code::Unavailable,
            Self::Token(error) => error.code(),
            Self::Vault(_) | Self::Store(_) if self.outage() || self.sealed() => Code::Unavailable,
            Self::Vault(_) | Self::Store(_) | Self::Signing(_) | Self::Random(_) | Self::Corrupt(_) => Code::Internal,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Fields(_) => ErrorReason::InvalidField,
            Self::RequestReused { .. } => ErrorReason::RequestIdReused,
            Self::RequestInFlight { .. } => ErrorReason::RequestInFlight,
            Self::Cancelled | Self::Stopped { .. } => ErrorReason::Cancelled,
            Self::NotFound { .. } => ErrorReason::NotFound,
            Self::Exists { .. } => ErrorReason::AlreadyExists,
            Self::Stale { .. } => ErrorReason::EtagMismatch,
            Self::WrongState { .. } | Self::Unreadable { .. } => ErrorReason::WrongState,
            Self::SlowReader { .. } => ErrorReason::SlowConsumer,
            Self::Unproven { .. } => ErrorReason::TokenRefused,
            Self::Lacking { .. } => ErrorReason::ScopeMissing,
            Self::Taken { .. } => ErrorReason::AdAccountTaken,
            Self::NotConnected { .. } => ErrorReason::NotConnected,
            Self::NeedsConsent { .. } => ErrorReason::ConnectionNeedsConsent,
            Self::Lesser { .. } => ErrorReason::MetaPermissionMissing,
            Self::CredentialRefused { .. } => ErrorReason::MetaRefusedCredential,
            Self::Unreachable { .. } => ErrorReason::ServiceUnavailable,
            Self::RefreshFailed { .. } => ErrorReason::MetaUnavailable,
            Self::Meta(error) => error.reason(),
            Self::Token(error) => error.reason(),
            Self::Vault(_) | Self::Store(_) if self.outage() => ErrorReason::StoreUnavailable,
            Self::NoSigner => ErrorReason::VaultSealed,
            Self::Vault(_) if self.sealed() => ErrorReason::VaultSealed,
            Self::Vault(_) | Self::Store(_) | Self::Signing(_) | Self::Random(_) | Self::Corrupt(_) => {
                ErrorReason::Internal
            }
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NotFound { resource } | Self::Exists { resource } | Self::NotConnected { resource } => {
                vec![("resource", resource.clone())]
            }
            Self::Stale { resource, etag } => vec![("resource", resource.clone()), ("etag", etag.clone())],
            Self::WrongState { resource, state } => {
                vec![("resource", resource.clone()), ("state", (*state).to_owned())]
            }
            Self::Unreadable { first, .. } => {
                vec![("resource", first.clone()), ("state", "UNREADABLE".to_owned())]
            }
            Self::Unproven { what } => vec![("cause", (*what).to_owned())],
            Self::Lacking { lacks } => vec![("scope", lacks.join(","))],
            Self::Taken { account } => vec![("resource", vocabulary::names::of_ad_account(*account))],
            Self::NeedsConsent { connection, .. } | Self::RefreshFailed { connection, .. } => {
                vec![("connection", connection.clone())]
            }
            Self::Lesser { connection, lacks } => {
                vec![("connection", connection.clone()), ("permission", lacks.join(","))]
            }
            Self::CredentialRefused { cause, source } => {
                let mut metadata = vec![("cause", (*cause).to_owned())];
                metadata.extend(source.iter().flat_map(Fault::metadata));
                metadata
            }
            Self::RequestReused { request_id } | Self::RequestInFlight { request_id } => {
                vec![("request_id", request_id.clone())]
            }
            Self::Unreachable { service, .. } => vec![("upstream", service.clone())],
            Self::Meta(error) => error.metadata(),
            Self::Vault(VaultError::Closed(closed)) => {
                vec![
                    ("sealed_by", closed.by.clone()),
                    ("unsealed_by", "adplane.auth.v1.KeyService/UnsealVault".to_owned()),
                ]
            }
            Self::Token(error) => error.metadata(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RequestInFlight { .. } | Self::SlowReader { .. } => Some(Duration::from_secs(1)),
            Self::RefreshFailed { .. } => Some(Duration::from_mins(1)),
            Self::Meta(error) => error.retry_after(),
            // A person has to act first.
            _ if self.closed().is_some() => Some(Duration::from_secs(30)),
            Self::Unreachable { .. } => Some(Duration::from_secs(2)),
            Self::Token(error) => error.retry_after(),
            _ if self.outage() || self.sealed() => Some(Duration::from_secs(2)),
            _ => None,
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Fields(fields) => fields.violations(),
            Self::Meta(error) => error.violations(),
            _ => Vec::new(),
        }
    }

    fn preconditions(&self) -> Vec<Precondition> {
        match self {
            Self::NeedsConsent { connection, cause } => vec![Precondition {
                kind: "CONNECTION_NEEDS_CONSENT",
                subject: connection.clone(),
                description: cause.clone(),
            }],
            _ => Vec::new(),
        }
    }
}

/// What callers are told of the vault: who has to do what, and no more.
fn of_vault(error: &VaultError) -> String {
    match error {
        VaultError::Closed(closed) => closed.to_string(),
        error if error.is_sealed() => "the vault's key provider cannot be reached now".to_owned(),
        _ => "the vault failed".to_owned(),
    }
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        Self::Fields(error.into())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        rpc::status(&error)
    }
}
