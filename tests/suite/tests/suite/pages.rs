//! Lists, page by page: every row once, and no token that we did not give for this very list.

use std::collections::BTreeSet;

use client::{Client, list_all};
use futures::TryStreamExt;
use harness::{AD_ACCOUNT, Suite, refused, request_id};
use proto::{
    campaigns::v1::{ListAdsRequest, ListCampaignsRequest},
    insights::v1::{CreateReportRequest, ListReportRowsRequest, ListReportsRequest},
    operations::v1::{ListOperationsRequest, OperationFilter},
    plans::v1::{ListPlansRequest, Plan},
};
use rpc::Code;

use crate::work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_over_the_pages_gives_every_row_once_and_takes_no_foreign_token() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let mut made = BTreeSet::new();
    for number in 0..5 {
        let plan = Plan { campaign: Some(campaign(number)), ..Plan::default() };
        made.insert(work::stored(&client, AD_ACCOUNT, plan).await.name);
    }
    let walked = plans(&client).await;
    assert_eq!(walked.len(), 5, "each once");
    assert_eq!(walked.into_iter().collect::<BTreeSet<_>>(), made);

    campaigns_are_the_same_in_small_pages_and_in_one(&suite, &client).await;
    rows_of_a_report_are_the_same_in_small_pages_and_in_one(&client).await;
    tampered_and_foreign_tokens_are_refused(&suite, &client).await;
    suite.stop().await.unwrap();
}

fn campaign(number: usize) -> proto::campaigns::v1::Campaign {
    proto::campaigns::v1::Campaign { temporary_id: Some("-1".to_owned()), ..work::campaign(&format!("Plan {number}")) }
}

fn list_plans(page_token: String) -> ListPlansRequest {
    ListPlansRequest { parent: AD_ACCOUNT.to_owned(), page_size: 2, page_token }
}

async fn plans(client: &Client) -> Vec<String> {
    let all = list_all(async |page_token| {
        let page = client.plans().list_plans(list_plans(page_token)).await?.into_inner();
        assert!(page.plans.len() <= 2);
        Ok((page.plans, page.next_page_token))
    });
    all.map_ok(|plan| plan.name).try_collect().await.unwrap()
}

async fn campaigns_are_the_same_in_small_pages_and_in_one(suite: &Suite, client: &Client) {
    let walk = async |page_size| -> Vec<String> {
        let all = list_all(async |page_token| {
            let parent = AD_ACCOUNT.to_owned();
            let request = ListCampaignsRequest { parent, page_size, page_token, ..ListCampaignsRequest::default() };
            let page = client.campaigns().list_campaigns(request).await?.into_inner();
            Ok((page.campaigns, page.next_page_token))
        });
        all.map_ok(|campaign| campaign.resource_name).try_collect().await.unwrap()
    };
    let (small, one) = (walk(1).await, walk(1_000).await);
    assert_eq!(small, one);
    assert_eq!(small.iter().collect::<BTreeSet<_>>().len(), small.len());
    let at_meta = suite.sandbox.all("campaigns").await.unwrap();
    let at_meta = at_meta.iter().filter(|it| AD_ACCOUNT.ends_with(it["account_id"].as_str().unwrap())).count();
    assert!(at_meta > 1, "one page proves nothing");
    assert_eq!(small.len(), at_meta);
}

async fn rows_of_a_report_are_the_same_in_small_pages_and_in_one(client: &Client) {
    let request = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: false,
    };
    let operation = client.reports().create_report(request).await.unwrap().into_inner().operation;
    let name = work::done(client, operation).await.metadata.unwrap().resource;
    let walk = async |page_size| -> Vec<(String, String)> {
        let all = list_all(async |page_token| {
            let request = ListReportRowsRequest { name: name.clone(), page_size, page_token };
            let page = client.reports().list_report_rows(request).await?.into_inner();
            Ok((page.rows, page.next_page_token))
        });
        all.map_ok(|row| (row.date_start, row.campaign_id)).try_collect().await.unwrap()
    };
    let (small, one) = (walk(3).await, walk(1_000).await);
    assert_eq!(small, one);
    assert!(small.len() > 6, "{}", small.len());
    assert_eq!(small.iter().collect::<BTreeSet<_>>().len(), small.len());
}

async fn tampered_and_foreign_tokens_are_refused(suite: &Suite, client: &Client) {
    let first = client.plans().list_plans(list_plans(String::new())).await.unwrap().into_inner();
    let token = first.next_page_token;
    let other = suite.other.client().unwrap();
    let mut tampered = token.clone().into_bytes();
    tampered[3] = if tampered[3] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let mut longer = token.clone();
    longer.push('A');
    let ads = ListAdsRequest { parent: AD_ACCOUNT.to_owned(), page_token: token.clone(), ..ListAdsRequest::default() };
    let reports = ListReportsRequest {
        parent: AD_ACCOUNT.to_owned(),
        page_token: token.clone(),
        ..ListReportsRequest::default()
    };
    let operations = ListOperationsRequest {
        filter: Some(OperationFilter { service: "insights".to_owned(), ..OperationFilter::default() }),
        page_token: token.clone(),
        ..ListOperationsRequest::default()
    };
    for answer in [
        refused(client.plans().list_plans(list_plans(tampered)).await),
        refused(client.plans().list_plans(list_plans(longer)).await),
        refused(client.plans().list_plans(list_plans("page 2".to_owned())).await),
        refused(client.ads().list_ads(ads).await),
        refused(client.reports().list_reports(reports).await),
        refused(client.operations().list_operations(operations).await),
        refused(other.plans().list_plans(list_plans(token)).await),
    ] {
        let refusal = answer.unwrap();
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{refusal:?}");
        assert!(refusal.fields.contains_key("page_token"), "{refusal:?}");
    }
    client.plans().list_plans(list_plans(first_page_again(client).await)).await.unwrap();
}

/// A good token still serves after all that.
async fn first_page_again(client: &Client) -> String {
    client.plans().list_plans(list_plans(String::new())).await.unwrap().into_inner().next_page_token
}
