//! Requests into commands: names, ids, masks.

use graph::objects::Kind;
use jiff::Timestamp;
use prost::Message;
use proto::campaigns::v1::EffectiveStatus;
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, PlanId, RequestId, TenantId},
    names,
    page::PageError,
};

use crate::{context::Context, error::Error, mirror};

/// The ad account in `parent`.
pub(crate) fn parent(name: &str) -> Result<AdAccountId, Error> {
    names::ad_account(name).map_err(|error| Error::field("parent", error.to_string(), "NAME"))
}

/// The ad account in `name`.
pub(crate) fn account(name: &str) -> Result<AdAccountId, Error> {
    names::ad_account(name).map_err(|error| Error::field("name", error.to_string(), "NAME"))
}

/// The account and Meta's id of an object, from the field where its name stands.
pub(crate) fn object(kind: Kind, field: &str, name: &str) -> Result<(AdAccountId, u64), Error> {
    let pattern = format!("adAccounts/act_{{n}}/{}/{{n}}", mirror::collection(kind));
    let refuse = || Error::field(field, format!("must be {pattern}, not {:?}", cut(name)), "NAME");
    let (account, id) = name.strip_prefix("adAccounts/").and_then(|rest| rest.split_once('/')).ok_or_else(refuse)?;
    let (collection, id) = id.split_once('/').ok_or_else(refuse)?;
    if collection != mirror::collection(kind) || id.starts_with('0') || id.starts_with('+') {
        return Err(refuse());
    }
    Ok((account.parse().map_err(|_| refuse())?, id.parse().map_err(|_| refuse())?))
}

/// The account and the id of a plan.
pub(crate) fn plan(name: &str) -> Result<(AdAccountId, PlanId), Error> {
    names::plan(name).map_err(|error| Error::field("name", error.to_string(), "NAME"))
}

/// `adAccounts/act_1/uploads/{uuid}`.
pub(crate) fn upload_name(account: AdAccountId, id: Uuid) -> String {
    format!("adAccounts/{}/uploads/{}", account.act(), id.hyphenated())
}

/// The account and the id of an upload.
pub(crate) fn upload(name: &str) -> Result<(AdAccountId, Uuid), Error> {
    let refuse = || Error::field("upload", "must be adAccounts/act_{n}/uploads/{uuid}", "NAME");
    let parts = names::parse("adAccounts/act_{n}/uploads/{uuid}", name).map_err(|_| refuse())?;
    match parts.as_slice() {
        [account, id] => Ok((account.parse().map_err(|_| refuse())?, id.parse().map_err(|_| refuse())?)),
        _ => Err(refuse()),
    }
}

/// A request_id that must be there.
pub(crate) fn request_id(text: &str) -> Result<Uuid, Error> {
    match optional_request_id(text)? {
        Some(id) => Ok(id),
        None => Err(Error::field("request_id", "is required: a UUID that you keep for repeats", "REQUIRED")),
    }
}

/// A request_id that must be there, unless nothing is going to be changed.
pub(crate) fn request_id_unless(validate_only: bool, text: &str) -> Result<Uuid, Error> {
    if validate_only && text.is_empty() { Ok(Uuid::nil()) } else { request_id(text) }
}

/// A request_id that may be missing.
pub(crate) fn optional_request_id(text: &str) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = text.to_ascii_lowercase().parse::<RequestId>();
    let refuse = |error: vocabulary::ids::IdError| Error::field("request_id", error.to_string(), "NO_UUID");
    Ok(Some(id.map_err(refuse)?.0))
}

/// The etag that the caller saw must be the one of now.
pub(crate) fn etag(given: &str, now: &str, resource: &str) -> Result<(), Error> {
    if given.is_empty() || given == now {
        return Ok(());
    }
    Err(Error::EtagMismatch { resource: resource.to_owned(), etag: now.to_owned() })
}

/// Meta's words of statuses; one that a filter names must be one.
pub(crate) fn statuses(numbers: &[i32]) -> Result<Vec<String>, Error> {
    let word = |(index, number): (usize, &i32)| match EffectiveStatus::try_from(*number) {
        Ok(status) if status != EffectiveStatus::Unspecified => {
            Ok(status.as_str_name().trim_start_matches("EFFECTIVE_STATUS_").to_owned())
        }
        _ => Err(Error::field(format!("filter.statuses[{index}]"), "is no status", "UNKNOWN_ENUM_VALUE")),
    };
    if numbers.len() > 20 {
        return Err(Error::field("filter.statuses", "must have at most 20 members", "TOO_MANY"));
    }
    numbers.iter().enumerate().map(word).collect()
}

/// A reason for the audit.
pub(crate) fn reason(text: &str) -> Result<(), Error> {
    let short = text.chars().count() <= 400;
    if short { Ok(()) } else { Err(Error::field("reason", "must have at most 400 characters", "TOO_LONG")) }
}

/// An id of Meta's in a filter; empty is 0.
pub(crate) fn filter_id(field: &str, text: &str) -> Result<u64, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| Error::field(field, "must be digits", "NO_ID"))
}

/// Which page of a list, by its last key. `filter` is what else chooses the rows.
pub(crate) struct Paging {
    tenant: TenantId,
    filter: Vec<u8>,
    /// The key of the last row of the page before.
    pub(crate) after: Option<String>,
    /// At most so many rows.
    pub(crate) size: usize,
}

impl Paging {
    /// Reads the page fields. `list` names the list, so that a token of one is no token of another.
    pub(crate) fn of(
        context: &Context,
        tenant: &TenantId,
        list: &str,
        filter: &impl Message,
        page_size: i32,
        page_token: &str,
    ) -> Result<Self, Error> {
        let mut bytes = list.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend(filter.encode_to_vec());
        let refuse = |error: PageError| Error::field(error.field(), error.to_string(), "PAGE");
        let request = context.tokens.request(tenant, &bytes, page_size, page_token).map_err(refuse)?;
        Ok(Self { tenant: tenant.clone(), filter: bytes, after: request.after, size: request.size })
    }

    /// The key as what it was, where there is one.
    pub(crate) fn key<K: std::str::FromStr>(&self) -> Result<Option<K>, Error> {
        let refuse = |_| Error::field("page_token", "is no token of this list", "PAGE");
        self.after.as_deref().map(|key| key.parse().map_err(refuse)).transpose()
    }

    /// The token of the next page; empty where this one is not full.
    pub(crate) fn next(&self, context: &Context, rows: usize, last: Option<String>) -> String {
        match last {
            Some(last) if rows >= self.size => context.tokens.seal(&self.tenant, &self.filter, &last),
            _ => String::new(),
        }
    }
}

/// A moment as protobuf has it.
pub(crate) fn time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

fn cut(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_of_the_right_collection() {
        assert_eq!(object(Kind::AdSet, "name", "adAccounts/act_1/adSets/2").unwrap(), (AdAccountId::new(1), 2));
        assert_eq!(object(Kind::AdSet, "name", "adAccounts/1/adSets/2").unwrap(), (AdAccountId::new(1), 2));
        for name in ["", "adAccounts/act_1/ads/2", "adAccounts/act_1/adSets/02", "adAccounts/act_1/adSets/2/3", "x/y"] {
            assert!(matches!(object(Kind::AdSet, "name", name), Err(Error::Invalid(_))), "{name}");
        }
    }

    #[test]
    fn an_etag_that_is_not_given_is_not_compared() {
        assert!(etag("", "a", "x").is_ok());
        assert!(etag("a", "a", "x").is_ok());
        assert!(matches!(etag("b", "a", "x"), Err(Error::EtagMismatch { .. })));
    }

    #[test]
    fn a_status_of_zero_is_refused() {
        assert_eq!(statuses(&[1]).unwrap(), ["ACTIVE"]);
        assert!(statuses(&[0]).is_err());
    }
}
