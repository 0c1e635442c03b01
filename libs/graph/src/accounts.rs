//! Ad accounts at Meta.

use serde_json::Value;
use vocabulary::ids::AdAccountId;

use crate::call::Call;

/// The message that mirrors an ad account.
pub const MESSAGE: &str = "adplane.campaigns.v1.AdAccount";

/// The fields of that message, in Meta's words.
pub const FIELDS: &[&str] = &[
    "account_id",
    "name",
    "currency",
    "timezone_name",
    "account_status",
    "disable_reason",
    "amount_spent",
    "spend_cap",
    "balance",
    "min_daily_budget",
];

/// One ad account.
pub fn get(account: AdAccountId) -> Call<Value> {
    Call::get(account.act()).fields(FIELDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_by_its_number() {
        assert!(get(AdAccountId::new(7)).to_string().starts_with("GET /act_7\nfields=account_id,name,currency"));
    }
}
