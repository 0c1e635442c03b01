//! A world that a person writes down, in TOML or in JSON (by the file's ending), over what every world has.
//!
//! ```toml
//! [[accounts]]
//! id = "act_1000000000001"         # one of every world, which this renames, or a new one
//! name = "Outdoor"
//! currency = "EUR"
//! zone = "Europe/Berlin"
//! spend_cap = 500000               # minor units; 0: none
//! ceilings = { ads = 50000 }       # how much it may hold, where it is more than the settings say
//!
//! [[accounts.campaigns]]
//! name = "Sale"
//! objective = "OUTCOME_SALES"      # default OUTCOME_TRAFFIC
//! status = "PAUSED"                # default ACTIVE, for ad sets and ads as well
//! count = 3                        # so many of it, numbered; for ad sets and ads as well
//!
//! [[accounts.campaigns.ad_sets]]
//! name = "Germany"
//! goal = "OFFSITE_CONVERSIONS"     # default: one that fits the objective
//! daily_budget = 5000              # or on the campaign, and then on none of its ad sets
//!
//! [[accounts.campaigns.ad_sets.ads]]
//! name = "Tent"
//! creative = "Green tent"          # ads of an account that name the same one share it; default: the ad's name
//! review = "DISAPPROVED"           # or APPROVED (default), IN_PROCESS, WITH_ISSUES
//! days = [{ from = -30, to = -1, spend = 1200 }, { from = "2026-11-14", spend = 900 }]
//!
//! [[accounts.audiences]]
//! name = "Buyers"
//! people = 1200
//!
//! [[pages]]                        # also instagram_accounts and datasets
//! id = "3000000000000777"
//! name = "Outdoor"
//!
//! [[tokens]]
//! token = "reader"
//! scopes = ["ads_read"]
//! holder = "USER"                  # default SYSTEM_USER
//! expires = "2026-12-01T00:00:00Z" # or seconds after the start; default: never
//! ```
//!
//! Days are dates of the account's zone, or numbers of days from the day on which the world was made. A span without
//! `to` still runs.

mod fill;
mod plan;
mod table;

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

pub(super) use fill::fill;
pub(crate) use plan::Plan;

/// Reads a file into a tree. Tokens are sealed at once, so that no journal holds one.
pub(super) fn parse(path: &Path) -> io::Result<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let bad = |error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let mut value = if path.extension().is_some_and(|ending| ending == "json") {
        serde_json::from_str(&text).map_err(|error| bad(&error))?
    } else {
        tree(text.parse::<toml::Table>().map(toml::Value::Table).map_err(|error| bad(&error))?)
    };
    seal(&mut value);
    Ok(value)
}

/// Takes the digests of tokens in their place.
fn seal(value: &mut Value) {
    for token in value.get_mut("tokens").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(token) = token.as_object_mut()
            && let Some(Value::String(secret)) = token.remove("token")
        {
            token.insert("digest".to_owned(), Value::String(super::sealed(&secret)));
        }
    }
}

/// TOML's dates become texts, as they are in JSON.
fn tree(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(at) => Value::String(at.to_string()),
        toml::Value::Array(items) => items.into_iter().map(tree).collect(),
        toml::Value::Table(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, tree(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests;
