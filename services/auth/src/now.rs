//! The clock, as a value that many hold.

use std::sync::Arc;

use jiff::Timestamp;
use vocabulary::clock::Clock;

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A clock as such a value.
pub fn of(clock: impl Clock) -> Now {
    Arc::new(move || clock.now())
}
