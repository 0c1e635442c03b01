//! Over a real socket, with Envoy's own messages, against the real Redis.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use rpc::methods::Scope;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic_types::StatusExt;

use super::*;
use crate::ceilings::Ceilings;
use crate::store::{
    Store,
    tests::{Bench, database, servers::OwnRedis},
};

type Client = RateLimitServiceClient<Channel>;

const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// A domain that no other test has.
fn domain() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Ten a minute for `path=/buy`, three for any other path, and two an hour for each user.
fn settings(domain: &str) -> EnvoySettings {
    let text = format!(
        r#"
        [[domains.{domain}.limits]]
        entries = [{{ key = "path" }}]
        requests_per_unit = 3
        unit = "minute"
        [[domains.{domain}.limits]]
        entries = [{{ key = "path", value = "/buy" }}]
        requests_per_unit = 10
        unit = "minute"
        [[domains.{domain}.limits]]
        entries = [{{ key = "user" }}]
        requests_per_unit = 2
        unit = "hour"
        "#
    );
    toml::from_str(&text).unwrap()
}

/// A replica of ratelimit that serves Envoys.
async fn serve(settings: &EnvoySettings, store: &Arc<Store>) -> (Client, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let server = rpc::Server::new("ratelimit", rpc::testing::Issuer::new().verifier())
        .add_foreign(service(Api::of(settings, store).unwrap()), Scope::Open);
    runtime::Process::detached().tasks.spawn(server.serve(listener, stop.clone()));
    (Client::connect(address).await.unwrap(), stop.drop_guard())
}

fn request(domain: &str, descriptors: &[(&str, &str)], hits_addend: u32) -> RateLimitRequest {
    let descriptors = descriptors.iter().map(|(key, value)| RateLimitDescriptor {
        entries: vec![Entry { key: (*key).to_owned(), value: (*value).to_owned() }],
        ..RateLimitDescriptor::default()
    });
    RateLimitRequest { domain: domain.to_owned(), descriptors: descriptors.collect(), hits_addend }
}

async fn ask(client: &Client, request: RateLimitRequest) -> RateLimitResponse {
    client.clone().should_rate_limit(request).await.unwrap().into_inner()
}

fn header<'a>(answer: &'a RateLimitResponse, name: &str) -> Option<&'a str> {
    answer.response_headers_to_add.iter().find(|header| header.key == name).map(|header| header.value.as_str())
}

#[tokio::test]
async fn a_limit_is_answered_until_it_is_over_and_again_when_its_window_has_passed() {
    let (bench, domain) = (Bench::new().await, domain());
    let (client, _stop) = serve(&settings(&domain), &bench.store).await;
    let eight = ask(&client, request(&domain, &[("path", "/buy")], 8)).await;
    assert_eq!(eight.overall_code(), Code::Ok);
    let status = &eight.statuses[0];
    let limit = status.current_limit.as_ref().unwrap();
    assert_eq!((limit.requests_per_unit, limit.unit().as_str_name(), status.limit_remaining), (10, "MINUTE", 2));
    assert_eq!((header(&eight, "ratelimit-remaining"), header(&eight, "retry-after")), (Some("2"), None));

    let three = ask(&client, request(&domain, &[("path", "/buy")], 3)).await;
    assert_eq!((three.overall_code(), three.statuses[0].code()), (Code::OverLimit, Code::OverLimit));
    assert_eq!(header(&three, "ratelimit-limit"), Some("10"));
    let wait = three.statuses[0].duration_until_reset.unwrap();
    assert_eq!(header(&three, "retry-after"), Some(wait.seconds.to_string().as_str()));

    // What was refused took nothing; one without an addend is one hit.
    assert_eq!(ask(&client, request(&domain, &[("path", "/buy")], 0)).await.statuses[0].limit_remaining, 1);
    bench.turn(Duration::from_secs(u64::try_from(wait.seconds).unwrap()));
    assert_eq!(ask(&client, request(&domain, &[("path", "/buy")], 3)).await.overall_code(), Code::Ok);
}

#[tokio::test]
async fn each_value_is_counted_for_itself_and_one_descriptor_over_takes_from_none() {
    let (bench, domain) = (Bench::new().await, domain());
    let (client, _stop) = serve(&settings(&domain), &bench.store).await;
    assert_eq!(ask(&client, request(&domain, &[("user", "ann")], 2)).await.overall_code(), Code::Ok);
    let both = ask(&client, request(&domain, &[("path", "/a"), ("user", "ann"), ("other", "x")], 1)).await;
    let codes: Vec<Code> = both.statuses.iter().map(DescriptorStatus::code).collect();
    assert_eq!((both.overall_code(), codes), (Code::OverLimit, vec![Code::Ok, Code::OverLimit, Code::Ok]));
    assert!(both.statuses[2].current_limit.is_none());
    assert_eq!(ask(&client, request(&domain, &[("user", "bob")], 2)).await.overall_code(), Code::Ok);
    assert_eq!(ask(&client, request(&domain, &[("path", "/a")], 3)).await.overall_code(), Code::Ok);
    // The same bucket twice in one request is charged twice.
    let twice = ask(&client, request(&domain, &[("path", "/b"), ("path", "/b")], 2)).await;
    assert_eq!(twice.overall_code(), Code::OverLimit);
}

#[tokio::test]
async fn sixty_four_callers_of_two_replicas_get_not_one_more_than_the_limit() {
    let (bench, domain) = (Bench::new().await, domain());
    let mut settings = settings(&domain);
    settings.domains.get_mut(&domain).unwrap().limits[1].requests_per_unit = 100;
    let (one, _stop) = serve(&settings, &bench.store).await;
    let (other, _other_stop) = serve(&settings, &bench.replica().await).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let (client, domain) = (if caller % 2 == 0 { one.clone() } else { other.clone() }, domain.clone());
        callers.spawn(async move {
            let mut admitted = 0;
            for _ in 0..4 {
                let answer = ask(&client, request(&domain, &[("path", "/buy")], 1)).await;
                admitted += u32::from(answer.overall_code() == Code::Ok);
            }
            admitted
        });
    }
    assert_eq!(callers.join_all().await.into_iter().sum::<u32>(), 100);
}

#[tokio::test]
async fn a_domain_without_settings_has_no_limit_unless_the_operator_says_so() {
    let (bench, named) = (Bench::new().await, domain());
    let mut settings = settings(&named);
    let (client, _stop) = serve(&settings, &bench.store).await;
    let answer = ask(&client, request("stranger", &[("path", "/buy")], 99)).await;
    assert_eq!((answer.overall_code(), answer.statuses.len()), (Code::Ok, 1));
    settings.refuse_unknown_domains = true;
    let (client, _strict_stop) = serve(&settings, &bench.store).await;
    let answer = ask(&client, request("stranger", &[("path", "/buy")], 1)).await;
    assert_eq!((answer.overall_code(), answer.statuses[0].code()), (Code::OverLimit, Code::OverLimit));
}

#[tokio::test]
async fn a_request_out_of_bounds_is_refused_with_its_field() {
    let (bench, domain) = (Bench::new().await, domain());
    let (client, _stop) = serve(&settings(&domain), &bench.store).await;
    let long = "x".repeat(5_000);
    for (wrong, field) in [
        (request("", &[("path", "/buy")], 1), "domain"),
        (request(&domain, &[], 1), "descriptors"),
        (request(&domain, &[("path", "/buy"); 33], 1), "descriptors"),
        (request(&domain, &[("path", &long)], 1), "descriptors[0].entries"),
    ] {
        let status = client.clone().should_rate_limit(wrong).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, field);
    }
}

#[tokio::test]
async fn nothing_is_served_without_a_domain_and_the_gateway_knows_no_such_method() {
    let bench = Bench::new().await;
    assert!(Api::of(&EnvoySettings::default(), &bench.store).is_none());
    assert!(rpc::methods::find(METHOD).is_none());
}

#[test]
fn what_is_wrong_with_a_domain_is_said() {
    let mut wrong = settings("shop");
    wrong.domains.insert("a{b}".to_owned(), Domain::default());
    wrong.domains.get_mut("shop").unwrap().limits[0].entries.clear();
    let mut faults = Faults::default();
    wrong.check(&mut faults);
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["domains.a{b}", "domains.shop"]);
}

#[tokio::test]
async fn while_redis_is_away_the_envoy_is_told_so_and_decides_itself() {
    let (mut server, domain) = (OwnRedis::start().await, domain());
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    let (client, _stop) = serve(&settings(&domain), &bench.store).await;
    assert_eq!(ask(&client, request(&domain, &[("path", "/buy")], 1)).await.overall_code(), Code::Ok);
    server.kill();
    let refused = client.clone().should_rate_limit(request(&domain, &[("path", "/buy")], 1)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.get_details_retry_info().is_some());
}
