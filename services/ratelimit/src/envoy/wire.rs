//! Between Envoy's messages and ours.

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit as WireUnit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus, RateLimit};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::Duration;
use rpc::FieldError;

use super::{ENTRIES_MAX, Limit, Unit};
use crate::store::Counted;

const DOMAIN_BYTES_MAX: usize = 255;
const DESCRIPTORS_MAX: usize = 32;
const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 4_096;

/// A request within its bounds.
pub(super) struct Asked {
    pub(super) domain: String,
    pub(super) descriptors: Vec<Descriptor>,
}

/// What a request is counted by.
pub(super) struct Descriptor {
    pub(super) entries: Vec<(String, String)>,
    pub(super) cost: u32,
}

/// How a descriptor stands; `None` where nothing limits it.
pub(super) type Status = Option<(Limit, Counted)>;

impl TryFrom<RateLimitRequest> for Asked {
    type Error = FieldError;

    fn try_from(request: RateLimitRequest) -> Result<Self, FieldError> {
        let RateLimitRequest { domain, descriptors, hits_addend } = request;
        if domain.is_empty() {
            return Err(FieldError::required("domain"));
        }
        if domain.len() > DOMAIN_BYTES_MAX {
            return Err(FieldError::new("domain", "must be at most 255 bytes long", "TOO_LONG"));
        }
        if descriptors.is_empty() {
            return Err(FieldError::required("descriptors"));
        }
        if descriptors.len() > DESCRIPTORS_MAX {
            return Err(FieldError::new(
                "descriptors",
                "must be at most 32; send fewer rate limit actions",
                "TOO_MANY",
            ));
        }
        let descriptors = descriptors.into_iter().enumerate();
        let descriptors = descriptors.map(|(place, wire)| {
            descriptor(wire, hits_addend).map_err(|error| error.within(&format!("descriptors[{place}].")))
        });
        Ok(Self { domain, descriptors: descriptors.collect::<Result<_, _>>()? })
    }
}

/// A descriptor's own addend goes before the request's; neither is one hit.
fn descriptor(wire: RateLimitDescriptor, hits_addend: u32) -> Result<Descriptor, FieldError> {
    if wire.is_negative_hits {
        let description = "is not served, because a hit is never given back; leave it out";
        return Err(FieldError::new("is_negative_hits", description, "NOT_SERVED"));
    }
    if wire.entries.len() > ENTRIES_MAX {
        return Err(FieldError::new("entries", "must be at most 16", "TOO_MANY"));
    }
    if wire.entries.iter().any(|entry| entry.key.len() > KEY_BYTES_MAX || entry.value.len() > VALUE_BYTES_MAX) {
        return Err(FieldError::new("entries", "must have keys of 256 and values of 4096 bytes at most", "TOO_LONG"));
    }
    let cost = match wire.hits_addend {
        Some(own) => u32::try_from(own.value).unwrap_or(u32::MAX),
        None => hits_addend.max(1),
    };
    Ok(Descriptor { entries: wire.entries.into_iter().map(|entry| (entry.key, entry.value)).collect(), cost })
}

/// Over the limit where one descriptor is; headers tell of the one that is nearest to its limit.
pub(super) fn answer(statuses: &[Status]) -> RateLimitResponse {
    let limited = || statuses.iter().flatten();
    let over = limited().any(|(_, counted)| !counted.fits);
    let nearest = limited().min_by_key(|(_, counted)| (counted.fits, counted.remaining, u64::MAX - counted.reset_ms));
    RateLimitResponse {
        overall_code: code(!over).into(),
        statuses: statuses.iter().map(status).collect(),
        response_headers_to_add: nearest.map(|(limit, counted)| headers(limit, *counted)).unwrap_or_default(),
        ..RateLimitResponse::default()
    }
}

/// As many statuses as descriptors, as Envoy expects.
pub(super) fn of_unknown_domain(descriptors: usize, refused: bool) -> RateLimitResponse {
    let code = code(!refused).into();
    let status = DescriptorStatus { code, ..DescriptorStatus::default() };
    RateLimitResponse { overall_code: code, statuses: vec![status; descriptors], ..RateLimitResponse::default() }
}

fn status(status: &Status) -> DescriptorStatus {
    let Some((limit, counted)) = status else {
        return DescriptorStatus { code: Code::Ok.into(), ..DescriptorStatus::default() };
    };
    DescriptorStatus {
        code: code(counted.fits).into(),
        current_limit: Some(RateLimit {
            name: String::new(),
            requests_per_unit: limit.requests_per_unit,
            unit: unit(limit.unit).into(),
        }),
        limit_remaining: counted.remaining,
        duration_until_reset: Some(Duration {
            seconds: i64::try_from(counted.reset_ms / 1_000).unwrap_or(i64::MAX),
            nanos: i32::try_from(counted.reset_ms % 1_000 * 1_000_000).unwrap_or_default(),
        }),
        quota: None,
    }
}

/// Whole seconds, rounded up: who comes then is not refused for having come a moment early.
fn headers(limit: &Limit, counted: Counted) -> Vec<HeaderValue> {
    let seconds = counted.reset_ms.div_ceil(1_000).to_string();
    let mut headers = vec![
        header("ratelimit-limit", limit.requests_per_unit.to_string()),
        header("ratelimit-remaining", counted.remaining.to_string()),
        header("ratelimit-reset", seconds.clone()),
    ];
    if !counted.fits {
        headers.push(header("retry-after", seconds));
    }
    headers
}

fn header(key: &str, value: String) -> HeaderValue {
    HeaderValue { key: key.to_owned(), value, ..HeaderValue::default() }
}

fn code(fits: bool) -> Code {
    if fits { Code::Ok } else { Code::OverLimit }
}

fn unit(unit: Unit) -> WireUnit {
    match unit {
        Unit::Second => WireUnit::Second,
        Unit::Minute => WireUnit::Minute,
        Unit::Hour => WireUnit::Hour,
        Unit::Day => WireUnit::Day,
    }
}
