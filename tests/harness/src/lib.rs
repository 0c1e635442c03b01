//! The whole suite in one process, over real loopback sockets: for tests that walk through all of it. And the program
//! itself as real processes, for tests that kill them.
//!
//! [`Suite::start`] gives a sandbox, every service and the gateway on free ports, with a database and a Redis that nobody
//! else uses, and two tenants that are connected to the sandbox: one owns the first ad account, the other the second.
//! Settings differ from production's only in times: what waits minutes there waits seconds here.

mod dump;
mod eventually;
mod first_day;
mod pid;
mod ports;
mod program;
mod refusal;
mod roles;
mod sandbox_view;
mod settings;
mod stored;
mod suite;

pub use dump::Dump;
pub use eventually::{eventually, within};
pub use first_day::{AD_ACCOUNT, APP_SECRET, DATASET, OTHER_AD_ACCOUNT, PAGE, SYSTEM_USER_TOKEN, Tenant};
pub use pid::{Pid, all_gone};
pub use ports::{free_port, port_base};
pub use program::{Ended, PATIENCE, Program, adplane, adplane_alone, built, program_alone};
pub use refusal::{Refusal, refusal, refused};
pub use sandbox_view::{Line, SandboxView};
pub use suite::Suite;

/// A new key for a request.
pub fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
