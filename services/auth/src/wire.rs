//! Proto to domain and back.

mod access;
mod audit;
mod connection;
mod connection_event;
mod credential;
mod key;
mod meta_app;
mod subject;
mod tenant;

use graph::versions::{self, Api, Standing};
use jiff::{Timestamp, tz::TimeZone};
use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use secrecy::SecretString;
use vocabulary::{
    Clock, SystemClock,
    ids::{RequestId, TenantId},
    names,
    page::PageRequest,
};

pub use self::{
    access::{bootstrap, caller, caller_id, issue, meta_app},
    audit::{chain, entry, report, span, usage_listing, usage_page_key, wanted},
    connection::{
        asset_key, assets_filter, begin_connection, complete_connection, connection_filter, delete, get_login, import,
        refresh, revoke,
    },
    connection_event::{connection_event, health},
    credential::{lease, lease_id, revocation, webhook},
    key::{rotate_key, seal_vault, shred_receipt, shred_tenant_key, unseal_vault},
    meta_app::{rotate_secret, update_meta_app},
    subject::{restore_subject, revoke_subject},
    tenant::{owner, shares, stand, update_tenant},
};
use crate::{grants, vault};

/// The longest name for people, in characters.
const DISPLAY_NAME_MAX: usize = 200;
/// The longest secret that comes in, in bytes; Meta's tokens have a few hundred.
const SECRET_BYTES_MAX: usize = 4_096;

/// A moment.
pub fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    let nanos = moment.subsec_nanosecond();
    let seconds = moment.as_second();
    // Before 1970 the fraction counts backwards here and forwards there; nothing of ours is that old.
    prost_types::Timestamp { seconds, nanos: nanos.max(0) }
}

/// A moment from outside.
pub fn moment(field: &str, timestamp: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, FieldError> {
    let Some(timestamp) = timestamp else { return Ok(None) };
    Timestamp::new(timestamp.seconds, timestamp.nanos)
        .map(Some)
        .map_err(|_| FieldError::new(field, "must be a moment that a calendar has", "TIMESTAMP"))
}

/// A request's id; empty where it is optional.
pub fn request_id(fields: &mut Fields, text: &str, required: bool) -> Option<RequestId> {
    match text {
        "" if required => {
            fields.add(FieldError::required("request_id"));
            None
        }
        "" => None,
        text => fields.parse("request_id", text.parse(), "UUID"),
    }
}

/// A tenant's id that a new tenant may have.
pub fn new_tenant_id(fields: &mut Fields, text: &str) -> Option<TenantId> {
    fields.check(text != vault::SYSTEM, "tenant_id", "must not be `system`, which is ours", "RESERVED");
    fields.parse("tenant_id", text.parse(), "TENANT_ID")
}

/// The fields of a tenant that a caller may set: its name for people and Meta's version.
pub fn tenant(fields: &mut Fields, tenant: Option<pb::Tenant>) -> (String, String) {
    fields.check(tenant.is_some(), "tenant", "is required", "REQUIRED");
    let pb::Tenant { display_name, meta_version, .. } = tenant.unwrap_or_default();
    display_name_is_short(fields, "tenant.display_name", &display_name);
    if !meta_version.is_empty() {
        version_serves(fields, "tenant.meta_version", &meta_version);
    }
    (display_name, meta_version)
}

/// A name for people.
fn display_name_is_short(fields: &mut Fields, field: &str, name: &str) {
    let fits = name.chars().count() <= DISPLAY_NAME_MAX && !name.chars().any(char::is_control);
    fields.check(fits, field, "must have at most 200 characters, none of them a control character", "DISPLAY_NAME");
}

/// A version of Meta's API that Meta still serves.
fn version_serves(fields: &mut Fields, field: &str, version: &str) {
    let today = SystemClock.now().to_zoned(TimeZone::UTC).date();
    let is_word = versions::standing(Api::Marketing, version, today) != Standing::Malformed;
    let reason = if is_word { "META_VERSION_ENDED" } else { "META_VERSION" };
    let dead = versions::refusal(Api::Marketing, version, today);
    fields.check(dead.is_none(), field, dead.unwrap_or_default(), reason);
}

/// A secret that must be there.
fn secret(fields: &mut Fields, field: &str, text: String) -> SecretString {
    let fits = (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fields.check(fits, field, "must be 1 to 4,096 printable ASCII characters without spaces", "SECRET");
    SecretString::from(text)
}

/// Permissions in Meta's words; the usual ones where none are named.
fn permissions(fields: &mut Fields, field: &str, words: Vec<String>) -> Vec<String> {
    fields.check(words.len() <= 50, field, "must name at most 50", "TOO_MANY");
    let known = words.iter().all(|word| grants::is_permission(word));
    fields.check(known, field, "must be words such as ads_management", "PERMISSION");
    if words.is_empty() { graph::oauth::SCOPES.iter().map(|&scope| scope.to_owned()).collect() } else { words }
}

/// How many rows to read for a page: one more, to know whether there are more.
pub fn limit(page: &PageRequest) -> i64 {
    i64::try_from(page.size).unwrap_or(i64::MAX - 1) + 1
}

/// Cuts the row that was read in excess; the key of the last row of the page, where more follow.
pub fn cut<T>(rows: &mut Vec<T>, page: &PageRequest, key: impl Fn(&T) -> String) -> Option<String> {
    if rows.len() <= page.size {
        return None;
    }
    rows.truncate(page.size);
    rows.last().map(key)
}

/// A resource name, or the field with what it should be.
pub fn named<T>(field: &str, result: Result<T, names::NameError>) -> Result<T, FieldError> {
    result.map_err(|error| FieldError::new(field, error.to_string(), "RESOURCE_NAME"))
}

impl From<&crate::tenants::Tenant> for pb::Tenant {
    fn from(tenant: &crate::tenants::Tenant) -> Self {
        use crate::tenants::TenantState;
        let state = match tenant.state {
            TenantState::Active => pb::TenantState::Active,
            TenantState::Suspended => pb::TenantState::Suspended,
        };
        Self {
            name: names::of_tenant(&tenant.id),
            etag: format!("\"{}\"", tenant.version),
            display_name: tenant.display_name.clone(),
            meta_version: tenant.meta_version.clone(),
            state: state.into(),
            create_time: Some(timestamp(tenant.created)),
            update_time: Some(timestamp(tenant.updated)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_as_it_was_written() {
        let now = Timestamp::new(1_700_000_000, 5_000).unwrap();
        assert_eq!(moment("at", Some(timestamp(now))), Ok(Some(now)));
        let never = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert!(moment("at", Some(never)).is_err());
    }

    #[test]
    fn a_version_is_one_that_meta_serves() {
        let reason = |version: &str| {
            let mut fields = Fields::new();
            version_serves(&mut fields, "v", version);
            fields.finish().err().map(|error| error.to_string())
        };
        assert_eq!(reason("v26.0"), None);
        assert!(reason("v22.0").unwrap().contains("ended on 2026-02-19: set v26.0 or newer"));
        for text in ["", "26.0", "v26", "v26.0.1", "v.0", "v26.", "v2x.0", "v26.0/me"] {
            assert!(reason(text).unwrap().contains("must be a version such as v26.0"), "{text}");
        }
    }

    #[test]
    fn a_page_is_cut_and_its_last_key_kept() {
        let page = PageRequest { size: 2, after: None };
        let mut rows = vec![1, 2, 3];
        assert_eq!(cut(&mut rows, &page, ToString::to_string), Some("2".to_owned()));
        assert_eq!(rows, [1, 2]);
        assert_eq!(cut(&mut rows, &page, ToString::to_string), None);
    }

    #[test]
    fn our_own_tenant_cannot_be_made() {
        let mut fields = Fields::new();
        new_tenant_id(&mut fields, "system");
        assert!(fields.finish().is_err());
    }

    #[test]
    fn where_nothing_is_named_the_usual_permissions_are_asked_for() {
        let mut fields = Fields::new();
        assert_eq!(permissions(&mut fields, "scopes", Vec::new()), graph::oauth::SCOPES);
        assert!(fields.finish().is_ok());
        let mut fields = Fields::new();
        permissions(&mut fields, "scopes", vec!["ads read".to_owned()]);
        assert!(fields.finish().is_err());
    }
}
