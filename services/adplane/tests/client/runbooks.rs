//! The commands of `deploy/runbooks/keys.md`, run one after the other as they stand there.

use std::{fs, path::Path};

use harness::{Suite, eventually};
use proto::auth::v1::{Caller, CreateCallerRequest};

use crate::terminal::Terminal;

/// Programs that a laptop's stack has no use for; what they do is tested where it is ours.
const ELSEWHERE: [&str; 7] =
    ["kubectl", "vault", "openssl", "pg_dump", "psql", "export", "bound_service_account_names"];

/// Every line of shell in the runbook, in its order.
fn lines() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/runbooks/keys.md");
    let (mut lines, mut inside) = (Vec::new(), false);
    for line in fs::read_to_string(file).unwrap().lines().map(str::trim) {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
}

#[test]
fn every_line_is_ours_or_of_a_program_that_is_known() {
    let mut here_document = false;
    for line in lines() {
        let first = line.split_whitespace().next().unwrap_or_default().to_owned();
        if here_document || first.starts_with('-') {
            here_document &= line != "POLICY";
            continue;
        }
        here_document = line.contains("<<'POLICY'");
        let known = first == "adplane" || ELSEWHERE.iter().any(|program| first.split('=').next() == Some(*program));
        assert!(known, "who runs {line}?");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runbook_of_keys_can_be_followed() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_operator(&suite);
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("[postgres]\nurl = {:?}\n", suite.database_of("owner"));
    fs::write(folder.path().join("migrate.toml"), settings).unwrap();
    let detached = terminal.adplane(&["keys", "rotate", "wrapping", "--detach", "--json"]).await.well().json();
    let operation = detached[0]["name"].as_str().unwrap().to_owned();
    let tenant = ["connections", "list", "--tenant", "acme", "--json"];
    let connection = terminal.adplane(&tenant).await.well().json()[0]["name"].as_str().unwrap().to_owned();
    let names = [("OPERATION", operation.as_str()), ("CONNECTION", connection.as_str())];
    let ours: Vec<String> = lines().into_iter().filter(|line| line.starts_with("adplane ")).collect();
    assert!(ours.len() > 10, "{ours:?}");
    for line in ours {
        let script = format!("cd {}; {line}", folder.path().display());
        let said = terminal.shell(&script, &names).await;
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
        if line == "adplane keys unseal" {
            let open = eventually("the vault is open", async || {
                Ok((terminal.adplane(&["keys", "status"]).await.code == Some(0)).then_some(()))
            });
            open.await.unwrap();
        }
    }
    let left = terminal.adplane(&tenant).await.well().json();
    assert!(left.iter().all(|connection| connection["state"] == "CONNECTION_STATE_REVOKED"), "{left:?}");
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_s_secret_becomes_a_token() {
    let suite = Suite::start().await.unwrap();
    let request = CreateCallerRequest {
        caller: Some(Caller {
            tenants: vec!["tenants/acme".to_owned()],
            scopes: vec!["audit.read".to_owned(), "auth.read".to_owned()],
            ..Caller::default()
        }),
        request_id: harness::request_id(),
        validate_only: false,
    };
    let made = suite.client().unwrap().identity().create_caller(request).await.unwrap().into_inner();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{}\n", made.secret)).unwrap();
    let (terminal, caller) = (Terminal::of_tenant(&suite), made.caller.unwrap().name);
    let file = file.to_str().unwrap();
    let token =
        terminal.adplane(&["token", "--caller", &caller, "--secret-file", file, "--scopes", "audit.read"]).await;
    let token = token.well().stdout;
    terminal.adplane(&["audit", "list", "--token", token.trim()]).await.well();
    let refused = terminal.adplane(&["connections", "list", "--token", token.trim()]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    fs::write(file, "another-secret").unwrap();
    let refused = terminal.adplane(&["token", "--caller", &caller, "--secret-file", file]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let again = ["bootstrap", "--code-file", file, "--tenant", "late", "--name", "Too late"];
    let refused = terminal.adplane(&again).await;
    assert!(matches!(refused.code, Some(3 | 4 | 6)), "{refused:?}");
    suite.stop().await.unwrap();
}
