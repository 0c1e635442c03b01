use std::error::Error as StdError;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};

/// Why a store did not do what was asked, sorted by what to do about it.
///
/// No variant holds the driver's own error, because its text shows the row that was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store is away, full, read-only or too slow: wait and repeat. A write may have happened all the same, when the
    /// answer to its commit was lost.
    #[error("the store is not available: {0}")]
    Outage(String),
    /// A constraint of this name refuses the row.
    #[error("the constraint {0} refuses the row")]
    Conflict(String),
    /// The transaction lost a race against another; nothing happened. Repeat it whole.
    #[error("the transaction lost a race")]
    Raced,
    /// There is no such row.
    #[error("there is no such row")]
    Missing,
    /// Somebody else has taken this work over. Whoever gets this must stop writing.
    #[error("the lease on this work has gone to somebody else")]
    Fenced,
    /// The schema has another version than this program needs.
    #[error("the schema is at version {found}, this program needs {needed}; run `adplane migrate`")]
    SchemaBehind {
        /// The highest version that was applied; 0 where there is none.
        found: i32,
        /// The highest version that this program knows.
        needed: i32,
    },
    /// The settings of the store are wrong.
    #[error("the settings of the store are wrong: {0}")]
    Settings(String),
    /// Our statement is wrong, or the schema is not what it should be: tell us.
    #[error("the store refused a statement: {0}")]
    Broken(String),
}

impl Error {
    /// Whether waiting helps.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Outage(_))
    }

    /// Whether a constraint refused the row.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// The name of the constraint that refused the row.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Conflict(constraint) => Some(constraint),
            _ => None,
        }
    }

    /// Whether somebody else has taken the work over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) => of_server(error),
            None if is_connection(&error) => Self::Outage(chain(&error)),
            None => Self::Broken(chain(&error)),
        }
    }
}

/// What the server itself said. Its detail, hint and position are left out, and its message too where it quotes a value.
fn of_server(error: &DbError) -> Error {
    let code = error.code();
    let class = code.code().get(..2).unwrap_or_default();
    let quotes_values = matches!(class, "22" | "P0");
    let text = if quotes_values {
        format!("SQLSTATE {}", code.code())
    } else {
        format!("{} (SQLSTATE {})", error.message(), code.code())
    };
    let waits = [
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    match class {
        "23" => Error::Conflict(error.constraint().or(error.column()).unwrap_or("unnamed").to_owned()),
        "40" => Error::Raced,
        // Connection, resources (disk, memory, connections), operator intervention (shutdown), system.
        "08" | "53" | "57" | "58" => Error::Outage(text),
        _ if waits.contains(code) => Error::Outage(text),
        // A wrong password is an outage to callers: an operator is rotating it, or will.
        "28" => Error::Outage(text),
        _ => Error::Broken(text),
    }
}

fn is_connection(error: &tokio_postgres::Error) -> bool {
    if error.is_closed() {
        return true;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    // A refused or timed-out connection attempt has no cause of these types.
    error.to_string().starts_with("error connecting") || error.to_string().starts_with("error communicating")
}

/// The error and its causes on one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::from(error),
            PoolError::Timeout(stage) => Self::Outage(format!("no connection in time ({stage:?})")),
            PoolError::Closed => Self::Outage("the pool is closed".to_owned()),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => Self::Broken(error.to_string()),
        }
    }
}

impl From<refinery::Error> for Error {
    fn from(error: refinery::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(inner) = inner.downcast_ref::<tokio_postgres::Error>() {
                return match inner.as_db_error() {
                    Some(error) => of_server(error),
                    None => Self::Outage(chain(inner)),
                };
            }
            cause = inner.source();
        }
        Self::Broken(error.to_string())
    }
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        use redis::{ErrorKind, ServerErrorKind};
        let waits = matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(
                    ServerErrorKind::BusyLoading
                        | ServerErrorKind::TryAgain
                        | ServerErrorKind::ClusterDown
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ReadOnly
                        | ServerErrorKind::Moved
                        | ServerErrorKind::Ask
                )
        ) || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
            || error.code() == Some("OOM");
        // The detail of an answer may quote a key or an argument.
        let text = match error.code() {
            Some(code) => format!("{} ({code})", error.category()),
            None => error.category().to_owned(),
        };
        if waits { Self::Outage(text) } else { Self::Broken(text) }
    }
}
