//! What can go wrong with a call to Meta, sorted by what the caller should do next.

use std::time::Duration;

use proto::common::v1::ErrorReason;
use rpc::{Code, Fault, Violation};

use crate::{meta_error::MetaError, outcome, retry::Seen};

/// Why a call to Meta did not give its answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our own count, or what Meta said earlier, leaves no room. Nothing was sent.
    #[error("the quota of {scope} is used; it has room again in {} s", retry_after.as_secs())]
    Quota {
        /// The bucket that binds, for a person.
        scope: String,
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// The charge alone is more than its bucket may ever hold: waiting is no help. Nothing was sent.
    #[error(
        "one request costs more than {scope} may ever hold: send less at once, or ask the operator for a higher ceiling"
    )]
    CostAboveCeiling {
        /// The bucket that binds, for a person.
        scope: String,
    },
    /// Meta refused for quota. Nothing was executed.
    #[error("Meta throttles {call}: {} ({})", meta.message, meta.advice())]
    Throttled {
        /// The call, without ids.
        call: String,
        /// Meta's words.
        meta: Box<MetaError>,
        /// What Meta said, or our own back-off.
        retry_after: Duration,
    },
    /// Meta says the request is wrong.
    #[error("Meta refuses {call}: {} ({})", meta.words(), meta.advice())]
    Rejected {
        /// The call, without ids.
        call: String,
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// Meta has no such object, or hides it from this connection.
    #[error("Meta knows no such object, or this connection may not see it ({call}): {}", meta.advice())]
    Missing {
        /// The call, without ids.
        call: String,
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// The connection may not do this.
    #[error("the connection lacks a permission at Meta for {call}: {} ({})", meta.message, meta.advice())]
    Permission {
        /// The call, without ids.
        call: String,
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// The token is dead and nothing we can do revives it.
    #[error("the connection's token no longer works: {}", meta.advice())]
    NeedsConsent {
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// Meta does not take the proof made with our app's secret. Every call of the app fails until the operator sets it.
    #[error("Meta refuses the secret of our app: {}", meta.advice())]
    AppSecret {
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// Meta restricted the account, the page or the person.
    #[error("Meta restricted this account: {} ({})", meta.words(), meta.advice())]
    Restricted {
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// The version of the API is gone.
    #[error("Meta ended the version of its API that we use: the operator must set a newer one")]
    VersionEnded {
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// The version that would be called is over. Nothing was sent.
    #[error("{advice}")]
    DeadVersion {
        /// Which one, since when, and what to do.
        advice: String,
    },
    /// More than one answer can hold.
    #[error("Meta cannot answer {call} in one piece: narrow it, or ask for a report ({})", meta.advice())]
    TooMuchData {
        /// The call, without ids.
        call: String,
        /// Meta's words.
        meta: Box<MetaError>,
    },
    /// Meta did not answer, or failed. Nothing was sent, or what was sent may be repeated.
    #[error("Meta is not available for {call}: {cause}")]
    Unavailable {
        /// The call, without ids.
        call: String,
        /// What was seen last.
        cause: String,
        /// Meta's words, where there are any.
        meta: Option<Box<MetaError>>,
    },
    /// A write was sent and its answer was lost: look before repeating.
    #[error("{call} was sent to Meta and its answer was lost, so look before you repeat it: {cause}")]
    OutcomeUnknown {
        /// The call, without ids.
        call: String,
        /// What was seen.
        cause: String,
    },
    /// Calls of this kind fail at Meta of late, so this one was not tried. Nothing was sent.
    #[error("Meta fails calls such as {call} of late, so it was not tried: repeat in {} s", retry_after.as_secs().max(1))]
    Open {
        /// The call, without ids.
        call: String,
        /// When one is tried again.
        retry_after: Duration,
    },
    /// The caller could not write down that it goes, so it did not go. Nothing was sent.
    #[error("{call} was not sent: {cause}")]
    Withheld {
        /// The call, without ids.
        call: String,
        /// What the caller's own [`crate::Before`] said.
        cause: crate::before::Refusal,
    },
    /// The deadline passed before anything was sent, or while a read was under way.
    #[error("the deadline passed before Meta answered {call}: repeat it, with more time")]
    Deadline {
        /// The call, without ids.
        call: String,
    },
    /// Meta answered something that we cannot read.
    #[error("Meta's answer to {call} has an unexpected shape")]
    Malformed {
        /// The call, without ids.
        call: String,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Auth or ratelimit refused or is away; its own words are passed on.
    #[error(transparent)]
    Upstream(#[from] rpc::Upstream),
    /// The client could not be built.
    #[error("the Graph client cannot be set up: {0}")]
    Setup(String),
}

impl Error {
    /// What Meta's error means, for a call of this name.
    pub fn of(meta: MetaError, call: &str) -> Self {
        let throttled = Duration::from_secs(60);
        outcome::given(Seen::Meta(Box::new(meta)), call, throttled)
    }

    /// Meta's own words, where Meta spoke.
    pub fn meta(&self) -> Option<&MetaError> {
        match self {
            Self::Throttled { meta, .. }
            | Self::Rejected { meta, .. }
            | Self::Missing { meta, .. }
            | Self::Permission { meta, .. }
            | Self::NeedsConsent { meta }
            | Self::AppSecret { meta }
            | Self::Restricted { meta }
            | Self::VersionEnded { meta }
            | Self::TooMuchData { meta, .. } => Some(meta),
            Self::Unavailable { meta, .. } => meta.as_deref(),
            _ => None,
        }
    }

    /// The same, for another of the calls that went together.
    pub(crate) fn copied(&self) -> Self {
        let unavailable = |cause: String| Self::Unavailable {
            call: self.call().unwrap_or_default().to_owned(),
            cause,
            meta: self.meta().cloned().map(Box::new),
        };
        match self {
            Self::Quota { scope, retry_after } => Self::Quota { scope: scope.clone(), retry_after: *retry_after },
            Self::CostAboveCeiling { scope } => Self::CostAboveCeiling { scope: scope.clone() },
            Self::Throttled { call, meta, retry_after } => {
                Self::Throttled { call: call.clone(), meta: meta.clone(), retry_after: *retry_after }
            }
            Self::Rejected { call, meta } => Self::Rejected { call: call.clone(), meta: meta.clone() },
            Self::Missing { call, meta } => Self::Missing { call: call.clone(), meta: meta.clone() },
            Self::TooMuchData { call, meta } => Self::TooMuchData { call: call.clone(), meta: meta.clone() },
            Self::Permission { call, meta } => Self::Permission { call: call.clone(), meta: meta.clone() },
            Self::AppSecret { meta } => Self::AppSecret { meta: meta.clone() },
            Self::NeedsConsent { meta } => Self::NeedsConsent { meta: meta.clone() },
            Self::Restricted { meta } => Self::Restricted { meta: meta.clone() },
            Self::VersionEnded { meta } => Self::VersionEnded { meta: meta.clone() },
            Self::Open { call, retry_after } => Self::Open { call: call.clone(), retry_after: *retry_after },
            Self::Deadline { call } => Self::Deadline { call: call.clone() },
            Self::DeadVersion { advice } => Self::DeadVersion { advice: advice.clone() },
            Self::Upstream(upstream) => Self::Upstream(upstream.clone()),
            other => unavailable(other.to_string()),
        }
    }

    /// Was the write perhaps executed?
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown { .. })
    }

    /// Can the tenant not use the asset at all, be it another's or nobody's? A caller is told the same of both, so that
    /// nobody learns which there are.
    pub fn is_out_of_reach(&self) -> bool {
        use rpc::ErrorReason::{AdAccountTaken, NotConnected, NotFound};
        matches!(self, Self::Upstream(_)) && matches!(self.reason(), AdAccountTaken | NotConnected | NotFound)
    }

    /// Does waiting help, with nothing to change by anybody?
    pub fn is_temporary(&self) -> bool {
        match self {
            // A peer that stalls or shuts down says DEADLINE_EXCEEDED, CANCELLED or ABORTED: it comes back.
            Self::Upstream(upstream) => matches!(
                upstream.code(),
                Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted
            ),
            _ => matches!(
                self,
                Self::Quota { .. }
                    | Self::Throttled { .. }
                    | Self::Unavailable { .. }
                    | Self::Open { .. }
                    | Self::Withheld { .. }
                    | Self::Deadline { .. }
            ),
        }
    }

    fn call(&self) -> Option<&str> {
        match self {
            Self::Throttled { call, .. }
            | Self::Rejected { call, .. }
            | Self::Missing { call, .. }
            | Self::Permission { call, .. }
            | Self::TooMuchData { call, .. }
            | Self::Unavailable { call, .. }
            | Self::OutcomeUnknown { call, .. }
            | Self::Open { call, .. }
            | Self::Withheld { call, .. }
            | Self::Deadline { call }
            | Self::Malformed { call, .. } => Some(call),
            _ => None,
        }
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Quota { .. } | Self::CostAboveCeiling { .. } | Self::Throttled { .. } => Code::ResourceExhausted,
            Self::Rejected { .. } => Code::InvalidArgument,
            Self::Missing { .. } => Code::NotFound,
            Self::Permission { .. }
            | Self::NeedsConsent { .. }
            | Self::AppSecret { .. }
            | Self::Restricted { .. }
            | Self::VersionEnded { .. }
            | Self::DeadVersion { .. }
            | Self::TooMuchData { .. } => Code::FailedPrecondition,
            Self::Unavailable { .. } | Self::Open { .. } | Self::Withheld { .. } => Code::Unavailable,
            Self::OutcomeUnknown { .. } => Code::Unknown,
            Self::Deadline { .. } => Code::DeadlineExceeded,
            Self::Malformed { .. } | Self::Setup(_) => Code::Internal,
            Self::Upstream(upstream) => upstream.code(),
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Quota { .. } | Self::CostAboveCeiling { .. } => ErrorReason::QuotaExhausted,
            Self::Throttled { .. } => ErrorReason::MetaThrottled,
            Self::Rejected { .. } => ErrorReason::MetaRejectedField,
            Self::Missing { .. } => ErrorReason::MetaObjectMissing,
            Self::Permission { .. } | Self::AppSecret { .. } => ErrorReason::MetaPermissionMissing,
            Self::NeedsConsent { .. } => ErrorReason::ConnectionNeedsConsent,
            Self::Restricted { .. } => ErrorReason::AccountRestricted,
            Self::VersionEnded { .. } | Self::DeadVersion { .. } => ErrorReason::MetaVersionEnded,
            Self::TooMuchData { .. } => ErrorReason::QueryTooLarge,
            Self::Unavailable { .. } | Self::Open { .. } => ErrorReason::MetaUnavailable,
            Self::Withheld { .. } => ErrorReason::StoreUnavailable,
            Self::OutcomeUnknown { .. } => ErrorReason::OutcomeUnknown,
            Self::Deadline { .. } => ErrorReason::DeadlinePassed,
            Self::Malformed { .. } | Self::Setup(_) => ErrorReason::Internal,
            Self::Upstream(upstream) => upstream.reason(),
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        if let Self::Upstream(upstream) = self {
            return upstream.metadata();
        }
        let mut metadata = Vec::new();
        if let Some(call) = self.call() {
            metadata.push(("graph_call", call.to_owned()));
        }
        if let Self::Quota { scope, .. } | Self::CostAboveCeiling { scope } = self {
            metadata.push(("scope", scope.clone()));
        }
        if let Some(meta) = self.meta() {
            metadata.push(("meta_code", meta.code.to_string()));
            metadata.extend(meta.subcode.map(|subcode| ("meta_subcode", subcode.to_string())));
            metadata.extend(meta.trace_id.clone().map(|trace| ("fbtrace_id", trace)));
        }
        metadata
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Quota { retry_after, .. } | Self::Throttled { retry_after, .. } | Self::Open { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Unavailable { .. } | Self::Withheld { .. } => Some(Duration::from_secs(2)),
            Self::Upstream(upstream) => upstream.retry_after(),
            _ => None,
        }
    }

    /// Meta's parameter names; a service translates them to its own paths where they differ.
    fn violations(&self) -> Vec<Violation> {
        let Self::Rejected { meta, .. } = self else { return Vec::new() };
        let description = meta.user_message.clone().unwrap_or_else(|| meta.message.clone());
        let violation = |field: &str| Violation {
            field: field.to_owned(),
            description: description.clone(),
            reason: "META_REJECTED",
        };
        match meta.blame.as_slice() {
            [] => vec![violation("")],
            blame => blame.iter().map(|field| violation(field)).collect(),
        }
    }
}
