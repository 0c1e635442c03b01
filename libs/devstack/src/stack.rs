use std::path::{Path, PathBuf};

use crate::Error;
use crate::account::Account;
use crate::folder::Folder;
use crate::guard::Guard;
use crate::postgres::Postgres;
use crate::programs::{self, Programs};
use crate::redis::Redis;

/// Which servers, and whether their data is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is kept between runs. `None`: nowhere, it is removed at the end.
    pub data: Option<PathBuf>,
    /// Start PostgreSQL.
    pub postgres: bool,
    /// Start Redis.
    pub redis: bool,
}

impl Default for Options {
    /// Both servers, nothing kept.
    fn default() -> Self {
        Self { data: None, postgres: true, redis: true }
    }
}

/// Running servers. They stop when this is dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub struct Stack {
    guard: Guard,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    folder: Folder,
}

impl Stack {
    /// Starts the servers and waits until they answer: one to two seconds for a new data folder.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Missing`] says how to install what is missing.
    pub async fn start(options: Options) -> Result<Self, Error> {
        match tokio::task::spawn_blocking(move || Self::start_blocking(&options)).await {
            Ok(started) => started,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// As [`Stack::start`], on this thread.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn start_blocking(options: &Options) -> Result<Self, Error> {
        let programs = programs::find().map_err(Error::Missing)?;
        let account = Account::choose()?;
        let guard = Guard::start()?;
        let folder = Folder::prepare(options.data.as_deref(), account, &guard)?;
        // Dropped on every way out from here: what has started stops again.
        let mut stack = Self { guard, postgres: None, redis: None, folder };
        if options.postgres {
            stack.postgres = Some(stack.start_postgres(&programs, account)?);
        }
        if options.redis {
            stack.redis = Some(Redis::start(&programs.redis_server, &stack.folder, account, &stack.guard)?);
        }
        Ok(stack)
    }

    /// A Redis of its own, nothing kept.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn redis_only() -> Result<Self, Error> {
        Self::start(Options { postgres: false, ..Options::default() }).await
    }

    /// A PostgreSQL of its own, nothing kept.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn postgres_only() -> Result<Self, Error> {
        Self::start(Options { redis: false, ..Options::default() }).await
    }

    fn start_postgres(&self, programs: &Programs, account: Account) -> Result<Postgres, Error> {
        Postgres::start(&programs.postgres, &self.folder, account, &self.guard)
    }

    /// The maintenance database, as the role that owns everything. Empty where PostgreSQL was not started.
    pub fn postgres_url(&self) -> String {
        self.postgres.as_ref().map(|postgres| postgres.url("postgres")).unwrap_or_default()
    }

    /// Redis, database 0. Empty where Redis was not started.
    pub fn redis_url(&self) -> String {
        self.redis.as_ref().map(Redis::url).unwrap_or_default()
    }

    /// Makes a database where there is none of this name, and gives its URL.
    ///
    /// # Errors
    /// [`Error::Sql`], also for a name that is no plain lower-case word.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        let Some(postgres) = &self.postgres else {
            return Err(Error::Start { server: "PostgreSQL", log: "it was not asked for".to_owned() });
        };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            let log = format!("{name:?} is no name for a database");
            return Err(Error::Start { server: "PostgreSQL", log });
        }
        create_database(&postgres.url("postgres"), name).await?;
        Ok(postgres.url(name))
    }

    /// The guard that stops these servers: tell it the services that use them, and they stop first.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Where the servers' data and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// The numbers of the servers' processes, for tests that kill or pause them.
    pub fn pids(&self) -> Vec<u32> {
        let postgres = self.postgres.as_ref().map(|postgres| postgres.child.id());
        postgres.into_iter().chain(self.redis.as_ref().map(|redis| redis.child.id())).collect()
    }

    /// Stops what the guard knows, services first, and waits until it has ended.
    pub async fn stop(self) {
        // Only a panic of the drop could fail here, and then there is nothing left to stop.
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.guard.finish();
        for child in [self.postgres.as_mut().map(|it| &mut it.child), self.redis.as_mut().map(|it| &mut it.child)] {
            // It has ended; this takes its exit status, so that no zombie stays.
            drop(child.map(std::process::Child::wait));
        }
    }
}

async fn create_database(maintenance: &str, name: &str) -> Result<(), Error> {
    let sql = |doing| move |source| Error::Sql { doing, source };
    let (client, connection) =
        tokio_postgres::connect(maintenance, tokio_postgres::NoTls).await.map_err(sql("connect"))?;
    let work = async move {
        let found = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await?;
        if found.is_none() {
            client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        }
        drop(client);
        Ok(())
    };
    // The connection ends when its client is dropped.
    let (made, connection) = tokio::join!(work, connection);
    made.map_err(sql("create a database"))?;
    connection.map_err(sql("create a database"))
}
