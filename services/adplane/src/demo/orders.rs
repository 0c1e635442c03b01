//! The shop's orders, each of which becomes a purchase event.

use std::path::Path;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use proto::conversions::v1::{CustomData, Event};

use super::{mistake::Mistakes, people::People, table};

const COLUMNS: [&str; 6] = ["order_id", "customer_no", "ordered_on", "units", "value", "currency"];

/// One order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    id: String,
    customer: String,
    day: Date,
    units: i64,
    value: String,
    currency: String,
}

/// Reads the file.
pub(crate) fn read(file: &Path) -> Result<Vec<Order>, Mistakes> {
    table::read(file, &COLUMNS, |line| {
        if line.get("order_id").is_empty() {
            return Err(line.mistake("order_id", "is empty"));
        }
        Ok(Order {
            id: line.get("order_id").to_owned(),
            customer: line.get("customer_no").to_owned(),
            day: line.parse("ordered_on", "day; write it as 2026-11-30", |text| text.parse().ok())?,
            units: line.parse("units", "whole number", |text| text.parse().ok().filter(|units| *units >= 0))?,
            value: line.parse("value", "amount such as 29.90", |text| is_amount(text).then(|| text.to_owned()))?,
            currency: line.parse("currency", "currency of three letters", |text| {
                (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic())).then(|| text.to_uppercase())
            })?,
        })
    })
}

/// Digits, at most one point, nothing else: amounts are never floats.
pub(super) fn is_amount(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// Moves all orders by the same number of days, so that the newest is today.
pub(crate) fn shift(orders: &mut [Order], today: Date) {
    let Some(newest) = orders.iter().map(|order| order.day).max() else { return };
    let distance = today.duration_since(newest);
    for order in orders {
        order.day = order.day.saturating_add(distance);
    }
}

/// The events of these orders. An order knows its day only: noon stands for the time, or now where noon is to come.
pub(crate) fn events(orders: &[Order], people: &People, now: Timestamp) -> Vec<Event> {
    orders.iter().map(|order| event(order, people, now)).collect()
}

fn event(order: &Order, people: &People, now: Timestamp) -> Event {
    let noon = order.day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(now, |noon| noon.timestamp());
    let just_now = now.saturating_sub(SignedDuration::from_mins(1)).unwrap_or(now);
    let time = noon.min(just_now);
    Event {
        event_name: "Purchase".to_owned(),
        event_time: Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 }),
        event_id: order.id.clone(),
        action_source: "system_generated".to_owned(),
        user_data: Some(people.user_data(&order.customer)),
        custom_data: Some(CustomData {
            value: Some(order.value.clone()),
            currency: order.currency.clone(),
            order_id: order.id.clone(),
            num_items: Some(order.units),
            ..CustomData::default()
        }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn the_newest_order_becomes_today_and_the_others_keep_their_distance() {
        let file = file(
            "order_id,customer_no,ordered_on,units,value,currency\na,1,1997-01-01,1,9.90,usd\nb,2,1997-01-04,2,5,USD\n",
        );
        let mut orders = read(file.path()).unwrap();
        shift(&mut orders, jiff::civil::date(2026, 3, 2));
        assert_eq!(orders[1].day, jiff::civil::date(2026, 3, 2));
        assert_eq!(orders[0].day, jiff::civil::date(2026, 2, 27));
    }

    #[test]
    fn every_mistake_is_told_with_line_column_and_reason() {
        let file = file(
            "order_id,customer_no,ordered_on,units,value,currency\na,1,01/02/1997,1,9.90,USD\nb,2,1997-01-04,x,5,USD\nc,2\n",
        );
        let mistakes = read(file.path()).unwrap_err().to_string();
        assert!(
            mistakes.contains("line 2, column ordered_on: `01/02/1997` is no day; write it as 2026-11-30"),
            "{mistakes}"
        );
        assert!(mistakes.contains("line 3, column units: `x` is no whole number"), "{mistakes}");
        assert!(mistakes.contains("line 4: has 2 values where the header has 6"), "{mistakes}");
    }

    #[test]
    fn a_missing_column_names_those_that_are_there() {
        let file = file("order_id,customer,ordered_on,units,value,currency\n");
        let mistakes = read(file.path()).unwrap_err().to_string();
        assert!(
            mistakes.contains("line 1, column customer_no: is missing; the header has order_id, customer,"),
            "{mistakes}"
        );
    }
}
