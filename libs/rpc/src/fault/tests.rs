use super::*;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("ad account 1 is throttled by Meta")]
    Throttled,
    #[error("the campaign store failed")]
    Broken(#[source] std::io::Error),
}

impl Fault for Failure {
    fn code(&self) -> Code {
        match self {
            Self::Throttled => Code::ResourceExhausted,
            Self::Broken(_) => Code::Internal,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Throttled => ErrorReason::MetaThrottled,
            Self::Broken(_) => ErrorReason::Internal,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        vec![("meta_code", "17".to_owned())]
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Throttled).then_some(Duration::from_millis(1500))
    }

    fn quota(&self) -> Vec<QuotaViolation> {
        vec![QuotaViolation { subject: "AD_ACCOUNT 1".to_owned(), description: "300 of 300".to_owned() }]
    }
}

#[test]
fn a_status_says_why_and_when_to_come_back() {
    let status = status(&Failure::Throttled);
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.domain.as_str(), info.reason.as_str()), ("adplane", "META_THROTTLED"));
    assert_eq!(info.metadata["meta_code"], "17");
    assert!(info.metadata.contains_key("service"));
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_millis(1500)));
    assert_eq!(status.get_details_quota_failure().unwrap().violations.len(), 1);
    assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "1500");
}

#[test]
fn the_cause_of_an_internal_fault_stays_with_us() {
    let failure = Failure::Broken(std::io::Error::other("password=hunter2"));
    assert_eq!(chain(&failure), "the campaign store failed: password=hunter2");
    let status = status(&failure);
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("store") && !status.message().contains("hunter2"));
}

#[test]
fn all_wrong_fields_are_told_at_once() {
    let mut fields = Fields::new();
    fields.check(false, "campaign.name", "must not be empty", "NAME_EMPTY");
    fields.check(true, "campaign.objective", "must be one of Meta's", "OBJECTIVE");
    assert_eq!(fields.parse("parent", "x".parse::<u8>(), "NAME"), None);
    let status = Status::from(fields.finish().unwrap_err().within("rows[3]."));
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["rows[3].campaign.name", "rows[3].parent"]);
    assert_eq!(violations[0].reason, "NAME_EMPTY");
}

#[test]
fn what_another_service_said_is_passed_on() {
    let first = status(&Failure::Throttled);
    let passed_on = Status::from(Upstream::from(first.clone()));
    assert_eq!(passed_on.code(), first.code());
    assert_eq!(passed_on.message(), first.message());
    assert_eq!(passed_on.details(), first.details());
    assert_eq!(passed_on.metadata().get(PUSHBACK), first.metadata().get(PUSHBACK));
    assert!(passed_on.get_details_retry_info().unwrap().retry_delay.is_some());
}

/// An error of a service that wraps what another one said.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Wrapped(#[from] Upstream);

impl Fault for Wrapped {
    fn code(&self) -> Code {
        self.0.code()
    }

    fn reason(&self) -> ErrorReason {
        self.0.reason()
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        self.0.metadata()
    }
}

#[test]
fn what_another_service_said_keeps_its_meaning_inside_an_error() {
    let first = status(&Failure::Throttled);
    let wrapped = status(&Wrapped(first.clone().into()));
    assert_eq!((wrapped.code(), wrapped.message()), (first.code(), first.message()));
    let info = wrapped.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["meta_code"].as_str()), ("META_THROTTLED", "17"));
}

#[test]
fn a_row_says_what_a_failed_call_would_have_said() {
    let row = row_error(&Failure::Throttled);
    assert_eq!((row.code, row.reason.as_str()), (8, "META_THROTTLED"));
    assert_eq!(row.metadata["meta_code"], "17");
}

#[test]
fn every_reason_has_a_word_that_reads_back() {
    let reasons: Vec<_> = (1..).map_while(|number| ErrorReason::try_from(number).ok()).collect();
    assert!(reasons.len() >= 36);
    assert!(reasons.iter().all(|reason| reason_of_word(word(*reason)) == Some(*reason)));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "stands for what tonic makes")]
fn every_code_that_tonic_gives_itself_is_completed() {
    for number in 1..=16 {
        let given = Status::new(Code::from(number), "tonic's own words");
        let mut headers = http::HeaderMap::new();
        given.add_header(&mut headers).unwrap();
        complete::complete(&mut headers, "/a.B/C");
        let completed = Status::from_header_map(&headers).unwrap();
        assert!(completed.get_details_error_info().is_some(), "{completed:?}");
    }
}
