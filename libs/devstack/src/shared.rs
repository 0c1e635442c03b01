use std::sync::OnceLock;

use uuid::Uuid;

use crate::{Error, Options, Stack};

/// The servers that all tests of this process share. They end with the process.
#[derive(Debug)]
pub struct Shared(Stack);

static SHARED: OnceLock<Shared> = OnceLock::new();

/// The shared servers; the first call starts them, which takes a second or two.
///
/// # Panics
/// When they cannot be started: a test that needs them has then failed, and the text says why.
pub fn shared() -> &'static Shared {
    #[expect(clippy::panic, reason = "for tests alone, and a test has no better answer")]
    SHARED.get_or_init(|| match Stack::start_blocking(&Options::default()) {
        Ok(stack) => Shared(stack),
        Err(error) => panic!("the test servers did not start: {error}"),
    })
}

impl Shared {
    /// A new, empty database of its own, as a URL.
    ///
    /// # Errors
    /// Fails when PostgreSQL does.
    pub async fn create_database(&self) -> Result<String, Error> {
        self.0.create_database(&format!("test_{}", Uuid::new_v4().simple())).await
    }

    /// Redis. All tests of the process share its one keyspace: a test that flushes, or reads everything, starts its own with
    /// [`Stack::redis_only`].
    pub fn redis_url(&self) -> String {
        self.0.redis_url()
    }

    /// The servers themselves.
    pub fn stack(&self) -> &Stack {
        &self.0
    }
}
