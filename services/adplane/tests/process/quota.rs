//! `adplane quota explain` against a whole stack of real processes.

use harness::{PATIENCE, adplane, port_base};
use serde_json::{Value, json};

#[tokio::test]
async fn what_meta_throttles_is_explained_by_a_stack_of_real_processes() {
    let data = tempfile::tempdir().unwrap();
    let ports = port_base().unwrap();
    let mut stack = adplane(&["dev", "--data", data.path().to_str().unwrap(), "--port-base", &ports], &[]).unwrap();
    let ready: Value = serde_json::from_str(&stack.line().unwrap()).expect("the first line is JSON");
    let word = |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {ready}")).to_owned();
    let (address, token, account) = (word("gateway"), word("token"), word("ad_account"));
    let ask = |arguments: &[&str]| {
        let environment = [("ADPLANE_ADDRESS", address.as_str()), ("ADPLANE_TOKEN", token.as_str())];
        adplane(arguments, &environment).unwrap().end().unwrap()
    };
    let rule = json!({
        "matcher": { "account": account }, "action": { "throttle_storm": { "code": 80_004, "seconds": 900 } },
    });
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let faults = format!("{}/__sandbox/faults", word("sandbox"));
    http.post(faults).json(&rule).send().await.unwrap().error_for_status().unwrap();

    let campaigns = ask(&["show", "campaigns", &account]);
    assert_ne!(campaigns.code(), Some(0), "Meta lets nobody through: {}", campaigns.stdout);
    let said = ask(&["quota", "explain", &account]);
    assert_eq!(said.code(), Some(0), "{}", said.stderr);
    let headline = said.stdout.lines().next().unwrap();
    assert!(headline.starts_with(&format!("adAccounts/{account}: Meta lets no ")), "{}", said.stdout);
    assert!(headline.contains(" through until "), "{}", said.stdout);
    assert!(said.stdout.contains("Meta's error code 80004"), "{}", said.stdout);
    stack.signal("TERM").unwrap();
    assert_eq!(stack.end().unwrap().code(), Some(0));
}
