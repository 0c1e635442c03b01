//! Freezing and thawing, over a real socket.

use proto::ratelimit::v1::quota_policy_service_client::QuotaPolicyServiceClient;
use uuid::Uuid;

use super::*;
use crate::error::Error;
use crate::store::tests::{START_MS, eventually};
use crate::store::{FreezeRows, Frozen, Repeat};

impl Running {
    fn policies(&self) -> QuotaPolicyServiceClient<rpc::Channel> {
        let pool = Pool::new(&self.address.parse().unwrap());
        QuotaPolicyServiceClient::new(Peer::new(pool, ServiceIdentity::nobody()).channel())
    }

    /// Of the account, for ten minutes.
    fn freeze(&self) -> pb::FreezeScopeRequest {
        pb::FreezeScopeRequest {
            name: format!("adAccounts/act_{}", self.account),
            until_time: Some(prost_types::Timestamp { seconds: START_MS / 1_000 + 600, nanos: 0 }),
            reason: "ticket 7".to_owned(),
            request_id: Uuid::new_v4().to_string(),
            validate_only: false,
        }
    }

    fn thaw(&self) -> pb::UnfreezeScopeRequest {
        let (name, request_id) = (self.freeze().name, Uuid::new_v4().to_string());
        pb::UnfreezeScopeRequest { name, reason: "done".to_owned(), request_id, validate_only: false }
    }

    fn writes<T>(&self, message: T, tenant: &str) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.issuer.token(tenant, &["quota.write"]));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    }

    fn operates<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.issuer.sign(&self.issuer.claims("*", &["quota.write"])));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    }

    async fn reason(&self, priority: pb::Priority) -> Option<pb::WaitReason> {
        let mut ask = self.ask(1);
        ask.get_mut().priority = priority.into();
        ask.set_timeout(Duration::from_secs(60));
        match self.service().acquire(ask).await.unwrap().into_inner().decision {
            Some(Decision::Wait(wait)) => Some(wait.reason()),
            _ => None,
        }
    }
}

#[tokio::test]
async fn a_frozen_account_lets_safety_through_and_says_who_froze_it_until_it_is_thawed() {
    let running = Running::start().await;
    running.permit(1).await;
    let rehearsed = pb::FreezeScopeRequest { validate_only: true, ..running.freeze() };
    running.policies().freeze_scope(running.writes(rehearsed, &running.tenant)).await.unwrap();
    assert_eq!(running.reason(pb::Priority::Interactive).await, None, "a rehearsal changes nothing");

    let freeze = running.freeze();
    for _ in 0..2 {
        let answer = running.policies().freeze_scope(running.writes(freeze.clone(), &running.tenant)).await;
        let frozen = answer.unwrap().into_inner().freeze.unwrap();
        assert_eq!((frozen.actor.as_str(), frozen.until_time), ("callers/test", freeze.until_time));
    }
    assert_eq!(running.reason(pb::Priority::Interactive).await, Some(pb::WaitReason::Frozen));
    assert_eq!(running.reason(pb::Priority::Safety).await, None);
    let told = running.explain(&running.tenant).await;
    assert_eq!((told.state(), told.until), (pb::ThrottleState::Frozen, freeze.until_time));
    assert!(told.reasons[0].contains("ticket 7"), "{told:?}");
    assert_eq!(told.events.iter().filter(|event| event.kind() == pb::QuotaEventKind::Frozen).count(), 1, "once");

    running.policies().unfreeze_scope(running.writes(running.thaw(), &running.tenant)).await.unwrap();
    eventually(async || running.reason(pb::Priority::Interactive).await.is_none()).await;
    let again = running.policies().unfreeze_scope(running.writes(running.thaw(), &running.tenant)).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_thaw_stands_though_a_replica_that_has_not_heard_of_it_says_the_freeze_again() {
    let running = Running::start().await;
    running.permit(1).await;
    running.policies().freeze_scope(running.writes(running.freeze(), &running.tenant)).await.unwrap();
    running.policies().unfreeze_scope(running.writes(running.thaw(), &running.tenant)).await.unwrap();
    let scopes = [ADS_MANAGEMENT, ""].map(|use_case| Scope::ad_account(900, &running.account, use_case));
    let late = scopes.map(|scope| (running.bench.rules.bucket(scope, None), START_MS + 600_000));
    running.bench.store.freeze(&late).await.unwrap();
    running.reason(pb::Priority::Interactive).await; // refused, and remembered
    eventually(async || running.reason(pb::Priority::Interactive).await.is_none()).await;
}

#[tokio::test]
async fn a_freeze_outlives_a_loss_of_redis_because_it_is_said_again() {
    let running = Running::start().await;
    running.permit(1).await;
    running.policies().freeze_scope(running.writes(running.freeze(), &running.tenant)).await.unwrap();
    let bucket = running.bench.rules.bucket(Scope::ad_account(900, &running.account, ADS_MANAGEMENT), None);
    running.bench.store.freeze(&[(bucket, 0)]).await.unwrap(); // as if it had been forgotten
    eventually(async || running.reason(pb::Priority::Sync).await == Some(pb::WaitReason::Frozen)).await;
}

#[tokio::test]
async fn a_freeze_can_be_ended_though_no_call_came_for_days() {
    let running = Running::start().await;
    running.permit(1).await;
    let until_time = Some(prost_types::Timestamp { seconds: START_MS / 1_000 + 7 * 86_400, nanos: 0 });
    let freeze = pb::FreezeScopeRequest { until_time, ..running.freeze() };
    running.policies().freeze_scope(running.writes(freeze, &running.tenant)).await.unwrap();
    running.bench.turn(Duration::from_hours(48));
    let stranger = running.policies().unfreeze_scope(running.writes(running.thaw(), "stranger")).await.unwrap_err();
    assert_eq!(stranger.code(), Code::NotFound);
    assert_eq!(running.reason(pb::Priority::Interactive).await, Some(pb::WaitReason::Frozen));
    running.bench.turn(Duration::from_hours(48));
    running.policies().unfreeze_scope(running.writes(running.thaw(), &running.tenant)).await.unwrap();
    eventually(async || running.reason(pb::Priority::Interactive).await.is_none()).await;
}

#[tokio::test]
async fn a_tenant_loses_the_race_against_an_operator_who_freezes_too() {
    let running = Running::start().await;
    let rows = FreezeRows::new(storage::Postgres::connect(&running.bench.postgres).await.unwrap());
    let put = async |tenant: &str, until_ms: i64, operators: bool| {
        let repeat = Repeat { request_id: Uuid::new_v4(), method: "FreezeScope", fingerprint: [0; 32] };
        rows.repeats().begin(&tenant.parse().unwrap(), &repeat).await.unwrap();
        let frozen = Frozen {
            tenant: tenant.to_owned(),
            name: format!("adAccounts/act_{}", running.account),
            until_ms,
            reason: "race".to_owned(),
            actor: "callers/test".to_owned(),
            operators,
        };
        rows.put(&frozen, START_MS, &[], &repeat).await
    };
    // Each read before the other wrote.
    put("acme", START_MS + 60_000, false).await.unwrap();
    put("system", START_MS + 60_000, true).await.unwrap();
    assert!(matches!(put("acme", 0, false).await, Err(Error::OperatorOnly(_))));
    put("system", 0, true).await.unwrap();
    put("acme", START_MS + 60_000, false).await.unwrap();
}

#[tokio::test]
async fn what_an_operator_froze_no_tenant_thaws_and_anothers_account_does_not_exist() {
    let running = Running::start().await;
    running.permit(1).await;
    running.explain(&running.tenant).await; // written, so that the operator's service knows whose account it is
    let mut policies = running.policies();
    let stranger = policies.freeze_scope(running.writes(running.freeze(), "stranger")).await.unwrap_err();
    assert_eq!(stranger.code(), Code::NotFound);
    let app = pb::FreezeScopeRequest { name: "metaApps/900".to_owned(), ..running.freeze() };
    let app = policies.freeze_scope(running.writes(app, &running.tenant)).await.unwrap_err();
    assert_eq!(app.code(), Code::PermissionDenied);

    policies.freeze_scope(running.operates(running.freeze())).await.unwrap();
    let refused = policies.unfreeze_scope(running.writes(running.thaw(), &running.tenant)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(running.reason(pb::Priority::Bulk).await, Some(pb::WaitReason::Frozen));
    policies.unfreeze_scope(running.operates(running.thaw())).await.unwrap();
}

#[tokio::test]
async fn a_freeze_that_makes_no_sense_names_its_fields() {
    let running = Running::start().await;
    running.permit(1).await;
    let ask = async |change: fn(&mut pb::FreezeScopeRequest)| {
        let mut request = running.freeze();
        change(&mut request);
        let wrong = running.policies().freeze_scope(running.writes(request, &running.tenant)).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong:?}");
        wrong.get_details_bad_request().unwrap().field_violations[0].field.clone()
    };
    assert_eq!(ask(|request| request.name = "act_1".to_owned()).await, "name");
    assert_eq!(ask(|request| request.until_time = None).await, "until_time");
    assert_eq!(ask(|request| request.until_time.as_mut().unwrap().seconds -= 600).await, "until_time");
    assert_eq!(ask(|request| request.until_time.as_mut().unwrap().seconds += 30 * 86_400).await, "until_time");
    assert_eq!(ask(|request| request.reason = " ".to_owned()).await, "reason");
    assert_eq!(ask(|request| request.reason = "x".repeat(501)).await, "reason");
    assert_eq!(ask(|request| request.request_id = "again".to_owned()).await, "request_id");
    let first = running.freeze();
    running.policies().freeze_scope(running.writes(first.clone(), &running.tenant)).await.unwrap();
    let other = pb::FreezeScopeRequest { reason: "another".to_owned(), ..first };
    let reused = running.policies().freeze_scope(running.writes(other, &running.tenant)).await.unwrap_err();
    assert_eq!(reused.get_details_error_info().unwrap().reason, "REQUEST_ID_REUSED");
}
