//! `adplane dev`: ready in one line, killed without a trace, back with everything.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use client::Client;
use harness::{PATIENCE, Pid, Program, adplane, all_gone, port_base};
use proto::{
    audiences::v1::{
        AppendMembersRequest, Audience, CreateAudienceRequest, CreateMemberJobRequest, CustomerList, IdentifierForm,
        Member, MemberMode, RunMemberJobRequest, audience::Kind, create_audience_response,
    },
    campaigns::v1::{
        Campaign, CreateCampaignRequest, GetCampaignRequest, ListCampaignsRequest, Objective, create_campaign_response,
    },
    common::v1::{Freshness, freshness},
    conversions::v1::{Event, EventState, GetEventRequest, SendEventsRequest, UserData},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{collector::Collector, dumps, sandbox::metas_client};

/// Must never be seen outside of the vault and the sandbox.
const SECRETS: [&str; 2] = ["sandbox-system-user-token", "sandbox-app-secret"];
const EMAIL: &str = "canary.person@example.org";
const PHONE: &str = "+1 650 555 0142";
/// Every way in which the person could be written.
const PERSON: [&str; 4] = [EMAIL, PHONE, "16505550142", "6505550142"];

/// Where a stack keeps its data. Dropped, everything of it is removed.
struct Kept(TempDir);

impl Kept {
    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where root's PostgreSQL and Redis have theirs, which may not be beneath a folder of root's.
    fn elsewhere(&self) -> Option<PathBuf> {
        let mark = fs::read_to_string(self.path().join("servers/.adplane-servers")).ok()?;
        mark.lines().find_map(|line| line.strip_prefix("The servers' data is in ")).map(PathBuf::from)
    }

    /// Every file of the stack but the sandbox's, which is Meta and may know.
    fn files(&self) -> Vec<PathBuf> {
        let mut all = files(self.path());
        all.extend(self.elsewhere().iter().flat_map(|folder| files(folder)));
        all.retain(|file| !file.starts_with(self.path().join("sandbox")));
        all
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(folder) = self.elsewhere() {
            drop(fs::remove_dir_all(folder)); // after a failed test its servers may still be at work
        }
    }
}

/// Every file beneath a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

/// A stack that is ready.
struct Stack {
    program: Program,
    ready: Value,
}

impl Stack {
    fn start(data: &Path, ports: &str, collector: &Collector) -> Self {
        let environment = collector.environment();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut program =
            adplane(&["dev", "--data", data.to_str().unwrap(), "--port-base", ports], &environment).unwrap();
        let ready: Value = serde_json::from_str(&program.line().unwrap()).expect("the first line is JSON");
        assert_eq!(ready["ready"], true, "{ready}");
        Self { program, ready }
    }

    fn word(&self, key: &str) -> String {
        self.ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.ready)).to_owned()
    }

    fn client(&self) -> Client {
        Client::connect(&self.word("gateway"), &self.word("token")).unwrap()
    }

    fn account(&self) -> String {
        format!("adAccounts/{}", self.word("ad_account"))
    }

    fn dataset(&self) -> String {
        format!("datasets/{}", self.word("dataset"))
    }
}

#[tokio::test]
async fn a_killed_stack_leaves_no_process_and_comes_back_with_everything() {
    let data = Kept(tempfile::tempdir().unwrap());
    let (ports, collector) = (port_base().unwrap(), Collector::start().await);
    let stack = Stack::start(data.path(), &ports, &collector);
    assert_eq!(stack.word("gateway"), format!("http://127.0.0.1:{ports}"));
    let campaign = campaign(&stack).await;
    person(&stack).await;
    undelivered_event(&stack).await;
    through_the_proxy(&stack).await;
    let campaigns = campaigns(&stack).await;
    assert!(campaigns.contains(&campaign), "{campaigns:?}");
    metrics_are_clean(&stack).await;
    traces_are_clean(&collector).await;
    dumps::are_clean(data.path(), &stack.word("token"), SECRETS.iter().chain(&PERSON)).await;

    let processes = stack.program.processes();
    arguments_are_clean(&processes);
    assert!(processes.len() > 8, "the services, the sandbox and two servers: {processes:?}");
    stack.program.signal("KILL").unwrap();
    assert!(stack.program.end().unwrap().code().is_none());
    all_gone(&processes, Duration::from_secs(20)).unwrap();

    let stack = Stack::start(data.path(), &ports, &collector);
    assert_eq!(self::campaigns(&stack).await, campaigns);
    vault_still_opens(&stack, &campaign).await;
    delivered(&stack).await;
    stack.program.signal("TERM").unwrap();
    let ended = stack.program.end().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    all_gone(&ended.processes, Duration::from_secs(5)).unwrap();
    nothing_is_kept_in_clear(&data, &ended.stderr);
}

/// A program of somebody else's reads from Meta, as it thinks.
async fn through_the_proxy(stack: &Stack) {
    let url = format!("https://graph.facebook.com/v26.0/{}?fields=currency", stack.word("ad_account"));
    let answer = metas_client(&stack.ready).get(url).bearer_auth(SECRETS[0]).send().await.unwrap();
    let account: Value = answer.error_for_status().unwrap().json().await.unwrap();
    assert_eq!(
        (account["id"].as_str(), account["currency"].as_str()),
        (stack.ready["ad_account"].as_str(), Some("USD"))
    );
}

async fn campaign(stack: &Stack) -> String {
    let request = CreateCampaignRequest {
        parent: stack.account(),
        campaign: Some(Campaign {
            name: Some("Kept".to_owned()),
            objective: Objective::OutcomeTraffic.into(),
            daily_budget: Some(5_000),
            ..Campaign::default()
        }),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let answer = stack.client().campaigns().create_campaign(request).await.unwrap().into_inner();
    match answer.outcome {
        Some(create_campaign_response::Outcome::Campaign(campaign)) => campaign.resource_name,
        other => panic!("{other:?}"),
    }
}

async fn campaigns(stack: &Stack) -> Vec<String> {
    let request = ListCampaignsRequest { parent: stack.account(), page_size: 1_000, ..Default::default() };
    let page = stack.client().campaigns().list_campaigns(request).await.unwrap().into_inner();
    page.campaigns.into_iter().map(|campaign| campaign.resource_name).collect()
}

/// Uploads the person whom nobody may see.
async fn person(stack: &Stack) {
    let client = stack.client();
    let request = CreateAudienceRequest {
        parent: stack.account(),
        audience: Some(Audience {
            name: Some("One person".to_owned()),
            kind: Some(Kind::CustomerList(CustomerList { customer_file_source: "USER_PROVIDED_ONLY".to_owned() })),
            ..Audience::default()
        }),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let audience = client.audiences().create_audience(request).await.unwrap().into_inner();
    let Some(create_audience_response::Outcome::Audience(audience)) = audience.outcome else { panic!("{audience:?}") };
    let request = CreateMemberJobRequest {
        audience: audience.resource_name,
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Raw.into(),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let job = client.members().create_member_job(request).await.unwrap().into_inner().job.unwrap();
    let member = Member { email: EMAIL.to_owned(), phone: PHONE.to_owned(), ..Member::default() };
    let broken = Member { email: format!("{EMAIL} (work)"), ..Member::default() };
    let rows = vec![member, broken];
    let request = AppendMembersRequest { job: job.name.clone(), sequence: 1, rows, ..AppendMembersRequest::default() };
    client.members().append_members(request).await.unwrap();
    let request = RunMemberJobRequest { job: job.name, request_id: Uuid::new_v4().to_string(), validate_only: false };
    let operation = client.members().run_member_job(request).await.unwrap().into_inner().operation.unwrap();
    tokio::time::timeout(PATIENCE, client.wait(&operation.name, |_| {})).await.unwrap().unwrap();
}

/// An event that was accepted and cannot be delivered yet, because Meta is away.
async fn undelivered_event(stack: &Stack) {
    let rule = json!({"matcher": {"method": "POST", "path": "/events"}, "action": {"http": {"status": 503}}});
    let answer = http().post(format!("{}/__sandbox/faults", stack.word("sandbox"))).json(&rule).send().await.unwrap();
    answer.error_for_status().unwrap();
    let time = std::time::SystemTime::now() - Duration::from_secs(3_600);
    let event = Event {
        event_name: "Lead".to_owned(),
        event_time: Some(time.into()),
        event_id: "kept".to_owned(),
        action_source: "other".to_owned(),
        user_data: Some(UserData { em: vec![EMAIL.to_owned()], ph: vec![PHONE.to_owned()], ..UserData::default() }),
        ..Event::default()
    };
    let request = SendEventsRequest { dataset: stack.dataset(), events: vec![event], ..SendEventsRequest::default() };
    let receipt = stack.client().events().send_events(request).await.unwrap().into_inner().receipt.unwrap();
    assert_eq!(receipt.accepted, 1);
    event_is(stack, |state, attempts| state == EventState::Pending && attempts > 0).await;
}

async fn delivered(stack: &Stack) {
    event_is(stack, |state, _| state == EventState::Delivered).await;
    let text = http().get(format!("{}/__sandbox/events", stack.word("sandbox"))).send().await.unwrap();
    let text = text.text().await.unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("\"kept\"")).count(), 1, "once: {text}");
}

async fn event_is(stack: &Stack, wanted: impl Fn(EventState, i32) -> bool) {
    let client = stack.client();
    let reached = async {
        loop {
            let event_id = "kept".to_owned();
            let request = GetEventRequest { dataset: stack.dataset(), event_id, ..GetEventRequest::default() };
            let event = client.events().get_event(request).await.unwrap().into_inner().event.unwrap();
            if wanted(event.state(), event.attempts) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the event comes to its state");
}

/// A read that must go to Meta needs a token from the vault.
async fn vault_still_opens(stack: &Stack, campaign: &str) {
    let now = freshness::Kind::AtMost(prost_types::Duration::default());
    let request = GetCampaignRequest { name: campaign.to_owned(), freshness: Some(Freshness { kind: Some(now) }) };
    let answer = stack.client().campaigns().get_campaign(request).await.unwrap().into_inner();
    assert!(!answer.read_info.unwrap().stale);
    assert_eq!(answer.campaign.unwrap().name.as_deref(), Some("Kept"));
}

async fn metrics_are_clean(stack: &Stack) {
    let answer = http().get(format!("{}/metrics", stack.word("admin"))).send().await.unwrap();
    let text = answer.error_for_status().unwrap().text().await.unwrap();
    for named in ["adplane_vault_open 1", r#"adplane_graph_circuits_open{class="meta"} 0"#] {
        assert!(text.contains(named), "{named} is not in the metrics");
    }
    for planted in SECRETS.iter().chain(&PERSON) {
        assert!(!text.contains(planted), "{planted} is in the metrics");
    }
}

/// What the services tell a collector of the same work.
async fn traces_are_clean(collector: &Collector) {
    let text = collector.heard_of(&["gateway", "campaigns", "audiences", "conversions"]).await;
    for planted in SECRETS.iter().chain(&PERSON) {
        assert!(!text.contains(planted), "{planted} is in the traces");
    }
}

/// What anybody on the machine can read of a process, and what whoever runs it can.
fn arguments_are_clean(processes: &BTreeSet<Pid>) {
    let mut seen = 0;
    for pid in processes {
        let (arguments, environment) = pid.arguments_and_environment();
        seen += arguments.len();
        for planted in SECRETS.iter().chain(&PERSON) {
            let holds = |bytes: &[u8]| bytes.windows(planted.len()).any(|part| part == planted.as_bytes());
            assert!(!holds(&arguments), "{planted} is in an argument");
            assert!(!holds(&environment), "{planted} is in the environment");
        }
    }
    assert!(seen > 0, "processes without an argument prove nothing");
}

/// Logs, settings, and the files of PostgreSQL and Redis with their journals.
fn nothing_is_kept_in_clear(data: &Kept, stderr: &str) {
    let all = data.files();
    assert!(all.iter().any(|file| file.ends_with("PG_VERSION")), "the database is among them");
    let logs: Vec<_> = all.iter().filter(|file| file.starts_with(data.path().join("logs"))).collect();
    assert!(logs.len() >= 8, "each service has a log: {logs:?}");
    assert!(logs.iter().any(|log| fs::metadata(log).unwrap().len() > 0), "logs without a line prove nothing");
    for file in &all {
        let content = fs::read(file).unwrap();
        for planted in SECRETS.iter().chain(&PERSON) {
            let found = content.windows(planted.len()).any(|part| part == planted.as_bytes());
            assert!(!found, "{planted} is in {}", file.display());
        }
    }
    for planted in SECRETS.iter().chain(&PERSON) {
        assert!(!stderr.contains(planted), "{planted} is on stderr");
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
