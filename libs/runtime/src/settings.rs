//! Settings: one struct per service, from a TOML file and the environment, with all faults reported at once.
//!
//! `ADPLANE_<SERVICE>__<SECTION>__<KEY>` overrides `key` in `[section]` of the file; a top-level key has no section. The
//! value is read as TOML where it is TOML (`5`, `true`, `["a", "b"]`) and the field wants that, else as a string.
//!
//! Every settings struct is `#[serde(default, deny_unknown_fields)]`, so that a misspelt key is a fault and not a default.

mod check;
mod environment;
mod load;
mod nearest;
mod secret;

pub use check::{Check, Fault, Faults};
pub use environment::{Environment, environment, variable};
pub use load::{load, load_from};
pub use nearest::nearest;
pub use secret::{Secret, SecretError};
