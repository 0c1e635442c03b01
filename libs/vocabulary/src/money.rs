//! Amounts: whole minor units of one currency, never a float.

use std::fmt;

use crate::Currency;

/// An amount in the smallest unit of its currency, as Meta counts it: 1500 USD is 15 dollars, 1500 JPY is 1500 yen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why an amount could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Amounts of two currencies do not add up.
    #[error("{0} and {1} cannot be added")]
    Mixed(Currency, Currency),
    /// More than 64 bits of minor units.
    #[error("the amount is too large")]
    TooLarge,
    /// Not a decimal number such as `12.34`.
    #[error("{0:?} is no decimal amount such as 12.34")]
    Malformed(String),
    /// Smaller than the currency's smallest unit.
    #[error("{given:?} has more decimals than {currency} has: {decimals}", decimals = currency.decimals())]
    TooFine {
        /// What was given.
        given: String,
        /// The currency whose smallest unit is larger.
        currency: Currency,
    },
}

impl Money {
    /// From minor units, as Meta writes budgets.
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// From a decimal in major units, as Meta's insights write money (`"12.34"`). Exact: fails where decimals other
    /// than zeros would be lost.
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let malformed = || MoneyError::Malformed(text.chars().take(40).collect());
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(decimals) {
            return Err(malformed());
        }
        let kept = usize::try_from(currency.decimals()).unwrap_or_default();
        let (kept_decimals, lost) = decimals.split_at_checked(kept).unwrap_or((decimals, ""));
        if lost.bytes().any(|digit| digit != b'0') {
            let given = text.chars().take(40).collect();
            return Err(MoneyError::TooFine { given, currency });
        }
        let minor: i64 = format!("{whole}{kept_decimals:0<kept$}").parse().map_err(|_| MoneyError::TooLarge)?;
        let minor = minor.checked_mul(sign).ok_or(MoneyError::TooLarge)?;
        Ok(Self { minor, currency })
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Its currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Fails for two currencies, and where the sum is too large.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed(self.currency, other.currency));
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::TooLarge)?;
        Ok(Self { minor, ..self })
    }

    /// Fails for two currencies, and where the difference is too large.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        let minor = other.minor.checked_neg().ok_or(MoneyError::TooLarge)?;
        self.checked_add(Self { minor, ..other })
    }

    /// In major units without the currency, as Meta reads amounts such as an account's `spend_cap`: `12.34`, `1500`.
    pub fn major(self) -> String {
        let (whole, rest) = (self.minor.unsigned_abs(), self.currency.offset().unsigned_abs());
        let sign = if self.minor < 0 { "-" } else { "" };
        match self.currency.decimals() {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{}.{:02}", whole / rest, whole % rest),
        }
    }
}

/// In major units with the currency: `12.34 USD`, `1500 JPY`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.major(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    proptest! {
        #[test]
        fn a_decimal_reads_back_as_it_prints(minor in (i64::MIN + 1)..=i64::MAX, pick in 0_usize..66) {
            let amount = Money::from_minor(minor, Currency::all().nth(pick).unwrap());
            prop_assert_eq!(Money::from_decimal(&amount.major(), amount.currency()), Ok(amount));
        }

        #[test]
        fn adding_and_taking_away_gives_the_same(a in any::<i32>(), b in any::<i32>()) {
            let (a, b) = (usd(a.into()), usd(b.into()));
            prop_assert_eq!(a.checked_add(b).unwrap().checked_sub(b), Ok(a));
        }
    }

    #[test]
    fn a_decimal_is_read_exactly() {
        assert_eq!(Money::from_decimal("12.34", Currency::USD), Ok(usd(1234)));
        assert_eq!(Money::from_decimal("12.3", Currency::USD), Ok(usd(1230)));
        assert_eq!(Money::from_decimal("12", Currency::USD), Ok(usd(1200)));
        assert_eq!(Money::from_decimal("12.340000", Currency::USD), Ok(usd(1234)));
        assert_eq!(Money::from_decimal("-0.05", Currency::USD), Ok(usd(-5)));
        assert_eq!(Money::from_decimal("1500.00", Currency::JPY), Ok(Money::from_minor(1500, Currency::JPY)));
    }

    #[test]
    fn a_decimal_that_would_lose_something_is_refused() {
        assert!(matches!(Money::from_decimal("12.345", Currency::USD), Err(MoneyError::TooFine { .. })));
        assert!(matches!(Money::from_decimal("1.5", Currency::JPY), Err(MoneyError::TooFine { .. })));
    }

    #[test]
    fn a_malformed_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1,5", "1e3", "+1", "--1", " 1", "NaN"] {
            assert!(matches!(Money::from_decimal(text, Currency::USD), Err(MoneyError::Malformed(_))), "{text:?}");
        }
        assert_eq!(Money::from_decimal("99999999999999999999", Currency::USD), Err(MoneyError::TooLarge));
    }

    #[test]
    fn two_currencies_do_not_add_up() {
        let euro = Money::from_minor(1, Currency::EUR);
        assert_eq!(usd(1).checked_add(euro), Err(MoneyError::Mixed(Currency::USD, Currency::EUR)));
        assert_eq!(usd(i64::MAX).checked_add(usd(1)), Err(MoneyError::TooLarge));
    }

    #[test]
    fn an_amount_prints_in_major_units() {
        assert_eq!(usd(1505).to_string(), "15.05 USD");
        assert_eq!(usd(-5).to_string(), "-0.05 USD");
        assert_eq!(Money::from_minor(1500, Currency::JPY).to_string(), "1500 JPY");
    }
}
