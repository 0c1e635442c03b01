//! What was done: amounts, things, orders.

use proto::conversions::v1 as pb;

use super::{Findings, extra, words};
use crate::payload::{Object, list};

/// Checks custom data and writes it; `None` where there is nothing to write.
pub(super) fn write(event: &pb::Event, findings: &mut Findings) -> Option<String> {
    let nothing = pb::CustomData::default();
    let data = event.custom_data.as_ref().unwrap_or(&nothing);
    amounts(event, data, findings);
    contents(data, findings);
    extra(&data.extra, "custom_data.extra", words::CUSTOM_MEMBERS, findings);
    let object = object(data);
    (!object.is_empty()).then(|| object.end())
}

fn amounts(event: &pb::Event, data: &pb::CustomData, findings: &mut Findings) {
    let purchase = event.event_name == words::PURCHASE;
    let wanted = "must be given for a Purchase";
    findings.refuse_unless(!purchase || data.value.is_some(), "custom_data.value", "VALUE_MISSING", wanted);
    findings.refuse_unless(!purchase || !data.currency.is_empty(), "custom_data.currency", "CURRENCY_MISSING", wanted);
    let currency_stands = data.currency.is_empty()
        || (data.currency.len() == 3 && data.currency.bytes().all(|byte| byte.is_ascii_alphabetic()));
    findings.refuse_unless(
        currency_stands,
        "custom_data.currency",
        "CURRENCY_MALFORMED",
        "must be an ISO 4217 code of three letters",
    );
    for (field, value) in [("custom_data.value", &data.value), ("custom_data.predicted_ltv", &data.predicted_ltv)] {
        let stands = value.as_deref().is_none_or(is_amount);
        findings.refuse_unless(stands, field, "AMOUNT_MALFORMED", "must be a decimal such as 29.33, not negative");
    }
}

fn contents(data: &pb::CustomData, findings: &mut Findings) {
    let most = "must have at most 1,000 entries";
    findings.refuse_unless(data.contents.len() <= 1_000, "custom_data.contents", "TOO_MANY", most);
    findings.refuse_unless(data.content_ids.len() <= 1_000, "custom_data.content_ids", "TOO_MANY", most);
    for (place, content) in data.contents.iter().enumerate() {
        let field = |name: &str| format!("custom_data.contents[{place}].{name}");
        findings.refuse_unless(!content.id.is_empty(), &field("id"), "CONTENT_ID_MISSING", "must be given");
        let quantity_stands = content.quantity.is_none_or(|quantity| quantity > 0);
        findings.refuse_unless(quantity_stands, &field("quantity"), "QUANTITY_MALFORMED", "must be at least 1");
        let price_stands = content.item_price.as_deref().is_none_or(is_amount);
        findings.refuse_unless(
            price_stands,
            &field("item_price"),
            "AMOUNT_MALFORMED",
            "must be a decimal such as 29.33, not negative",
        );
        category(&content.delivery_category, &field("delivery_category"), findings);
    }
    category(&data.delivery_category, "custom_data.delivery_category", findings);
    let items_stand = data.num_items.is_none_or(|items| items >= 0);
    findings.refuse_unless(items_stand, "custom_data.num_items", "QUANTITY_MALFORMED", "must not be negative");
}

fn category(word: &str, field: &str, findings: &mut Findings) {
    findings.refuse_unless(
        words::DELIVERY_CATEGORIES.contains(&word),
        field,
        "DELIVERY_CATEGORY_UNKNOWN",
        "must be in_store, curbside or home_delivery",
    );
}

/// A decimal as JSON writes numbers: digits without leading zeros, at most 12 before the point and 6 behind it.
fn is_amount(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits(whole, 12) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(|part| digits(part, 6))
}

fn object(data: &pb::CustomData) -> Object {
    let mut object = Object::new();
    for (key, amount) in [("value", &data.value), ("predicted_ltv", &data.predicted_ltv)] {
        if let Some(amount) = amount {
            object.raw(key, amount);
        }
    }
    object.text_if_any("currency", &data.currency.to_ascii_uppercase());
    object.text_if_any("content_name", &data.content_name);
    object.text_if_any("content_category", &data.content_category);
    object.texts_if_any("content_ids", &data.content_ids);
    if !data.contents.is_empty() {
        let contents: Vec<String> = data.contents.iter().map(content).collect();
        object.raw("contents", &list(&contents));
    }
    object.text_if_any("content_type", &data.content_type);
    object.text_if_any("order_id", &data.order_id);
    if let Some(items) = data.num_items {
        object.raw("num_items", &items.to_string());
    }
    object.text_if_any("status", &data.status);
    object.text_if_any("search_string", &data.search_string);
    object.text_if_any("delivery_category", &data.delivery_category);
    for (key, json) in &data.extra {
        object.raw(key, json);
    }
    object
}

fn content(content: &pb::Content) -> String {
    let mut object = Object::new();
    object.text("id", &content.id);
    if let Some(quantity) = content.quantity {
        object.raw("quantity", &quantity.to_string());
    }
    if let Some(price) = &content.item_price {
        object.raw("item_price", price);
    }
    object.text_if_any("title", &content.title);
    object.text_if_any("brand", &content.brand);
    object.text_if_any("category", &content.category);
    object.text_if_any("delivery_category", &content.delivery_category);
    object.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_json_number_that_is_not_negative() {
        for amount in ["0", "29.33", "0.5", "1500", "999999999999.999999"] {
            assert!(is_amount(amount), "{amount}");
            assert!(serde_json::from_str::<serde_json::Number>(amount).is_ok(), "{amount}");
        }
        for amount in ["", "-1", "1.", ".5", "01", "1,5", "1e3", "NaN", "1.1234567", " 1", "1 USD"] {
            assert!(!is_amount(amount), "{amount}");
        }
    }
}
