//! What a service's role in the database may do, and what whoever steals its password may not.

use harness::Suite;
use storage::{GenericClient, Postgres, PostgresSettings};

const SERVICES: [&str; 5] = ["auth", "campaigns", "insights", "audiences", "conversions"];

async fn connect(suite: &Suite, service: &str) -> Postgres {
    Postgres::connect(&PostgresSettings::at(suite.database_of(service)).in_schema(service)).await.unwrap()
}

/// PostgreSQL's code for why a statement failed; empty where it did not.
async fn refusal(client: &impl GenericClient, sql: &str) -> String {
    let failed = client.batch_execute(sql).await.err();
    failed.and_then(|error| error.code().map(|code| code.code().to_owned())).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_reaches_its_own_schema_and_no_other() {
    const FORBIDDEN: &str = "42501";
    let suite = Suite::start().await.unwrap();
    for service in SERVICES {
        let client = connect(&suite, service).await.client().await.unwrap();
        // Whatever another service's migration makes later is as far away as what it has now.
        for other in SERVICES.into_iter().filter(|other| *other != service) {
            let sql = format!("SELECT 1 FROM {other}.schema_history");
            assert_eq!(refusal(&client, &sql).await, FORBIDDEN, "{service} reads what {other} stores");
        }
        for sql in [
            "CREATE TABLE mine (id int)",
            "ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_final",
            "DROP TRIGGER audit_entries_final ON audit_entries",
            "DROP FUNCTION audit_entries_are_final CASCADE",
            "TRUNCATE audit_entries",
            "DROP TABLE audit_heads",
            "SET ROLE adplane_owner",
        ] {
            assert_eq!(refusal(&client, sql).await, FORBIDDEN, "{service} may {sql}");
        }
        let own = client.query_one("SELECT count(*) FROM audit_entries", &[]).await.unwrap().get::<_, i64>(0);
        assert!(service != "auth" || own > 0, "the first day is in auth's audit");
    }
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_the_audit_is_final_for_the_service_that_wrote_it() {
    let suite = Suite::start().await.unwrap();
    let client = connect(&suite, "auth").await.client().await.unwrap();
    for sql in ["UPDATE audit_entries SET actor = 'callers/nobody'", "DELETE FROM audit_entries"] {
        assert_eq!(refusal(&client, sql).await, "P0001", "the trigger raises on {sql}");
    }
    suite.stop().await.unwrap();
}
