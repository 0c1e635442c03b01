//! What a failure says to its caller, checked for what every failure must say.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use anyhow::{Context, Result, bail, ensure};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt};

/// A failure as its caller reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The next move.
    pub code: Code,
    /// Why, as one word.
    pub reason: String,
    /// Which service refused.
    pub service: String,
    /// Field paths with what would be right.
    pub fields: BTreeMap<String, String>,
    /// All text of it, for people and for searches.
    pub text: String,
}

/// Reads a failure. Fails unless it has exactly one `ErrorInfo`, of our domain, with a reason and a service.
pub fn refusal(status: &Status) -> Result<Refusal> {
    let details = status.check_error_details_vec().with_context(|| format!("unreadable details in {status:?}"))?;
    let mut infos = details.iter().filter_map(|detail| match detail {
        ErrorDetail::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let info = infos.next().with_context(|| format!("no ErrorInfo in {status:?}"))?;
    ensure!(infos.next().is_none(), "more than one ErrorInfo in {status:?}");
    ensure!(info.domain == "adplane", "the domain is {:?} in {status:?}", info.domain);
    ensure!(!info.reason.is_empty(), "no reason in {status:?}");
    ensure!(!status.message().is_empty(), "no message in {status:?}");
    let service = text(&info.metadata, "service").with_context(|| format!("no service in {status:?}"))?;
    let violations = details.iter().filter_map(|detail| match detail {
        ErrorDetail::BadRequest(bad) => Some(&bad.field_violations),
        _ => None,
    });
    let fields = violations.flatten().map(|violation| (violation.field.clone(), violation.description.clone()));
    Ok(Refusal {
        code: status.code(),
        reason: info.reason.clone(),
        service,
        fields: fields.collect(),
        text: format!("{status:?} {details:?}"),
    })
}

/// The failure of a call that had to fail.
pub fn refused<T: Debug>(answer: Result<T, Status>) -> Result<Refusal> {
    match answer {
        Ok(answer) => bail!("this was not refused: {answer:?}"),
        Err(status) => refusal(&status),
    }
}

fn text(metadata: &HashMap<String, String>, key: &str) -> Option<String> {
    metadata.get(key).filter(|text| !text.is_empty()).cloned()
}
