//! Whose call something is, for the history.

use prost::Message;

use super::subject;
use crate::demand::Demand;
use crate::scope::{Kind, Scope};

/// Who asks for a permit, and what for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asker {
    /// Who: `services/campaigns` for work of our own.
    pub(crate) caller: String,
    pub(crate) purpose: String,
    /// What is to be called, without ids.
    pub(crate) call: String,
}

/// Whose call it is. It rides in the permit, so that an answer which comes back to another replica is counted for the same
/// caller.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Message)]
pub(crate) struct Origin {
    #[prost(string, tag = "1")]
    pub(crate) tenant: String,
    /// What it is about, such as `adAccounts/act_1`.
    #[prost(string, tag = "2")]
    pub(crate) subject: String,
    #[prost(string, tag = "3")]
    pub(crate) use_case: String,
    #[prost(string, tag = "4")]
    pub(crate) caller: String,
    #[prost(string, tag = "5")]
    pub(crate) purpose: String,
    #[prost(string, tag = "6")]
    pub(crate) call: String,
    /// As the scripts number the classes.
    #[prost(int32, tag = "7")]
    pub(crate) priority: i32,
}

impl Origin {
    /// Of a demand: it is about the ad account that it is charged to, else about a page, a user or nothing.
    pub(crate) fn of(tenant: &str, asker: &Asker, demand: &Demand) -> Self {
        let scopes = || demand.charges.iter().map(|(bucket, _)| &bucket.scope);
        let main = scopes().max_by_key(|scope| weight(scope));
        Self {
            tenant: tenant.to_owned(),
            subject: main.map(subject).unwrap_or_default(),
            use_case: main.map(|scope| scope.use_case.clone()).unwrap_or_default(),
            caller: asker.caller.clone(),
            purpose: asker.purpose.clone(),
            call: asker.call.clone(),
            priority: i32::try_from(demand.priority.class()).unwrap_or_default(),
        }
    }
}

/// Which scope says best what a call is about.
fn weight(scope: &Scope) -> u8 {
    match scope.kind {
        Kind::AdAccount if !scope.use_case.is_empty() => 7,
        Kind::AdAccount => 6,
        Kind::Mutation => 5,
        Kind::Page => 4,
        Kind::BudgetChange => 3,
        Kind::User => 2,
        Kind::App => 1,
        Kind::TenantShare => 0,
    }
}
