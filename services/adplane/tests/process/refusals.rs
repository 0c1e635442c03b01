//! What is refused before anything is started.

use std::fs;

use harness::adplane;

#[test]
fn what_stands_in_for_meta_does_not_run_in_production() {
    for command in ["sandbox", "dev", "demo"] {
        let ended = adplane(&[command], &[("ADPLANE_ENV", "production")]).unwrap().end().unwrap();
        assert_eq!(ended.code(), Some(2), "{command}: {}", ended.stderr);
        assert!(ended.stderr.contains("ADPLANE_ENV=production"), "{command}: {}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{command}: {}", ended.stdout);
        assert!(ended.processes.is_empty(), "{command} started something");
    }
}

#[test]
fn every_fault_of_a_settings_file_is_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("campaigns.toml");
    let wrong = "
        listen = \"everywhere\"
        setle_seconds = 5
        workers = 0
        lease_seconds = 1
        page_key_file = \"/nonexistent/page_key\"
        [postgres]
        url = \"postgres://somebody:hunter2@db/adplane\"
        tls = \"require\"
        [graph]
        base_url = \"graph.facebook.com\"
    ";
    fs::write(&file, wrong).unwrap();
    let file = file.to_str().unwrap();
    let ended = adplane(&["serve", "campaigns", "--check-config", "--config", file], &[]).unwrap().end().unwrap();
    assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
    for key in
        ["listen", "setle_seconds", "workers", "lease_seconds", "page_key_file", "postgres.tls", "graph.base_url"]
    {
        assert!(ended.stderr.contains(key), "{key} is not told:\n{}", ended.stderr);
    }
    assert!(ended.stderr.contains("settle_seconds"), "what was meant is not told:\n{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "a password was told:\n{}", ended.stderr);
}

#[test]
fn good_settings_are_checked_without_starting_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("campaigns.toml"), folder.path().join("page_key"));
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let good = format!("page_key_file = {key:?}\n[postgres]\nurl = \"postgres://somebody@db/adplane\"\n");
    fs::write(&file, good).unwrap();
    let ended = adplane(&["serve", "campaigns", "--check-config", "--config", file.to_str().unwrap()], &[])
        .unwrap()
        .end()
        .unwrap();
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
}

#[test]
fn a_mistake_in_a_file_is_told_by_line_and_column_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.csv");
    let orders = "order_id,customer_no,ordered_on,units,value,currency\n\
                  a-1,1,2026-11-20,1,10.00,USD\n\
                  a-2,2,yesterday,1,10.00,USD\n\
                  a-3,3,2026-11-20,1,ten,USD\n";
    fs::write(&file, orders).unwrap();
    let file = file.to_str().unwrap();
    let ended = adplane(&["demo", "--orders", file], &[]).unwrap().end().unwrap();
    assert_eq!(ended.code(), Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{file}, line 3, column ordered_on: ")), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("{file}, line 4, column value: ")),
        "both mistakes at once: {}",
        ended.stderr
    );
    assert!(ended.stderr.contains("Nothing was sent."), "{}", ended.stderr);
    assert!(ended.processes.is_empty(), "something was started");
}
