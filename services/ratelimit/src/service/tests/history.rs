//! What the history tells, over a real socket.

use proto::ratelimit::v1::usage_service_client::UsageServiceClient;
use rpc::Tenants;

use super::*;
use crate::store::tests::START_MS;

impl Running {
    fn usage(&self) -> UsageServiceClient<rpc::Channel> {
        let pool = Pool::new(&self.address.parse().unwrap());
        UsageServiceClient::new(Peer::new(pool, ServiceIdentity::nobody()).channel())
    }

    /// As an operator, for a tenant or for all.
    fn of_operator<T>(&self, message: T, tenant: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        let claims = rpc_claims(&self.issuer);
        let token = format!("Bearer {}", self.issuer.sign(&claims));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        if let Some(tenant) = tenant {
            request.metadata_mut().insert("x-adplane-tenant", tenant.parse().unwrap());
        }
        request
    }

    fn name(&self) -> String {
        format!("adAccounts/act_{}", self.account)
    }

    pub(super) async fn explain(&self, tenant: &str) -> pb::Explanation {
        let request = pb::ExplainThrottleRequest { name: self.name(), time: None };
        let answer = self.outsider().explain_throttle(self.of_tenant(request, tenant)).await;
        answer.unwrap().into_inner().explanation.unwrap()
    }

    /// A call of a kind by another tenant or this one.
    async fn call(&self, tenant: &str, call: &str, cost: u32) -> Vec<u8> {
        let mut ask = self.ask(cost).into_inner();
        (ask.call, ask.purpose) = (call.to_owned(), "campaigns.read".to_owned());
        let request = rpc::for_tenant(ask, &tenant.parse().unwrap());
        match self.service().acquire(request).await.unwrap().into_inner().decision {
            Some(Decision::Permit(permit)) => permit.value,
            decision => panic!("no permit: {decision:?}"),
        }
    }

    fn query(&self, group_by: &[pb::UsageDimension]) -> pb::QueryUsageRequest {
        let ad_account = self.name();
        pb::QueryUsageRequest {
            group_by: group_by.iter().map(|group| i32::from(*group)).collect(),
            from_time: Some(prost_types::Timestamp { seconds: START_MS / 1_000 - 3_600, nanos: 0 }),
            filter: Some(pb::UsageFilter { ad_account, ..pb::UsageFilter::default() }),
            ..pb::QueryUsageRequest::default()
        }
    }
}

fn rpc_claims(issuer: &Issuer) -> rpc::Claims {
    let claims = issuer.claims("*", &["quota.read"]);
    assert_eq!(claims.tenants, Tenants::All);
    claims
}

#[tokio::test]
async fn a_closed_account_is_explained_with_its_code_its_trace_and_who_spent() {
    let running = Running::start().await;
    let permit = running.call(&running.tenant, "GET act/campaigns", 40).await;
    running.call("neighbour", "GET id", 10).await;
    let trace_id = "Aq1".to_owned();
    let report = pb::UsageReport { permit, http_status: 400, code: 80_004, trace_id, ..Default::default() };
    running.service().settle(pb::SettleRequest { reports: vec![report] }).await.unwrap();

    let told = running.explain(&running.tenant).await;
    assert_eq!(told.state(), pb::ThrottleState::Closed);
    assert_eq!(told.until.unwrap().seconds, START_MS / 1_000 + 60);
    assert!(
        told.headline.ends_with("Meta lets no ads_management calls through until 09:01:00 UTC (60 s)."),
        "{told:?}"
    );
    let own = &told.spenders[0];
    assert_eq!((own.caller.as_str(), own.call.as_str(), own.calls), ("services/campaigns", "GET act/campaigns", 40));
    let others = &told.spenders[1];
    assert_eq!((others.tenant.as_str(), others.call.as_str(), others.calls), ("", "", 10), "{told:?}");
    let event = &told.events[0];
    assert_eq!((event.kind(), event.code, event.trace_id.as_str()), (pb::QuotaEventKind::Closed, 80_004, "Aq1"));
    let classes = &told.buckets[0].classes;
    assert!(classes.iter().all(|class| class.reason() == pb::WaitReason::Closed), "{classes:?}");
    assert_eq!((classes[3].cap, classes[3].pace), (Some(225), Some(15)));

    // The neighbour sees that it is closed, and not whose call ran into it.
    let told = running.explain("neighbour").await;
    assert_eq!((told.state(), told.events[0].trace_id.as_str()), (pb::ThrottleState::Closed, ""));
    assert_eq!(told.spenders.iter().map(|spender| spender.calls).collect::<Vec<_>>(), [10, 40]);

    // An operator who names no tenant sees everybody.
    let request = pb::ExplainThrottleRequest { name: running.name(), time: None };
    let told = running.outsider().explain_throttle(running.of_operator(request, None)).await.unwrap().into_inner();
    let told = told.explanation.unwrap();
    let tenants: Vec<&str> = told.spenders.iter().map(|spender| spender.tenant.as_str()).collect();
    assert_eq!(tenants, [format!("tenants/{}", running.tenant).as_str(), "tenants/neighbour"]);
    assert_eq!(told.events[0].trace_id, "Aq1");
}

#[tokio::test]
async fn who_was_told_to_wait_is_told_for_what_and_how_long() {
    let running = Running::start().await;
    running.call(&running.tenant, "GET act/campaigns", 291).await;
    let mut ask = running.ask(1);
    ask.set_timeout(Duration::from_secs(60));
    ask.get_mut().call = "POST act/ads".to_owned();
    running.service().acquire(ask).await.unwrap();
    let told = running.explain(&running.tenant).await;
    assert_eq!(told.state(), pb::ThrottleState::Full);
    let refused = &told.refused[0];
    assert_eq!((refused.count, refused.reason(), refused.call.as_str()), (1, pb::WaitReason::Ceiling, "POST act/ads"));
    assert_eq!(refused.scope, Some(running.scope()));
    assert!(refused.delay.unwrap().seconds > 3_500);
    // What was so an hour later is not what is so now.
    let time = Some(prost_types::Timestamp { seconds: START_MS / 1_000 - 7_200, nanos: 0 });
    let request = pb::ExplainThrottleRequest { name: running.name(), time };
    let past = running.outsider().explain_throttle(running.of_tenant(request, &running.tenant)).await;
    let past = past.unwrap().into_inner().explanation.unwrap();
    assert!(past.buckets.is_empty() && past.refused.is_empty(), "{past:?}");
}

#[tokio::test]
async fn a_name_that_nobody_used_says_what_there_is() {
    let running = Running::start().await;
    running.call(&running.tenant, "GET act/campaigns", 1).await;
    running.explain(&running.tenant).await;
    let ask = async |name: String| {
        let request = pb::ExplainThrottleRequest { name, time: None };
        running.outsider().explain_throttle(running.of_tenant(request, &running.tenant)).await.unwrap_err()
    };
    let unknown = ask(format!("{}0", running.name())).await;
    assert_eq!(unknown.code(), Code::NotFound);
    let told = unknown.get_details_bad_request().unwrap().field_violations;
    assert!(told[0].description.contains(&running.name()), "{told:?}");
    for name in ["", "act_1", "adAccounts/act_1:2"] {
        let wrong = ask(name.to_owned()).await;
        assert_eq!(
            (wrong.code(), wrong.get_details_bad_request().unwrap().field_violations[0].field.as_str()),
            (Code::InvalidArgument, "name")
        );
    }
    let stranger = pb::ExplainThrottleRequest { name: running.name(), time: None };
    let stranger = running.outsider().explain_throttle(running.of_tenant(stranger, "stranger")).await.unwrap_err();
    assert_eq!(stranger.code(), Code::NotFound, "another tenant's account does not exist");
    assert!(!stranger.message().contains("services/"), "{stranger:?}");
}

#[tokio::test]
async fn use_is_summed_up_by_what_is_asked_for_page_by_page_and_for_oneself() {
    let running = Running::start().await;
    let permit = running.call(&running.tenant, "GET act/campaigns", 5).await;
    running.call(&running.tenant, "POST act/ads", 3).await;
    running.call("neighbour", "GET id", 10).await;
    let report = pb::UsageReport { permit, http_status: 400, code: 613, ..Default::default() };
    running.service().settle(pb::SettleRequest { reports: vec![report] }).await.unwrap();
    let ask = async |request: Request<pb::QueryUsageRequest>| running.usage().query_usage(request).await;
    let own = |message| running.of_tenant(message, &running.tenant);

    let sum = ask(own(running.query(&[]))).await.unwrap().into_inner().rows;
    assert_eq!(sum.iter().map(|row| (row.calls, row.answers, row.call.as_str())).collect::<Vec<_>>(), [(8, 1, "")]);
    let mut request = pb::QueryUsageRequest {
        page_size: 1,
        step: pb::UsageStep::Minute.into(),
        ..running.query(&[pb::UsageDimension::Call, pb::UsageDimension::Code, pb::UsageDimension::Caller])
    };
    let mut rows = Vec::new();
    loop {
        let page = ask(own(request.clone())).await.unwrap().into_inner();
        rows.extend(page.rows);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let told: Vec<_> = rows.iter().map(|row| (row.call.as_str(), row.code, row.calls, row.answers)).collect();
    assert_eq!(told, [("GET act/campaigns", 0, 5, 0), ("GET act/campaigns", 613, 0, 1), ("POST act/ads", 0, 3, 0)]);
    assert!(rows.iter().all(|row| row.time.unwrap().seconds == START_MS / 1_000 && row.purpose == "campaigns.read"));

    let by_tenant = running.query(&[pb::UsageDimension::Tenant]);
    let all = ask(running.of_operator(by_tenant.clone(), None)).await.unwrap().into_inner().rows;
    assert_eq!(all.len(), 2, "{all:?}");
    let one = ask(running.of_operator(by_tenant, Some("neighbour"))).await.unwrap().into_inner().rows;
    assert_eq!((one.len(), one[0].tenant.as_str(), one[0].calls), (1, "tenants/neighbour", 10));
}

#[tokio::test]
async fn a_question_about_use_that_makes_no_sense_names_its_fields() {
    let running = Running::start().await;
    let ask = async |change: fn(&mut pb::QueryUsageRequest)| {
        let mut request = running.query(&[]);
        change(&mut request);
        let wrong = running.usage().query_usage(running.of_tenant(request, &running.tenant)).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong:?}");
        wrong.get_details_bad_request().unwrap().field_violations[0].field.clone()
    };
    assert_eq!(ask(|request| request.group_by = vec![1; 9]).await, "group_by");
    assert_eq!(ask(|request| request.group_by = vec![4, 4]).await, "group_by[1]");
    assert_eq!(ask(|request| request.group_by = vec![99]).await, "group_by[0]");
    assert_eq!(ask(|request| request.step = 9).await, "step");
    assert_eq!(ask(|request| request.from_time = None).await, "from_time");
    assert_eq!(ask(|request| request.from_time.as_mut().unwrap().seconds -= 92 * 86_400).await, "from_time");
    assert_eq!(ask(|request| request.until_time = request.from_time).await, "until_time");
    assert_eq!(
        ask(|request| request.filter.as_mut().unwrap().ad_account = "act_1".to_owned()).await,
        "filter.ad_account"
    );
    assert_eq!(ask(|request| request.filter.as_mut().unwrap().call = "x".repeat(201)).await, "filter.call");
    assert_eq!(ask(|request| request.filter.as_mut().unwrap().priority = 9).await, "filter.priority");
    assert_eq!(ask(|request| request.page_size = -1).await, "page_size");
    assert_eq!(ask(|request| request.page_token = "forged".to_owned()).await, "page_token");
}

#[tokio::test]
async fn a_label_that_is_too_long_is_refused() {
    let running = Running::start().await;
    let ask = async |call: String, purpose: String| {
        let mut ask = running.ask(1);
        (ask.get_mut().call, ask.get_mut().purpose) = (call, purpose);
        running.service().acquire(ask).await.map(|_| ())
    };
    ask("c".repeat(80), "p".repeat(40)).await.unwrap();
    for (call, purpose, field) in [
        ("c".repeat(81), String::new(), "call"),
        (String::new(), "p".repeat(41), "purpose"),
        ("GET\n".to_owned(), String::new(), "call"),
    ] {
        let wrong = ask(call, purpose).await.unwrap_err();
        assert_eq!(wrong.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
}
