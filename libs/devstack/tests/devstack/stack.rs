//! The servers themselves: started, used, kept, and gone when their parent is killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devstack::{Error, Options, Stack};
use tokio_postgres::NoTls;

async fn ask(url: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let work = async move { client.simple_query(sql).await };
    // The connection ends when its client is dropped, which the end of the work does.
    let (rows, connection) = tokio::join!(work, connection);
    connection?;
    let rows = rows?;
    let value = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(value.unwrap_or_default())
}

fn alive(pid: u32) -> bool {
    // A zombie has ended; only nobody has asked how.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn tests_get_databases_of_their_own_on_shared_servers() {
    let (one, two) =
        (devstack::shared().create_database().await.unwrap(), devstack::shared().create_database().await.unwrap());
    assert_ne!(one, two);
    ask(&one, "CREATE TABLE things (id integer)").await.unwrap();
    assert!(ask(&two, "SELECT * FROM things").await.is_err());
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let url = devstack::shared().stack().postgres_url();
    let (before, after) = url.split_once('@').unwrap();
    let (before, _) = before.rsplit_once(':').unwrap();
    assert!(ask(&format!("{before}:wrong@{after}"), "SELECT 1").await.is_err());
}

#[tokio::test]
async fn kept_data_is_there_again_and_nothing_runs_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { data: Some(folder.path().to_path_buf()), ..Options::default() };
    let stack = Stack::start(options.clone()).await.unwrap();
    let url = stack.create_database("kept").await.unwrap();
    ask(&url, "CREATE TABLE things AS SELECT 7 AS id").await.unwrap();
    let second = Stack::start(options.clone()).await;
    assert!(matches!(second, Err(Error::InUse(_))), "{second:?}");
    let pids = stack.pids();
    stack.stop().await;
    assert!(!pids.iter().any(|pid| alive(*pid)));

    let stack = Stack::start(options).await.unwrap();
    let url = stack.create_database("kept").await.unwrap();
    assert_eq!(ask(&url, "SELECT id FROM things").await.unwrap(), "7");
    remove(stack).await;
}

#[tokio::test]
async fn data_whose_servers_were_killed_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { data: Some(folder.path().to_path_buf()), ..Options::default() };
    let stack = Stack::start(options.clone()).await.unwrap();
    let url = stack.create_database("kept").await.unwrap();
    ask(&url, "CREATE TABLE things AS SELECT 7 AS id").await.unwrap();
    for pid in stack.pids() {
        kill(&pid.to_string());
    }
    stack.stop().await;
    let stack = Stack::start(options).await.unwrap();
    let url = stack.create_database("kept").await.unwrap();
    assert_eq!(ask(&url, "SELECT id FROM things").await.unwrap(), "7");
    remove(stack).await;
}

/// Root's data lies outside the folder of the test.
async fn remove(stack: Stack) {
    let folder = stack.folder().to_path_buf();
    stack.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

/// Not a test of its own: a process for other tests to kill. It keeps data where its working folder has a folder `data`.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child_that_runs_servers() {
    let data = std::env::current_dir().unwrap().join("data");
    let stack = Stack::start(Options { data: data.is_dir().then_some(data), ..Options::default() }).await.unwrap();
    let pids: Vec<_> = stack.pids().iter().map(u32::to_string).collect();
    let line = format!("\nSTACK {} {}\n", stack.folder().display(), pids.join(" "));
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    std::future::pending::<()>().await;
}

/// That process, with the folder and the process numbers of its servers.
fn child_in(folder: &Path) -> (Child, PathBuf, Vec<u32>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "stack::child_that_runs_servers", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("STACK ")).unwrap();
    let mut words = line.split(' ').skip(1);
    let servers = PathBuf::from(words.next().unwrap());
    let pids: Vec<u32> = words.map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| alive(*pid)));
    (child, servers, pids)
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
}

#[test]
fn servers_end_when_their_parent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, servers, pids) = child_in(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the end of the servers", || !pids.iter().any(|pid| alive(*pid)));
    wait_until("the removal of the folder", || !servers.exists());
}

#[tokio::test]
async fn a_process_that_was_killed_can_be_started_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (mut child, _, _) = child_in(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let stack = Stack::start(Options { data: Some(data), ..Options::default() }).await.unwrap();
    assert_eq!(ask(&stack.postgres_url(), "SELECT 1").await.unwrap(), "1");
    remove(stack).await;
}

#[tokio::test]
async fn servers_whose_guard_was_killed_too_are_stopped_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (mut child, servers, pids) = child_in(folder.path());
    kill(&std::fs::read_to_string(servers.join("guard.pid")).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(pids.iter().all(|pid| alive(*pid)));
    let stack = Stack::start(Options { data: Some(data), ..Options::default() }).await.unwrap();
    assert!(!pids.iter().any(|pid| alive(*pid)));
    remove(stack).await;
}

#[tokio::test]
async fn a_folder_that_was_deleted_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let options = Options { data: Some(data.clone()), redis: false, postgres: true };
    let stack = Stack::start(options.clone()).await.unwrap();
    let url = stack.create_database("kept").await.unwrap();
    ask(&url, "CREATE TABLE things AS SELECT 7 AS id").await.unwrap();
    stack.stop().await;
    std::fs::remove_dir_all(&data).unwrap();
    let stack = Stack::start(options).await.unwrap();
    let url = stack.create_database("kept").await.unwrap();
    assert!(ask(&url, "SELECT id FROM things").await.is_err());
    remove(stack).await;
}
