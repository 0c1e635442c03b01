//! What an attempt came to, in the words of the caller: a value, an error that says the next step, a report of usage.

use std::time::{Duration, Instant};

use proto::ratelimit::v1::UsageReport;
use serde::de::DeserializeOwned;

use crate::{
    call::Replay,
    client::Outgoing,
    error::Error,
    meta_error::{MetaError, Verdict},
    on::{Asset, On},
    retry::Seen,
    usage::{self, Headers, TRACE_ID},
};

/// Meta's code for an app that calls too often.
const APP_THROTTLED: u32 = 4;

/// Reads an answer. A create whose good answer cannot be read was executed all the same: somebody must look.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], call: &Outgoing) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|source| match call.replay {
        Replay::Safe => Error::Malformed { call: call.label.clone(), source },
        Replay::Never => unknown(Seen::Lost(format!("the answer cannot be read: {source}")), &call.label),
    })
}

pub(crate) fn report(
    on: &On,
    call: &Outgoing,
    status: u16,
    meta: Option<&MetaError>,
    headers: &impl Headers,
) -> UsageReport {
    let code = |number: i64| u32::try_from(number).unwrap_or(0);
    // Where no envelope came somebody before Meta spoke, and nothing is known of the quota save for 429: it says what Meta's
    // code 4 says.
    let is_metas = (200..300).contains(&status) || meta.is_none_or(|meta| meta.code != 0);
    // Only a code that says something about a quota matters to ratelimit; a wrong field is the caller's business.
    let meta = meta.filter(|meta| meta.verdict() == Verdict::Throttled);
    let mut report = UsageReport {
        ad_account: match on.asset {
            Asset::AdAccount(account) => account.to_string(),
            Asset::Dataset(_) => String::new(),
        },
        use_case: call.use_case.word().to_owned(),
        http_status: if is_metas { u32::from(status) } else { 0 },
        code: meta.map_or(0, |meta| if meta.code == 0 { APP_THROTTLED } else { code(meta.code) }),
        subcode: meta.and_then(|meta| meta.subcode).map_or(0, code),
        trace_id: headers.value(TRACE_ID).unwrap_or_default().to_owned(),
        ..UsageReport::default()
    };
    usage::harvest(headers, &mut report);
    report
}

/// Waits, unless the deadline comes first: then not at all, and says `false`.
pub(crate) async fn wait(on: &On, pause: Duration) -> bool {
    if Instant::now() + pause >= on.deadline {
        return false;
    }
    tokio::time::sleep(pause).await;
    true
}

pub(crate) fn unknown(seen: Seen, call: &str) -> Error {
    let cause = match seen {
        Seen::Lost(cause) | Seen::Unsent(cause) => cause,
        Seen::Meta(meta) => meta.message,
    };
    Error::OutcomeUnknown { call: call.to_owned(), cause }
}

/// `throttled` is how long to wait where Meta refuses for quota and does not say how long.
pub(crate) fn given(seen: Seen, call: &str, throttled: Duration) -> Error {
    let call = call.to_owned();
    let meta = match seen {
        Seen::Unsent(cause) | Seen::Lost(cause) => return Error::Unavailable { call, cause, meta: None },
        Seen::Meta(meta) => meta,
    };
    match meta.verdict() {
        Verdict::Throttled => {
            let retry_after = meta.throttled_for().unwrap_or(throttled);
            Error::Throttled { call, meta, retry_after }
        }
        Verdict::Transient => Error::Unavailable { call, cause: meta.message.clone(), meta: Some(meta) },
        Verdict::Rejected => Error::Rejected { call, meta },
        Verdict::Missing => Error::Missing { call, meta },
        Verdict::Permission => Error::Permission { call, meta },
        Verdict::Token => Error::NeedsConsent { meta },
        Verdict::Proof => Error::AppSecret { meta },
        Verdict::Restricted => Error::Restricted { meta },
        Verdict::VersionEnded => Error::VersionEnded { meta },
        Verdict::TooMuchData => Error::TooMuchData { call, meta },
    }
}
