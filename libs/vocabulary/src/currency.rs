//! The currencies an ad account can have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// ISO 4217, three capitals; one that Meta lets an ad account have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// A currency that no ad account can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no currency of an ad account at Meta: three capitals such as USD")]
pub struct UnknownCurrency(String);

/// Every currency of an ad account, by name.
///
/// The type `adaccount_currency` of Meta's API description, version 26, and what the table of the Marketing API guide
/// "Currencies" has besides: an old account may still be in one that no new account can choose.
const ALL: [&[u8; 3]; 66] = [
    b"AED", b"ARS", b"AUD", b"BDT", b"BGN", b"BHD", b"BOB", b"BRL", b"CAD", b"CHF", b"CLP", b"CNY", b"COP", b"CRC",
    b"CZK", b"DKK", b"DZD", b"EGP", b"EUR", b"GBP", b"GTQ", b"HKD", b"HNL", b"HRK", b"HUF", b"IDR", b"ILS", b"INR",
    b"ISK", b"JOD", b"JPY", b"KES", b"KRW", b"LKR", b"LTL", b"LVL", b"MOP", b"MXN", b"MYR", b"NGN", b"NIO", b"NOK",
    b"NZD", b"PEN", b"PHP", b"PKR", b"PLN", b"PYG", b"QAR", b"RON", b"RSD", b"RUB", b"SAR", b"SEK", b"SGD", b"SKK",
    b"THB", b"TRY", b"TWD", b"UAH", b"USD", b"UYU", b"VEF", b"VES", b"VND", b"ZAR",
];

/// Those that Meta counts in whole units ("offset 1"); all others have 100 minor units.
///
/// Meta's, not ISO's: ISO gives COP, CRC, HUF, IDR and TWD two decimals. From the column "offset" of the table in Meta's
/// Marketing API guide "Currencies", which gives 100 even to BHD and JOD.
const WHOLE: [&[u8; 3]; 11] = [b"CLP", b"COP", b"CRC", b"HUF", b"IDR", b"ISK", b"JPY", b"KRW", b"PYG", b"TWD", b"VND"];

impl Currency {
    /// US dollar.
    pub const USD: Self = Self(*b"USD");
    /// Euro.
    pub const EUR: Self = Self(*b"EUR");
    /// Yen, which has no smaller unit.
    pub const JPY: Self = Self(*b"JPY");

    /// The code, such as `USD`.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimals an amount in major units has: 0 or 2.
    pub fn decimals(self) -> u32 {
        if WHOLE.contains(&&self.0) { 0 } else { 2 }
    }

    /// How many minor units make one major unit, which Meta calls the offset: 1 or 100.
    pub fn offset(self) -> i64 {
        10_i64.pow(self.decimals())
    }

    /// All of them, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|code| Self(**code))
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let known = ALL.iter().find(|code| code.as_slice() == text.as_bytes());
        known.map(|code| Self(**code)).ok_or_else(|| UnknownCurrency(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_reads_back_as_it_prints() {
        for currency in Currency::all() {
            assert_eq!(currency.to_string().parse(), Ok(currency));
        }
    }

    #[test]
    fn whole_currencies_are_currencies() {
        assert!(WHOLE.iter().all(|code| ALL.contains(code)));
        assert!(ALL.is_sorted() && WHOLE.is_sorted());
    }

    #[test]
    fn meta_counts_some_currencies_in_whole_units() {
        assert_eq!(Currency::JPY.offset(), 1);
        assert_eq!("HUF".parse::<Currency>().unwrap().offset(), 1);
        assert_eq!(Currency::EUR.offset(), 100);
    }

    #[test]
    fn an_unknown_currency_is_refused() {
        for text in ["", "usd", "XXX", "USDT"] {
            assert!(text.parse::<Currency>().is_err(), "{text:?}");
        }
    }
}
