//! What Meta said on its answers, turned into corrections of buckets. Pure: malformed reports lose their part only.

use std::collections::BTreeMap;

use proto::ratelimit::v1 as pb;
use vocabulary::names;

use crate::ceilings::Tier;
use crate::permit::{Permit, Permits};
use crate::priority::{ClassCaps, Priority};
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT, CUSTOM_AUDIENCE, Kind, Scope};
use crate::throttle;
use crate::trail::{Blame, Origin};

/// Letters of Meta's trace ids that are kept.
const TRACE_MAX: usize = 64;

/// What one bucket is to be told. Two corrections of one bucket become the stricter of both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Correction {
    /// Percent of the ceiling that Meta counts as used.
    pub(crate) used_percent: Option<u32>,
    /// Percent of CPU or wall time, whichever is higher.
    pub(crate) gate_percent: Option<u32>,
    pub(crate) close: Close,
    /// Meta's code behind the closing; 0 where a header said it.
    pub(crate) code: u32,
    /// When the permit of a probe that Meta let through was issued, in ms.
    pub(crate) let_through_ms: Option<i64>,
    /// What a call cost beyond its permit.
    pub(crate) extra: u32,
}

/// How long nobody calls; the later the stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Close {
    #[default]
    No,
    /// 1, 2, 4 .. 60 minutes, by how often it happened without a good answer between.
    BackOff,
    /// As long as Meta said, in ms.
    For(u64),
}

/// What a set of reports comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) corrections: BTreeMap<Scope, Correction>,
    /// The access tiers that Meta named, by app and ad account.
    pub(crate) tiers: BTreeMap<(u64, String), Tier>,
    /// Whose calls were answered.
    pub(crate) answers: Vec<Answer>,
    /// The calls that ran into what closes a bucket.
    pub(crate) blames: BTreeMap<Scope, Blame>,
}

/// An answer to a call whose caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) app: u64,
    pub(crate) origin: Origin,
    pub(crate) code: u32,
}

/// Reads reports in the order in which they are given.
pub(crate) fn read(reports: &[pb::UsageReport], permits: &Permits) -> Findings {
    let mut findings = Findings::default();
    for report in reports {
        let permit = permits.open(&report.permit);
        let named = || names::meta_app(&report.meta_app).ok().map(vocabulary::ids::MetaAppId::get);
        if let Some(app) = permit.as_ref().map(|permit| permit.app).or_else(named) {
            if let Some(origin) = permit.as_ref().and_then(|permit| permit.origin.clone()) {
                findings.answers.push(Answer { app, origin, code: report.code });
            }
            findings.read_headers(app, report);
            findings.read_outcome(app, report, permit.as_ref());
            findings.read_extra(app, &report.charges);
        }
    }
    findings
}

impl Findings {
    fn at(&mut self, scope: Scope) -> &mut Correction {
        self.corrections.entry(scope).or_default()
    }

    fn read_headers(&mut self, app: u64, report: &pb::UsageReport) {
        if let Some(usage) = &report.app_usage {
            self.at(Scope::of_app(app, "")).percents(usage.call_count, usage.total_cputime, usage.total_time);
        }
        if let Some(usage) = report.ad_account_usage.as_ref().filter(|_| is_id(&report.ad_account)) {
            self.learn_tier(app, &report.ad_account, &usage.ads_api_access_tier);
            let percent = usage.acc_id_util_basis_points / 100;
            let score = self.at(Scope::ad_account(app, &report.ad_account, ""));
            score.used_percent = score.used_percent.max(Some(percent));
            if percent >= 100 {
                score.close_for_ms(u64::from(usage.reset_time_duration_seconds) * 1_000);
            }
        }
        for usage in report.business_use_cases.iter().filter(|usage| is_id(&usage.id) && is_word(&usage.r#type)) {
            self.learn_tier(app, &usage.id, &usage.ads_api_access_tier);
            let bucket = self.at(use_case_scope(app, usage));
            bucket.percents(usage.call_count, usage.total_cputime, usage.total_time);
            bucket.close_for_ms(u64::from(usage.estimated_time_to_regain_access_minutes) * 60_000);
        }
        for usage in report.insights_throttle.iter().chain(&report.insights_reach_throttle) {
            self.at(Scope::of_app(app, ADS_INSIGHTS)).gate(usage.app_id_util_basis_points / 100);
            if is_id(&report.ad_account) {
                self.learn_tier(app, &report.ad_account, &usage.ads_api_access_tier);
                let percent = usage.acc_id_util_basis_points / 100;
                self.at(Scope::ad_account(app, &report.ad_account, ADS_INSIGHTS)).gate(percent);
            }
        }
    }

    /// A code that says throttled closes what it blames; any other answer to a probe shows that calls get through.
    fn read_outcome(&mut self, app: u64, report: &pb::UsageReport, permit: Option<&Permit>) {
        if let Some(blamed) = throttle::blamed(report.code, report.subcode) {
            let charged = permit.into_iter().flat_map(Permit::scopes).filter(|scope| blamed.is_to_blame(scope));
            let mut scopes: Vec<Scope> = charged.collect();
            if scopes.is_empty() {
                scopes.extend(blamed.otherwise(app, &report.ad_account, &report.use_case));
            }
            for scope in scopes {
                self.blames.insert(scope.clone(), blame(report, permit));
                let bucket = self.at(scope);
                bucket.close = bucket.close.max(blamed.close);
                bucket.code = report.code;
            }
        } else if report.http_status != 0
            && let Some(permit) = permit.filter(|permit| permit.probing)
        {
            for scope in permit.scopes() {
                let bucket = self.at(scope);
                bucket.let_through_ms = bucket.let_through_ms.max(Some(permit.issued_ms));
            }
        }
    }

    fn read_extra(&mut self, app: u64, charges: &[pb::Charge]) {
        for charge in charges {
            let scope = charge.scope.clone().and_then(|scope| Scope::try_from(scope).ok());
            if let Some(scope) = scope.filter(|scope| scope.app == app) {
                let bucket = self.at(scope);
                bucket.extra = bucket.extra.saturating_add(charge.cost);
            }
        }
    }

    fn learn_tier(&mut self, app: u64, account: &str, word: &str) {
        if let Some(tier) = Tier::from_word(word) {
            self.tiers.insert((app, account.to_owned()), tier);
        }
    }
}

impl Correction {
    /// Whether a call of this class may be decided otherwise once this is applied: the bucket closes or opens, or Meta
    /// counts as much as the class may fill. Smaller percents differ from our own sums by less than the shares do.
    pub(crate) fn may_decide(&self, class: Priority, caps: ClassCaps) -> bool {
        let stops = class.gate_percent().min(caps.percent(class));
        self.close != Close::No
            || self.let_through_ms.is_some()
            || self.used_percent.max(self.gate_percent).is_some_and(|percent| percent >= stops)
    }

    fn percents(&mut self, calls: u32, cpu: u32, wall: u32) {
        self.used_percent = self.used_percent.max(Some(calls));
        self.gate(cpu.max(wall));
    }

    fn gate(&mut self, percent: u32) {
        self.gate_percent = self.gate_percent.max(Some(percent));
    }

    fn close_for_ms(&mut self, ms: u64) {
        if ms > 0 {
            self.close = self.close.max(Close::For(ms));
        }
    }
}

/// The call behind a closing. What Meta said is kept as far as it can be one of its ids.
fn blame(report: &pb::UsageReport, permit: Option<&Permit>) -> Blame {
    let origin = permit.and_then(|permit| permit.origin.as_ref());
    let plain = report.trace_id.chars().filter(char::is_ascii_graphic);
    Blame {
        tenant: origin.map(|origin| origin.tenant.clone()).unwrap_or_default(),
        subcode: report.subcode,
        trace_id: plain.take(TRACE_MAX).collect(),
    }
}

/// The ads use cases are counted per ad account; the others per page, business or Instagram account.
fn use_case_scope(app: u64, usage: &pb::BusinessUseCaseUsage) -> Scope {
    let of_account = [ADS_MANAGEMENT, ADS_INSIGHTS, CUSTOM_AUDIENCE].contains(&usage.r#type.as_str());
    let kind = if of_account { Kind::AdAccount } else { Kind::Page };
    Scope { app, kind, id: usage.id.clone(), use_case: usage.r#type.clone() }
}

/// What may stand in a key: headers are Meta's, but a key that they shape must stay a key.
fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permit::Charged;

    fn permits() -> Permits {
        Permits::new(&[1; 32])
    }

    fn permit(probing: bool) -> Vec<u8> {
        let charged = [Scope::of_app(1, ADS_MANAGEMENT), Scope::ad_account(1, "2", ADS_MANAGEMENT)]
            .map(|scope| Charged { key: scope.key(), cell: 1, cost: 1 })
            .to_vec();
        permits().sign(&Permit { epoch: 1, app: 1, nonce: vec![], issued_ms: 77, probing, charged, origin: None })
    }

    fn report() -> pb::UsageReport {
        let (meta_app, ad_account) = ("metaApps/1".to_owned(), "2".to_owned());
        pb::UsageReport { permit: permit(false), meta_app, ad_account, http_status: 200, ..Default::default() }
    }

    fn findings(report: pb::UsageReport) -> Findings {
        read(&[report], &permits())
    }

    #[test]
    fn a_use_case_header_tells_calls_gate_regain_time_and_tier() {
        let usage = pb::BusinessUseCaseUsage {
            id: "2".to_owned(),
            r#type: ADS_MANAGEMENT.to_owned(),
            call_count: 100,
            total_cputime: 25,
            total_time: 80,
            estimated_time_to_regain_access_minutes: 19,
            ads_api_access_tier: "standard_access".to_owned(),
        };
        let found = findings(pb::UsageReport { business_use_cases: vec![usage], ..report() });
        let told = &found.corrections[&Scope::ad_account(1, "2", ADS_MANAGEMENT)];
        assert_eq!((told.used_percent, told.gate_percent), (Some(100), Some(80)));
        assert_eq!(told.close, Close::For(19 * 60_000));
        assert_eq!(found.tiers[&(1, "2".to_owned())], Tier::Standard);
    }

    #[test]
    fn the_other_headers_reach_their_buckets() {
        let score = pb::AdAccountUsage {
            acc_id_util_basis_points: 10_000,
            reset_time_duration_seconds: 100,
            ..Default::default()
        };
        let throttle = pb::InsightsThrottle {
            app_id_util_basis_points: 9_150,
            acc_id_util_basis_points: 700,
            ..Default::default()
        };
        let app = pb::AppUsage { call_count: 28, total_time: 25, total_cputime: 26 };
        let (app_usage, ad_account_usage, insights_throttle) = (Some(app), Some(score), Some(throttle));
        let found =
            findings(pb::UsageReport { app_usage, ad_account_usage, insights_throttle, ..report() }).corrections;
        assert_eq!(found[&Scope::of_app(1, "")].used_percent, Some(28));
        assert_eq!(found[&Scope::of_app(1, "")].gate_percent, Some(26));
        assert_eq!(found[&Scope::ad_account(1, "2", "")].close, Close::For(100_000));
        assert_eq!(found[&Scope::of_app(1, ADS_INSIGHTS)].gate_percent, Some(91));
        assert_eq!(found[&Scope::ad_account(1, "2", ADS_INSIGHTS)].gate_percent, Some(7));
    }

    #[test]
    fn a_throttle_code_closes_the_bucket_it_blames_among_the_permits() {
        let found = findings(pb::UsageReport { http_status: 400, code: 80_004, ..report() }).corrections;
        assert_eq!(found.len(), 1);
        let told = &found[&Scope::ad_account(1, "2", ADS_MANAGEMENT)];
        assert_eq!((told.close, told.code), (Close::BackOff, 80_004));
        let found = findings(pb::UsageReport { http_status: 400, code: 4, ..report() }).corrections;
        assert_eq!(found.keys().collect::<Vec<_>>(), [&Scope::of_app(1, ADS_MANAGEMENT)]);
    }

    #[test]
    fn only_a_probe_that_was_answered_opens_a_bucket() {
        let answered = pb::UsageReport { permit: permit(true), ..report() };
        let found = findings(answered.clone()).corrections;
        assert!(found.values().all(|told| told.let_through_ms == Some(77)) && found.len() == 2);
        assert_eq!(findings(pb::UsageReport { http_status: 0, ..answered.clone() }).corrections, BTreeMap::new());
        assert_eq!(findings(report()).corrections, BTreeMap::new());
        let throttled = findings(pb::UsageReport { code: 80_004, ..answered }).corrections;
        assert!(throttled.values().all(|told| told.let_through_ms.is_none()));
    }

    #[test]
    fn what_closes_opens_or_fills_may_decide_and_a_small_percent_may_not() {
        const CAPS: ClassCaps = ClassCaps { interactive: 97, sync: 90, bulk: 75, backfill: 60 };
        let used = |percent| Correction { used_percent: Some(percent), ..Correction::default() };
        let gate = |percent| Correction { gate_percent: Some(percent), ..Correction::default() };
        for (class, stops) in [(Priority::Safety, 100), (Priority::Interactive, 97), (Priority::Backfill, 60)] {
            assert!(used(stops).may_decide(class, CAPS) && !used(stops - 1).may_decide(class, CAPS), "{class:?}");
            assert!(gate(stops).may_decide(class, CAPS) && !gate(stops - 1).may_decide(class, CAPS), "{class:?}");
        }
        let closes = Correction { close: Close::BackOff, ..Correction::default() };
        let opens = Correction { let_through_ms: Some(1), ..Correction::default() };
        assert!(closes.may_decide(Priority::Safety, CAPS) && opens.may_decide(Priority::Safety, CAPS));
        assert!(!Correction { extra: 5, ..Correction::default() }.may_decide(Priority::Backfill, CAPS));
    }

    #[test]
    fn reports_that_make_no_sense_change_nothing() {
        let usage = pb::BusinessUseCaseUsage {
            id: "x}:b".to_owned(),
            r#type: "A:".to_owned(),
            call_count: 99,
            ..Default::default()
        };
        let found = findings(pb::UsageReport { business_use_cases: vec![usage], ..report() });
        assert_eq!(found, Findings::default());
        let nameless = pb::UsageReport { permit: b"forged".to_vec(), meta_app: String::new(), code: 4, ..report() };
        assert_eq!(findings(nameless), Findings::default());
    }
}
