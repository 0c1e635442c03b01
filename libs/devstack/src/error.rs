use std::path::PathBuf;

use crate::Missing;

/// Why the servers could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// PostgreSQL or Redis is not installed; the text says how to install it.
    #[error("{0}")]
    Missing(Missing),
    /// Another process has started servers on this data folder.
    #[error("the data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used: {reason}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Run by root, and there is neither a user `postgres` nor `nobody` to run the servers as.
    #[error("PostgreSQL cannot run as root, and there is no user `postgres` or `nobody` to run it as")]
    NoUser,
    /// A server did not start; the text holds the end of its log.
    #[error("{server} did not start: {log}")]
    Start {
        /// Which server.
        server: &'static str,
        /// The end of its log.
        log: String,
    },
    /// A program could not be run, or a pipe broke.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The database refused a statement.
    #[error("PostgreSQL refused to {doing}")]
    Sql {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: tokio_postgres::Error,
    },
}

impl Error {
    /// For `map_err`: the error of what was being done.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
