//! Servers that die, come back empty or old, are promoted too early, or cannot be reached.

use storage::PostgresSettings;
use tokio::task::JoinSet;

use super::{
    servers::{Address, BACK, NOBODY, OwnRedis, connect},
    *,
};

/// Until Redis answers this replica again.
async fn until_asked(bench: &Bench) {
    let deadline = tokio::time::Instant::now() + BACK;
    loop {
        let look = bench.store.look(bench.app, &[bench.rules.bucket(bench.account(ADS_MANAGEMENT), None)]).await;
        if look.is_ok() {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{look:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is left after 200 interactive calls: 91, less a step that was open.
async fn is_rebuilt(bench: &Bench) {
    let more = bench.admits(Priority::Interactive).await;
    assert!((79..=91).contains(&more), "{more} more");
}

#[tokio::test]
async fn a_redis_that_restarts_empty_is_rebuilt_at_once() {
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    admitted(&bench.take(200, Priority::Interactive).await);
    server.restart_empty().await;
    until_asked(&bench).await;
    is_rebuilt(&bench).await;
}

#[tokio::test]
async fn a_redis_that_restarts_with_an_old_file_is_rebuilt() {
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    admitted(&bench.take(50, Priority::Interactive).await);
    server.command(&["SAVE"]).await;
    admitted(&bench.take(150, Priority::Interactive).await);
    server.restart().await;
    until_asked(&bench).await;
    is_rebuilt(&bench).await;
}

#[tokio::test]
async fn a_failover_that_lost_the_last_moments_is_rebuilt() {
    let (primary, replica) = (OwnRedis::start().await, OwnRedis::start().await);
    let address = Address::of(primary.port).await;
    let bench = Bench::on(connect(address.port).await, database().await, Ceilings::default()).await;
    admitted(&bench.take(50, Priority::Interactive).await);
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]).await;
    let epoch = epoch_key(bench.app);
    let copy = replica.connect().await;
    eventually(async || {
        let seen: Option<String> = redis::cmd("GET").arg(&epoch).query_async(&mut copy.connection()).await.unwrap();
        seen.is_some()
    })
    .await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    admitted(&bench.take(150, Priority::Interactive).await);
    address.leads_to(replica.port);
    until_asked(&bench).await;
    is_rebuilt(&bench).await;
}

#[tokio::test]
async fn a_bucket_that_was_evicted_is_rebuilt() {
    let server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    let epoch = admitted(&bench.take(200, Priority::Interactive).await).epoch;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let (copy, bucket) = (server.connect().await, bench.rules.bucket(bench.account(ADS_MANAGEMENT), None));
    eventually(async || {
        drop(redis::cmd("SET").arg("filler").arg("x").exec_async(&mut copy.connection()).await);
        let left: u32 = redis::cmd("EXISTS").arg(&bucket.key).query_async(&mut copy.connection()).await.unwrap();
        left == 0
    })
    .await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let epoch_key = epoch_key(bench.app);
    eventually(async || {
        let left: u32 = redis::cmd("EXISTS").arg(&epoch_key).query_async(&mut copy.connection()).await.unwrap();
        left == 0
    })
    .await;
    is_rebuilt(&bench).await;
    assert!(bench.store.known_epoch(bench.app).is_some_and(|known| known > epoch));
}

#[tokio::test]
async fn without_redis_only_what_was_written_is_spent_and_counted_afterwards() {
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    let counter = counter::Counter::new(Arc::clone(&bench.store));
    let ask = async |priority| counter.take(&bench.demand(bench.account(ADS_MANAGEMENT), 1, priority)).await;
    admitted(&ask(Priority::Interactive).await.unwrap());
    server.kill();
    let mut went = [0, 0];
    for (went, priority) in went.iter_mut().zip([Priority::Interactive, Priority::Safety]) {
        while ask(priority).await.is_ok_and(|outcome| matches!(outcome, Outcome::Admitted(_))) {
            *went += 1;
        }
    }
    let [interactive, safety] = went;
    assert!(interactive > 0 && safety > 0 && interactive + safety <= 24, "{went:?}");
    server.restart_empty().await;
    until_asked(&bench).await;
    let more = bench.admits(Priority::Interactive).await;
    assert!(more + interactive + safety < 291, "{more} more");
}

#[tokio::test]
async fn a_replica_that_does_not_reach_redis_and_one_that_does_stay_within_the_ceiling_together() {
    let server = OwnRedis::start().await;
    let (bench, address) = (
        Bench::on(server.connect().await, database().await, Ceilings::default()).await,
        Address::of(server.port).await,
    );
    let cut_off = counter::Counter::new(bench.replica_on(connect(address.port).await).await);
    let demand = bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Interactive);
    admitted(&cut_off.take(&demand).await.unwrap());
    address.leads_to(NOBODY);
    let mut beside = 1;
    while cut_off.take(&demand).await.is_ok_and(|outcome| matches!(outcome, Outcome::Admitted(_))) {
        beside += 1;
    }
    assert!(beside > 1, "it may spend what it had written");
    let there = bench.admits(Priority::Interactive).await;
    assert!(beside + there <= 291, "{beside} beside Redis and {there} in it");
    assert!(there >= 291 - 24, "{there}: what could be spent beside Redis is two steps at most");
    address.leads_to(server.port);
    eventually(async || matches!(cut_off.take(&demand).await, Ok(Outcome::Refused(_)))).await;
    assert_eq!(bench.admits(Priority::Interactive).await, 0);
}

#[tokio::test]
async fn where_nearly_all_is_written_nothing_goes_beside_redis() {
    let server = OwnRedis::start().await;
    let (bench, address) = (
        Bench::on(server.connect().await, database().await, Ceilings::default()).await,
        Address::of(server.port).await,
    );
    let cut_off = counter::Counter::new(bench.replica_on(connect(address.port).await).await);
    let demand = bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Safety);
    admitted(&cut_off.take(&demand).await.unwrap());
    admitted(&bench.take(290, Priority::Safety).await);
    let epoch = bench.store.known_epoch(bench.app);
    address.leads_to(NOBODY);
    assert!(cut_off.take(&demand).await.is_err());
    // And nobody has to agree anew.
    admitted(&bench.take(1, Priority::Safety).await);
    assert_eq!(bench.store.known_epoch(bench.app), epoch);
}

#[tokio::test]
async fn without_postgresql_calls_go_on_and_are_written_when_it_is_back() {
    let (settings, address) = database_behind_an_address().await;
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, settings, Ceilings::default()).await;
    admitted(&bench.take(10, Priority::Interactive).await);
    address.1.leads_to(NOBODY);
    admitted(&bench.take(190, Priority::Interactive).await);
    refused(&bench.take(92, Priority::Interactive).await);
    address.1.leads_to(address.0);
    let client = Postgres::connect(&bench.postgres).await.unwrap().client().await.unwrap();
    eventually(async || {
        let sum = "SELECT coalesce(sum(points), 0)::bigint FROM allowances WHERE bucket LIKE '%ads_management'";
        client.query_one(sum, &[]).await.unwrap().get::<_, i64>(0) >= 200
    })
    .await;
    server.restart_empty().await;
    until_asked(&bench).await;
    // Another replica might still have something to write, so for now the loss counts as all spent.
    let outcome = bench.take(1, Priority::Interactive).await;
    assert_eq!(refused(&outcome).reason, Reason::CountersLost);
}

#[tokio::test]
async fn counting_that_began_without_postgresql_goes_on_with_it() {
    let (settings, address) = database_behind_an_address().await;
    let server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, settings, Ceilings::default()).await;
    address.1.leads_to(NOBODY);
    refused(&bench.take(1, Priority::Interactive).await);
    admitted(&bench.take(1, Priority::Safety).await);
    address.1.leads_to(address.0);
    let client = Postgres::connect(&bench.postgres).await.unwrap().client().await.unwrap();
    eventually(async || {
        drop(bench.store.acquire(&bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Safety)).await);
        let sum = "SELECT coalesce(sum(points), 0)::bigint FROM allowances";
        client.query_one(sum, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    bench.turn(Duration::from_hours(2));
    admitted(&bench.take(1, Priority::Interactive).await);
    admitted(&bench.take(200, Priority::Interactive).await);
}

#[tokio::test]
async fn a_loss_while_postgresql_is_away_leaves_safety_alone_until_it_is_back() {
    let (settings, address) = database_behind_an_address().await;
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, settings, Ceilings::default()).await;
    admitted(&bench.take(100, Priority::Interactive).await);
    address.1.leads_to(NOBODY);
    server.restart_empty().await;
    until_asked(&bench).await;
    assert_eq!(refused(&bench.take(1, Priority::Interactive).await).reason, Reason::CountersLost);
    admitted(&bench.take(9, Priority::Safety).await);
    refused(&bench.take(1, Priority::Safety).await);
}

/// The real port of PostgreSQL, and the address that leads there.
async fn database_behind_an_address() -> (PostgresSettings, (u16, Address)) {
    let url = devstack::shared().create_database().await.unwrap();
    let (before, rest) = url.rsplit_once('@').unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    let port: u16 = host.rsplit_once(':').unwrap().1.parse().unwrap();
    let address = Address::of(port).await;
    let settings = at(&format!("{before}@127.0.0.1:{}/{name}", address.port)).await;
    let settings = PostgresSettings { pool_wait_milliseconds: 1_000, ..settings };
    (settings, (port, address))
}

/// Promise 1, while the counters are lost again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_replicas_admit_no_more_than_the_ceiling_while_redis_restarts_empty() {
    let mut server = OwnRedis::start().await;
    let bench = Bench::on(server.connect().await, database().await, Ceilings::default()).await;
    let mut replicas = Vec::new();
    for _ in 0..5 {
        replicas.push(bench.replica_on(server.connect().await).await);
    }
    let sent = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let (store, sent) = (Arc::clone(&replicas[caller % 5]), Arc::clone(&sent));
        let demand = bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Interactive);
        callers.spawn(async move {
            for _ in 0..12 {
                // An answer that was lost admits nothing.
                if let Ok(Outcome::Admitted(_)) = store.acquire(&demand).await {
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    for _ in 0..3 {
        eventually(async || sent.load(Ordering::SeqCst) > 0).await;
        server.restart_empty().await;
    }
    callers.join_all().await;
    until_asked(&bench).await;
    let more = u64::from(bench.admits(Priority::Interactive).await);
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent + more <= 291, "{sent} and {more} more");
    assert!(sent > 0);
}
