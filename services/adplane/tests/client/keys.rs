//! `adplane keys` and `adplane operations`.

use harness::{Suite, eventually};

use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_followed_to_its_end() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_operator(&suite);
    let rotated = terminal.adplane(&["keys", "rotate", "wrapping", "--tenant", "acme"]).await.well();
    assert_eq!(rotated.part("version"), "2", "{rotated:?}");
    assert!(rotated.stderr.contains("operations/auth-"), "{rotated:?}");
    let keys = terminal.adplane(&["keys", "list", "--tenant", "acme", "--json"]).await.well().json();
    let is_new = |key: &&serde_json::Value| key["tenant"] == "tenants/acme" && key["version"] == 2;
    assert_eq!(keys.iter().find(is_new).unwrap()["state"], "KEY_STATE_ACTIVE", "{keys:?}");

    let detached = terminal.adplane(&["keys", "rotate", "wrapping", "--detach", "--json"]).await.well().json();
    let name = detached[0]["name"].as_str().unwrap();
    let waited = terminal.adplane(&["operations", "wait", name, "--tenant", "system"]).await.well();
    assert_eq!(waited.part("state"), "done");
    let unknown = terminal.adplane(&["operations", "get", "operations/auth-none", "--tenant", "system"]).await;
    assert!(matches!(unknown.code, Some(3 | 5)), "{unknown:?}");
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_vault_says_who_closed_it_and_refuses_until_it_is_opened() {
    let suite = Suite::start().await.unwrap();
    let (operator, tenant) = (Terminal::of_operator(&suite), Terminal::of_tenant(&suite));
    assert_eq!(operator.adplane(&["keys", "status"]).await.well().part("vault"), "open");
    operator.adplane(&["keys", "seal", "--reason", "ticket 4711"]).await.well();
    let closed = eventually("the vault is closed", async || {
        let said = operator.adplane(&["keys", "status"]).await;
        Ok((said.code == Some(8)).then_some(said))
    });
    let closed = closed.await.unwrap();
    assert_eq!((closed.part("vault"), closed.part("why")), ("closed".to_owned(), "ticket 4711".to_owned()));
    let refused = tenant.adplane(&["connections", "list"]).await;
    assert_eq!(refused.code, Some(0), "what is stored is still shown: {refused:?}");
    let name = refused.stdout.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let refused = tenant.adplane(&["connections", "inspect", &name]).await;
    assert_eq!(refused.code, Some(8), "{refused:?}");
    assert!(refused.stderr.contains("VAULT_SEALED"), "{refused:?}");
    operator.adplane(&["keys", "unseal"]).await.well();
    let open = eventually("the vault is open", async || {
        Ok((operator.adplane(&["keys", "status"]).await.code == Some(0)).then_some(()))
    });
    open.await.unwrap();
    suite.stop().await.unwrap();
}
