//! Ids that Meta gives. Meta sends them as strings and, in places, as JSON numbers; we read both and write strings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::IdError;

const DIGITS: &str = "digits without a leading zero";

macro_rules! graph_id {
    ($(#[$doc:meta])* $name:ident $(, prefix $prefix:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// From the number itself.
            pub const fn new(digits: u64) -> Self {
                Self(digits)
            }

            /// The number itself.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text$(.strip_prefix($prefix).unwrap_or(text))?;
                parse(digits).map(Self).ok_or_else(|| IdError::new(stringify!($name), DIGITS, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(StringOrNumber)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

graph_id! {
    /// An ad account, without the `act_` that Meta writes before it in paths.
    AdAccountId, prefix "act_"
}
graph_id! {
    /// A campaign.
    CampaignId
}
graph_id! {
    /// An ad set.
    AdSetId
}
graph_id! {
    /// An ad.
    AdId
}
graph_id! {
    /// An ad creative.
    CreativeId
}
graph_id! {
    /// A custom audience, a lookalike among them.
    AudienceId
}
graph_id! {
    /// A dataset, which Meta's older pages call a pixel.
    DatasetId
}
graph_id! {
    /// A Facebook page.
    PageId
}
graph_id! {
    /// An Instagram professional account.
    InstagramUserId
}
graph_id! {
    /// A business portfolio.
    BusinessId
}
graph_id! {
    /// An app of ours at Meta.
    MetaAppId
}
graph_id! {
    /// A video in an ad account's library.
    VideoId
}
graph_id! {
    /// Meta's id of an asynchronous insights report.
    ReportRunId
}

impl AdAccountId {
    /// As Meta writes it in paths: `act_1`.
    pub fn act(self) -> String {
        format!("act_{self}")
    }
}

/// `None` for anything that would not print as it was written.
fn parse(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

struct StringOrNumber;

impl de::Visitor<'_> for StringOrNumber {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a string or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_back_as_it_prints(digits in 1_u64..) {
            let id = CampaignId::new(digits);
            prop_assert_eq!(id.to_string().parse::<CampaignId>(), Ok(id));
        }

        #[test]
        fn no_text_but_plain_digits_is_an_id(text in "\\PC{0,24}") {
            if let Ok(id) = text.parse::<CampaignId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn an_ad_account_is_read_with_and_without_act() {
        assert_eq!("act_12".parse(), Ok(AdAccountId::new(12)));
        assert_eq!("12".parse(), Ok(AdAccountId::new(12)));
        assert_eq!(AdAccountId::new(12).act(), "act_12");
        assert_eq!(AdAccountId::new(12).to_string(), "12");
    }

    #[test]
    fn what_is_no_id_is_refused_with_what_was_expected() {
        for text in ["", "0", "007", "+1", "-1", " 1", "1 ", "1.0", "act_", "99999999999999999999"] {
            assert!(text.parse::<AdAccountId>().is_err(), "{text:?}");
        }
        assert!("act_1".parse::<CampaignId>().is_err());
        let error = "x".parse::<CampaignId>().unwrap_err();
        assert_eq!(error.to_string(), r#""x" is no CampaignId: digits without a leading zero"#);
    }

    #[test]
    fn json_may_say_an_id_as_string_or_number_and_we_say_string() {
        let id = CampaignId::new(120_210_000_000_000_001);
        assert_eq!(serde_json::from_str::<CampaignId>("\"120210000000000001\"").unwrap(), id);
        assert_eq!(serde_json::from_str::<CampaignId>("120210000000000001").unwrap(), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"120210000000000001\"");
        assert!(serde_json::from_str::<CampaignId>("1.5").is_err());
    }
}
