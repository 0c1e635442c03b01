//! One view over the chains of all services, and what it shows when somebody tampers with them.

use proto::auth::v1 as pb;
use storage::Postgres;
use tonic::Code;

use crate::{
    chains::{Pair, tamper},
    keys::Parts,
    waiting::until,
    world::{APP_SECRET, TOKEN, World, bearing, for_tenant, uuid, why},
};

fn updates(count: usize) -> Vec<String> {
    (0..count).map(|place| format!("campaign.update.{place}")).collect()
}

async fn export(pair: &Pair, resume_token: String) -> (Vec<pb::ExportAuditEntriesResponse>, Option<tonic::Status>) {
    let request = pb::ExportAuditEntriesRequest { filter: None, resume_token };
    let mut stream =
        pair.audit().export_audit_entries(bearing(&pair.first.caller, request)).await.unwrap().into_inner();
    let mut messages = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(status) => return (messages, Some(status)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_all_services_come_in_order_of_time_and_page_by_page() {
    let pair = Pair::new().await;
    for action in ["campaign.create", "campaign.pause"] {
        pair.append("acme", action).await;
    }
    let create = pb::CreateCallerRequest {
        caller: Some(pb::Caller {
            tenants: vec!["tenants/acme".to_owned()],
            scopes: vec!["auth.read".to_owned()],
            ..pb::Caller::default()
        }),
        request_id: uuid(),
        validate_only: false,
    };
    pair.world.identity().create_caller(for_tenant(bearing(&pair.first.operator, create), "acme")).await.unwrap();
    pair.append("acme", "campaign.activate").await;
    let expected = [
        ("auth", "bootstrap"),
        ("campaigns", "campaign.create"),
        ("campaigns", "campaign.pause"),
        ("auth", "callers.create"),
        ("campaigns", "campaign.activate"),
    ];

    let mut request = pb::ListAuditEntriesRequest { page_size: 2, ..pb::ListAuditEntriesRequest::default() };
    let (mut entries, mut pages) = (Vec::new(), 0);
    loop {
        let page = pair.list("acme", request.clone()).await;
        assert!(page.unreachable.is_empty());
        entries.extend(page.entries);
        pages += 1;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let told: Vec<_> = entries.iter().map(|entry| (entry.service.as_str(), entry.action.as_str())).collect();
    assert_eq!((told.as_slice(), pages), (expected.as_slice(), 3));
    assert_eq!(entries[1].detail, r#"{"fbtrace_id":"ATRACE"}"#);
    // Whom it was done for, and the operator who did it.
    assert_eq!(entries[3].tenant, "tenants/acme");
    assert_eq!(entries[3].actor, pair.first.answer.operator.as_ref().unwrap().name);

    let filter =
        pb::AuditFilter { service: "campaigns".to_owned(), action: "campaign.pause".to_owned(), ..Default::default() };
    let only = pb::ListAuditEntriesRequest { filter: Some(filter), ..pb::ListAuditEntriesRequest::default() };
    assert_eq!(pair.list("acme", only).await.entries.len(), 1);
    assert!(pair.list("nobody", pb::ListAuditEntriesRequest::default()).await.entries.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_serves_its_own_tenant_and_filter_only() {
    let pair = Pair::new().await;
    pair.append("acme", "campaign.create").await;
    let request = pb::ListAuditEntriesRequest { page_size: 1, ..pb::ListAuditEntriesRequest::default() };
    let token = pair.list("acme", request.clone()).await.next_page_token;
    assert!(!token.is_empty());
    let filter = Some(pb::AuditFilter { action: "x".to_owned(), ..pb::AuditFilter::default() });
    let bad = [
        ("other", pb::ListAuditEntriesRequest { page_token: token.clone(), ..request.clone() }),
        ("acme", pb::ListAuditEntriesRequest { page_token: token.clone(), filter, ..request.clone() }),
        ("acme", pb::ListAuditEntriesRequest { page_token: "YXV0aD0w".to_owned(), ..request }),
    ];
    for (tenant, request) in bad {
        let refused = pair.audit().list_audit_entries(for_tenant(bearing(&pair.first.operator, request), tenant)).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_named_and_nothing_of_it_is_lost() {
    let mut pair = Pair::new().await;
    pair.append("acme", "campaign.create").await;
    pair.stop_other().await;
    let page = pair.list("acme", pb::ListAuditEntriesRequest::default()).await;
    assert_eq!(page.unreachable, ["campaigns"]);
    assert_eq!(page.entries.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["bootstrap"]);
    let verdict = pair.verify("acme").await;
    assert!(!verdict.intact && verdict.broken_sequence == 0, "nobody can say: {verdict:?}");
    assert_eq!(verdict.unreachable, ["campaigns"]);
    // An export with a gap would look whole.
    let (messages, failed) = export(&pair, String::new()).await;
    assert!(messages.is_empty());
    assert_eq!(why(&failed.unwrap()), (Code::Unavailable, "SERVICE_UNAVAILABLE".to_owned()));

    pair.start_other().await;
    until("the service is asked again", async || {
        pair.list("acme", pb::ListAuditEntriesRequest::default()).await.entries.len() == 2
    })
    .await;
    // Anchoring goes on by itself.
    pair.append("acme", "campaign.pause").await;
    pair.anchored("acme", 2).await;
    assert!(pair.verify("acme").await.intact);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_whole_and_goes_on_where_it_was() {
    let pair = Pair::new().await;
    pair.append_many("acme", &updates(600)).await;
    pair.anchored("acme", 600).await;
    let (messages, failed) = export(&pair, String::new()).await;
    assert!(failed.is_none());
    let count = |messages: &[pb::ExportAuditEntriesResponse]| messages.iter().map(|m| m.entries.len()).sum::<usize>();
    assert_eq!(count(&messages), 601);
    let end = messages.last().unwrap().checkpoint.clone().unwrap();
    assert!(end.complete);
    let chain = end.chains.iter().find(|chain| chain.service == "campaigns").unwrap();
    assert_eq!((chain.sequence, chain.anchored_sequence), (600, 600));
    assert_eq!(chain.hash.len(), 64);
    assert_eq!(chain.anchor_signature.len(), 64);

    let (rest, _) = export(&pair, messages[0].resume_token.clone()).await;
    assert_eq!(count(&messages[..1]) + count(&rest), 601);
    assert_eq!(rest[0].entries[0], messages[1].entries[0]);
    pair.append("acme", "campaign.delete").await;
    let (later, _) = export(&pair, messages.last().unwrap().resume_token.clone()).await;
    assert_eq!(later[0].entries.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["campaign.delete"]);
}

/// Each way to tamper with a chain of six entries, the place that must be named, and a word of why.
const WAYS: [(&str, i64, &str); 23] = [
    ("UPDATE audit_entries SET actor = 'callers/nobody' WHERE tenant_id = $T AND sequence = 3", 3, "edited"),
    ("UPDATE audit_entries SET action = 'x' WHERE tenant_id = $T AND sequence = 1", 1, "edited"),
    ("UPDATE audit_entries SET resource = 'x' WHERE tenant_id = $T AND sequence = 6", 6, "edited"),
    ("UPDATE audit_entries SET detail = '{}' WHERE tenant_id = $T AND sequence = 2", 2, "edited"),
    ("UPDATE audit_entries SET detail = detail || ' ' WHERE tenant_id = $T AND sequence = 2", 2, "edited"),
    ("UPDATE audit_entries SET request_id = NULL WHERE tenant_id = $T AND sequence = 4", 4, "edited"),
    (
        "UPDATE audit_entries SET written_at = written_at - interval '1 day' WHERE tenant_id = $T AND sequence = 4",
        4,
        "edited",
    ),
    ("UPDATE audit_entries SET previous = '\\x00' WHERE tenant_id = $T AND sequence = 5", 5, "edited"),
    ("UPDATE audit_entries SET hash = '\\x00' WHERE tenant_id = $T AND sequence = 5", 5, "edited"),
    ("UPDATE audit_entries SET sequence = 99 WHERE tenant_id = $T AND sequence = 6", 6, "missing"),
    ("UPDATE audit_entries SET tenant_id = 'elsewhere-' || $T WHERE tenant_id = $T AND sequence = 2", 2, "missing"),
    ("DELETE FROM audit_entries WHERE tenant_id = $T AND sequence = 1", 1, "missing"),
    ("DELETE FROM audit_entries WHERE tenant_id = $T AND sequence = 3", 3, "missing"),
    ("DELETE FROM audit_entries WHERE tenant_id = $T AND sequence = 6", 6, "missing"),
    (
        "DELETE FROM audit_entries WHERE tenant_id = $T AND sequence > 4;
         UPDATE audit_heads AS h SET sequence = 4, hash = e.hash FROM audit_entries AS e
          WHERE h.tenant_id = $T AND e.tenant_id = $T AND e.sequence = 4",
        5,
        "missing",
    ),
    ("DELETE FROM audit_entries WHERE tenant_id = $T; DELETE FROM audit_heads WHERE tenant_id = $T", 1, "missing"),
    (
        "UPDATE audit_entries SET sequence = 100 WHERE tenant_id = $T AND sequence = 3;
         UPDATE audit_entries SET sequence = 3 WHERE tenant_id = $T AND sequence = 4;
         UPDATE audit_entries SET sequence = 4 WHERE tenant_id = $T AND sequence = 100",
        3,
        "edited",
    ),
    ("UPDATE audit_heads SET hash = '\\x0000000000000000000000000000000000000000000000000000000000000000'
       WHERE tenant_id = $T", 6, "head"),
    ("UPDATE audit_heads SET sequence = 5, hash = (SELECT hash FROM audit_entries WHERE tenant_id = $T AND sequence = 5)
       WHERE tenant_id = $T", 6, "head"),
    // What cannot even be read.
    ("UPDATE audit_entries SET written_at = 'infinity' WHERE tenant_id = $T AND sequence = 4", 4, "edited"),
    ("UPDATE audit_entries SET written_at = '-infinity' WHERE tenant_id = $T AND sequence = 1", 1, "edited"),
    ("UPDATE audit_entries SET written_at = '20000-01-01' WHERE tenant_id = $T AND sequence = 6", 6, "edited"),
    ("UPDATE audit_heads SET hash = '\\x00' WHERE tenant_id = $T", 6, "head"),
];

/// Until it stands in the tenant's own audit that the other service's chain of it is broken.
async fn told_as_broken(pair: &Pair, tenant: &str) {
    until("the finding is told", async || {
        let filter = Some(pb::AuditFilter { action: "audit.broken".to_owned(), ..pb::AuditFilter::default() });
        let request = pb::ListAuditEntriesRequest { filter, ..pb::ListAuditEntriesRequest::default() };
        let entries = pair.list(tenant, request).await.entries;
        entries.len() == 1 && entries[0].resource == "auditChains/campaigns" && entries[0].service == "auth"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_tamper_is_found_and_the_place_is_named() {
    let pair = Pair::new().await;
    for way in 0..WAYS.len() {
        pair.append_many(&format!("t{way}"), &updates(6)).await;
    }
    for (way, (sql, place, why)) in WAYS.iter().enumerate() {
        let tenant = format!("t{way}");
        pair.anchored(&tenant, 6).await;
        let verdict = pair.verify(&tenant).await;
        assert!(verdict.intact && verdict.entries == 6, "{verdict:?}");
        pair.tamper(&sql.replace("$T", &format!("'{tenant}'"))).await;
        let verdict = pair.verify(&tenant).await;
        assert!(!verdict.intact, "{sql}");
        assert_eq!((verdict.broken_service.as_str(), verdict.broken_sequence), ("campaigns", *place), "{sql}");
        assert!(verdict.problem.contains(why), "{sql}: {}", verdict.problem);
    }
    // And nobody has to ask: it is in the tenant's audit within a turn.
    for tenant in ["t0", "t14", "t15", "t19", "t22"] {
        told_as_broken(&pair, tenant).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_and_keeps_no_other_chain_from_being_anchored() {
    let pair = Pair::new().await;
    // Put there at once, so that no round sees anything before.
    let planted = "
        INSERT INTO audit_entries VALUES ('a-row', 1, 'infinity', 'x', 'x', 'x', NULL, '{}', '\\x00', '\\x00');
        INSERT INTO audit_heads VALUES ('a-row', 1, decode(repeat('01', 32), 'hex'));
        INSERT INTO audit_heads VALUES ('b-head', 1, '\\x00');
        INSERT INTO audit_heads VALUES ('Not A Tenant', 1, decode(repeat('01', 32), 'hex'))";
    pair.other.client().await.unwrap().batch_execute(planted).await.unwrap();
    pair.append("later", "campaign.create").await;
    pair.anchored("later", 1).await;
    for tenant in ["a-row", "b-head"] {
        let verdict = pair.verify(tenant).await;
        assert_eq!((verdict.broken_service.as_str(), verdict.broken_sequence), ("campaigns", 1), "{verdict:?}");
        assert!(verdict.unreachable.is_empty(), "{verdict:?}");
        told_as_broken(&pair, tenant).await;
    }
    let shown = pair.list("a-row", pb::ListAuditEntriesRequest::default()).await;
    assert!(shown.unreachable.is_empty() && shown.entries.iter().any(|entry| entry.service == "campaigns"));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_service_is_silent_the_others_are_anchored_soon() {
    let mut pair = Pair::new().await;
    // So many that waiting for each of them in turn would take longer than anybody waits.
    for number in 0..30 {
        pair.append(&format!("t{number:02}"), "campaign.create").await;
    }
    for number in 0..30 {
        pair.anchored(&format!("t{number:02}"), 1).await;
    }
    pair.silence_other().await;
    let own = pair.world.postgres().await;
    let newest = "SELECT coalesce(max(sequence), 0) FROM audit_anchors WHERE tenant_id = 'acme' AND service = 'auth'";
    let anchored = async || own.query_one(newest, &[]).await.unwrap().get::<_, i64>(0);
    for _ in 0..2 {
        let before = anchored().await;
        let caller = pb::Caller {
            tenants: vec!["tenants/acme".to_owned()],
            scopes: vec!["auth.read".to_owned()],
            ..pb::Caller::default()
        };
        let create = pb::CreateCallerRequest { caller: Some(caller), request_id: uuid(), validate_only: false };
        pair.world.identity().create_caller(for_tenant(bearing(&pair.first.operator, create), "acme")).await.unwrap();
        until("auth's own head is anchored", async || anchored().await > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_accused_because_another_replica_was_quicker() {
    let pair = Pair::new().await;
    pair.append("acme", "campaign.create").await;
    pair.anchored("acme", 1).await;
    let own = pair.world.postgres().await;
    own.batch_execute("BEGIN; LOCK TABLE audit_anchors IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let watching = pair.world.postgres().await;
    let waiting = "
        SELECT count(*)
          FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%min(a.tenant_id)%'";
    // The round has asked both services for their heads, and is about to read what was anchored.
    until("both services are at it", async || watching.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 2)
        .await;
    pair.append("acme", "campaign.pause").await;
    let head = storage::audit::head(&pair.other.client().await.unwrap(), "acme").await.unwrap().unwrap();
    assert_eq!(head.sequence, 2);
    let chain = (&"acme".parse().unwrap(), "campaigns");
    let vault = Parts::of(&pair.world).await.vault;
    let anchor = auth::anchors::Anchor::sign(&vault, chain, head, (pair.world.now())()).await.unwrap();
    assert!(auth::store::anchors::insert(&own, &anchor).await.unwrap());
    own.batch_execute("COMMIT").await.unwrap();
    pair.append("acme", "campaign.delete").await;
    pair.anchored("acme", 3).await;
    let findings = "SELECT count(*) FROM audit_findings";
    assert_eq!(watching.query_one(findings, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert!(pair.verify("acme").await.intact);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_what_was_written_by_a_clock_that_is_ahead() {
    let pair = Pair::new().await;
    pair.append("acme", "campaign.create").await;
    pair.tamper("UPDATE audit_entries SET written_at = written_at + interval '1 hour'").await;
    let (messages, failed) = export(&pair, String::new()).await;
    assert!(failed.is_none());
    let actions: Vec<_> = messages.iter().flat_map(|message| &message.entries).map(|entry| &*entry.action).collect();
    assert_eq!(actions, ["bootstrap", "campaign.create"]);
}

/// Deletes from `from` on and sets the head back, as if those entries had never been.
fn rewind(tenant: &str, from: i64) -> String {
    let last = from - 1;
    format!(
        "DELETE FROM audit_entries WHERE tenant_id = '{tenant}' AND sequence >= {from};
         UPDATE audit_heads AS h SET sequence = {last}, hash = e.hash FROM audit_entries AS e
          WHERE h.tenant_id = '{tenant}' AND e.tenant_id = '{tenant}' AND e.sequence = {last}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_entry_with_a_hash_that_fits_is_found_too() {
    let pair = Pair::new().await;
    for tenant in ["middle", "to-the-end", "behind-the-head"] {
        pair.append_many(tenant, &updates(6)).await;
    }
    for tenant in ["middle", "to-the-end", "behind-the-head"] {
        pair.anchored(tenant, 6).await;
    }
    // One entry is replaced, hash and all; those after it stay.
    pair.tamper("CREATE TABLE kept AS SELECT * FROM audit_entries WHERE tenant_id = 'middle' AND sequence > 3").await;
    pair.tamper("CREATE TABLE kept_head AS SELECT * FROM audit_heads WHERE tenant_id = 'middle'").await;
    pair.tamper(&rewind("middle", 3)).await;
    pair.append("middle", "forged").await;
    let restore = "INSERT INTO audit_entries SELECT * FROM kept;
        UPDATE audit_heads AS h SET sequence = k.sequence, hash = k.hash FROM kept_head AS k WHERE h.tenant_id = 'middle'";
    pair.tamper(restore).await;
    let verdict = pair.verify("middle").await;
    assert_eq!((verdict.broken_sequence, verdict.broken_service.as_str()), (4, "campaigns"), "{verdict:?}");
    assert!(verdict.problem.contains("replaced"), "{}", verdict.problem);

    // The chain is computed anew to its end and beyond, and its head with it: sound in itself, but not what was anchored.
    pair.tamper(&rewind("to-the-end", 3)).await;
    for _ in 3..=8 {
        pair.append("to-the-end", "forged").await;
    }
    let verdict = pair.verify("to-the-end").await;
    assert!(!verdict.intact && verdict.broken_sequence == 6, "{verdict:?}");
    assert!(verdict.problem.contains("anchored"), "{}", verdict.problem);

    // An entry that fits is added, and the head does not know of it.
    let client = pair.other.client().await.unwrap();
    let head = "CREATE TABLE its_head AS SELECT * FROM audit_heads WHERE tenant_id = 'behind-the-head'";
    client.batch_execute(head).await.unwrap();
    pair.append("behind-the-head", "forged").await;
    let back = "UPDATE audit_heads AS h SET sequence = k.sequence, hash = k.hash FROM its_head AS k
                 WHERE h.tenant_id = k.tenant_id";
    client.batch_execute(back).await.unwrap();
    let verdict = pair.verify("behind-the-head").await;
    assert!(!verdict.intact && verdict.broken_sequence == 7, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_was_edited_is_not_believed() {
    let pair = Pair::new().await;
    pair.append_many("acme", &updates(3)).await;
    pair.anchored("acme", 3).await;
    let own = Postgres::connect(&pair.world.settings.postgres.in_schema(auth::SCHEMA)).await.unwrap();
    let edit = "UPDATE audit_anchors SET hash = '\\x0101010101010101010101010101010101010101010101010101010101010101'
                 WHERE tenant_id = 'acme' AND service = 'campaigns' AND sequence = 3";
    assert!(own.client().await.unwrap().batch_execute(edit).await.is_err(), "auth itself cannot");
    tamper(&own, "audit_anchors", edit).await;
    let verdict = pair.verify("acme").await;
    assert!(!verdict.intact && verdict.broken_service == "campaigns", "{verdict:?}");
    assert!(verdict.problem.contains("not signed"), "{}", verdict.problem);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_anchored_once_however_many_replicas_there_are() {
    let pair = Pair::new().await;
    pair.world.replica().await;
    pair.world.replica().await;
    let own = pair.world.postgres().await;
    let turn =
        async || own.query_one("SELECT taken_until::text FROM audit_turn", &[]).await.unwrap().get::<_, String>(0);
    for place in 1..=3 {
        pair.append("acme", "campaign.update").await;
        pair.anchored("acme", place).await;
    }
    // Several turns pass in which nothing moves.
    for _ in 0..3 {
        let before = turn().await;
        until("another turn", async || turn().await != before).await;
    }
    let anchors = "SELECT array_agg(sequence ORDER BY sequence) FROM audit_anchors
                    WHERE tenant_id = 'acme' AND service = 'campaigns'";
    let anchors: Vec<i64> = own.query_one(anchors, &[]).await.unwrap().get(0);
    assert_eq!(anchors, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_part_begins_and_ends_at_anchors() {
    let pair = Pair::new().await;
    for place in 1..=3 {
        pair.append("acme", "campaign.update").await;
        pair.anchored("acme", place).await;
    }
    let chain = pair.verify("acme").await.chains.into_iter().find(|chain| chain.service == "campaigns").unwrap();
    let only_new = pb::VerifyAuditChainRequest { from_time: chain.anchor_time, until_time: None };
    let request = for_tenant(bearing(&pair.first.operator, only_new), "acme");
    pair.append("acme", "campaign.update").await;
    // What is before the span is not looked at.
    pair.tamper("UPDATE audit_entries SET actor = 'x' WHERE tenant_id = 'acme' AND sequence = 1").await;
    let verdict = pair.audit().verify_audit_chain(request).await.unwrap().into_inner();
    let campaigns = verdict.chains.iter().find(|chain| chain.service == "campaigns").unwrap();
    assert!(verdict.intact && campaigns.sequence == 4, "{verdict:?}");
    assert_eq!(pair.verify("acme").await.broken_sequence, 1);
    let backwards = pb::VerifyAuditChainRequest {
        from_time: chain.anchor_time,
        until_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
    };
    let refused = pair.audit().verify_audit_chain(for_tenant(bearing(&pair.first.operator, backwards), "acme")).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_and_a_pasted_token_are_in_the_audit_as_keyed_hashes_only() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap();
    let planted = "EAAGm0PX4ZCpsBAKZCplanted";
    let revoke = pb::RevokeConnectionRequest {
        name: connection.name.clone(),
        reason: format!("jane.doe@example.com saw {planted}, call +1-650-555-0142; jane.doe@example.com knows"),
        request_id: uuid(),
        ..pb::RevokeConnectionRequest::default()
    };
    world.connections().revoke_connection(bearing(&first.caller, revoke)).await.unwrap();
    let rows = world.postgres().await.query("SELECT e::text FROM audit_entries AS e", &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let secrets = [TOKEN, APP_SECRET, planted, "jane.doe", "650-555", &first.answer.caller_secret, &first.caller];
    for secret in secrets {
        assert!(!rows.iter().any(|row| row.contains(secret)), "{secret} stands in the audit");
    }
    let revoked = rows.iter().find(|row| row.contains("connections.revoke")).unwrap();
    let hashes: Vec<_> = revoked.match_indices("hmac:").map(|(at, _)| &revoked[at..at + 37]).collect();
    assert_eq!(hashes.len(), 4, "{revoked}");
    assert!(hashes[0] == hashes[3] && hashes[0] != hashes[1], "the same person has the same hash: {revoked}");
    let imported = rows.iter().find(|row| row.contains("connections.import")).unwrap();
    assert!(imported.contains("hmac:") && !imported.contains(&connection.user_id), "{imported}");
}
