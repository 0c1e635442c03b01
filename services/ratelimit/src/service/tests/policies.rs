//! Showing and setting policies, over a real socket.

use prost_types::FieldMask;
use proto::ratelimit::v1::quota_policy_service_client::QuotaPolicyServiceClient;
use uuid::Uuid;

use super::*;
use crate::store::tests::eventually;

const FIELDS: [&str; 6] = ["profile", "ceilings", "class_caps", "weights", "borrow_max_percent", "headers"];

fn ceiling(use_case: &str, limit: u32) -> pb::PolicyCeiling {
    pb::PolicyCeiling { kind: pb::ScopeKind::AdAccount.into(), use_case: use_case.to_owned(), limit }
}

fn violations(status: &tonic::Status) -> Vec<(String, String)> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let fields = status.get_details_bad_request().unwrap().field_violations;
    fields.into_iter().map(|violation| (violation.field, violation.reason)).collect()
}

pub(super) fn update(policy: pb::QuotaPolicy, paths: &[&str]) -> pb::UpdateQuotaPolicyRequest {
    pb::UpdateQuotaPolicyRequest {
        policy: Some(policy),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    }
}

impl Running {
    fn set_policies(&self) -> QuotaPolicyServiceClient<rpc::Channel> {
        let pool = Pool::new(&self.address.parse().unwrap());
        QuotaPolicyServiceClient::new(Peer::new(pool, ServiceIdentity::nobody()).channel())
    }

    pub(super) fn policy(&self) -> pb::QuotaPolicy {
        pb::QuotaPolicy { name: format!("adAccounts/act_{}", self.account), ..Default::default() }
    }

    fn lowered(&self, limit: u32) -> pb::UpdateQuotaPolicyRequest {
        update(pb::QuotaPolicy { ceilings: vec![ceiling(ADS_MANAGEMENT, limit)], ..self.policy() }, &["ceilings"])
    }

    /// With rights to read and write: of a tenant, or with `*` of an operator.
    fn as_who<T>(&self, message: T, who: &str) -> Request<T> {
        let mut request = Request::new(message);
        let claims = self.issuer.claims(who, &["quota.read", "quota.write"]);
        let token = format!("Bearer {}", self.issuer.sign(&claims));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    }

    pub(super) async fn set(
        &self,
        request: pb::UpdateQuotaPolicyRequest,
        who: &str,
    ) -> Result<pb::QuotaPolicy, tonic::Status> {
        let answer = self.set_policies().update_quota_policy(self.as_who(request, who)).await?;
        Ok(answer.into_inner().policy.unwrap())
    }

    async fn shown(&self, name: &str, who: &str) -> Result<pb::QuotaPolicy, tonic::Status> {
        let request = pb::GetQuotaPolicyRequest { name: name.to_owned() };
        let answer = self.set_policies().get_quota_policy(self.as_who(request, who)).await?;
        Ok(answer.into_inner().policy.unwrap())
    }

    async fn waits(&self, cost: u32, priority: pb::Priority) -> Option<pb::WaitReason> {
        let mut ask = self.ask(cost);
        ask.get_mut().priority = priority.into();
        ask.set_timeout(Duration::from_secs(30));
        match self.service().acquire(ask).await.unwrap().into_inner().decision {
            Some(Decision::Wait(wait)) => Some(wait.reason()),
            _ => None,
        }
    }
}

/// What counts for a field, and why.
fn effect<'a>(policy: &'a pb::QuotaPolicy, field: &str) -> (&'a str, pb::PolicyOrigin) {
    let value = policy.effective.iter().find(|value| value.field == field).expect(field);
    (value.value.as_str(), value.origin())
}

#[tokio::test]
async fn a_lower_ceiling_counts_what_was_spent_before_and_a_higher_one_forgets_nothing() {
    let running = Running::start().await;
    running.permit(40).await;
    let set = running.set(running.lowered(50), &running.tenant).await.unwrap();
    assert_eq!((set.tenant, set.ceilings[0].limit), (format!("tenants/{}", running.tenant), 50));
    let quota = running.quota(&running.tenant).await;
    assert_eq!((quota.limit, quota.used, quota.headroom), (Some(50), 40, Some(10)));
    assert!(quota.why.contains("lowered by the policy of"), "{}", quota.why);
    // 97 % of 50 is 48.
    assert_eq!(running.waits(9, pb::Priority::Interactive).await, Some(pb::WaitReason::Ceiling));
    assert_eq!(running.waits(8, pb::Priority::Interactive).await, None);
    // Below what is spent already: nothing goes, and nothing is given back.
    running.set(running.lowered(10), &running.tenant).await.unwrap();
    assert_eq!(running.waits(1, pb::Priority::Safety).await, Some(pb::WaitReason::Ceiling));
    let clear = update(running.policy(), &["ceilings"]);
    running.set(clear, &running.tenant).await.unwrap();
    let quota = running.quota(&running.tenant).await;
    assert_eq!((quota.limit, quota.used), (Some(300), 48));
    assert_eq!(running.waits(243, pb::Priority::Interactive).await, None);
    assert_eq!(running.waits(1, pb::Priority::Interactive).await, Some(pb::WaitReason::Ceiling));
}

#[tokio::test]
async fn whoever_waits_is_let_through_by_the_ceiling_of_now() {
    let running = Running::start().await;
    running.permit(291).await;
    let mut ask = running.ask(100);
    ask.set_timeout(Duration::from_secs(7_200));
    let mut service = running.service();
    let waiting = tokio_util::task::TaskTracker::new()
        .spawn(async move { service.acquire(ask).await.unwrap().into_inner().decision });
    running.set(running.lowered(1_000), "*").await.unwrap();
    let decision = tokio::time::timeout(Duration::from_secs(120), waiting).await.unwrap().unwrap();
    assert!(matches!(decision, Some(Decision::Permit(_))), "{decision:?}");
    assert_eq!(running.quota(&running.tenant).await.used, 391);
}

#[tokio::test]
async fn another_replica_hears_of_it_by_itself() {
    let running = Running::start().await;
    running.permit(1).await;
    let rows = PolicyRows::new(storage::Postgres::connect(&running.bench.postgres).await.unwrap());
    let used = FreezeRows::new(storage::Postgres::connect(&running.bench.postgres).await.unwrap());
    let counter = Arc::new(Counter::new(running.bench.replica().await));
    let (rules, process) = (running.bench.rules.clone(), runtime::Process::detached());
    let waiting = Waiting::new(Arc::clone(&counter), rules.clone(), process.tasks.clone(), process.stop.clone());
    let other = Arc::new(Quotas::new(counter, waiting, rules, &[7; 32]));
    let book = PolicyBook::open(rows, used, Arc::clone(&other)).await.unwrap();
    process.tasks.spawn(book.run(process.stop.clone()));
    let _stop = process.stop.clone().drop_guard();
    let scope = Scope::ad_account(900, &running.account, ADS_MANAGEMENT);
    let limit = async || other.bucket(scope.clone()).await.unwrap().ceiling.limit;
    assert_eq!(limit().await, Some(300));
    running.set(running.lowered(70), &running.tenant).await.unwrap();
    eventually(async || limit().await == Some(70)).await;
}

#[tokio::test]
async fn what_counts_is_shown_with_where_it_comes_from() {
    let running = Running::start().await;
    running.permit(1).await;
    let name = running.policy().name;
    let before = running.shown(&name, &running.tenant).await.unwrap();
    assert_eq!((before.etag.as_str(), before.ceilings.len(), before.update_time), ("\"0\"", 0, None));
    assert_eq!(effect(&before, "ceilings.ads_management"), ("300", pb::PolicyOrigin::Settings));
    assert_eq!(effect(&before, "class_caps.sync_percent"), ("90", pb::PolicyOrigin::Settings));
    assert_eq!(effect(&before, "ceilings.score"), ("no limit", pb::PolicyOrigin::Settings));

    let weights = vec![pb::TenantWeight { tenant: format!("tenants/{}", running.tenant), weight: 3 }];
    let caps = pb::ClassCaps { sync_percent: Some(80), ..Default::default() };
    let policy = pb::QuotaPolicy {
        profile: pb::CeilingProfile::Source.into(),
        weights,
        class_caps: Some(caps),
        borrow_max_percent: Some(20),
        headers: pb::HeaderRule::Tighten.into(),
        ..running.policy()
    };
    let set = running.set(update(policy, &FIELDS), "*").await.unwrap();
    assert_eq!((set.tenant.as_str(), set.actor.as_str()), ("", "callers/test"));
    running.set(running.lowered(150), &running.tenant).await.unwrap();
    let after = running.shown(&name, &running.tenant).await.unwrap();
    assert_eq!(effect(&after, "ceilings.ads_management"), ("150", pb::PolicyOrigin::Tenant));
    assert_eq!(effect(&after, "ceilings.ads_insights"), ("100", pb::PolicyOrigin::AdAccount));
    assert_eq!(effect(&after, "class_caps.sync_percent"), ("80", pb::PolicyOrigin::AdAccount));
    assert_eq!(effect(&after, "borrow_max_percent"), ("20", pb::PolicyOrigin::AdAccount));
    assert_eq!(effect(&after, &format!("weights.{}", running.tenant)), ("3", pb::PolicyOrigin::AdAccount));
    assert_eq!(effect(&after, "headers"), ("tighten", pb::PolicyOrigin::AdAccount));
    assert_eq!(running.quota(&running.tenant).await.profile(), pb::CeilingProfile::Source);

    let everything = pb::ListQuotaPoliciesRequest { page_size: 1_000, page_token: String::new() };
    let own = running.set_policies().list_quota_policies(running.as_who(everything.clone(), &running.tenant)).await;
    let own = own.unwrap().into_inner().policies;
    assert_eq!(own.iter().map(|policy| policy.tenant.as_str()).collect::<Vec<_>>(), [set_by(&running)]);
    let all = running.set_policies().list_quota_policies(running.as_who(everything, "*")).await.unwrap().into_inner();
    let of_account = all.policies.iter().filter(|policy| policy.name == name);
    assert_eq!(of_account.map(|policy| policy.tenant.as_str()).collect::<Vec<_>>(), ["", &set_by(&running)]);
}

fn set_by(running: &Running) -> String {
    format!("tenants/{}", running.tenant)
}

#[tokio::test]
async fn policies_are_listed_page_by_page() {
    let running = Running::start().await;
    let other = format!("7{}", running.account);
    running.permit(1).await;
    let mut ask = running.ask(1);
    ask.get_mut().charges[0].scope.as_mut().unwrap().id.clone_from(&other);
    running.service().acquire(ask).await.unwrap();
    running.set(running.lowered(100), &running.tenant).await.unwrap();
    let mut second = running.lowered(100);
    second.policy.as_mut().unwrap().name = format!("adAccounts/act_{other}");
    running.set(second, &running.tenant).await.unwrap();
    let (mut request, mut names) = (pb::ListQuotaPoliciesRequest { page_size: 1, ..Default::default() }, Vec::new());
    loop {
        let page = running.set_policies().list_quota_policies(running.as_who(request.clone(), &running.tenant)).await;
        let page = page.unwrap().into_inner();
        names.extend(page.policies.into_iter().map(|policy| policy.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let mut expected = [running.policy().name, format!("adAccounts/act_{other}")];
    expected.sort();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_repeat_changes_nothing_more_and_an_old_etag_is_refused() {
    let running = Running::start().await;
    running.permit(1).await;
    let first = running.lowered(100);
    let rehearsed = pb::UpdateQuotaPolicyRequest { validate_only: true, ..running.lowered(20) };
    assert_eq!(running.set(rehearsed, &running.tenant).await.unwrap().ceilings[0].limit, 20);
    assert_eq!(running.quota(&running.tenant).await.limit, Some(300), "a rehearsal changes nothing");
    let set = running.set(first.clone(), &running.tenant).await.unwrap();
    assert_eq!(running.set(first.clone(), &running.tenant).await.unwrap(), set);
    let reused = pb::UpdateQuotaPolicyRequest { request_id: first.request_id, ..running.lowered(30) };
    let reused = running.set(reused, &running.tenant).await.unwrap_err();
    assert_eq!(reused.get_details_error_info().unwrap().reason, "REQUEST_ID_REUSED");

    let mut with_etag = running.lowered(90);
    with_etag.policy.as_mut().unwrap().etag.clone_from(&set.etag);
    let newer = running.set(with_etag.clone(), &running.tenant).await.unwrap();
    assert_ne!(newer.etag, set.etag);
    with_etag.request_id = Uuid::new_v4().to_string();
    let stale = running.set(with_etag, &running.tenant).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    let told = stale.get_details_error_info().unwrap();
    assert_eq!((told.reason.as_str(), told.metadata["etag"].as_str()), ("ETAG_MISMATCH", newer.etag.as_str()));
}

#[tokio::test]
async fn a_tenant_only_tightens_and_only_what_its_calls_used() {
    let running = Running::start().await;
    running.permit(1).await;
    let refused = async |request| violations(&running.set(request, &running.tenant).await.unwrap_err());
    assert_eq!(refused(running.lowered(301)).await, [("policy.ceilings[0].limit".to_owned(), "LOOSENS".to_owned())]);
    let score = pb::QuotaPolicy { ceilings: vec![ceiling("", 5)], ..running.policy() };
    assert_eq!(refused(update(score, &["ceilings"])).await[0].1, "OPERATOR_ONLY");
    let caps = pb::ClassCaps { bulk_percent: Some(80), ..Default::default() };
    let caps = pb::QuotaPolicy { class_caps: Some(caps), ..running.policy() };
    assert_eq!(
        refused(update(caps, &["class_caps"])).await,
        [("policy.class_caps.bulk_percent".to_owned(), "LOOSENS".to_owned())]
    );
    let weights = vec![pb::TenantWeight { tenant: set_by(&running), weight: 9 }];
    let loosens = pb::QuotaPolicy {
        profile: pb::CeilingProfile::Source.into(),
        weights,
        borrow_max_percent: Some(90),
        headers: pb::HeaderRule::Follow.into(),
        ..running.policy()
    };
    let fields: Vec<String> = refused(update(loosens, &FIELDS)).await.into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["policy.profile", "policy.weights", "policy.borrow_max_percent", "policy.headers"]);

    let stranger = running.set(running.lowered(10), "stranger").await.unwrap_err();
    assert_eq!(stranger.code(), Code::NotFound);
    assert_eq!(running.shown(&running.policy().name, "stranger").await.unwrap_err().code(), Code::NotFound);
    let app = pb::QuotaPolicy { name: "metaApps/900".to_owned(), ..Default::default() };
    let app = running.set(update(app, &["ceilings"]), &running.tenant).await.unwrap_err();
    assert_eq!(app.code(), Code::PermissionDenied);
    // What a tenant lowered, an operator's policy does not raise.
    running.set(running.lowered(120), &running.tenant).await.unwrap();
    running.set(running.lowered(5_000), "*").await.unwrap();
    assert_eq!(running.quota(&running.tenant).await.limit, Some(120));
}

#[tokio::test]
async fn a_policy_that_makes_no_sense_names_all_its_fields() {
    let running = Running::start().await;
    running.permit(1).await;
    let refused = async |request| violations(&running.set(request, "*").await.unwrap_err());
    let caps = pb::ClassCaps { interactive_percent: Some(100), backfill_percent: Some(0), ..Default::default() };
    let wrong = pb::QuotaPolicy {
        name: "pages/1".to_owned(),
        ceilings: vec![ceiling(ADS_MANAGEMENT, 0), ceiling(ADS_MANAGEMENT, 10_000_001), ceiling("planets", 1)],
        class_caps: Some(caps),
        weights: vec![pb::TenantWeight { tenant: "tenants/a".to_owned(), weight: 0 }],
        borrow_max_percent: Some(101),
        profile: 9,
        headers: 9,
        ..Default::default()
    };
    let mut request = update(wrong, &["ceilings", "etag"]);
    request.request_id = "again".to_owned();
    let fields: Vec<String> = refused(request).await.into_iter().map(|(field, _)| field).collect();
    let expected = [
        "request_id",
        "policy.name",
        "policy.profile",
        "policy.headers",
        "policy.ceilings[0].limit",
        "policy.ceilings[1].limit",
        "policy.ceilings[1].use_case",
        "policy.ceilings[2].use_case",
        "policy.class_caps.interactive_percent",
        "policy.class_caps.backfill_percent",
        "policy.weights[0].weight",
        "policy.borrow_max_percent",
        "update_mask",
    ];
    assert_eq!(fields, expected);

    let caps = pb::ClassCaps { sync_percent: Some(50), bulk_percent: Some(60), ..Default::default() };
    let caps = pb::QuotaPolicy { class_caps: Some(caps), ..running.policy() };
    let descends = refused(update(caps, &["class_caps"])).await;
    assert_eq!(descends, [("policy.class_caps.bulk_percent".to_owned(), "CAPS_DESCEND".to_owned())]);
    let caps = pb::ClassCaps { sync_percent: Some(50), ..Default::default() };
    let caps = pb::QuotaPolicy { class_caps: Some(caps), ..running.policy() };
    running.set(update(caps, &["class_caps"]), "*").await.unwrap();
    let shown = running.shown(&running.policy().name, "*").await.unwrap();
    let counts = effect(&shown, "class_caps.backfill_percent");
    assert_eq!(counts, ("50", pb::PolicyOrigin::Settings), "cut by itself");
    let weights = vec![pb::TenantWeight { tenant: "tenants/nobody".to_owned(), weight: 2 }];
    let unknown = pb::QuotaPolicy { weights, ..running.policy() };
    let unknown = refused(update(unknown, &["weights"])).await;
    assert_eq!(unknown, [("policy.weights[0].tenant".to_owned(), "UNKNOWN_TENANT".to_owned())]);
    assert_eq!(refused(update(running.policy(), &[])).await[0].1, "MASK");
}

#[tokio::test]
async fn after_a_first_ceiling_the_journal_is_exact_only_from_then_on() {
    let running = Running::start().await;
    running.permit(1).await;
    let client = storage::Postgres::connect(&running.bench.postgres).await.unwrap().client().await.unwrap();
    let exact = async || {
        let row = client.query_one("SELECT exact_from_ms FROM epochs WHERE app = 900", &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    running.set(running.lowered(5_000), "*").await.unwrap();
    // Other tests have this app too: what counts is who moves it.
    let before = exact().await;
    let now_ms = running.bench.store.now_ms();
    let score = pb::QuotaPolicy { ceilings: vec![ceiling("", 5_000)], ..running.policy() };
    running.set(update(score, &["ceilings"]), "*").await.unwrap();
    assert!(exact().await >= before.max(now_ms), "{before} {now_ms}");
    let audited = "SELECT count(*) FROM audit_entries WHERE action = 'quota.policy.update' AND resource = $1";
    let audited = client.query_one(audited, &[&running.policy().name]).await.unwrap();
    assert_eq!(audited.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn an_operator_ends_what_a_tenant_set_for_an_account_and_no_other_tenant_does() {
    let running = Running::start().await;
    running.permit(40).await;
    running.set(running.lowered(50), &running.tenant).await.unwrap();
    let whose = format!("tenants/{}", running.tenant);
    // What else the tenant set comes along as it was read, and the mask does not name it.
    let class_caps = Some(pb::ClassCaps { bulk_percent: Some(10), ..Default::default() });
    let read = pb::QuotaPolicy { tenant: whose.clone(), class_caps, ..running.policy() };
    let ended = || update(read.clone(), &["ceilings"]);
    let error = running.set(ended(), "stranger").await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "{error:?}");
    let own = running.set(running.lowered(1_000), "*").await.unwrap();
    assert_eq!(own.tenant, "");
    assert_eq!(running.quota(&running.tenant).await.limit, Some(50));
    let set = running.set(ended(), "*").await.unwrap();
    assert_eq!((set.tenant.as_str(), set.ceilings.len()), (whose.as_str(), 0));
    assert_eq!(running.quota(&running.tenant).await.limit, Some(1_000));
    let sets = update(
        pb::QuotaPolicy { tenant: whose.clone(), ceilings: vec![ceiling(ADS_MANAGEMENT, 9)], ..running.policy() },
        &["ceilings"],
    );
    let wrong = running.set(sets, "*").await.unwrap_err();
    assert_eq!(violations(&wrong), [("policy".to_owned(), "OPERATOR_ENDS".to_owned())]);
    let nobodys = update(pb::QuotaPolicy { tenant: "tenants/nobody".to_owned(), ..running.policy() }, &["ceilings"]);
    let wrong = running.set(nobodys, "*").await.unwrap_err();
    assert_eq!(violations(&wrong), [("policy.tenant".to_owned(), "NOTHING_SET".to_owned())]);
    // The tenant finds in its own audit that it was ended, and by whom.
    let client = storage::Postgres::connect(&running.bench.postgres).await.unwrap().client().await.unwrap();
    let listing = storage::audit::Listing { size: 10, ..Default::default() };
    let entries = storage::audit::list(&client, &running.tenant, listing).await.unwrap();
    let actors: Vec<&str> = entries.iter().map(|entry| entry.actor.as_str()).collect();
    assert_eq!(
        (actors.len(), entries.iter().all(|entry| entry.action == "quota.policy.update")),
        (2, true),
        "{actors:?}"
    );
    let forged = update(pb::QuotaPolicy { tenant: "acme".to_owned(), ..running.policy() }, &["ceilings"]);
    let wrong = running.set(forged, "*").await.unwrap_err();
    assert_eq!(violations(&wrong)[0].0, "policy.tenant");
}
