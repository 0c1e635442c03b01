//! Watching buckets, over a real socket.

use tonic::Streaming;

use super::*;
use crate::scope::ADS_INSIGHTS;

/// Far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);

async fn next(stream: &mut Streaming<pb::WatchQuotasResponse>) -> Option<pb::WatchQuotasResponse> {
    tokio::time::timeout(PATIENCE, stream.message()).await.expect("a word in time").unwrap()
}

/// What is told until the next checkpoint, and where to go on.
async fn told(stream: &mut Streaming<pb::WatchQuotasResponse>) -> (Vec<pb::Quota>, String) {
    let mut quotas = Vec::new();
    loop {
        let message = next(stream).await.expect("it does not end");
        match message.quota {
            Some(quota) => quotas.push(quota),
            None => return (quotas, message.resume_token),
        }
    }
}

fn names(quotas: &[pb::Quota]) -> Vec<String> {
    quotas.iter().map(|quota| quota.scope.clone().unwrap().use_case).collect()
}

impl Running {
    async fn watch(
        &self,
        resume_token: &str,
        tenant: &str,
    ) -> Result<Streaming<pb::WatchQuotasResponse>, tonic::Status> {
        let filter = Some(pb::QuotaFilter { id: self.account.clone(), ..Default::default() });
        let request = pb::WatchQuotasRequest { filter, resume_token: resume_token.to_owned() };
        Ok(self.outsider().watch_quotas(self.of_tenant(request, tenant)).await?.into_inner())
    }

    /// So much of the account's ads_insights.
    async fn spend_insights(&self, cost: u32) {
        let mut ask = self.ask(cost);
        ask.get_mut().charges[0].scope.as_mut().unwrap().use_case = ADS_INSIGHTS.to_owned();
        let answer = self.service().acquire(ask).await.unwrap().into_inner();
        assert!(matches!(answer.decision, Some(Decision::Permit(_))));
    }
}

#[tokio::test]
async fn each_bucket_is_told_and_then_whatever_changes() {
    let running = Running::start().await;
    running.permit(3).await;
    running.spend_insights(2).await;
    let mut stream = running.watch("", &running.tenant).await.unwrap();
    let (first, _) = told(&mut stream).await;
    assert_eq!(names(&first), [ADS_INSIGHTS, ADS_MANAGEMENT]);
    assert_eq!(first.iter().map(|quota| quota.used).collect::<Vec<_>>(), [2, 3]);
    running.permit(4).await;
    let changed = loop {
        let (quotas, _) = told(&mut stream).await;
        if !quotas.is_empty() {
            break quotas;
        }
    };
    assert_eq!((names(&changed), changed[0].used), (vec![ADS_MANAGEMENT.to_owned()], 7));
}

#[tokio::test]
async fn whoever_is_cut_goes_on_behind_the_bucket_told_last_and_misses_nothing() {
    let running = Running::start().await;
    running.permit(3).await;
    running.spend_insights(2).await;
    let first = next(&mut running.watch("", &running.tenant).await.unwrap()).await.unwrap();
    assert_eq!(names(&[first.quota.unwrap()]), [ADS_INSIGHTS]);
    running.spend_insights(5).await;
    let mut resumed = running.watch(&first.resume_token, &running.tenant).await.unwrap();
    let (quotas, token) = told(&mut resumed).await;
    assert_eq!(names(&quotas), [ADS_MANAGEMENT, ADS_INSIGHTS]);
    assert_eq!(quotas[1].used, 7, "what changed since is told");
    let (again, _) = told(&mut running.watch(&token, &running.tenant).await.unwrap()).await;
    assert_eq!(names(&again), [ADS_INSIGHTS, ADS_MANAGEMENT]);
}

#[tokio::test]
async fn a_stream_ends_well_with_where_to_go_on_and_tells_nothing_of_others() {
    let running = Running::paced(Pace { life: Duration::from_secs(1), ..Pace::default() }).await;
    running.permit(3).await;
    let mut stranger = running.watch("", "stranger").await.unwrap();
    let mut last = None;
    while let Some(message) = next(&mut stranger).await {
        assert_eq!(message.quota, None);
        last = Some(message);
    }
    let token = last.unwrap().resume_token;
    running.watch(&token, "stranger").await.unwrap();
    for (token, tenant) in [(token.as_str(), running.tenant.as_str()), ("nonsense", "stranger")] {
        let refused = running.watch(token, tenant).await.unwrap_err();
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, "resume_token"));
    }
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_and_told_so_behind_what_still_waited() {
    use futures::StreamExt;

    let running = Running::start().await;
    let tenant: vocabulary::ids::TenantId = running.tenant.parse().unwrap();
    let keys: Vec<String> = (0..100).map(|n| Scope::ad_account(900, &format!("5{n}"), ADS_MANAGEMENT).key()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    running.bench.store.note_use(&tenant, &keys).await.unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    let pace = Pace { patience: Duration::from_millis(20), ..Pace::default() };
    let watching = Watching::new(Arc::clone(&running.quotas), PageTokens::new(&[8; 32]), pace, tasks.clone());
    let subject =
        crate::service::watch::Subject { tenant, filter: Filter::default(), covered: Vec::new(), after: None };
    let stream = watching.stream(subject).unwrap();
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("what makes the messages ends");
    let mut read: Vec<_> = stream.collect().await;
    let cut = read.pop().unwrap().unwrap_err();
    assert_eq!(cut.code(), Code::ResourceExhausted);
    assert_eq!(cut.get_details_error_info().unwrap().reason, "SLOW_CONSUMER");
    assert_eq!(read.len(), 64);
    assert!(read.into_iter().all(|message| message.unwrap().quota.is_some()));
}
