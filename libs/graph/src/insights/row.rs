//! One row, parsed by hand: a report has millions, and each key is looked at once.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::Value;
use vocabulary::{Currency, Money, calendar::Day};

/// What Meta measured for one object, one slice and one combination of breakdown values.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The first day of the slice.
    pub date_start: Day,
    /// The last day of the slice.
    pub date_stop: Day,
    /// The ad account, digits only.
    pub account_id: String,
    /// Its name.
    pub account_name: String,
    /// At level campaign and below.
    pub campaign_id: String,
    /// Its name.
    pub campaign_name: String,
    /// At level ad set and below.
    pub adset_id: String,
    /// Its name.
    pub adset_name: String,
    /// At level ad.
    pub ad_id: String,
    /// Its name.
    pub ad_name: String,
    /// How often something was shown; Meta leaves out zeros.
    pub impressions: i64,
    /// Clicks of any kind.
    pub clicks: i64,
    /// People reached, where asked for.
    pub reach: Option<i64>,
    /// What it cost, to the last unit.
    pub spend: Money,
    /// What people did.
    pub actions: Vec<Action>,
    /// What it was worth.
    pub action_values: Vec<Action>,
    /// Everything else under Meta's keys: breakdown values and other metrics. Text and numbers as they are, lists and
    /// objects as JSON text.
    pub others: Vec<(String, String)>,
}

/// One kind of action and its number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// Meta's word.
    pub action_type: String,
    /// A decimal number.
    pub value: String,
    /// By attribution window.
    pub windows: Vec<(String, String)>,
    /// By action breakdown.
    pub breakdowns: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a row of insights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut row = Row {
            date_start: Day::default(),
            date_stop: Day::default(),
            account_id: String::new(),
            account_name: String::new(),
            campaign_id: String::new(),
            campaign_name: String::new(),
            adset_id: String::new(),
            adset_name: String::new(),
            ad_id: String::new(),
            ad_name: String::new(),
            impressions: 0,
            clicks: 0,
            reach: None,
            spend: Money::zero(Currency::USD),
            actions: Vec::new(),
            action_values: Vec::new(),
            others: Vec::new(),
        };
        let mut dates = (false, false);
        let mut currency: Option<Currency> = None;
        let mut spend: Option<String> = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "date_start" => (row.date_start, dates.0) = (parsed(&mut map, "date_start")?, true),
                "date_stop" => (row.date_stop, dates.1) = (parsed(&mut map, "date_stop")?, true),
                "account_id" => row.account_id = text(&mut map)?,
                "account_name" => row.account_name = text(&mut map)?,
                "account_currency" => currency = Some(parsed(&mut map, "account_currency")?),
                "campaign_id" => row.campaign_id = text(&mut map)?,
                "campaign_name" => row.campaign_name = text(&mut map)?,
                "adset_id" => row.adset_id = text(&mut map)?,
                "adset_name" => row.adset_name = text(&mut map)?,
                "ad_id" => row.ad_id = text(&mut map)?,
                "ad_name" => row.ad_name = text(&mut map)?,
                "impressions" => row.impressions = parsed(&mut map, "impressions")?,
                "clicks" => row.clicks = parsed(&mut map, "clicks")?,
                "reach" => row.reach = Some(parsed(&mut map, "reach")?),
                "spend" => spend = Some(text(&mut map)?),
                "actions" => row.actions = map.next_value()?,
                "action_values" => row.action_values = map.next_value()?,
                _ => match map.next_value()? {
                    Value::Null => {}
                    Value::String(value) => row.others.push((key, value)),
                    value => row.others.push((key, value.to_string())),
                },
            }
        }
        if dates != (true, true) {
            return Err(de::Error::custom("a row without `date_start` or `date_stop`"));
        }
        let currency = currency.ok_or_else(|| de::Error::missing_field("account_currency"))?;
        row.spend = match spend {
            Some(spend) => Money::from_decimal(&spend, currency)
                .map_err(|error| de::Error::custom(format_args!("`spend` is `{spend}`: {error}")))?,
            None => Money::zero(currency),
        };
        Ok(row)
    }
}

/// A scalar of Meta's: text, though in places a bare number.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("text or a number")
            }
            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }
            fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
                Ok(Scalar(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    map.next_value::<Scalar>().map(|scalar| scalar.0)
}

fn parsed<'de, A: MapAccess<'de>, T: std::str::FromStr>(map: &mut A, key: &str) -> Result<T, A::Error> {
    let text = text(map)?;
    text.parse().map_err(|_| de::Error::custom(format_args!("`{key}` is `{text}`")))
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ActionVisitor)
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an action and its number")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Action, A::Error> {
        let mut action = Action::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "action_type" => action.action_type = text(&mut map)?,
                "value" => action.value = decimal(&mut map)?,
                _ if is_window(&key) => action.windows.push((key, decimal(&mut map)?)),
                _ => match map.next_value()? {
                    Value::Null => {}
                    Value::String(value) => action.breakdowns.push((key, value)),
                    value => action.breakdowns.push((key, value.to_string())),
                },
            }
        }
        Ok(action)
    }
}

/// A number that is passed on as text: checked, so that nobody downstream parses nonsense, and never made a float.
fn decimal<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    let text = text(map)?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain && digits.bytes().filter(|byte| *byte == b'.').count() <= 1 && digits.bytes().any(|byte| byte != b'.') {
        Ok(text)
    } else {
        Err(de::Error::custom(format_args!("an action's number is `{text}`")))
    }
}

/// Attribution windows are keys of an action beside its breakdowns; they begin with their days or are one of a few
/// words.
fn is_window(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_digit())
        || key.starts_with("skan_")
        || matches!(key, "dda" | "default" | "incrementality")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"account_id":"1","account_name":"Shop","account_currency":"USD","campaign_id":120210000000000123,
        "campaign_name":"Summer","impressions":"8423","clicks":"112","reach":"7011","spend":"56.31","ctr":"1.329692",
        "age":"25-34","body_asset":{"id":"5","text":"Hi"},
        "actions":[{"action_type":"link_click","value":"97","1d_click":"90","7d_click":"97","action_device":"iphone"}],
        "action_values":[{"action_type":"purchase","value":412.5}],
        "results":[{"indicator":"actions:purchase","values":[{"value":"5"}]}],
        "date_start":"2026-11-01","date_stop":"2026-11-01"}"#;

    #[test]
    fn a_row_keeps_every_digit() {
        let row: Row = serde_json::from_str(ROW).unwrap();
        assert_eq!(row.campaign_id, "120210000000000123");
        assert_eq!((row.impressions, row.clicks, row.reach), (8423, 112, Some(7011)));
        assert_eq!(row.spend, Money::from_decimal("56.31", Currency::USD).unwrap());
        assert_eq!(row.date_start.to_string(), "2026-11-01");
    }

    #[test]
    fn an_action_tells_windows_from_breakdowns() {
        let row: Row = serde_json::from_str(ROW).unwrap();
        let [action] = row.actions.as_slice() else { panic!("one action") };
        assert_eq!(action.windows.len(), 2);
        assert_eq!(action.breakdowns, [("action_device".to_owned(), "iphone".to_owned())]);
        assert_eq!(row.action_values[0].value, "412.5");
    }

    #[test]
    fn everything_else_survives_as_text() {
        let row: Row = serde_json::from_str(ROW).unwrap();
        let other = |key: &str| row.others.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        assert_eq!(other("age"), Some("25-34"));
        assert_eq!(other("ctr"), Some("1.329692"));
        assert_eq!(other("body_asset"), Some(r#"{"id":"5","text":"Hi"}"#));
        assert!(other("results").is_some_and(|text| text.starts_with('[')));
    }

    #[test]
    fn a_row_that_lost_its_money_is_no_row() {
        for (from, to) in [
            ("\"spend\":\"56.31\"", "\"spend\":\"56.315\""),
            ("\"account_currency\":\"USD\",", ""),
            ("\"impressions\":\"8423\"", "\"impressions\":\"many\""),
            ("\"value\":\"97\"", "\"value\":\"NaN\""),
            (",\"date_stop\":\"2026-11-01\"", ""),
        ] {
            let text = ROW.replace(from, to);
            assert_ne!(text, ROW, "{from}");
            serde_json::from_str::<Row>(&text).unwrap_err();
        }
    }

    #[test]
    fn no_delivery_is_zero_and_not_an_error() {
        let row: Row =
            serde_json::from_str(r#"{"account_currency":"JPY","date_start":"2026-11-01","date_stop":"2026-11-02"}"#)
                .unwrap();
        assert_eq!(row.spend.minor(), 0);
        assert_eq!(row.reach, None);
    }
}
