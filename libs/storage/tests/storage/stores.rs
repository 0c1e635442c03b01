//! Pools, migrations and errors, against real servers.

use std::time::{Duration, Instant};

use crate::support::MIGRATIONS;
use devstack::Stack;
use storage::{Error, Postgres, PostgresSettings, Redis, RedisSettings, migrations};

#[tokio::test]
async fn replicas_that_migrate_at_once_apply_everything_once() {
    let postgres = crate::support::empty().await;
    assert_eq!(migrations::current_version(&postgres).await.unwrap(), None);
    let runs = futures::future::join_all((0..4).map(|_| migrations::run(&postgres, "test", MIGRATIONS))).await;
    let applied: usize = runs.into_iter().map(Result::unwrap).sum();
    assert_eq!(applied, MIGRATIONS.len());
    assert_eq!(migrations::current_version(&postgres).await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_and_can_be_repeated() {
    let postgres = crate::support::empty().await;
    let broken = [("V1__half", "CREATE TABLE half (id integer); SELECT nonsense")];
    assert!(matches!(migrations::run(&postgres, "test", &broken).await, Err(Error::Broken(_))));
    let mended = [("V1__half", "CREATE TABLE half (id integer)")];
    assert_eq!(migrations::run(&postgres, "test", &mended).await.unwrap(), 1);
    let edited = [("V1__half", "CREATE TABLE half (id bigint)")];
    assert!(matches!(migrations::run(&postgres, "test", &edited).await, Err(Error::Broken(_))));
}

#[tokio::test]
async fn new_code_refuses_an_older_schema_and_old_code_runs_on_a_newer_one() {
    let postgres = crate::support::empty().await;
    let old = &MIGRATIONS[..2];
    migrations::run(&postgres, "test", old).await.unwrap();
    let refused = migrations::require(&postgres, MIGRATIONS).await;
    assert!(matches!(refused, Err(Error::SchemaBehind { found: 2, needed: 3 })), "{refused:?}");
    migrations::run(&postgres, "test", MIGRATIONS).await.unwrap();
    migrations::require(&postgres, old).await.unwrap();
    assert_eq!(migrations::run(&postgres, "test", old).await.unwrap(), 0);
}

#[tokio::test]
async fn a_migration_that_would_be_left_out_is_told() {
    let postgres = crate::support::empty().await;
    let gap = [MIGRATIONS[0], MIGRATIONS[2]];
    migrations::run(&postgres, "test", &gap).await.unwrap();
    for told in [
        migrations::run(&postgres, "test", MIGRATIONS).await.map(drop),
        migrations::require(&postgres, MIGRATIONS).await,
    ] {
        assert!(matches!(&told, Err(Error::Broken(why)) if why.contains("V2")), "{told:?}");
    }
    assert_eq!(migrations::current_version(&postgres).await.unwrap(), Some(3));
}

#[tokio::test]
async fn two_services_in_one_database_do_not_see_each_others_tables() {
    let url = devstack::shared().create_database().await.unwrap();
    let one = Postgres::connect(&PostgresSettings::at(url.as_str()).in_schema("one")).await.unwrap();
    let two = Postgres::connect(&PostgresSettings::at(url.as_str()).in_schema("two")).await.unwrap();
    let table = [("V1__things", "CREATE TABLE things (id integer PRIMARY KEY)")];
    migrations::run(&one, "one", &table).await.unwrap();
    migrations::run(&two, "two", &table).await.unwrap();
    one.client().await.unwrap().execute("INSERT INTO things VALUES (1)", &[]).await.unwrap();
    assert!(two.client().await.unwrap().query("SELECT * FROM things", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn errors_are_sorted_and_show_no_value() {
    let postgres = crate::support::empty().await;
    let table = [("V1__people", "CREATE TABLE people (email text CONSTRAINT people_email UNIQUE, age integer)")];
    migrations::run(&postgres, "test", &table).await.unwrap();
    let client = postgres.client().await.unwrap();
    let fail = async |sql: &str| Error::from(client.batch_execute(sql).await.unwrap_err());
    client.batch_execute("INSERT INTO people VALUES ('canary@example.com')").await.unwrap();

    let conflict = fail("INSERT INTO people VALUES ('canary@example.com')").await;
    assert_eq!(conflict.constraint(), Some("people_email"));
    let broken = fail("SELECT 'canary@example.com'::integer").await;
    let slow = fail("SET statement_timeout = 1; SELECT pg_sleep(10), 'canary@example.com'").await;
    assert!(slow.is_outage());
    for error in [conflict, broken, slow] {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_pool_recovers_when_its_connections_were_cut() {
    let postgres = crate::support::empty().await;
    let cut = postgres.client().await.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let other = postgres.client().await.unwrap();
    other.execute(kill, &[]).await.unwrap();
    assert!(Error::from(cut.execute("SELECT 1", &[]).await.unwrap_err()).is_outage());
    drop(cut);
    drop(other);
    // One that was cut a moment ago may be handed out once more, before its end is noticed.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut good = 0;
    while good < 3 {
        let answer = postgres.client().await.unwrap().execute("SELECT 1", &[]).await;
        good = if answer.is_ok() { good + 1 } else { 0 };
        assert!(Instant::now() < deadline, "the pool does not recover");
    }
}

#[tokio::test]
async fn a_full_pool_is_an_outage_after_the_wait_and_not_a_hang() {
    let url = devstack::shared().create_database().await.unwrap();
    let settings = PostgresSettings { pool_size: 1, pool_wait_milliseconds: 300, ..PostgresSettings::at(url) };
    let postgres = Postgres::connect(&settings.in_schema("test")).await.unwrap();
    let _held = postgres.client().await.unwrap();
    assert!(postgres.client().await.unwrap_err().is_outage());
}

#[tokio::test]
async fn a_database_that_is_away_is_an_outage() {
    let stack = Stack::postgres_only().await.unwrap();
    let settings = PostgresSettings { start_wait_seconds: 0, ..PostgresSettings::at(stack.postgres_url()) };
    let postgres = Postgres::connect(&settings.in_schema("test")).await.unwrap();
    stack.stop().await;
    assert!(
        postgres.client().await.and(Ok(())).is_ok_and(|()| false) || postgres.client().await.unwrap_err().is_outage()
    );
    let error = Postgres::connect(&settings.in_schema("test")).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}

#[tokio::test]
async fn settings_without_a_schema_are_refused() {
    let error = Postgres::connect(&PostgresSettings::at("postgres://localhost/x")).await.unwrap_err();
    assert!(matches!(error, Error::Settings(_)));
}

#[tokio::test]
async fn redis_answers_and_tells_about_itself() {
    let redis = Redis::connect(&RedisSettings::at(devstack::shared().redis_url())).await.unwrap();
    assert_eq!(redis.info(redis.shard(""), "server").await.unwrap()["run_id"].len(), 40);
    let policy: (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut redis.connection()).await.unwrap();
    assert_eq!(policy.1, "noeviction");
    let wrong: Result<(), _> = redis::cmd("NONSENSE").query_async(&mut redis.connection()).await;
    assert!(!Error::from(wrong.unwrap_err()).is_outage());
}

#[tokio::test]
async fn a_redis_that_is_away_is_an_outage_and_comes_back_unasked() {
    let stack = Stack::redis_only().await.unwrap();
    let settings = RedisSettings::at(stack.redis_url());
    let redis = Redis::connect(&settings).await.unwrap();
    let settings = RedisSettings { connect_timeout_milliseconds: 300, ..settings };
    stack.stop().await;
    let error = redis.info(redis.shard(""), "server").await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    let error = tokio::time::timeout(Duration::from_secs(100), Redis::connect(&settings)).await.unwrap().unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}
