//! `adplane sandbox`: one line says all that a program needs, whether it takes a base URL or calls Meta's own hosts.

use std::path::Path;

use reqwest::{Certificate, Client, Proxy};
use serde_json::Value;

use harness::adplane;

/// A client that knows of the sandbox by the proxy and the certificate of a ready line alone.
pub(crate) fn metas_client(ready: &Value) -> Client {
    let word = |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {ready}"));
    let certificate = Certificate::from_pem(&std::fs::read(word("proxy_ca")).unwrap()).unwrap();
    let proxy = Proxy::https(word("proxy")).unwrap();
    Client::builder().tls_certs_only([certificate]).proxy(proxy).build().unwrap()
}

#[tokio::test]
async fn a_ready_sandbox_answers_at_its_address_and_as_meta() {
    let free = "127.0.0.1:0";
    let clock = "2026-11-15T20:30:00Z";
    let arguments = ["sandbox", "--listen", free, "--proxy", free, "--world", "small", "--seed", "3"];
    let arguments = [&arguments[..], &["--tier", "development", "--clock", clock]].concat();
    let mut program = adplane(&arguments, &[]).unwrap();
    let ready: Value = serde_json::from_str(&program.line().unwrap()).expect("the first line is JSON");
    assert_eq!((&ready["ready"], ready["app_id"].as_str()), (&Value::Bool(true), Some("1000000000000001")));
    let path = format!("v26.0/{}/campaigns?fields=name", ready["ad_account"].as_str().unwrap());
    let token = ready["token"].as_str().unwrap();

    let direct = Client::builder().no_proxy().build().unwrap();
    let base = ready["sandbox"].as_str().unwrap();
    let answer = direct.get(format!("{base}/{path}")).bearer_auth(token).send().await.unwrap();
    assert!(answer.headers()["x-business-use-case-usage"].to_str().unwrap().contains("development_access"));
    let rows: Value = answer.error_for_status().unwrap().json().await.unwrap();
    let time: Value = direct.get(format!("{base}/__sandbox/clock")).send().await.unwrap().json().await.unwrap();
    assert!(time["now"].as_str().unwrap().starts_with("2026-11-15T20:3"), "{time}");

    let url = format!("https://graph.facebook.com/{path}");
    let answer = metas_client(&ready).get(url).bearer_auth(token).send().await.unwrap();
    let through: Value = answer.error_for_status().unwrap().json().await.unwrap();
    assert_eq!(through["data"], rows["data"]);

    program.signal("TERM").unwrap();
    let ended = program.end().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert!(!Path::new(ready["proxy_ca"].as_str().unwrap()).exists(), "the certificate was only for that run");
}

#[tokio::test]
async fn without_a_proxy_there_is_none_and_its_certificate_is_not_written() {
    let mut program = adplane(&["sandbox", "--listen", "127.0.0.1:0"], &[]).unwrap();
    let ready: Value = serde_json::from_str(&program.line().unwrap()).expect("the first line is JSON");
    assert_eq!((&ready["proxy"], &ready["proxy_ca"]), (&Value::Null, &Value::Null));
    program.signal("TERM").unwrap();
    assert_eq!(program.end().unwrap().code(), Some(0));
    let refused = adplane(&["sandbox", "--proxy-ca", "/tmp/never.pem"], &[]).unwrap().end().unwrap();
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
}
