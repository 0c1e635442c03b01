//! What a tenant does at Meta is in its audit: every call that changed something, with Meta's trace, whichever service
//! made it, in one list at the gateway.

use std::collections::BTreeSet;

use client::Client;
use harness::{AD_ACCOUNT, DATASET, Line, Suite, eventually, request_id};
use proto::{
    audiences::v1::{AppendMembersRequest, Member, RunMemberJobRequest},
    auth::v1::{AuditEntry, ExportAuditEntriesRequest, ListAuditEntriesRequest, VerifyAuditChainRequest},
    campaigns::v1::{CreateCampaignRequest, PauseCampaignRequest, create_campaign_response::Outcome as Created},
    conversions::v1::{EventState, GetEventRequest, SendEventsRequest},
};

use crate::work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_at_meta_is_in_the_audit_with_its_trace() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    campaign(&client).await;
    let picture = work::picture(&client, AD_ACCOUNT).await;
    let plan = work::stored(&client, AD_ACCOUNT, work::plan("Audited", &picture)).await;
    work::done(&client, work::apply(&client, &plan).await).await;
    people(&client).await;
    event(&client).await;

    let entries = entries(&client).await;
    let traced: Vec<_> = entries.iter().filter(|entry| trace(entry).is_some()).collect();
    let actions: BTreeSet<_> = traced.iter().map(|entry| format!("{} {}", entry.service, entry.action)).collect();
    let expected = [
        "audiences audience.create",
        "audiences members.add",
        "campaigns ad.create",
        "campaigns ad_label.create",
        "campaigns ad_set.create",
        "campaigns campaign.create",
        "campaigns campaign.pause",
        "campaigns creative.create",
        "campaigns image.create",
        "conversions events.deliver",
    ];
    assert_eq!(actions, expected.map(str::to_owned).into());
    for entry in &traced {
        assert_eq!(entry.tenant, format!("tenants/{}", suite.tenant.id));
    }
    let actors: BTreeSet<_> = traced.iter().map(|entry| entry.actor.as_str()).collect();
    assert!(actors.len() == 1 && actors.iter().all(|actor| actor.starts_with("callers/")), "{actors:?}");
    // As many as Meta saw, and no more.
    let lines = suite.sandbox.requests().await.unwrap().into_iter().filter(is_change);
    let changes: Vec<_> = lines.map(|line| format!("{} {}", line.method, line.path)).collect();
    assert_eq!(traced.len(), changes.len(), "{traced:#?} {changes:#?}");

    verified(&client).await;
    exported(&client, &entries).await;
    suite.stop().await.unwrap();
}

/// A report is asked for by a POST that changes nothing of the customer's, and log-in has no account.
fn is_change(line: &Line) -> bool {
    let is_batch = line.path.trim_matches('/').split('/').count() < 2 && line.item.is_none();
    let is_aside = line.path.ends_with("/insights") || line.path.contains("/oauth/");
    line.committed && line.method != "GET" && !is_aside && !is_batch
}

fn trace(entry: &AuditEntry) -> Option<String> {
    let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap();
    detail.get("fbtrace_id").and_then(|trace| trace.as_str()).filter(|trace| !trace.is_empty()).map(str::to_owned)
}

async fn campaign(client: &Client) {
    let create = CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(work::campaign("Audited alone")),
        request_id: request_id(),
        validate_only: false,
    };
    let made = client.campaigns().create_campaign(create).await.unwrap().into_inner().outcome;
    let Some(Created::Campaign(campaign)) = made else { panic!("{made:?}") };
    let pause = PauseCampaignRequest {
        name: campaign.resource_name,
        reason: "asked by jane.doe@example.com".to_owned(),
        request_id: request_id(),
        ..PauseCampaignRequest::default()
    };
    client.campaigns().pause_campaign(pause).await.unwrap();
}

async fn people(client: &Client) {
    let audience = work::audience(client, AD_ACCOUNT, "Audited").await;
    let job = work::member_job(client, &audience).await;
    let member = Member { email: "someone@example.org".to_owned(), ..Member::default() };
    let append = AppendMembersRequest {
        job: job.name.clone(),
        sequence: job.next_sequence,
        rows: vec![member],
        ..AppendMembersRequest::default()
    };
    client.members().append_members(append).await.unwrap();
    let run = RunMemberJobRequest { job: job.name, request_id: request_id(), validate_only: false };
    work::done(client, client.members().run_member_job(run).await.unwrap().into_inner().operation).await;
}

async fn event(client: &Client) {
    let send = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events: vec![work::purchase("audited-1", "someone@example.org", 1)],
        request_id: request_id(),
        ..SendEventsRequest::default()
    };
    client.events().send_events(send).await.unwrap();
    let get =
        GetEventRequest { dataset: DATASET.to_owned(), event_id: "audited-1".to_owned(), ..GetEventRequest::default() };
    let delivered = async || {
        let event = client.events().get_event(get.clone()).await?.into_inner().event;
        Ok(event.filter(|event| event.state() == EventState::Delivered))
    };
    eventually("the delivery", delivered).await.unwrap();
}

async fn entries(client: &Client) -> Vec<AuditEntry> {
    let (mut entries, mut request) = (Vec::new(), ListAuditEntriesRequest { page_size: 5, ..Default::default() });
    loop {
        let page = client.audit().list_audit_entries(request.clone()).await.unwrap().into_inner();
        assert!(page.unreachable.is_empty(), "{page:?}");
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let times: Vec<_> = entries.iter().map(|entry| entry.create_time.map(|time| (time.seconds, time.nanos))).collect();
    assert!(times.is_sorted(), "{times:?}");
    let told = format!("{entries:?}");
    assert!(told.contains("asked by") && !told.contains("jane.doe"), "what a person wrote is kept, not whom it names");
    entries
}

async fn verified(client: &Client) {
    let anchored = async || {
        let verdict = client.audit().verify_audit_chain(VerifyAuditChainRequest::default()).await?.into_inner();
        assert!(verdict.intact, "{verdict:?}");
        Ok(verdict.chains.iter().all(|chain| chain.anchored_sequence == chain.sequence).then_some(verdict))
    };
    let anchored = eventually("every chain is anchored", anchored).await.unwrap();
    let services: Vec<_> = anchored.chains.iter().map(|chain| chain.service.as_str()).collect();
    assert_eq!(services, ["audiences", "auth", "campaigns", "conversions", "insights", "ratelimit"]);
}

async fn exported(client: &Client, entries: &[AuditEntry]) {
    let mut stream =
        client.audit().export_audit_entries(ExportAuditEntriesRequest::default()).await.unwrap().into_inner();
    let (mut exported, mut complete) = (Vec::new(), false);
    while let Some(message) = stream.message().await.unwrap() {
        exported.extend(message.entries);
        complete |= message.checkpoint.is_some_and(|checkpoint| checkpoint.complete);
    }
    assert!(complete);
    assert_eq!(exported, entries);
}
