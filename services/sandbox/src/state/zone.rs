//! Times in an account's zone, as the Graph API writes them.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::{Object, State};

/// The zone of an account.
pub(crate) fn zone(state: &State, account: u64) -> TimeZone {
    state.zones.get(&account).cloned().unwrap_or(TimeZone::UTC)
}

/// The zone that an account names; UTC where the machine does not know it.
pub(super) fn named(account: &Object) -> TimeZone {
    TimeZone::get(account.text("timezone_name")).unwrap_or(TimeZone::UTC)
}

pub(crate) fn local(state: &State, account: u64, at: Timestamp) -> Zoned {
    at.to_zoned(zone(state, account))
}

/// The day of the account at that moment.
pub(crate) fn day(state: &State, account: u64, at: Timestamp) -> Date {
    local(state, account, at).date()
}

/// `2026-03-21T22:33:56-0700`: no colon in the offset.
///
/// Every row of every page has some, so the digits are written here; `strftime` takes five times as long.
pub(crate) fn iso(state: &State, account: u64, at: Timestamp) -> String {
    let offset = match state.zones.get(&account) {
        Some(zone) => zone.to_offset(at),
        None => Offset::UTC,
    };
    let local = offset.to_datetime(at);
    let minutes = offset.seconds() / 60;
    let mut text = String::with_capacity(24);
    two_digits(&mut text, local.year() / 100);
    two_digits(&mut text, local.year() % 100);
    let parts =
        [('-', local.month()), ('-', local.day()), ('T', local.hour()), (':', local.minute()), (':', local.second())];
    for (mark, part) in parts {
        text.push(mark);
        two_digits(&mut text, part.into());
    }
    text.push(if minutes < 0 { '-' } else { '+' });
    for part in [minutes.abs() / 60, minutes.abs() % 60] {
        two_digits(&mut text, i16::try_from(part).unwrap_or_default());
    }
    text
}

fn two_digits(text: &mut String, number: i16) {
    let number = u8::try_from(number).unwrap_or_default();
    text.push(char::from(b'0' + number / 10 % 10));
    text.push(char::from(b'0' + number % 10));
}

#[cfg(test)]
mod tests {
    use super::super::{ACCOUNTS, Source};
    use super::*;

    #[test]
    fn a_time_is_written_with_the_offset_that_its_day_had() {
        let now = "2026-11-15T20:30:00Z".parse().unwrap();
        let state = State::new(&Source::Small, 1, now);
        let [dollars, euros, yen] = ACCOUNTS;
        let summer: Timestamp = "2026-07-01T00:05:09Z".parse().unwrap();
        for account in [dollars, euros, yen, 0] {
            for at in [now, summer] {
                let expected = local(&state, account, at).strftime("%Y-%m-%dT%H:%M:%S%z").to_string();
                assert_eq!(iso(&state, account, at), expected);
            }
        }
        assert_eq!(iso(&state, dollars, summer), "2026-06-30T17:05:09-0700");
        let half = Offset::from_seconds(-12_600).unwrap().to_time_zone();
        let mut state = state;
        state.zones.insert(7, half);
        assert_eq!(iso(&state, 7, summer), "2026-06-30T20:35:09-0330");
    }
}
