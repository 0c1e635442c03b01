//! Reads that lag behind writes: the world is set back for one read, and then again to what it is.

use jiff::{SignedDuration, Timestamp};

use crate::state::{Past, State};

/// The longest lag; what lies further back is not kept.
pub(super) const SECONDS_MAX: i64 = 3_600;

/// Sets the world back by so many seconds. What was made since is not there, what was changed is as it was.
pub(super) fn begin(state: &mut State, seconds: i64, now: Timestamp) -> Past {
    let cut = now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
    state.set_back(cut)
}

/// Sets the world to what it is.
pub(super) fn end(state: &mut State, past: Past) {
    state.set_forth(past);
}
