//! A stage per test: a sandbox process, a database, and as many processes of auth as the test wants.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use client::Client;
use harness::{PATIENCE, Program, SandboxView, adplane_alone, built, free_port, program_alone, request_id};
use proto::auth::v1 as pb;
use serde_json::Value;
use storage::{Postgres, PostgresSettings};
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};
use toml::{Table, toml};

pub(crate) const APP: &str = "metaApps/1000000000000001";
const APP_SECRET: &str = "sandbox-app-secret";
const BOOTSTRAP_CODE: &str = "once-and-never-again";
/// What the processes of auth know as the key-encryption key, unless a test says otherwise.
pub(crate) const FIRST_KEK: u8 = 1;

/// All stages share one PostgreSQL, and on a machine with many cores many tests would run at once: five processes may take
/// thirty of its connections.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Everything that runs but auth. It ends when it is dropped.
pub(crate) struct Stage {
    pub(crate) sandbox: SandboxView,
    /// May do everything, for every tenant and for the installation.
    pub(crate) operator: String,
    database: String,
    folder: TempDir,
    _sandbox: Program,
    _place: SemaphorePermit<'static>,
}

/// How a process of auth is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    /// How often it looks for what is due. What is due at its start is done in any case.
    pub(crate) look_milliseconds: i64,
    /// The key-encryption key that wraps, and one that only opens.
    pub(crate) keks: (u8, Option<u8>),
}

/// It answers its callers and does nothing else.
pub(crate) const QUIET: Set = Set { look_milliseconds: 300_000, keks: (FIRST_KEK, None) };
/// It does what falls due at once.
pub(crate) const BUSY: Set = Set { look_milliseconds: 50, keks: (FIRST_KEK, None) };

/// A running `adplane serve auth`.
pub(crate) struct Auth {
    /// What its connections to the database are called.
    pub(crate) name: String,
    pub(crate) endpoint: String,
    program: Program,
}

impl Auth {
    /// A client with this token.
    pub(crate) fn client(&self, token: &str) -> Client {
        Client::connect(&self.endpoint, token).unwrap()
    }

    /// Ends it by SIGKILL; nothing of it runs when this returns.
    pub(crate) fn kill(self) {
        let ended = self.program.kill().unwrap();
        assert_eq!(ended.code(), None, "it ended by itself before it was killed:\n{}", ended.stderr);
    }
}

impl Stage {
    /// With the first operator, and the sandbox's app registered.
    pub(crate) async fn set() -> Self {
        Self::set_by(&built().unwrap()).await
    }

    /// The same, as this program does it: the schema is its own.
    pub(crate) async fn set_by(program: &Path) -> Self {
        let place = PLACES.acquire().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let database = devstack::shared().create_database().await.unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let url = database.clone();
        write("migrate.toml", &toml::to_string(&table("postgres", toml! { url = url })).unwrap());
        write("code", BOOTSTRAP_CODE);
        write("page_key", "a key for pages");
        fs::create_dir(folder.path().join("services")).unwrap();
        for service in ["conversions", "ratelimit"] {
            write(&format!("services/{service}"), &format!("secret-of-{service}"));
        }
        let mut sandbox = adplane_alone(&["sandbox", "--listen", "127.0.0.1:0"], &[]).unwrap();
        let ready: Value = serde_json::from_str(&sandbox.line().unwrap()).unwrap();
        let view = SandboxView::new(ready["sandbox"].as_str().unwrap().to_owned()).unwrap();
        let mut stage =
            Self { sandbox: view, operator: String::new(), database, folder, _sandbox: sandbox, _place: place };
        stage.migrate(program);
        stage.operator = stage.first_day(program).await;
        stage
    }

    /// Brings the schema forward to what this program knows.
    pub(crate) fn migrate(&self, program: &Path) {
        let config = self.folder.path().join("migrate.toml");
        let arguments = ["migrate", "--config", config.to_str().unwrap()];
        let migrated = program_alone(program, &arguments, &[]).unwrap().end().unwrap();
        assert_eq!(migrated.code(), Some(0), "{}", migrated.stderr);
    }

    /// The operator's token.
    async fn first_day(&self, program: &Path) -> String {
        let auth = self.auth_by(program, "first", QUIET).await;
        let request = pb::BootstrapRequest {
            code: BOOTSTRAP_CODE.to_owned(),
            tenant_id: "first".to_owned(),
            tenant: Some(pb::Tenant::default()),
            caller: Some(pb::Caller { scopes: vec!["*".to_owned()], ..pb::Caller::default() }),
            ..pb::BootstrapRequest::default()
        };
        let anonymous = Client::anonymous(&auth.endpoint).unwrap();
        let first = anonymous.identity().bootstrap(request).await.unwrap().into_inner();
        let (caller, secret) = (first.operator.unwrap().name, first.operator_secret);
        let request = pb::IssueTokenRequest { caller, secret, scopes: Vec::new() };
        let operator = anonymous.identity().issue_token(request).await.unwrap().into_inner().token;
        let meta_app = pb::MetaApp {
            app_id: APP.trim_start_matches("metaApps/").to_owned(),
            api_version: "v26.0".to_owned(),
            ..pb::MetaApp::default()
        };
        let request = pb::CreateMetaAppRequest {
            meta_app: Some(meta_app),
            app_secret: APP_SECRET.to_owned(),
            request_id: request_id(),
            validate_only: false,
        };
        auth.client(&operator).meta_apps().create_meta_app(request).await.unwrap();
        operator
    }

    /// One more process of auth, which answers when this returns.
    pub(crate) async fn auth(&self, name: &str, set: Set) -> Auth {
        self.auth_by(&built().unwrap(), name, set).await
    }

    /// The same of another program.
    pub(crate) async fn auth_by(&self, program: &Path, name: &str, set: Set) -> Auth {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = free_port().unwrap();
            let config = self.config(name, port, set);
            let arguments = ["serve", "auth", "--config", config.to_str().unwrap()];
            let mut program = program_alone(program, &arguments, &[]).unwrap();
            let endpoint = format!("http://127.0.0.1:{port}");
            let keys = format!("{endpoint}/.well-known/jwks.json");
            while !program.has_ended().unwrap() {
                let answer = http.get(&keys).timeout(Duration::from_secs(5)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) && !program.has_ended().unwrap() {
                    return Auth { name: name.to_owned(), endpoint, program };
                }
                assert!(Instant::now() < deadline, "auth does not answer");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let said = program.end().unwrap().stderr;
            // Somebody else took the port between the look and the start.
            assert!(said.contains("port") && Instant::now() < deadline, "auth ended at its start:\n{said}");
        }
    }

    fn config(&self, name: &str, port: u16, set: Set) -> PathBuf {
        let folder = self.folder.path();
        let path = |name: &str| folder.join(name).display().to_string();
        let mut settings = Table::new();
        let (wraps, opens) = set.keks;
        let opens: Vec<String> = opens.into_iter().map(|kek| self.kek(kek)).collect();
        settings.insert("listen".to_owned(), format!("127.0.0.1:{port}").into());
        settings.insert("admin_listen".to_owned(), "127.0.0.1:0".into());
        settings.insert("dialog_url".to_owned(), self.sandbox.url.clone().into());
        settings.insert("kek_file".to_owned(), self.kek(wraps).into());
        settings.insert("kek_other_files".to_owned(), opens.into());
        settings.insert("service_secrets_dir".to_owned(), path("services").into());
        settings.insert("bootstrap_code_file".to_owned(), path("code").into());
        settings.insert("page_key_file".to_owned(), path("page_key").into());
        settings.insert("token_seconds".to_owned(), 86_400.into());
        settings.insert("signing_publish_seconds".to_owned(), 5.into());
        settings.insert("anchor_seconds".to_owned(), 1.into());
        let (url, look) = (self.database(name), set.look_milliseconds);
        // A statement that is held waits until its process is killed, and several stages share one server.
        settings.extend(table(
            "postgres",
            toml! {
                url = url
                pool_size = 4
                pool_wait_milliseconds = 120_000
                lock_timeout_milliseconds = 600_000
                statement_timeout_milliseconds = 600_000
                idle_in_transaction_timeout_milliseconds = 600_000
            },
        ));
        settings.extend(table(
            "lifecycle",
            toml! { look_milliseconds = look refreshes_per_minute = 6_000 inspections_per_minute = 6_000 },
        ));
        let base_url = self.sandbox.url.clone();
        settings.extend(table("graph", toml! { base_url = base_url call_timeout_seconds = 600 }));
        let file = folder.join(format!("{name}.toml"));
        fs::write(&file, toml::to_string(&settings).unwrap()).unwrap();
        file
    }

    /// The file of the secret by which a service proves itself to auth.
    pub(crate) fn secret_of(&self, service: &str) -> PathBuf {
        self.folder.path().join("services").join(service)
    }

    /// A file of the stage's own with this content.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// The database, as the connections of one process are to be called.
    pub(crate) fn database(&self, process: &str) -> String {
        format!("{}?application_name={process}", self.database)
    }

    /// The file of a key-encryption key.
    fn kek(&self, number: u8) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let file = self.folder.path().join(format!("kek-{number}"));
        fs::write(&file, STANDARD.encode([number; 32])).unwrap();
        file.display().to_string()
    }

    /// The database, past auth. Of the test: no process is called so.
    pub(crate) async fn postgres(&self) -> storage::Client {
        let settings = PostgresSettings {
            lock_timeout_milliseconds: 600_000,
            statement_timeout_milliseconds: 600_000,
            idle_in_transaction_timeout_milliseconds: 600_000,
            ..PostgresSettings::at(self.database.as_str())
        };
        Postgres::connect(&settings.in_schema("auth")).await.unwrap().client().await.unwrap()
    }

    /// The first number that a statement finds.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.postgres().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Time passes for whatever a killed process held: requests in flight, claims of connections, leases of long work.
    pub(crate) async fn age(&self) {
        let past = "
            UPDATE requests SET begun_at = begun_at - interval '3 minutes' WHERE answer IS NULL;
            UPDATE connections SET claimed_until = clock_timestamp() WHERE claimed_until > clock_timestamp();
            UPDATE operations SET due_at = clock_timestamp() WHERE NOT done";
        self.postgres().await.batch_execute(past).await.unwrap();
    }

    /// Every connection is near the end of its token and due for an exchange, and for nothing else.
    pub(crate) async fn near_their_end(&self) {
        const SQL: &str = "
            UPDATE connections
               SET expires_at = clock_timestamp() + interval '10 days',
                   refreshed_at = clock_timestamp() - interval '50 days',
                   next_refresh_at = clock_timestamp(),
                   next_inspection_at = clock_timestamp() + interval '1 day'";
        self.postgres().await.execute(SQL, &[]).await.unwrap();
    }

    /// Waits until a statement finds a number that is as it should be.
    pub(crate) async fn until(&self, what: &str, sql: &str, wanted: impl Fn(i64) -> bool) -> i64 {
        let deadline = Instant::now() + PATIENCE;
        let client = self.postgres().await;
        loop {
            let seen = client.query_one(sql, &[]).await.unwrap().get(0);
            if wanted(seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{what}: it stays {seen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many exchanges of living tokens changed something at Meta.
    pub(crate) async fn exchanges(&self) -> usize {
        let all = self.sandbox.requests().await.unwrap();
        all.iter().filter(|line| line.committed && line.grant_type.as_deref() == Some("fb_exchange_token")).count()
    }
}

/// A section of settings.
pub(crate) fn table(name: &str, section: Table) -> Table {
    Table::from_iter([(name.to_owned(), section.into())])
}
