//! Ad accounts.

use serde_json::{Value, json};

use super::{budgets, lifecycle, recommendations, write};
use crate::error::Refusal;
use crate::fields;
use crate::insights;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, local};

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

fn funding_source(account: &Object) -> String {
    account.id.saturating_mul(10).saturating_add(7).to_string()
}

pub(crate) fn show(view: &View<'_>, account: &Object, name: &str) -> Option<Shown> {
    let currency = account.text("currency");
    Some(match name {
        "business" => Shown::node(account.owner),
        "owner" => Shown::text(account.owner.unwrap_or_default().to_string()),
        "amount_spent" => Shown::text(amount_spent(view, account).to_string()),
        "min_daily_budget" => Shown::Value(json!(budgets::minimum_daily(&view.state.settings, currency))),
        "funding_source" => Shown::text(funding_source(account)),
        "funding_source_details" => Shown::Value(json!({
            "id": funding_source(account), "display_string": "Sandbox card *1234", "type": 1,
        })),
        "fb_entity" => Shown::Value(json!(1)),
        "business_name" | "end_advertiser_name" if !account.fields.contains_key(name) => {
            let business = account.owner.and_then(|owner| view.state.object(owner));
            business.map_or(Shown::Absent, |business| Shown::text(business.name()))
        }
        "end_advertiser" if !account.fields.contains_key(name) => {
            Shown::text(account.owner.unwrap_or_default().to_string())
        }
        "has_migrated_permissions" | "is_attribution_spec_system_default" => Shown::Value(Value::Bool(true)),
        "is_notifications_enabled" if !account.fields.contains_key(name) => Shown::Value(Value::Bool(true)),
        "can_create_brand_lift_study"
        | "has_page_authorized_adaccount"
        | "is_direct_deals_enabled"
        | "is_in_3ds_authorization_enabled_market"
        | "is_tax_id_required" => Shown::Value(Value::Bool(false)),
        "tax_id_status" => Shown::Value(json!(0)),
        "owner_business" | "viewable_business" => Shown::node(account.owner),
        "opportunity_score" => Shown::Value(recommendations::score(view.state, account)),
        "min_campaign_group_spend_cap" => Shown::text("10000"),
        "created_time" => Shown::text(crate::state::iso(view.state, account.id, account.created)),
        "age" => Shown::Value(days(view, account)),
        "timezone_id" => Shown::Value(json!(timezone_id(account.text("timezone_name")))),
        "timezone_offset_hours_utc" => {
            let seconds = local(view.state, account.id, view.now).offset().seconds();
            Shown::Value(hours(seconds))
        }
        "is_personal" => Shown::Value(json!(0)),
        "is_prepay_account" => Shown::Value(Value::Bool(false)),
        "user_tasks" => Shown::Value(json!(["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"])),
        "capabilities" => Shown::Value(json!(["CAN_CREATE_CALL_ADS", "CAN_USE_REACH_AND_FREQUENCY"])),
        _ => return None,
    })
}

const DAY_SECONDS: i64 = 86_400;

/// What an account is called, who advertises with it, and who speaks for its ads.
const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("default_dsa_beneficiary", Form::Text),
    ("default_dsa_payor", Form::Text),
    ("end_advertiser", Form::Text),
    ("media_agency", Form::Text),
    ("partner", Form::Text),
    ("attribution_spec", Form::List),
    ("is_notifications_enabled", Form::Boolean),
    ("is_ba_skip_delayed_eligible", Form::Boolean),
    ("custom_audience_info", Form::Object),
    ("existing_customers", Form::List),
    ("brand_safety_content_filter_levels", Form::List),
];
const SPEND_CAP_ACTIONS: &[&str] = &["delete", "reset"];

/// `POST /act_X`.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut account = old.clone();
    account.fields.extend(spec::read(state, old.id, PARAMS, &call.params, call.now)?);
    lifecycle::named(&call.params)?;
    in_use(state, call, old)?;
    for (param, field) in [("currency", "currency"), ("timezone_name", "timezone_name")] {
        if let Some(text) = call.params.text(param) {
            account.fields.insert(field.to_owned(), json!(text));
        }
    }
    if let Some(cap) = call.params.text("spend_cap") {
        let digits = budgets::minor_digits(account.text("currency"));
        let minor = minor(&cap, digits)
            .ok_or_else(|| Refusal::invalid("Param spend_cap must be a non-negative amount").blame(&["spend_cap"]))?;
        let spent = amount_spent(&View::of(state, call), old);
        if minor != 0 && minor < spent {
            let text = "The spend_cap must not be below what was already spent; reset it first, or choose more";
            return Err(Refusal::invalid(text).blame(&["spend_cap"]));
        }
        account.fields.insert("spend_cap".to_owned(), json!(minor.to_string()));
    }
    if call.params.has("spend_cap") || call.params.has("spend_cap_action") {
        budgets::note_cap_change(&mut account, state.settings.limits.spend_cap_changes_a_day, call.now)?;
    }
    match call.params.text("spend_cap_action").as_deref() {
        None => {}
        Some("delete") => {
            account.fields.insert("spend_cap".to_owned(), json!("0"));
        }
        // What was spent so far no longer counts against the cap.
        Some("reset") => {
            let spent = insights::spent(&View::of(state, call), old);
            account.fields.insert("_spent_before".to_owned(), json!(spent.to_string()));
        }
        Some(_) => {
            let text = format!("Param spend_cap_action must be one of {{{}}}", SPEND_CAP_ACTIONS.join(", "));
            return Err(Refusal::invalid(text).blame(&["spend_cap_action"]));
        }
    }
    account.updated = call.now;
    let id = account.id;
    write::keep(state, account);
    write::updated(state, call, id)
}

/// Fails where currency or zone of an account are to change that has campaigns, or to what does not exist.
fn in_use(state: &State, call: &Call, account: &Object) -> Result<(), Refusal> {
    let changed = |name: &str| call.params.text(name).filter(|text| text != account.text(name));
    let (currency, zone) = (changed("currency"), changed("timezone_name"));
    currency.as_deref().map_or(Ok(()), budgets::takes)?;
    if zone.as_ref().is_some_and(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
        return Err(Refusal::invalid("Param timezone_name must be a time zone").blame(&["timezone_name"]));
    }
    let used = state.children(account.id, Kind::Campaign).next().is_some();
    if used && (currency.is_some() || zone.is_some()) {
        return Err(Refusal::new(2615, "(#2615) Invalid call to update this adaccount"));
    }
    Ok(())
}

/// `GET /act_X/minimum_budgets`: one row for each currency, whatever the account's own is.
pub(crate) fn minimum_budgets(state: &State, call: &Call) -> Result<Value, Refusal> {
    let bid = call.params.integer("bid_amount")?.unwrap_or_default();
    let rows: Vec<Value> = budgets::MINIMUMS
        .iter()
        .map(|(currency, _)| {
            let least = budgets::minimum_daily(&state.settings, currency);
            // With a bid the budget must pay for some results, but not where impressions are billed.
            let with_bid = least.max(bid.saturating_mul(5));
            json!({
                "currency": currency,
                "min_daily_budget_imp": least,
                "min_daily_budget_video_views": with_bid,
                "min_daily_budget_high_freq": with_bid,
                "min_daily_budget_low_freq": least.saturating_mul(40).max(with_bid),
            })
        })
        .collect();
    Ok(json!({ "data": rows }))
}

/// `GET /act_X/dsa_recommendations`: who was named before as beneficiary or payer, by default or by an ad set.
pub(crate) fn dsa_recommendations(state: &State, account: &Object) -> Value {
    let ad_sets = state.children(account.id, Kind::AdSet).filter_map(|id| state.object(id));
    let named = ad_sets.flat_map(|ad_set| [ad_set.text("dsa_beneficiary"), ad_set.text("dsa_payor")]);
    let defaults = [account.text("default_dsa_beneficiary"), account.text("default_dsa_payor")];
    let names: std::collections::BTreeSet<&str> = named.chain(defaults).filter(|name| !name.is_empty()).collect();
    json!({ "data": [{ "recommendations": names }] })
}

/// `GET /act_X/applications` and `advertisable_applications`.
pub(crate) fn apps(state: &State, call: &Call) -> Result<Value, Refusal> {
    let wanted = call.params.text("app_id");
    let ids: Vec<u64> =
        state.all(Kind::App).filter(|id| wanted.as_ref().is_none_or(|wanted| *wanted == id.to_string())).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// What was spent since the spend cap was last reset.
fn amount_spent(view: &View<'_>, account: &Object) -> i64 {
    insights::spent(view, account).saturating_sub(account.minor("_spent_before"))
}

/// An amount in major units as minor ones; spend caps of accounts are written in the former and read in the latter.
fn minor(text: &str, digits: usize) -> Option<i64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !is_number(whole) || !is_number(part) {
        return None;
    }
    if part.len() > digits && part.chars().skip(digits).any(|digit| digit != '0') {
        return None;
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(digits).collect();
    format!("{whole}{part}").parse().ok()
}

/// Days with their fraction, by way of its text: `90.0` is written as such.
fn days(view: &View<'_>, account: &Object) -> Value {
    let seconds = view.now.duration_since(account.created).as_secs().max(0);
    let part = seconds % DAY_SECONDS * 10_000 / DAY_SECONDS;
    serde_json::from_str(&format!("{}.{part:04}", seconds / DAY_SECONDS)).unwrap_or_default()
}

/// An offset in hours; some zones are half an hour or a quarter off.
fn hours(seconds: i32) -> Value {
    let (sign, minutes) = (if seconds < 0 { "-" } else { "" }, seconds.abs() / 60);
    let text = format!("{sign}{}.{:02}", minutes / 60, minutes % 60 * 100 / 60);
    text.parse::<f64>().map_or(Value::Null, Value::from)
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
    fn offsets_have_their_halves_and_quarters() {
        for (seconds, shown) in [(-28_800, -8.0), (0, 0.0), (19_800, 5.5), (-12_600, -3.5), (20_700, 5.75)] {
            assert_eq!(hours(seconds), json!(shown));
        }
    }

    #[test]
    fn spend_caps_are_written_in_major_units() {
        assert_eq!(minor("100", 2), Some(10_000));
        assert_eq!(minor("100.5", 2), Some(10_050));
        assert_eq!(minor("100.501", 2), None);
        assert_eq!(minor("100", 0), Some(100));
        assert_eq!((minor("1.2345", 3), minor("1.234", 3)), (None, Some(1_234)));
        for text in ["-1", "-", ".", "", "+1", "1.-", "1e3", " . "] {
            assert_eq!(minor(text, 2), None, "{text}");
        }
    }
}
