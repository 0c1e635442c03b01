//! Every method that is no read writes an entry into the audit, under the action that stands here for it. A method that is
//! new is missing here, and this fails until somebody has said what it is called in the audit and shown that it is there.
//! Auth's own methods are held to the same by its own tests.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use client::Client;
use harness::{AD_ACCOUNT, DATASET, Suite, eventually, request_id};
use proto::{
    audiences::v1::{
        AddMembersHeader, AddMembersRequest, AppendMembersRequest, DeleteAudienceRequest, GetAudienceRequest, Member,
        MemberRows, RunMemberJobRequest, add_members_request::Part,
    },
    auth::v1::{AuditFilter, ListAuditEntriesRequest},
    campaigns::v1::{
        ActivateCampaignRequest, Ad, AdSet, AppendUploadRequest, Campaign, CreateAdRequest, CreateAdSetRequest,
        CreateCampaignRequest, CreateCreativeRequest, CreateUploadRequest, Creative, CreativeRef,
        DeleteCampaignRequest, GetCampaignRequest, MediaKind, PauseAdRequest, PauseAdSetRequest, PauseCampaignRequest,
        UpdateCampaignRequest, create_ad_response, create_ad_set_response, create_campaign_response,
        create_creative_response,
    },
    common::v1::{Freshness, freshness},
    conversions::v1::SendEventsRequest,
    graph::v1::{BatchCall, BatchMethod, ExecuteBatchRequest},
    insights::v1::CreateReportRequest,
    operations::v1::CancelOperationRequest,
    ratelimit::v1::{FreezeScopeRequest, QuotaPolicy, UnfreezeScopeRequest, UpdateQuotaPolicyRequest},
};
use rpc::methods::Scope;
use serde_json::json;

use crate::work;

/// Who writes what for which method.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("campaigns.v1.CampaignService/CreateCampaign", "campaigns", "campaign.create"),
    ("campaigns.v1.CampaignService/UpdateCampaign", "campaigns", "campaign.update"),
    ("campaigns.v1.CampaignService/PauseCampaign", "campaigns", "campaign.pause"),
    ("campaigns.v1.CampaignService/ActivateCampaign", "campaigns", "campaign.activate"),
    ("campaigns.v1.CampaignService/DeleteCampaign", "campaigns", "campaign.delete"),
    ("campaigns.v1.AdSetService/CreateAdSet", "campaigns", "ad_set.create"),
    ("campaigns.v1.AdSetService/PauseAdSet", "campaigns", "ad_set.pause"),
    ("campaigns.v1.AdService/CreateAd", "campaigns", "ad.create"),
    ("campaigns.v1.AdService/PauseAd", "campaigns", "ad.pause"),
    ("campaigns.v1.CreativeService/CreateCreative", "campaigns", "creative.create"),
    ("campaigns.v1.MediaService/UploadImage", "campaigns", "image.create"),
    ("campaigns.v1.MediaService/CreateUpload", "campaigns", "upload.create"),
    // Its parts are of the upload that was begun; with the last one Meta has the picture.
    ("campaigns.v1.MediaService/AppendUpload", "campaigns", "image.create"),
    ("plans.v1.PlanService/CreatePlan", "campaigns", "plans.create"),
    ("plans.v1.PlanService/ApplyPlan", "campaigns", "plans.apply"),
    ("graph.v1.GraphService/ExecuteBatch", "campaigns", "graph.execute"),
    ("insights.v1.ReportService/CreateReport", "insights", "insights.reports.create"),
    ("audiences.v1.AudienceService/CreateAudience", "audiences", "audience.create"),
    ("audiences.v1.AudienceService/DeleteAudience", "audiences", "audience.delete"),
    ("audiences.v1.MemberService/CreateMemberJob", "audiences", "member_job.create"),
    ("audiences.v1.MemberService/AppendMembers", "audiences", "member_job.append"),
    ("audiences.v1.MemberService/AddMembers", "audiences", "member_job.append"),
    ("audiences.v1.MemberService/RunMemberJob", "audiences", "member_job.run"),
    ("conversions.v1.EventService/SendEvents", "conversions", "events.accept"),
    ("ratelimit.v1.QuotaPolicyService/FreezeScope", "ratelimit", "quota.freeze"),
    ("ratelimit.v1.QuotaPolicyService/UnfreezeScope", "ratelimit", "quota.unfreeze"),
    ("ratelimit.v1.QuotaPolicyService/UpdateQuotaPolicy", "ratelimit", "quota.policy.update"),
    ("operations.v1.OperationService/CancelOperation", "campaigns", "operation.cancel"),
];

/// What changes nothing that outlives it, and why.
const ASIDE: &[(&str, &str)] = &[
    ("ratelimit.v1.QuotaService/Acquire", "counts in Redis; the change that it is for is in the audit of who makes it"),
    ("ratelimit.v1.QuotaService/Settle", "as Acquire"),
    ("ratelimit.v1.QuotaService/Release", "as Acquire"),
    ("ratelimit.v1.QuotaService/Reserve", "as Acquire"),
];

/// Every method that is no read, but auth's.
fn writes() -> BTreeSet<String> {
    let writes = rpc::methods::all().filter(|method| !method.reads_only && method.scope != Some(Scope::Open));
    let names = writes.map(|method| method.path.trim_start_matches("/adplane.").to_owned());
    names.filter(|name| !name.starts_with("auth.")).collect()
}

#[test]
fn every_method_that_is_no_read_has_its_action() {
    let known: Vec<&str> = ACTIONS.iter().map(|row| row.0).chain(ASIDE.iter().map(|row| row.0)).collect();
    let unique: BTreeSet<String> = known.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(known.len(), unique.len(), "each once");
    assert_eq!(unique, writes());
    assert!(ASIDE.iter().all(|(_, why)| !why.is_empty()));
}

/// Watches the tenant's audit while methods are called.
struct Witness<'a> {
    client: &'a Client,
    seen: BTreeSet<&'static str>,
}

impl Witness<'_> {
    /// Makes the call, after which there are more entries of its action than before it.
    async fn sees<T>(&mut self, method: &str, call: impl Future<Output = T>) -> T {
        let (name, service, action) = *ACTIONS.iter().find(|row| row.0.ends_with(method)).expect(method);
        let before = self.count(service, action).await;
        let answer = call.await;
        let told = async || Ok((self.count(service, action).await > before).then_some(()));
        eventually(&format!("{action} of {name} in the audit"), told).await.unwrap();
        self.seen.insert(name);
        answer
    }

    async fn count(&self, service: &str, action: &str) -> usize {
        let filter = AuditFilter { service: service.to_owned(), action: action.to_owned(), ..AuditFilter::default() };
        let request = ListAuditEntriesRequest { filter: Some(filter), page_size: 1_000, page_token: String::new() };
        let page = self.client.audit().list_audit_entries(request).await.unwrap().into_inner();
        assert!(page.unreachable.is_empty(), "{page:?}");
        assert!(page.entries.iter().all(|entry| entry.actor.starts_with("callers/")), "who asked: {page:?}");
        page.entries.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_in_the_audit_under_its_action() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let mut witness = Witness { client: &client, seen: BTreeSet::new() };
    let campaign = campaigns(&client, &mut witness).await;
    Box::pin(beneath(&client, &mut witness, &campaign)).await;
    gone(&client, &mut witness, &campaign).await;
    Box::pin(plans(&suite, &client, &mut witness)).await;
    people(&client, &mut witness).await;
    let report = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("CreateReport", client.reports().create_report(report)).await.unwrap();
    let send = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events: vec![work::purchase("witnessed", "someone@example.org", 1)],
        request_id: request_id(),
        ..SendEventsRequest::default()
    };
    witness.sees("SendEvents", client.events().send_events(send)).await.unwrap();
    quota(&client, &mut witness).await;
    label(&client, &mut witness).await;
    assert_eq!(witness.seen, ACTIONS.iter().map(|row| row.0).collect(), "each was called");
    suite.stop().await.unwrap();
}

async fn label(client: &Client, witness: &mut Witness<'_>) {
    let call = BatchCall {
        method: BatchMethod::Post.into(),
        path: format!("{}/adlabels", AD_ACCOUNT.trim_start_matches("adAccounts/")),
        params: [("name".to_owned(), "witnessed".to_owned())].into(),
        ..BatchCall::default()
    };
    let batch = ExecuteBatchRequest {
        parent: AD_ACCOUNT.to_owned(),
        calls: vec![call],
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("ExecuteBatch", client.graph().execute_batch(batch)).await.unwrap();
}

async fn quota(client: &Client, witness: &mut Witness<'_>) {
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    let freeze = FreezeScopeRequest {
        name: AD_ACCOUNT.to_owned(),
        until_time: Some(in_an_hour.into()),
        reason: "witnessed".to_owned(),
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("/FreezeScope", client.quota_policies().freeze_scope(freeze)).await.unwrap();
    let unfreeze = UnfreezeScopeRequest {
        name: AD_ACCOUNT.to_owned(),
        reason: "witnessed".to_owned(),
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("/UnfreezeScope", client.quota_policies().unfreeze_scope(unfreeze)).await.unwrap();
    let update = UpdateQuotaPolicyRequest {
        policy: Some(QuotaPolicy { name: AD_ACCOUNT.to_owned(), ..QuotaPolicy::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["ceilings".to_owned()] }),
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("UpdateQuotaPolicy", client.quota_policies().update_quota_policy(update)).await.unwrap();
}

async fn live(client: &Client, name: &str) -> Campaign {
    let freshness = Some(Freshness { kind: Some(freshness::Kind::AtMost(prost_types::Duration::default())) });
    let request = GetCampaignRequest { name: name.to_owned(), freshness };
    client.campaigns().get_campaign(request).await.unwrap().into_inner().campaign.unwrap()
}

async fn campaigns(client: &Client, witness: &mut Witness<'_>) -> Campaign {
    let create = CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(work::campaign("Witnessed")),
        request_id: request_id(),
        validate_only: false,
    };
    let made = witness.sees("CreateCampaign", client.campaigns().create_campaign(create)).await.unwrap();
    let Some(create_campaign_response::Outcome::Campaign(made)) = made.into_inner().outcome else {
        panic!("no campaign")
    };
    let name = made.resource_name;
    let update = UpdateCampaignRequest {
        campaign: Some(Campaign {
            resource_name: name.clone(),
            etag: live(client, &name).await.etag,
            name: Some("Witnessed twice".to_owned()),
            ..Campaign::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("UpdateCampaign", client.campaigns().update_campaign(update)).await.unwrap();
    let etag = live(client, &name).await.etag;
    let activate = ActivateCampaignRequest { name: name.clone(), etag, request_id: request_id(), validate_only: false };
    witness.sees("ActivateCampaign", client.campaigns().activate_campaign(activate)).await.unwrap();
    let pause =
        PauseCampaignRequest { name: name.clone(), request_id: request_id(), ..PauseCampaignRequest::default() };
    witness.sees("PauseCampaign", client.campaigns().pause_campaign(pause)).await.unwrap();
    live(client, &name).await
}

/// An ad set, a picture sent in two ways, a creative and an ad in the campaign.
async fn beneath(client: &Client, witness: &mut Witness<'_>, campaign: &Campaign) {
    let parent = || AD_ACCOUNT.to_owned();
    let ad_set =
        AdSet { temporary_id: None, campaign_id: campaign.id.clone(), ..work::ad_set("Witnessed", "-11", "US") };
    let create =
        CreateAdSetRequest { parent: parent(), ad_set: Some(ad_set), request_id: request_id(), validate_only: false };
    let made =
        witness.sees("CreateAdSet", Box::pin(client.ad_sets().create_ad_set(create))).await.unwrap().into_inner();
    let Some(create_ad_set_response::Outcome::AdSet(ad_set)) = made.outcome else { panic!("{made:?}") };

    let hash = witness.sees("UploadImage", work::picture(client, AD_ACCOUNT)).await;
    let upload = CreateUploadRequest {
        parent: parent(),
        kind: MediaKind::Image.into(),
        bytes_total: i64::try_from(work::MUG.len()).unwrap(),
        file_name: "mug.png".to_owned(),
        request_id: request_id(),
        ..CreateUploadRequest::default()
    };
    let upload = witness.sees("CreateUpload", client.media().create_upload(upload)).await.unwrap().into_inner();
    let append = AppendUploadRequest {
        upload: upload.upload.unwrap().name,
        chunk: work::MUG.to_vec(),
        ..AppendUploadRequest::default()
    };
    witness.sees("AppendUpload", client.media().append_upload(append)).await.unwrap();

    let mut creative = Creative { temporary_id: None, ..work::creative("Witnessed", "-12", "US") };
    let link = creative.object_story_spec.as_mut().and_then(|spec| spec.link_data.as_mut()).unwrap();
    link.image_hash = Some(hash);
    let create = CreateCreativeRequest {
        parent: parent(),
        creative: Some(creative),
        request_id: request_id(),
        validate_only: false,
    };
    let made = witness
        .sees("CreateCreative", Box::pin(client.creatives().create_creative(create)))
        .await
        .unwrap()
        .into_inner();
    let Some(create_creative_response::Outcome::Creative(creative)) = made.outcome else { panic!("{made:?}") };

    let ad = Ad {
        name: Some("Witnessed".to_owned()),
        adset_id: ad_set.id.clone(),
        creative: Some(CreativeRef { creative_id: creative.id, ..CreativeRef::default() }),
        ..Ad::default()
    };
    let create = CreateAdRequest { parent: parent(), ad: Some(ad), request_id: request_id(), validate_only: false };
    let made = witness.sees("CreateAd", client.ads().create_ad(create)).await.unwrap().into_inner();
    let Some(create_ad_response::Outcome::Ad(ad)) = made.outcome else { panic!("{made:?}") };
    let pause = PauseAdRequest { name: ad.resource_name, request_id: request_id(), ..PauseAdRequest::default() };
    witness.sees("PauseAd", client.ads().pause_ad(pause)).await.unwrap();
    let pause =
        PauseAdSetRequest { name: ad_set.resource_name, request_id: request_id(), ..PauseAdSetRequest::default() };
    witness.sees("PauseAdSet", client.ad_sets().pause_ad_set(pause)).await.unwrap();
}

async fn gone(client: &Client, witness: &mut Witness<'_>, campaign: &Campaign) {
    let now = live(client, &campaign.resource_name).await;
    let delete = DeleteCampaignRequest {
        name: now.resource_name,
        etag: now.etag,
        confirm_name: now.name.unwrap(),
        request_id: request_id(),
        validate_only: false,
    };
    witness.sees("DeleteCampaign", client.campaigns().delete_campaign(delete)).await.unwrap();
}

/// A plan that cannot get on, because Meta is away, and is cancelled.
async fn plans(suite: &Suite, client: &Client, witness: &mut Witness<'_>) {
    let campaign = Campaign { temporary_id: Some("-1".to_owned()), ..work::campaign("Never made") };
    let plan = proto::plans::v1::Plan { campaign: Some(campaign), ..proto::plans::v1::Plan::default() };
    let plan = witness.sees("CreatePlan", Box::pin(work::stored(client, AD_ACCOUNT, plan))).await;
    // The answer of the create is lost, and nobody can look: so the work cannot end while this stands.
    let lost = json!({"matcher": {"method": "POST", "path": "/campaigns"}, "action": "drop"});
    let away = json!({"matcher": {"method": "GET"}, "action": {"http": {"status": 503}}});
    suite.sandbox.fault(&lost).await.unwrap();
    suite.sandbox.fault(&away).await.unwrap();
    let operation = witness.sees("ApplyPlan", work::apply(client, &plan)).await.unwrap();
    let cancel = CancelOperationRequest { name: operation.name.clone(), ..CancelOperationRequest::default() };
    witness.sees("CancelOperation", client.operations().cancel_operation(cancel)).await.unwrap();
    suite.sandbox.no_faults().await.unwrap();
    work::ended(client, &operation).await;
}

async fn people(client: &Client, witness: &mut Witness<'_>) {
    let audience = witness.sees("CreateAudience", work::audience(client, AD_ACCOUNT, "Witnessed")).await;
    let job = witness.sees("CreateMemberJob", work::member_job(client, &audience)).await;
    let rows = |name: &str| vec![Member { email: format!("{name}@example.org"), ..Member::default() }];
    let append = AppendMembersRequest {
        job: job.name.clone(),
        sequence: 1,
        rows: rows("anna"),
        ..AppendMembersRequest::default()
    };
    witness.sees("AppendMembers", client.members().append_members(append)).await.unwrap();
    let header = AddMembersHeader { job: job.name.clone(), sequence: 2 };
    let parts = [Part::Header(header), Part::Rows(MemberRows { rows: rows("berta") })];
    let parts = parts.map(|part| AddMembersRequest { part: Some(part) });
    witness.sees("AddMembers", client.members().add_members(futures::stream::iter(parts))).await.unwrap();
    let run = RunMemberJobRequest { job: job.name, request_id: request_id(), validate_only: false };
    let ran = witness.sees("RunMemberJob", client.members().run_member_job(run)).await.unwrap().into_inner();
    work::done(client, ran.operation).await;
    let get = GetAudienceRequest { name: audience.resource_name.clone(), freshness: None };
    let etag = client.audiences().get_audience(get).await.unwrap().into_inner().audience.unwrap().etag;
    let delete = DeleteAudienceRequest {
        name: audience.resource_name,
        etag,
        request_id: request_id(),
        ..DeleteAudienceRequest::default()
    };
    witness.sees("DeleteAudience", client.audiences().delete_audience(delete)).await.unwrap();
}
