//! A row of Meta's as the row that callers get.

use std::collections::BTreeMap;

use graph::insights as meta;
use proto::{common::v1::Money as PbMoney, insights::v1 as pb};
use vocabulary::{Currency, Money};

use crate::reconcile::Sums;

/// The row for callers. What stands under the name of one of `breakdowns` is a breakdown's value, all else a metric.
pub(crate) fn encode(row: meta::Row, breakdowns: &[String]) -> pb::Row {
    let currency = row.spend.currency();
    let (split, metrics) = row.others.into_iter().partition::<BTreeMap<_, _>, _>(|(key, _)| breakdowns.contains(key));
    pb::Row {
        date_start: row.date_start.to_string(),
        date_stop: row.date_stop.to_string(),
        account_id: row.account_id,
        account_name: row.account_name,
        campaign_id: row.campaign_id,
        campaign_name: row.campaign_name,
        adset_id: row.adset_id,
        adset_name: row.adset_name,
        ad_id: row.ad_id,
        ad_name: row.ad_name,
        impressions: row.impressions,
        clicks: row.clicks,
        reach: row.reach,
        spend: Some(money(row.spend)),
        actions: row.actions.into_iter().map(action).collect(),
        action_values: row.action_values.into_iter().map(|value| action_value(value, currency)).collect(),
        breakdowns: split,
        metrics,
    }
}

/// What can be added up.
pub(crate) fn sums(row: &meta::Row) -> Sums {
    Sums { impressions: row.impressions, clicks: row.clicks, spend_minor: row.spend.minor() }
}

/// Money for callers.
pub(crate) fn money(money: Money) -> PbMoney {
    PbMoney { currency_code: money.currency().code().to_owned(), minor_units: money.minor() }
}

fn action(action: meta::Action) -> pb::Action {
    pb::Action {
        action_type: action.action_type,
        value: action.value,
        windows: action.windows.into_iter().collect(),
        breakdowns: action.breakdowns.into_iter().collect(),
    }
}

/// Values are modelled by Meta and may be finer than a cent: then the exact text stands alone.
fn action_value(action: meta::Action, currency: Currency) -> pb::ActionValue {
    pb::ActionValue {
        amount: Money::from_decimal(&action.value, currency).ok().map(money),
        action_type: action.action_type,
        value: action.value,
        windows: action.windows.into_iter().collect(),
        breakdowns: action.breakdowns.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> meta::Row {
        serde_json::from_str(
            r#"{"account_id":"1","account_currency":"USD","ad_id":"9","impressions":"10","clicks":"2","spend":"1.50",
            "age":"18-24","ctr":"20","action_values":[{"action_type":"purchase","value":"412.5"},
            {"action_type":"lead","value":"0.125"}],"date_start":"2026-11-01","date_stop":"2026-11-01"}"#,
        )
        .unwrap()
    }

    #[test]
    fn breakdowns_and_metrics_are_told_apart() {
        let row = encode(row(), &["age".to_owned()]);
        assert_eq!(row.breakdowns, [("age".to_owned(), "18-24".to_owned())].into());
        assert_eq!(row.metrics, [("ctr".to_owned(), "20".to_owned())].into());
        assert_eq!(row.spend.map(|spend| spend.minor_units), Some(150));
    }

    #[test]
    fn a_value_finer_than_a_cent_keeps_its_digits_and_is_no_money() {
        let row = encode(row(), &[]);
        let amounts: Vec<_> =
            row.action_values.iter().map(|value| value.amount.as_ref().map(|a| a.minor_units)).collect();
        assert_eq!(amounts, [Some(41_250), None]);
        assert_eq!(row.action_values[1].value, "0.125");
    }
}
