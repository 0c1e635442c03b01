//! Who did it: identifiers are normalised and hashed here, and are not seen again.

use std::net::IpAddr;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use proto::conversions::v1 as pb;
use vocabulary::identity::{self, Birth, Country, Flaw, Hash};

use super::{Findings, words};
use crate::payload::Object;

/// What was found of a person, beside what is written.
#[derive(Default)]
struct Known {
    /// Somebody can be found by this alone.
    alone: bool,
    /// Both names are known.
    named: bool,
    /// With a first and a last name, this suffices.
    beside_name: bool,
}

/// Checks who it was and writes Meta's `user_data`.
pub(super) fn write(data: Option<&pb::UserData>, source: &str, now: Timestamp, findings: &mut Findings) -> String {
    let nothing = pb::UserData::default();
    let data = data.unwrap_or(&nothing);
    let mut object = Object::new();
    let mut known = Known::default();
    let country = country(data, &mut object, findings);
    contact(data, country, &mut object, &mut known, findings);
    description(data, country, now, &mut object, &mut known, findings);
    plain(data, &mut object, &mut known, findings);
    findings.refuse_unless(
        source != words::WEBSITE || !data.client_user_agent.is_empty(),
        "user_data.client_user_agent",
        "CLIENT_USER_AGENT_MISSING",
        "must be given for a website event",
    );
    findings.refuse_unless(
        known.alone || (known.named && known.beside_name),
        "user_data",
        "USER_DATA_INSUFFICIENT",
        "must have an e-mail address, a phone, an external id, a click or browser id or another id of Meta's, or a first \
         and last name with a date of birth, a city or a postal code",
    );
    object.end()
}

fn country(data: &pb::UserData, object: &mut Object, findings: &mut Findings) -> Option<Country> {
    let country = identity::country(&data.country).ok();
    hashed("country", &data.country, object, findings, |value| identity::country(value).map(Country::as_str));
    country
}

fn contact(
    data: &pb::UserData,
    country: Option<Country>,
    object: &mut Object,
    known: &mut Known,
    findings: &mut Findings,
) {
    known.alone |= all_hashed("em", &data.em, object, findings, identity::email);
    known.alone |= all_hashed("ph", &data.ph, object, findings, |value| identity::phone(value, country));
    known.alone |= all_hashed("external_id", &data.external_id, object, findings, identity::external_id);
}

fn description(
    data: &pb::UserData,
    country: Option<Country>,
    now: Timestamp,
    object: &mut Object,
    known: &mut Known,
    findings: &mut Findings,
) {
    // A day ahead of UTC, so that nobody's birthday is refused for a time zone.
    let today: Date = TimeZone::UTC.to_datetime(now).date().tomorrow().unwrap_or(Date::MAX);
    let first = hashed("fn", &data.r#fn, object, findings, identity::name);
    let last = hashed("ln", &data.ln, object, findings, identity::name);
    known.named = first && last;
    hashed("ge", &data.ge, object, findings, identity::gender);
    let birth = |value: &str| identity::birth(value, country, today).map(Birth::digits);
    known.beside_name |= hashed("db", &data.db, object, findings, birth);
    known.beside_name |= hashed("ct", &data.ct, object, findings, identity::city);
    hashed("st", &data.st, object, findings, |value| identity::state(value, country));
    known.beside_name |= hashed("zp", &data.zp, object, findings, |value| identity::zip(value, country));
}

/// Does a value have the form that Meta gives it?
type Shape = fn(&str) -> bool;

/// What Meta wants as it is.
fn plain(data: &pb::UserData, object: &mut Object, known: &mut Known, findings: &mut Findings) {
    // Each with whether somebody can be found by it alone.
    let members: [(&str, &str, Shape, bool); 12] = [
        ("client_ip_address", &data.client_ip_address, |value| value.parse::<IpAddr>().is_ok(), false),
        ("client_user_agent", &data.client_user_agent, |value| value.len() <= 2_000, false),
        ("fbc", &data.fbc, is_browser_id, true),
        ("fbp", &data.fbp, is_browser_id, true),
        ("subscription_id", &data.subscription_id, is_short, true),
        ("fb_login_id", &data.fb_login_id, is_digits, true),
        ("lead_id", &data.lead_id, |value| is_digits(value) && (15..=17).contains(&value.len()), true),
        ("anon_id", &data.anon_id, is_short, true),
        ("madid", &data.madid, is_short, true),
        ("ctwa_clid", &data.ctwa_clid, is_short, true),
        ("page_id", &data.page_id, is_digits, false),
        ("page_scoped_user_id", &data.page_scoped_user_id, is_digits, true),
    ];
    for (key, value, stands, alone) in members {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        if stands(value) {
            object.text(key, value);
            known.alone |= alone;
        } else {
            findings.drop(&format!("user_data.{key}"), "VALUE_MALFORMED", "does not have the form that Meta gives it");
        }
    }
}

/// `fb.`, a number, a time in milliseconds, and the rest, which may hold anything but a blank.
fn is_browser_id(value: &str) -> bool {
    let parts: Vec<&str> = value.splitn(4, '.').collect();
    match parts.as_slice() {
        ["fb", domain, time, rest] => {
            is_digits(domain) && is_digits(time) && !rest.is_empty() && is_short(rest) && !rest.contains(' ')
        }
        _ => false,
    }
}

fn is_digits(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_short(value: &str) -> bool {
    value.len() <= 500 && !value.chars().any(char::is_control)
}

/// Adds one hashed value as a list of one, as Meta's SDKs do. Says whether there was one.
fn hashed<T: AsRef<str>>(
    key: &str,
    value: &str,
    object: &mut Object,
    findings: &mut Findings,
    normal: impl Fn(&str) -> Result<T, Flaw>,
) -> bool {
    match hash(value, normal) {
        None => false,
        Some(Ok(hash)) => {
            object.texts_if_any(key, &[hash.to_string()]);
            true
        }
        Some(Err(flaw)) => {
            findings.drop(&format!("user_data.{key}"), flaw.reason(), flaw.advice());
            false
        }
    }
}

/// Adds the hashed values, each once. Says whether there was one.
fn all_hashed<T: AsRef<str>>(
    key: &str,
    values: &[String],
    object: &mut Object,
    findings: &mut Findings,
    normal: impl Fn(&str) -> Result<T, Flaw>,
) -> bool {
    let field = format!("user_data.{key}");
    findings.refuse_unless(values.len() <= 10, &field, "TOO_MANY", "must have at most 10 values");
    let mut hashes = Vec::new();
    for (place, value) in values.iter().take(10).enumerate() {
        match hash(value, &normal) {
            None => {}
            Some(Ok(hash)) => hashes.push(hash.to_string()),
            Some(Err(flaw)) => findings.drop(&format!("{field}[{place}]"), flaw.reason(), flaw.advice()),
        }
    }
    // Sorted, so that the same values give the same derived event id in whatever order they come.
    hashes.sort_unstable();
    hashes.dedup();
    object.texts_if_any(key, &hashes);
    !hashes.is_empty()
}

/// `None` for a blank. What has the form of a SHA-256 counts as hashed by the caller, as at Meta; the MD5 that Meta also
/// takes is not recognised, since many own ids look like one.
fn hash<T: AsRef<str>>(value: &str, normal: impl Fn(&str) -> Result<T, Flaw>) -> Option<Result<Hash, Flaw>> {
    if identity::is_blank(value) {
        return None;
    }
    Some(Hash::parse(value).or_else(|_| normal(value).map(|value| Hash::of(value.as_ref()))))
}
