use crate::server::{ACT, Server, TOKEN, options};
use reqwest::{Certificate, Client, Proxy};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A client of Meta's own hosts, which knows of the sandbox by the proxy's address and certificate alone.
fn client(server: &Server) -> Client {
    let pem = std::fs::read(server.ready()["proxy_ca"].as_str().unwrap()).unwrap();
    Client::builder()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .proxy(Proxy::all(server.ready()["proxy"].as_str().unwrap()).unwrap())
        .build()
        .unwrap()
}

async fn get(client: &Client, url: &str) -> Value {
    let response = client.get(url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn metas_own_hosts_answer_over_tls_with_links_to_themselves() {
    let server = Server::with_proxy(options()).await;
    let client = client(&server);
    let url = format!("https://graph.facebook.com/v26.0/{ACT}/ads?limit=1&fields=name");
    let page = get(&client, &url).await;
    let next = page["paging"]["next"].as_str().unwrap();
    assert!(next.starts_with("https://graph.facebook.com/v26.0/act_"), "{next}");
    assert_eq!(get(&client, next).await["data"].as_array().unwrap().len(), 1);
    let video = get(&client, "https://graph-video.facebook.com/v26.0/me").await;
    assert_eq!(video["name"], "Sandbox System User");
    let dialog = client.get("https://www.facebook.com/v26.0/dialog/oauth?client_id=0").send().await.unwrap();
    assert_eq!(dialog.status(), 400);
    let plain = get(&client, &url.replace("https", "http")).await;
    assert!(plain["paging"]["next"].as_str().unwrap().starts_with("http://graph.facebook.com/"));
    let direct = server.get(&format!("{ACT}/ads?limit=1")).await;
    assert!(direct.body["paging"]["next"].as_str().unwrap().starts_with(&format!("http://{}/", server.address)));
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let server = Server::with_proxy(options()).await;
    let two = client(&server).get("https://graph.facebook.com/me").bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(two.version(), reqwest::Version::HTTP_2);
    let pem = std::fs::read(server.ready()["proxy_ca"].as_str().unwrap()).unwrap();
    let one = Client::builder()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .proxy(Proxy::all(server.ready()["proxy"].as_str().unwrap()).unwrap())
        .http1_only()
        .build()
        .unwrap();
    let one = one.get("https://graph.facebook.com/me").bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!((one.version(), one.status().as_u16()), (reqwest::Version::HTTP_11, 200));
}

#[tokio::test]
async fn other_hosts_are_refused_with_the_hosts_that_are_answered() {
    let server = Server::with_proxy(options()).await;
    for target in ["example.com:443", "graph.facebook.com:80", "facebook.com:443"] {
        let answer = spoken(&server, &format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("graph-video.facebook.com") && answer.contains(target), "{answer}");
    }
    let origin = spoken(&server, "GET /v26.0/me HTTP/1.1\r\nHost: graph.facebook.com\r\n\r\n").await;
    assert!(origin.starts_with("HTTP/1.1 403 "), "{origin}");
}

#[tokio::test]
async fn a_fault_that_drops_the_connection_drops_it_in_the_tunnel() {
    let server = Server::with_proxy(options()).await;
    server.control("POST", "faults", r#"{"matcher":{"path":"/me"},"action":"drop","count":1}"#).await;
    let client = client(&server);
    let dropped = client.get("https://graph.facebook.com/v26.0/me").bearer_auth(TOKEN).send().await;
    assert!(dropped.unwrap_err().is_request());
    get(&client, "https://graph.facebook.com/v26.0/me").await;
}

#[tokio::test]
async fn a_client_that_does_not_know_the_authority_is_not_fooled() {
    let server = Server::with_proxy(options()).await;
    let proxy = Proxy::all(server.ready()["proxy"].as_str().unwrap()).unwrap();
    let stranger = Client::builder().proxy(proxy).build().unwrap();
    assert!(stranger.get("https://graph.facebook.com/me").send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_restart_on_the_same_folder_keeps_the_authority() {
    let folder = TempDir::new().unwrap();
    let kept = sandbox::Options { data: Some(folder.path().to_owned()), ..options() };
    let first = Server::with_proxy(kept.clone()).await;
    let pem = std::fs::read(first.ready()["proxy_ca"].as_str().unwrap()).unwrap();
    let trusting = Certificate::from_pem(&pem).unwrap();
    first.stop().await;
    let second = Server::with_proxy(kept).await;
    let proxy = Proxy::all(second.ready()["proxy"].as_str().unwrap()).unwrap();
    let client = Client::builder().tls_certs_only([trusting]).proxy(proxy).build().unwrap();
    get(&client, "https://graph.facebook.com/me").await;
}

/// What the proxy answers to these bytes.
async fn spoken(server: &Server, bytes: &str) -> String {
    let proxy = server.ready()["proxy"].as_str().unwrap().trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(proxy).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
