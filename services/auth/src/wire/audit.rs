//! The audit: entries, chains, checks, counts of leases.

use jiff::Timestamp;
use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use storage::audit::Recorded;
use uuid::Uuid;
use vocabulary::{
    ids::{ConnectionId, TenantId},
    names,
    page::{PageError, PageRequest},
};

use super::{limit, moment, named, timestamp};
use crate::{
    chains::Wanted,
    error::Error,
    usage,
    verification::{Checked, Report, Span},
};

/// The longest text of a filter, in bytes.
const WORD_BYTES_MAX: usize = 500;

/// What narrows a list of entries.
pub fn wanted(filter: pb::AuditFilter) -> Result<Wanted, Error> {
    let mut fields = Fields::new();
    for (field, text) in [
        ("filter.actor", &filter.actor),
        ("filter.resource", &filter.resource),
        ("filter.action", &filter.action),
        ("filter.service", &filter.service),
    ] {
        let fits = text.len() <= WORD_BYTES_MAX && !text.contains('\0');
        fields.check(fits, field, "must have at most 500 bytes, none of them zero", "TOO_LONG");
    }
    let from = fields.take(moment("filter.from_time", filter.from_time));
    let until = fields.take(moment("filter.until_time", filter.until_time));
    fields.finish()?;
    let pb::AuditFilter { actor, resource, action, service, .. } = filter;
    Ok(Wanted { actor, action, resource, service, from: from.flatten(), until: until.flatten(), upto: None })
}

/// Which part of the chains to check.
pub fn span(request: &pb::VerifyAuditChainRequest) -> Result<Span, FieldError> {
    let (from, until) = (moment("from_time", request.from_time)?, moment("until_time", request.until_time)?);
    if matches!((from, until), (Some(from), Some(until)) if until < from) {
        return Err(FieldError::new("until_time", "must not be before from_time", "RANGE"));
    }
    Ok(Span { from, until })
}

/// An entry of the tenant's chain in a service.
pub fn entry(tenant: &TenantId, service: String, entry: Recorded) -> pb::AuditEntry {
    pb::AuditEntry {
        sequence: entry.sequence,
        create_time: Some(timestamp(entry.written)),
        actor: entry.actor,
        action: entry.action,
        resource: entry.resource,
        request_id: entry.request_id.map(|id| id.to_string()).unwrap_or_default(),
        detail: entry.detail_text,
        hash: hex::encode(entry.hash),
        service,
        tenant: names::of_tenant(tenant),
    }
}

/// What a check found. The first broken place is that of the first service by name.
pub fn report(report: Report) -> pb::VerifyAuditChainResponse {
    let broken = report.chains.iter().find_map(|checked| Some((checked.service.clone(), checked.broken?)));
    let (broken_service, broken_sequence, problem) = match broken {
        Some((service, (sequence, problem))) => (service, sequence, problem.text().to_owned()),
        None if !report.unreachable.is_empty() => (String::new(), 0, "not every service could be asked".to_owned()),
        None => Default::default(),
    };
    pb::VerifyAuditChainResponse {
        intact: problem.is_empty(),
        entries: report.chains.iter().map(|checked| checked.entries).sum(),
        broken_sequence,
        problem,
        broken_service,
        unreachable: report.unreachable,
        chains: report.chains.into_iter().map(chain).collect(),
    }
}

/// How a chain stands.
pub fn chain(checked: Checked) -> pb::AuditChain {
    let anchored = checked.anchored.as_ref();
    pb::AuditChain {
        service: checked.service,
        sequence: checked.reached.map_or(0, |head| head.sequence),
        hash: checked.reached.map(|head| hex::encode(head.hash)).unwrap_or_default(),
        anchored_sequence: anchored.map_or(0, |anchor| anchor.head.sequence),
        anchor_time: anchored.map(|anchor| timestamp(anchor.anchored)),
        anchor_signature: anchored.map(|anchor| hex::encode(&anchor.signature)).unwrap_or_default(),
    }
}

/// Which counts of leases to list.
pub fn usage_listing(request: &pb::ListCredentialUsageRequest, page: &PageRequest) -> Result<usage::Listing, Error> {
    let mut fields = Fields::new();
    let connection = match request.connection.as_str() {
        "" => None,
        name => fields.take(named("connection", names::connection(name))),
    };
    let from = fields.take(moment("from_time", request.from_time));
    let until = fields.take(moment("until_time", request.until_time));
    fields.finish()?;
    let after = page.after.as_deref().map(|key| usage_key(key).ok_or(PageError::Token)).transpose()?;
    Ok(usage::Listing {
        connection,
        from: from.flatten(),
        until: until.flatten(),
        unusual_only: request.unusual_only,
        after,
        limit: limit(page),
    })
}

/// The key of a count's page. The caller's name comes last, since it may hold anything.
pub fn usage_page_key(count: &usage::Count) -> String {
    let usage::Key { tenant, hour, service, caller, connection } = &count.key;
    format!("{tenant} {} {service} {connection} {caller}", hour.as_second())
}

fn usage_key(text: &str) -> Option<usage::Key> {
    let mut parts = text.splitn(5, ' ');
    Some(usage::Key {
        tenant: parts.next()?.parse().ok()?,
        hour: Timestamp::from_second(parts.next()?.parse().ok()?).ok()?,
        service: parts.next()?.into(),
        connection: ConnectionId(parts.next()?.parse::<Uuid>().ok()?),
        caller: parts.next()?.into(),
    })
}

impl From<usage::Count> for pb::CredentialUsage {
    fn from(count: usage::Count) -> Self {
        Self {
            hour_time: Some(timestamp(count.key.hour)),
            service: count.key.service.to_string(),
            caller: count.key.caller.to_string(),
            connection: names::of_connection(count.key.connection),
            leases: count.leases,
            unusual: count.unusual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_counts_page_reads_back() {
        let key = usage::Key {
            tenant: "acme".parse().unwrap(),
            hour: Timestamp::from_second(3_600).unwrap(),
            service: "campaigns".into(),
            caller: "someone with spaces".into(),
            connection: ConnectionId(Uuid::from_u128(7)),
        };
        let count = usage::Count { key: key.clone(), leases: 1, unusual: false };
        assert_eq!(usage_key(&usage_page_key(&count)), Some(key));
        assert_eq!(usage_key("acme 1 campaigns"), None);
    }

    #[test]
    fn a_check_with_a_service_missing_is_not_intact() {
        let missing = Report { unreachable: vec!["campaigns".to_owned()], ..Report::default() };
        let told = report(missing);
        assert!(!told.intact && told.broken_sequence == 0 && !told.problem.is_empty());
        assert!(report(Report::default()).intact);
    }
}
