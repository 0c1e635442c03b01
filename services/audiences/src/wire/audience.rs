//! Audiences.

use jiff::Timestamp;
use prost::Message;
use proto::{
    audiences::v1 as pb,
    common::v1::{Freshness as PbFreshness, ReadInfo, freshness::Kind},
};
use rpc::{FieldError, Fields};
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, AudienceId},
    names,
};

use super::{name, optional_request_id, required_request_id, stamp};
use crate::{
    audience as rules,
    audiences::{Fresh, Freshness, NewAudience, fingerprint},
    store::Mirrored,
};

/// A create, checked.
pub(crate) fn new_audience(request: pb::CreateAudienceRequest) -> Result<NewAudience, FieldError> {
    let mut fields = Fields::new();
    let account = fields.take(name("parent", names::ad_account(&request.parent)));
    let request_id = fields.take(required_request_id(&request.request_id));
    let unkeyed = pb::CreateAudienceRequest { request_id: String::new(), validate_only: false, ..request };
    let fingerprint = fingerprint(&unkeyed.encode_to_vec());
    let Some(given) = unkeyed.audience else {
        fields.add(FieldError::required("audience"));
        fields.finish()?;
        return Err(FieldError::required("audience"));
    };
    let (title, description) = (given.name.unwrap_or_default(), given.description.unwrap_or_default());
    let source = match given.kind {
        Some(pb::audience::Kind::CustomerList(list)) => list.customer_file_source,
        None => {
            fields.add(FieldError::required("audience.customer_list"));
            // So that only the missing kind is told.
            "USER_PROVIDED_ONLY".to_owned()
        }
    };
    fields.check(
        given.resource_name.is_empty() && given.id.is_none(),
        "audience.resource_name",
        "must be empty: Meta gives the id",
        "NAME_GIVEN",
    );
    fields.take(rules::check(&title, &description, &source));
    fields.finish()?;
    Ok(NewAudience {
        account: account.unwrap_or(AdAccountId::new(0)),
        name: title,
        description,
        customer_file_source: source,
        request_id: request_id.unwrap_or_default(),
        fingerprint,
    })
}

/// What a delete is about.
pub(crate) fn deleted(
    request: &pb::DeleteAudienceRequest,
) -> Result<(AdAccountId, AudienceId, Option<Uuid>), FieldError> {
    let mut fields = Fields::new();
    let names = fields.take(name("name", names::audience(&request.name)));
    let request_id = fields.take(optional_request_id(&request.request_id));
    fields.finish()?;
    let (account, audience) = names.ok_or_else(|| FieldError::required("name"))?;
    Ok((account, audience, request_id.flatten()))
}

/// How fresh an answer must be.
pub(crate) fn freshness(given: Option<PbFreshness>, now: Timestamp) -> Result<Freshness, FieldError> {
    match given.and_then(|freshness| freshness.kind) {
        None | Some(Kind::Stored(true)) => Ok(Freshness::Stored),
        Some(Kind::Stored(false)) => Err(FieldError::new("freshness.stored", "must be true or absent", "STORED_FALSE")),
        Some(Kind::AtMost(age)) => std::time::Duration::try_from(age)
            .ok()
            .and_then(|age| now.checked_sub(age).ok())
            .map(Freshness::SinceOrStale)
            .ok_or_else(|| FieldError::new("freshness.at_most", "must not be negative", "AGE_NEGATIVE")),
        Some(Kind::AtLeast(token)) => token
            .strip_prefix('t')
            .and_then(|digits| digits.parse().ok())
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .map(Freshness::Since)
            .ok_or_else(|| {
                FieldError::new("freshness.at_least", "must be a freshness_token of ours", "FRESHNESS_TOKEN")
            }),
    }
}

/// How fresh an answer is.
pub(crate) fn read_info<T>(fresh: &Fresh<T>) -> ReadInfo {
    ReadInfo {
        data_time: Some(stamp(fresh.time)),
        fetch_time: Some(stamp(fresh.time)),
        stale: fresh.stale,
        freshness_token: format!("t{}", fresh.time.as_microsecond()),
    }
}

/// An audience as callers see it.
pub(crate) fn audience(account: AdAccountId, mirrored: Mirrored) -> pb::Audience {
    let etag = rules::etag(&mirrored.graph);
    let graph = mirrored.graph;
    let bound = |count: Option<i64>| count.filter(|count| *count >= 0);
    let unix = |seconds: Option<i64>| seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
    let status =
        |status: graph::audiences::Status| pb::AudienceStatus { code: status.code, description: status.description };
    let source = graph.customer_file_source;
    let list = |customer_file_source| pb::audience::Kind::CustomerList(pb::CustomerList { customer_file_source });
    pb::Audience {
        resource_name: names::of_audience(account, mirrored.id),
        etag,
        id: Some(graph.id),
        name: graph.name,
        description: graph.description.map(|description| rules::unmarked(&description).to_owned()),
        kind: source.map(list),
        subtype: graph.subtype.unwrap_or_default(),
        approximate_count_lower_bound: bound(graph.approximate_count_lower_bound),
        approximate_count_upper_bound: bound(graph.approximate_count_upper_bound),
        operation_status: graph.operation_status.map(status),
        delivery_status: graph.delivery_status.map(status),
        time_created: unix(graph.time_created),
        time_updated: unix(graph.time_updated),
        time_content_updated: unix(graph.time_content_updated),
        extra: graph.extra.into_iter().map(|(key, value)| (key, value.to_string())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use rpc::Fault;

    use super::*;

    fn request() -> pb::CreateAudienceRequest {
        pb::CreateAudienceRequest {
            parent: "adAccounts/act_1".to_owned(),
            audience: Some(pb::Audience {
                name: Some("Buyers".to_owned()),
                kind: Some(pb::audience::Kind::CustomerList(pb::CustomerList {
                    customer_file_source: "USER_PROVIDED_ONLY".to_owned(),
                })),
                ..pb::Audience::default()
            }),
            request_id: "5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11".to_owned(),
            validate_only: false,
        }
    }

    #[test]
    fn everything_wrong_with_a_create_is_told_at_once() {
        let error = new_audience(pb::CreateAudienceRequest::default()).unwrap_err();
        let fields: Vec<String> = error.violations().into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["parent", "request_id", "audience"]);
        let kindless = pb::CreateAudienceRequest { audience: Some(pb::Audience::default()), ..request() };
        let error = new_audience(kindless).unwrap_err();
        let fields: Vec<String> = error.violations().into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["audience.customer_list", "audience.name"]);
    }

    #[test]
    fn a_fingerprint_is_of_the_request_without_its_key() {
        let one = new_audience(request()).unwrap().fingerprint;
        let other_key = "00000000-0000-4000-8000-000000000001".to_owned();
        assert_eq!(
            one,
            new_audience(pb::CreateAudienceRequest { request_id: other_key, ..request() }).unwrap().fingerprint
        );
        let mut renamed = request();
        renamed.audience.as_mut().unwrap().name = Some("Lookers".to_owned());
        assert_ne!(one, new_audience(renamed).unwrap().fingerprint);
    }

    #[test]
    fn a_freshness_token_reads_back() {
        let now: Timestamp = "2026-11-22T12:00:00.123456Z".parse().unwrap();
        let token = read_info(&Fresh { value: (), time: now, stale: false }).freshness_token;
        let asked = PbFreshness { kind: Some(Kind::AtLeast(token)) };
        assert_eq!(freshness(Some(asked), now).unwrap(), Freshness::Since(now));
        let forged = PbFreshness { kind: Some(Kind::AtLeast("yesterday".to_owned())) };
        assert!(freshness(Some(forged), now).is_err());
        assert_eq!(freshness(None, now).unwrap(), Freshness::Stored);
    }

    #[test]
    fn an_audience_is_shown_without_the_marker_and_without_unknown_counts() {
        let graph = serde_json::from_value(serde_json::json!({
            "id": "5", "account_id": "1", "name": "Buyers", "description": "of 2026 [adplane:00000000000000000001]",
            "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY", "approximate_count_lower_bound": -1,
            "approximate_count_upper_bound": 1000, "delivery_status": {"code": 300, "description": "too small"},
            "retention_days": 30,
        }))
        .unwrap();
        let mirrored = Mirrored { id: AudienceId::new(5), graph, fetch_time: Timestamp::UNIX_EPOCH };
        let audience = audience(AdAccountId::new(1), mirrored);
        assert_eq!(audience.resource_name, "adAccounts/act_1/audiences/5");
        assert_eq!(audience.description.as_deref(), Some("of 2026"));
        assert_eq!(
            (audience.approximate_count_lower_bound, audience.approximate_count_upper_bound),
            (None, Some(1000))
        );
        assert_eq!(audience.delivery_status.unwrap().code, 300);
        assert_eq!(audience.extra.get("retention_days").map(String::as_str), Some("30"));
    }
}
