//! `adplane connections`.

use harness::Suite;

use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_listed_shown_asked_about_refreshed_and_revoked() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let list = terminal.adplane(&["connections", "list"]).await.well();
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert!(lines[0].starts_with("connection ") && lines.len() == 2, "{list:?}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!((cells[1], cells[2], cells[3]), ("system", "user", "active"), "{list:?}");
    let name = cells[0];

    let rows = terminal.adplane(&["connections", "list", "--json"]).await.well().json();
    assert_eq!((rows.len(), &rows[0]["name"]), (1, &name.into()));
    assert_eq!(rows[0]["state"], "CONNECTION_STATE_ACTIVE");
    let none = terminal.adplane(&["connections", "list", "--state", "revoked"]).await.well();
    assert!(none.stdout.is_empty() && none.stderr.contains("nothing found"), "{none:?}");

    // The first word of a name may be left out.
    let id = name.trim_start_matches("connections/");
    let shown = terminal.adplane(&["connections", "get", id]).await.well();
    assert_eq!((shown.part("state"), shown.part("ends")), ("active".to_owned(), "never".to_owned()), "{shown:?}");
    let inspected = terminal.adplane(&["connections", "inspect", id, "--json"]).await.well().json();
    assert!(inspected[0]["inspectTime"].is_string(), "{inspected:?}");
    let refreshed = terminal.adplane(&["connections", "refresh", name]).await;
    assert!(refreshed.code == Some(0) || refreshed.code == Some(3), "{refreshed:?}");

    let revoked = terminal.adplane(&["connections", "revoke", name, "--reason", "a test"]).await.well();
    assert_eq!(revoked.part("state"), "revoked");
    // What happened is told in its order, and from a place in it.
    let watch = ["connections", "watch", "--from-oldest", "--limit", "2"];
    let events = terminal.adplane(&watch).await.well();
    let kinds: Vec<&str> = events.stdout.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(kinds, ["connected", "revoked"], "{events:?}");
    let first = &terminal.adplane(&[&watch[..], &["--json"]].concat()).await.well().json()[0];
    assert_eq!(first["event"]["kind"], "CONNECTION_EVENT_KIND_CONNECTED");
    let token = first["resumeToken"].as_str().unwrap();
    let rest = ["connections", "watch", "--resume-token", token, "--limit", "1", "--json"];
    let rest = terminal.adplane(&rest).await.well().json();
    assert_eq!(rest[0]["event"]["kind"], "CONNECTION_EVENT_KIND_REVOKED");
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_a_file_is_imported_and_never_shown() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{}\n", harness::SYSTEM_USER_TOKEN)).unwrap();
    let import = ["connections", "import", "--token-file", file.to_str().unwrap(), "--app", "1000000000000001"];
    let said = terminal.adplane(&import).await.well();
    assert_eq!(said.part("state"), "active");
    let forged = folder.path().join("forged");
    std::fs::write(&forged, "no-such-token").unwrap();
    let import = ["connections", "import", "--token-file", forged.to_str().unwrap(), "--app", "1000000000000001"];
    let refused = terminal.adplane(&import).await;
    assert!(matches!(refused.code, Some(3 | 4)), "{refused:?}");
    for said in [said, refused] {
        let text = said.stdout + &said.stderr;
        assert!(!text.contains(harness::SYSTEM_USER_TOKEN) && !text.contains("no-such-token"), "{text}");
    }
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_has_its_exit_code_and_says_what_to_do() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    for (arguments, code, told) in [
        (&["connections", "lst"][..], 2, "list"),
        (&["conections", "list"], 2, "connections"),
        (&["connections", "list", "--stat", "active"], 2, "--state"),
        (&["connections", "list", "--state", "activ"], 2, "active"),
        (&["connections", "list", "--expires-before", "soon"], 2, "2026-11-22"),
        (&["connections", "list", "--address", "gateway"], 2, "http://host:port"),
        (&["connections", "import", "--token-file", "/nowhere", "--app", "1"], 2, "/nowhere cannot be read"),
        (&["connections", "get", "not-a-uuid"], 3, "name"),
        (&["connections", "list", "--token", "nonsense"], 4, "token"),
        (&["connections", "get", "00000000-0000-4000-8000-000000000000"], 5, "connections/"),
        (&["keys", "seal", "--reason", "mischief"], 4, "tenants/*"),
        (&["keys", "list", "--tenant", "Not A Tenant"], 2, "--tenant"),
    ] {
        let said = terminal.adplane(arguments).await;
        assert_eq!(said.code, Some(code), "{arguments:?}: {said:?}");
        assert!(said.stderr.contains(told), "{arguments:?} does not tell {told}: {said:?}");
        assert!(said.stdout.is_empty(), "{arguments:?}: {said:?}");
    }
    let away = terminal.adplane(&["keys", "status", "--address", "http://127.0.0.1:9"]).await;
    assert_eq!(away.code, Some(8), "{away:?}");
    suite.stop().await.unwrap();
}
