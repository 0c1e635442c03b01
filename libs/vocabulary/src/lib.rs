//! The words that every crate shares: ids that cannot be swapped, money with its currency, days in an account's time
//! zone, a clock that can be turned, pages. Pure values: nothing here waits, reads or writes.
//!
//! A type moves here when a second crate needs it, not before.

pub mod calendar;
pub mod clock;
pub mod currency;
pub mod identity;
pub mod ids;
pub mod money;
pub mod names;
pub mod page;

pub use calendar::{Day, DayRange};
pub use clock::{Clock, SystemClock, TestClock};
pub use currency::Currency;
pub use money::Money;
