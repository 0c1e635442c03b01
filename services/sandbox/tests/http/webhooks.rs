use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::server::{ACT, PAGE, Server, campaign_form};

const APP: &str = "1000000000000001";
const APP_TOKEN: &str = "1000000000000001|sandbox-app-secret";
const SECRET: &[u8] = b"sandbox-app-secret";

/// What came in: its headers by name, and its body.
#[derive(Debug, Clone)]
struct Told {
    signature: String,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn field(&self) -> String {
        self.json().pointer("/entry/0/changes/0/field").unwrap().as_str().unwrap().to_owned()
    }
}

/// A subscriber's program: it echoes the challenge where the word is right, and keeps what it is told.
#[derive(Debug, Clone, Default)]
struct Subscriber {
    told: Arc<Mutex<Vec<Told>>>,
    /// The statuses to answer next; 200 when none is left.
    statuses: Arc<Mutex<Vec<u16>>>,
    came: Arc<Notify>,
}

impl Subscriber {
    /// Its address, and the task that serves it.
    async fn start(&self) -> (SocketAddr, JoinSet<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (address, tasks)
    }

    /// Waits until so many came.
    async fn told(&self, count: usize) -> Vec<Told> {
        let enough = async {
            loop {
                let came = self.came.notified();
                let told = self.told.lock().unwrap().clone();
                if told.len() >= count {
                    return told;
                }
                came.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), enough).await.unwrap()
    }

    fn count(&self) -> usize {
        self.told.lock().unwrap().len()
    }
}

async fn answer(State(subscriber): State<Subscriber>, request: Request<Body>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if request.method() == "GET" {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let of = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let right =
            of("hub.verify_token").as_deref() == Some("right") && of("hub.mode").as_deref() == Some("subscribe");
        return Response::new(Body::from(if right { of("hub.challenge").unwrap() } else { "no".to_owned() }));
    }
    let signature = request.headers().get("x-hub-signature-256");
    let signature = signature.and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    subscriber.told.lock().unwrap().push(Told { signature, body });
    subscriber.came.notify_waiters();
    let mut statuses = subscriber.statuses.lock().unwrap();
    let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
    Response::builder().status(status).body(Body::empty()).unwrap()
}

async fn subscribe(
    server: &Server,
    address: SocketAddr,
    object: &str,
    fields: &str,
    word: &str,
) -> crate::server::Reply {
    let callback = format!("http://{address}/hook");
    let form = [
        ("object", object),
        ("callback_url", &callback),
        ("fields", fields),
        ("verify_token", word),
        ("include_values", "true"),
        ("access_token", APP_TOKEN),
    ];
    server.send_as(server.client().post(server.url(&format!("{APP}/subscriptions"))).form(&form)).await
}

async fn listening(server: &Server) -> (Subscriber, JoinSet<()>) {
    let subscriber = Subscriber::default();
    let (address, tasks) = subscriber.start().await;
    let done = subscribe(server, address, "ad_account", "effective_status,in_process_ad_objects", "right").await;
    assert_eq!(done.body, json!({ "success": true }));
    assert_eq!(server.post(&format!("{ACT}/subscribed_apps"), &[]).await.body, json!({ "success": true }));
    (subscriber, tasks)
}

/// Changes a campaign's status, which is told at once.
async fn change(server: &Server, id: &str, status: &str) {
    assert_eq!(server.post(id, &[("status", status)]).await.body["success"], true);
}

#[tokio::test]
async fn a_callback_must_echo_the_challenge() {
    let server = Server::start().await;
    let subscriber = Subscriber::default();
    let (address, _tasks) = subscriber.start().await;
    let refused = subscribe(&server, address, "ad_account", "effective_status", "wrong").await;
    assert_eq!(refused.code(), 2200);
    let list = server.get(&format!("{APP}/subscriptions?access_token={APP_TOKEN}")).await;
    assert!(list.rows().is_empty());
    assert_eq!(subscribe(&server, address, "ad_account", "effective_status", "right").await.status, 200);
    let list = server.get(&format!("{APP}/subscriptions?access_token={APP_TOKEN}")).await;
    assert_eq!(list.rows()[0]["fields"][0]["name"], "effective_status");
    let other = [("object", "ad_account"), ("callback_url", "http://127.0.0.1:1/"), ("fields", "effective_status")];
    assert_eq!(server.post(&format!("{APP}/subscriptions"), &other).await.code(), 15);
}

#[tokio::test]
async fn a_change_is_told_signed_to_whoever_subscribed() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let (subscriber, _tasks) = listening(&server).await;
    change(&server, &campaign, "ACTIVE").await;
    let told = subscriber.told(1).await.remove(0);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let expected = hex::encode(aws_lc_rs::hmac::sign(&key, told.body.as_bytes()));
    assert_eq!(told.signature, format!("sha256={expected}"));
    let body = told.json();
    assert_eq!(body["object"], "ad_account");
    assert_eq!(body["entry"][0]["id"], ACT.trim_start_matches("act_"));
    let value = json!({ "id": campaign, "level": "CAMPAIGN", "effective_status": "ACTIVE" });
    assert_eq!(body["entry"][0]["changes"][0], json!({ "field": "effective_status", "value": value }));
}

#[tokio::test]
async fn the_end_of_a_review_is_told_when_the_clock_reaches_it() {
    let server = Server::start().await;
    server.control("POST", "settings", r#"{"review_milliseconds":60000}"#).await;
    let (subscriber, _tasks) = listening(&server).await;
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    let creative = format!(r#"{{"creative_id":"{}"}}"#, server.creative("K").await);
    let form = [("name", "A"), ("adset_id", &ad_set), ("creative", &creative), ("status", "ACTIVE")];
    let ad = server.post(&format!("{ACT}/ads"), &form).await.id();
    assert_eq!(subscriber.count(), 0);
    server.control("POST", "clock", r#"{"advance_seconds":30}"#).await;
    let told = subscriber.told(2).await;
    assert_eq!(told[1].field(), "in_process_ad_objects");
    let value = told[1].json()["entry"][0]["changes"][0]["value"].clone();
    assert_eq!(value, json!({ "id": ad, "level": "AD", "status_name": "Pending Review" }));
    server.control("POST", "clock", r#"{"advance_seconds":30}"#).await;
    let last = subscriber.told(3).await.remove(2).json();
    assert_eq!(last["entry"][0]["changes"][0]["value"]["effective_status"], "CAMPAIGN_PAUSED");
}

#[tokio::test]
async fn a_subscriber_that_fails_is_told_again_and_later() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let (subscriber, _tasks) = listening(&server).await;
    *subscriber.statuses.lock().unwrap() = vec![500, 503];
    change(&server, &campaign, "ACTIVE").await;
    subscriber.told(1).await;
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    subscriber.told(2).await;
    server.control("POST", "clock", r#"{"advance_seconds":2}"#).await;
    let told = subscriber.told(3).await;
    assert_eq!(told[0].body, told[2].body);
    let lines = async || {
        let text = server.control("GET", "webhooks", "").await;
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone()).collect::<Vec<_>>()
    };
    let all = async { while lines().await != [json!(500), json!(503), json!(200)] {} };
    tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
}

#[tokio::test]
async fn webhooks_come_late_twice_and_in_the_wrong_order_on_demand() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let (subscriber, _tasks) = listening(&server).await;
    let settings = r#"{"webhook_delay_milliseconds":5000,"webhook_copies":2,"webhook_reorder":true}"#;
    server.control("POST", "settings", settings).await;
    change(&server, &campaign, "ACTIVE").await;
    change(&server, &campaign, "PAUSED").await;
    assert_eq!(subscriber.count(), 0);
    server.control("POST", "clock", r#"{"advance_seconds":5}"#).await;
    let words: Vec<Value> = subscriber
        .told(4)
        .await
        .iter()
        .map(|told| told.json()["entry"][0]["changes"][0]["value"]["effective_status"].clone())
        .collect();
    assert_eq!(words, ["PAUSED", "PAUSED", "ACTIVE", "ACTIVE"]);
}

#[tokio::test]
async fn many_changes_may_go_in_one_request() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let (subscriber, _tasks) = listening(&server).await;
    server.control("POST", "settings", r#"{"webhook_delay_milliseconds":5000,"webhook_batch":1000}"#).await;
    change(&server, &campaign, "ACTIVE").await;
    change(&server, &campaign, "PAUSED").await;
    server.control("POST", "clock", r#"{"advance_seconds":5}"#).await;
    let told = subscriber.told(1).await;
    assert_eq!((told.len(), told[0].json()["entry"].as_array().unwrap().len()), (1, 2));
}

#[tokio::test]
async fn accounts_that_never_installed_the_app_tell_it_nothing_but_by_hand() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let (subscriber, _tasks) = listening(&server).await;
    let gone = server.delete(&format!("{ACT}/subscribed_apps")).await;
    assert_eq!(gone.body["success"], true);
    change(&server, &campaign, "ACTIVE").await;
    server.post(&format!("{ACT}/subscribed_apps"), &[]).await;
    let told = json!({ "object": "ad_account", "id": ACT, "field": "effective_status", "value": { "id": "1" } });
    server.control("POST", "webhooks", &told.to_string()).await;
    let told = subscriber.told(1).await;
    assert_eq!(told[0].json()["entry"][0]["changes"][0]["value"], json!({ "id": "1" }));
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn a_page_tells_what_its_own_token_asked_for() {
    let server = Server::start().await;
    let subscriber = Subscriber::default();
    let (address, _tasks) = subscriber.start().await;
    assert_eq!(subscribe(&server, address, "page", "leadgen", "right").await.status, 200);
    let path = format!("{PAGE}/subscribed_apps");
    assert_eq!(server.post(&path, &[("subscribed_fields", "leadgen")]).await.code(), 210);
    let pages = server.get("me/accounts?fields=access_token").await;
    let token = pages.rows()[0]["access_token"].as_str().unwrap().to_owned();
    let form = [("subscribed_fields", "leadgen"), ("access_token", &token)];
    assert_eq!(server.send_as(server.client().post(server.url(&path)).form(&form)).await.body["success"], true);
    let told = json!({ "object": "page", "id": PAGE, "field": "leadgen", "value": { "leadgen_id": 7 } });
    server.control("POST", "webhooks", &told.to_string()).await;
    let body = subscriber.told(1).await.remove(0).json();
    assert_eq!(body["entry"][0]["id"], json!(PAGE.parse::<u64>().unwrap()));
    // And without being told to, when somebody leaves a lead.
    let form = server.get(&format!("{PAGE}/leadgen_forms")).await.rows()[0]["id"].as_str().unwrap().to_owned();
    let lead = server.control("POST", "leads", &json!({ "form_id": form }).to_string()).await;
    let lead: u64 = serde_json::from_str::<Value>(&lead).unwrap()["id"].as_str().unwrap().parse().unwrap();
    let change = subscriber.told(2).await.remove(1).json()["entry"][0]["changes"][0].clone();
    let number = |digits: &str| digits.parse::<u64>().unwrap();
    let value = json!({
        "leadgen_id": lead, "page_id": number(PAGE), "form_id": number(&form), "created_time": 1_794_774_600,
    });
    assert_eq!(change, json!({ "field": "leadgen", "value": value }));
}

#[tokio::test]
async fn whoever_takes_everything_back_is_told_to_the_app_with_a_signed_request() {
    let server = Server::start().await;
    let subscriber = Subscriber::default();
    let (address, _tasks) = subscriber.start().await;
    let callback = format!("http://{address}/gone");
    let form = [("deauth_callback_url", callback.as_str()), ("access_token", APP_TOKEN)];
    assert_eq!(server.send_as(server.client().post(server.url(APP)).form(&form)).await.body["success"], true);
    assert_eq!(server.delete("me/permissions").await.body["success"], true);
    let told = subscriber.told(1).await.remove(0);
    let signed = told.body.strip_prefix("signed_request=").unwrap();
    let (_, content) = signed.split_once('.').unwrap();
    let content = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, content).unwrap();
    let content: Value = serde_json::from_slice(&content).unwrap();
    assert_eq!(content["user_id"], "5000000000000002");
}

#[tokio::test]
async fn subscriptions_survive_a_kill_and_nobody_beyond_this_machine_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_owned()).await;
    let (_subscriber, _tasks) = listening(&server).await;
    server.stop().await;
    let server = Server::kept_in(folder.path().to_owned()).await;
    let list = server.get(&format!("{APP}/subscriptions?access_token={APP_TOKEN}")).await;
    assert_eq!(list.rows().len(), 1);
    let form = [
        ("object", "ad_account"),
        ("callback_url", "http://192.0.2.1/hook"),
        ("fields", "effective_status"),
        ("access_token", APP_TOKEN),
    ];
    let refused = server.send_as(server.client().post(server.url(&format!("{APP}/subscriptions"))).form(&form)).await;
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("not on this machine"), "{}", refused.body);
}

#[tokio::test]
async fn a_created_object_is_told_only_when_it_changes() {
    let server = Server::start().await;
    let (subscriber, _tasks) = listening(&server).await;
    let made = server.post(&format!("{ACT}/campaigns"), &campaign_form("C")).await.id();
    change(&server, &made, "ACTIVE").await;
    let told = subscriber.told(1).await;
    assert_eq!(told[0].json()["entry"][0]["changes"][0]["value"]["effective_status"], "ACTIVE");
}

/// Answers as HTTP/1.0 does: the end of the connection is the end of the answer.
async fn closing() -> (SocketAddr, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut bytes) = (String::new(), [0; 4096]);
            loop {
                let count = stream.read(&mut bytes).await.unwrap();
                request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                let length = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let challenge = request.split("hub.challenge=").nth(1).and_then(|rest| rest.split(['&', ' ']).next());
            let answer = format!("HTTP/1.0 200 OK\r\n\r\n{}", challenge.unwrap_or_default());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn a_subscriber_that_closes_behind_its_answer_has_answered() {
    let server = Server::start().await;
    let (address, _tasks) = closing().await;
    for _ in 0..5 {
        let done = subscribe(&server, address, "ad_account", "effective_status", "right").await;
        assert_eq!(done.body, json!({ "success": true }));
    }
    server.post(&format!("{ACT}/subscribed_apps"), &[]).await;
    let campaign = server.campaign("C").await;
    for status in ["ACTIVE", "PAUSED", "ACTIVE"] {
        change(&server, &campaign, status).await;
    }
    let lines = async || {
        let text = server.control("GET", "webhooks", "").await;
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone()).collect::<Vec<_>>()
    };
    let all = async { while lines().await.iter().filter(|status| !status.is_null()).count() < 3 {} };
    tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    assert_eq!(lines().await, [200, 200, 200]);
}

#[tokio::test]
async fn what_is_wrong_with_an_object_is_told_with_it() {
    let server = Server::start().await;
    let subscriber = Subscriber::default();
    let (address, _tasks) = subscriber.start().await;
    subscribe(&server, address, "ad_account", "with_issues_ad_objects", "right").await;
    server.post(&format!("{ACT}/subscribed_apps"), &[]).await;
    let ad = server.get(&format!("{ACT}/ads?effective_status=[\"ACTIVE\"]")).await.rows()[0]["id"].clone();
    let review = json!({ "ad": ad, "verdict": "WITH_ISSUES", "text": "The post is gone." });
    server.control("POST", "reviews", &review.to_string()).await;
    let value = subscriber.told(1).await[0].json()["entry"][0]["changes"][0]["value"].clone();
    let expected = json!({
        "id": ad, "level": "AD", "error_code": 1_815_869, "error_summary": "Ad post is not available",
        "error_message": "The post is gone.",
    });
    assert_eq!(value, expected);
}

#[tokio::test]
async fn a_page_refuses_fields_that_it_does_not_have() {
    let server = Server::start().await;
    let pages = server.get("me/accounts?fields=access_token").await;
    let token = pages.rows()[0]["access_token"].as_str().unwrap().to_owned();
    let path = server.url(&format!("{PAGE}/subscribed_apps"));
    let form = [("subscribed_fields", "leadgen,colours"), ("access_token", &token)];
    let refused = server.send_as(server.client().post(path).form(&form)).await;
    assert_eq!(refused.code(), 100);
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("subscribed_fields[1]"), "{}", refused.body);
}
