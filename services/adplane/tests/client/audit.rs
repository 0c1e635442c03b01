//! `adplane audit`.

use std::fs;

use harness::Suite;
use serde_json::Value;
use storage::{Postgres, PostgresSettings};

use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_listed_by_what_they_are_about() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let all = terminal.adplane(&["audit", "list", "--json"]).await.well().json();
    assert!(all.len() > 1, "the first day is in it: {all:?}");
    let table = terminal.adplane(&["audit", "list", "--action", "connections.import", "--from", "1d"]).await.well();
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{table:?}");
    assert!(
        lines[0].starts_with("time") && lines[1].contains("auth#") && lines[1].contains("connections/"),
        "{table:?}"
    );
    let cut = terminal.adplane(&["audit", "list", "--limit", "1"]).await.well();
    assert_eq!(cut.stdout.lines().count(), 2, "{cut:?}");
    assert!(cut.stderr.contains("there are more; go on with --from 20"), "{cut:?}");
    let none = terminal.adplane(&["audit", "list", "--until", "2001-01-01"]).await.well();
    assert!(none.stdout.is_empty(), "{none:?}");
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_whole_and_names_the_heads_of_the_chains() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let said = terminal.adplane(&["audit", "export", "--output", file.to_str().unwrap()]).await.well();
    assert!(said.stdout.is_empty(), "{said:?}");
    let lines: Vec<Value> =
        fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (checkpoint, entries) = lines.split_last().unwrap();
    assert_eq!(checkpoint["checkpoint"]["complete"], true, "{checkpoint}");
    let head = checkpoint["checkpoint"]["chains"].as_array().unwrap().iter().find(|chain| chain["service"] == "auth");
    let last = entries.iter().rfind(|entry| entry["service"] == "auth").unwrap();
    assert_eq!(head.unwrap()["hash"], last["hash"]);
    assert!(said.stderr.contains(&format!("{} entries", entries.len())), "{said:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_entry_is_found_and_told_by_the_exit_code() {
    let suite = Suite::start().await.unwrap();
    let terminal = Terminal::of_tenant(&suite);
    let intact = terminal.adplane(&["audit", "verify"]).await.well();
    assert!(intact.stdout.contains("intact: ") && intact.stdout.contains("anchored at"), "{intact:?}");
    let sql = "
        ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_final;
        UPDATE audit_entries SET actor = 'callers/nobody' WHERE tenant_id = 'acme' AND sequence = 1";
    let owner = PostgresSettings::at(suite.database_of("owner")).in_schema("auth");
    Postgres::connect(&owner).await.unwrap().client().await.unwrap().batch_execute(sql).await.unwrap();
    let broken = terminal.adplane(&["audit", "verify"]).await;
    assert_eq!(broken.code, Some(3), "{broken:?}");
    assert!(broken.stderr.contains("the audit of auth was changed at entry 1"), "{broken:?}");
    let json = terminal.adplane(&["audit", "verify", "--json"]).await;
    assert_eq!((json.code, &json.json()[0]["brokenSequence"]), (Some(3), &"1".into()), "{json:?}");
    suite.stop().await.unwrap();
}
