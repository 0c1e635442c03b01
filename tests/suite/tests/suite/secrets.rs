//! A planted token, an app's secret and a planted person, who must be nowhere in clear when all work is done.

use harness::{AD_ACCOUNT, APP_SECRET, DATASET, SYSTEM_USER_TOKEN, Suite, eventually, refusal, request_id};
use proto::{
    audiences::v1::{
        AppendMembersRequest, CreateMemberJobRequest, IdentifierForm, Member, MemberMode, RunMemberJobRequest,
    },
    auth::v1::{
        ImportSystemUserTokenRequest, IssueTokenRequest, ListAuditEntriesRequest, ListCallersRequest,
        ListConnectionsRequest,
    },
    conversions::v1::{EventState, GetEventRequest, SendEventsRequest, event_result::Outcome},
};
use tonic::Status;

use crate::work;

const EMAIL: &str = "canary.person@example.org";
const PHONE: &str = "+1 650 555 0142";
const PHONE_DIGITS: &str = "16505550142";
const NAME: &str = "Canarina";

/// Whatever must not be seen, also as bytes in hex digits.
fn planted() -> Vec<String> {
    let clear = [SYSTEM_USER_TOKEN, APP_SECRET, EMAIL, "canary.person", PHONE, PHONE_DIGITS, "6505550142", NAME];
    let hex = clear.iter().map(hex::encode);
    clear.iter().map(|text| (*text).to_owned()).chain(hex).collect()
}

fn require_clean(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is empty, which proves nothing");
    let lower = text.to_ascii_lowercase();
    for planted in planted() {
        let at = lower.find(&planted.to_ascii_lowercase());
        let around = at.map(|at| &lower[at.saturating_sub(200)..(at + 60).min(lower.len())]);
        assert!(around.is_none(), "{planted:?} is in {what}: {around:?}");
    }
}

fn canary() -> Member {
    Member {
        email: EMAIL.to_owned(),
        phone: PHONE.to_owned(),
        first_name: NAME.to_owned(),
        country: "US".to_owned(),
        ..Member::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_person_is_stored_or_told_in_clear() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let mut told = people(&suite, &client).await;
    told.extend(events(&suite, &client).await);
    told.extend(connections(&suite, &client).await);
    let audit = client.audit().list_audit_entries(ListAuditEntriesRequest::default()).await.unwrap().into_inner();
    told.push(format!("{audit:?}"));
    let callers = client.identity().list_callers(ListCallersRequest::default()).await.unwrap().into_inner();
    told.push(format!("{callers:?}"));
    require_clean("an error or an answer", &told.join("\n"));

    let tables = suite.tables().await.unwrap();
    assert!(tables.contains("auth.credentials") || tables.contains("-- auth."), "the vault is among the tables");
    require_clean("a table", &tables);
    require_clean("Redis", &suite.redis_keys().await.unwrap());
    suite.stop().await.unwrap();
}

/// Uploads the person and makes every mistake that could quote her; the texts of the answers.
async fn people(suite: &Suite, client: &client::Client) -> Vec<String> {
    let audience = work::audience(client, AD_ACCOUNT, "Canaries").await;
    let job = work::member_job(client, &audience).await;
    let broken =
        Member { email: format!("{EMAIL} (work)"), phone: format!("{PHONE} ext. {PHONE}"), ..Member::default() };
    let append = AppendMembersRequest {
        job: job.name.clone(),
        sequence: job.next_sequence,
        rows: vec![canary(), broken],
        ..AppendMembersRequest::default()
    };
    let appended = client.members().append_members(append).await.unwrap().into_inner();
    assert_eq!((appended.accepted, appended.rejected.is_empty()), (1, false), "{appended:?}");
    let mut told = vec![format!("{appended:?}")];
    // Waiting rows are in the database while nobody has run the job.
    require_clean("a table while rows wait", &suite.tables().await.unwrap());

    let hashed = CreateMemberJobRequest {
        audience: audience.resource_name,
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Hashed.into(),
        request_id: request_id(),
        validate_only: false,
    };
    let hashed = client.members().create_member_job(hashed).await.unwrap().into_inner().job.unwrap();
    let plain = AppendMembersRequest {
        job: hashed.name,
        sequence: hashed.next_sequence,
        rows: vec![canary()],
        ..AppendMembersRequest::default()
    };
    let plain = client.members().append_members(plain).await.unwrap().into_inner();
    assert_eq!(plain.accepted, 0, "what is plain is no hash");
    told.push(format!("{plain:?}"));

    let run = RunMemberJobRequest { job: job.name, request_id: request_id(), validate_only: false };
    let operation = client.members().run_member_job(run).await.unwrap().into_inner().operation;
    told.push(format!("{:?}", work::done(client, operation).await));
    let at_meta = suite.sandbox.named("customaudiences", "Canaries").await.unwrap();
    assert_eq!(at_meta[0]["members"], 1, "she did arrive");
    told
}

async fn events(suite: &Suite, client: &client::Client) -> Vec<String> {
    let mut good = work::purchase("canary-1", EMAIL, 1);
    if let Some(person) = &mut good.user_data {
        person.ph = vec![PHONE.to_owned()];
        person.r#fn = NAME.to_owned();
    }
    let mut broken = work::purchase("canary-2", &format!("{EMAIL} (work)"), 1);
    broken.action_source = "nowhere".to_owned();
    let send = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events: vec![good, broken],
        request_id: request_id(),
        ..SendEventsRequest::default()
    };
    let sent = client.events().send_events(send).await.unwrap().into_inner();
    assert!(matches!(sent.results[1].outcome, Some(Outcome::Error(_))), "{sent:?}");
    let delivered = async || {
        let request = GetEventRequest {
            dataset: DATASET.to_owned(),
            event_id: "canary-1".to_owned(),
            ..GetEventRequest::default()
        };
        let event = client.events().get_event(request).await?.into_inner().event.unwrap();
        Ok((event.state() == EventState::Delivered).then_some(event))
    };
    let event = eventually("the delivery", delivered).await.unwrap();
    require_clean("what Meta got", &format!("{:?}", suite.sandbox.events().await.unwrap()));
    vec![format!("{sent:?}"), format!("{event:?}")]
}

/// Mistakes that could quote a token or a secret.
async fn connections(suite: &Suite, client: &client::Client) -> Vec<String> {
    let import = |token: &str, meta_app: &str| ImportSystemUserTokenRequest {
        token: token.to_owned(),
        meta_app: meta_app.to_owned(),
        request_id: request_id(),
        ..ImportSystemUserTokenRequest::default()
    };
    let app = "metaApps/1000000000000001";
    let mut failures: Vec<Status> = Vec::new();
    for request in [
        import(SYSTEM_USER_TOKEN, "metaApps/77"),
        import(SYSTEM_USER_TOKEN, "metaApps/none"),
        import(&format!("{SYSTEM_USER_TOKEN}-of-another"), app),
    ] {
        failures.push(client.connections().import_system_user_token(request).await.unwrap_err());
    }
    let nobody = client::Client::anonymous(&suite.gateway).unwrap();
    let issue =
        IssueTokenRequest { caller: "callers/7".to_owned(), secret: SYSTEM_USER_TOKEN.to_owned(), scopes: Vec::new() };
    failures.push(nobody.identity().issue_token(issue).await.unwrap_err());
    let told = failures.iter().map(|status| refusal(status).unwrap().text);
    let connections =
        client.connections().list_connections(ListConnectionsRequest::default()).await.unwrap().into_inner();
    told.chain([format!("{connections:?}")]).collect()
}
