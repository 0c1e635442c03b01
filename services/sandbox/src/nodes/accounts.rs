//! Ad accounts.

use serde_json::{Value, json};

use super::{budgets, write};
use crate::error::Refusal;
use crate::insights;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Object, State, local};

pub(crate) const FIELDS: &str = "account_id account_status ad_account_promotable_objects age agency_client_declaration all_capabilities \
    amount_spent attribution_spec balance brand_safety_content_filter_levels business business_city \
    business_country_code business_name business_state business_street business_street2 business_zip \
    can_create_brand_lift_study capabilities created_time currency custom_audience_info \
    default_dsa_beneficiary default_dsa_payor disable_reason end_advertiser end_advertiser_name \
    existing_customers expired_funding_source_details extended_credit_invoice_group failed_delivery_checks \
    fb_entity funding_source funding_source_details has_migrated_permissions has_page_authorized_adaccount id \
    io_number is_attribution_spec_system_default is_ba_skip_delayed_eligible is_direct_deals_enabled \
    is_in_3ds_authorization_enabled_market is_notifications_enabled is_personal is_prepay_account \
    is_tax_id_required liable_address line_numbers marketing_messages_settings media_agency \
    min_campaign_group_spend_cap min_daily_budget name offsite_clo_signal_status offsite_pixels_tos_accepted \
    opportunity_score opportunity_score_weight owner owner_business partner rf_spec send_bill_to_address \
    show_checkout_experience sold_to_address spend_cap tax_id tax_id_status tax_id_type timezone_id \
    timezone_name timezone_offset_hours_utc tos_accepted user_access_expire_time user_tasks user_tos_accepted \
    viewable_business";

pub(crate) fn show(view: &View<'_>, account: &Object, name: &str) -> Option<Shown> {
    let currency = account.text("currency");
    Some(match name {
        "business" => Shown::node(account.owner),
        "owner" => Shown::text(account.owner.unwrap_or_default().to_string()),
        "amount_spent" => Shown::text(insights::spent(view, account).to_string()),
        "min_daily_budget" => Shown::Value(json!(budgets::minimum_daily(currency))),
        "min_campaign_group_spend_cap" => Shown::text("10000"),
        "created_time" => Shown::text(crate::state::iso(view.state, account.id, account.created)),
        "age" => Shown::Value(json!(days(view, account))),
        "timezone_id" => Shown::Value(json!(timezone_id(account.text("timezone_name")))),
        "timezone_offset_hours_utc" => {
            let hours = local(view.state, account.id, view.now).offset().seconds() / 3_600;
            Shown::Value(json!(f64::from(hours)))
        }
        "is_personal" => Shown::Value(json!(0)),
        "is_prepay_account" => Shown::Value(Value::Bool(false)),
        "user_tasks" => Shown::Value(json!(["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"])),
        "capabilities" => Shown::Value(json!(["CAN_CREATE_CALL_ADS", "CAN_USE_REACH_AND_FREQUENCY"])),
        _ => return None,
    })
}

/// `POST /act_X`.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut account = old.clone();
    for name in ["name", "default_dsa_beneficiary", "default_dsa_payor", "end_advertiser"] {
        if let Some(text) = call.params.text(name) {
            account.fields.insert(name.to_owned(), Value::String(text));
        }
    }
    if let Some(cap) = call.params.text("spend_cap") {
        let digits = budgets::minor_digits(account.text("currency"));
        let minor = minor(&cap, digits)
            .ok_or_else(|| Refusal::invalid("Param spend_cap must be a non-negative amount").blame(&["spend_cap"]))?;
        account.fields.insert("spend_cap".to_owned(), json!(minor.to_string()));
    }
    if call.params.text("spend_cap_action").is_some_and(|action| action == "delete") {
        account.fields.insert("spend_cap".to_owned(), json!("0"));
    }
    account.updated = call.now;
    let id = account.id;
    write::keep(state, account);
    write::updated(state, call, id)
}

/// `GET /act_X/minimum_budgets`.
pub(crate) fn minimum_budgets() -> Value {
    let rows: Vec<Value> = ["USD", "EUR", "JPY"]
        .iter()
        .map(|currency| {
            let least = budgets::minimum_daily(currency);
            json!({
                "currency": currency,
                "min_daily_budget_imp": least,
                "min_daily_budget_video_views": least,
                "min_daily_budget_high_freq": least.saturating_mul(5),
                "min_daily_budget_low_freq": least.saturating_mul(40),
            })
        })
        .collect();
    json!({ "data": rows })
}

/// An amount in major units as minor ones; spend caps of accounts are written in the former and read in the latter.
fn minor(text: &str, digits: usize) -> Option<i64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if part.len() > digits && part.chars().skip(digits).any(|digit| digit != '0') {
        return None;
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(digits).collect();
    format!("{whole}{part}").parse().ok().filter(|&minor| minor >= 0)
}

fn days(view: &View<'_>, account: &Object) -> i64 {
    view.now.duration_since(account.created).as_hours() / 24
}

/// Meta numbers the zones; only those of the worlds are known here.
fn timezone_id(name: &str) -> u32 {
    match name {
        "America/Los_Angeles" => 1,
        "Europe/Berlin" => 47,
        "Asia/Tokyo" => 78,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spend_caps_are_written_in_major_units() {
        assert_eq!(minor("100", 2), Some(10_000));
        assert_eq!(minor("100.5", 2), Some(10_050));
        assert_eq!(minor("100.501", 2), None);
        assert_eq!(minor("100", 0), Some(100));
        assert_eq!(minor("-1", 2), None);
    }
}
