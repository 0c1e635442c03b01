//! A Redis Cluster of three servers: each app's counters are kept by one of them, and may move.

use redis::{FromRedisValue, cluster_routing::Slot};

use super::{
    servers::{OwnRedis, free_port},
    *,
};

/// Slots of a cluster.
const SLOTS: usize = 16_384;

/// Three servers with a third of the slots each.
struct Cluster(Vec<OwnRedis>);

impl Cluster {
    async fn start() -> Self {
        let mut servers = Vec::new();
        for _ in 0..3 {
            let settings = [
                "--cluster-enabled yes --cluster-node-timeout 60000 --cluster-require-full-coverage no --cluster-port",
                &free_port().to_string(),
            ];
            let words = settings.iter().flat_map(|words| words.split(' ')).map(str::to_owned).collect();
            servers.push(OwnRedis::start_with(words).await);
        }
        let cluster = Self(servers);
        for (number, server) in cluster.0.iter().enumerate() {
            let (first, end) = (SLOTS * number / 3, SLOTS * (number + 1) / 3 - 1);
            cluster.ask::<()>(number, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
            cluster.ask::<()>(number, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &end.to_string()]).await;
            let (port, bus) = (server.port.to_string(), server.settings().last().unwrap().clone());
            cluster.ask::<()>(0, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        for number in 0..3 {
            eventually(async || {
                let info: String = cluster.ask(number, &["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            })
            .await;
        }
        cluster
    }

    async fn connect(&self) -> Redis {
        let url = format!("redis://127.0.0.1:{}/0", self.0[0].port);
        let settings = RedisSettings {
            cluster: true,
            response_timeout_milliseconds: 30_000,
            connect_timeout_milliseconds: 30_000,
            ..RedisSettings::at(url.as_str())
        };
        Redis::connect(&settings).await.unwrap()
    }

    /// A replica of ratelimit on it, with an app that no other test has.
    async fn bench(&self) -> Bench {
        Bench::on(self.connect().await, shared_database().await, Ceilings::default()).await
    }

    /// What one server says.
    async fn ask<T: FromRedisValue>(&self, server: usize, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.0[server].connect().await.connection()).await.unwrap()
    }

    /// Which one keeps the counters of an app.
    async fn keeper(&self, app: u64) -> usize {
        for number in 0..3 {
            let kept: Vec<String> = self.ask(number, &["KEYS", &format!("*{}*", app_tag(app))]).await;
            if !kept.is_empty() {
                return number;
            }
        }
        panic!("nobody keeps anything of {app}");
    }

    /// An app whose counters another server keeps, and its first admission.
    async fn elsewhere(&self, than: usize) -> (Bench, Admission) {
        let mut bench = self.bench().await;
        loop {
            let first = admitted(&take(&bench, 1).await).clone();
            if self.keeper(bench.app).await != than {
                return (bench, first);
            }
            bench.app += 1_000_000;
        }
    }

    /// Moves the slot of an app, with all that is in it.
    async fn moves(&self, app: u64, from: usize, to: usize) {
        let slot = slot_of(app).to_string();
        let ids = [self.ask::<String>(from, &["CLUSTER", "MYID"]).await, self.ask(to, &["CLUSTER", "MYID"]).await];
        self.ask::<()>(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]).await;
        self.ask::<()>(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]).await;
        let port = self.0[to].port.to_string();
        loop {
            let keys: Vec<String> = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await;
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "30000", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            self.ask::<()>(from, &words).await;
        }
        for number in [to, from, 3 - to - from] {
            self.ask::<()>(number, &["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]).await;
        }
    }
}

fn slot_of(app: u64) -> usize {
    let tag = app_tag(app);
    (0..SLOTS).find(|number| Slot::new(u16::try_from(*number).unwrap()) == Some(Slot::for_key(&tag))).unwrap()
}

/// Tries until the server answers again.
async fn take(bench: &Bench, cost: u32) -> Outcome {
    let demand = bench.demand(bench.account(ADS_MANAGEMENT), cost, Priority::Interactive);
    let mut taken = None;
    eventually(async || {
        taken = bench.store.acquire(&demand).await.ok();
        taken.is_some()
    })
    .await;
    taken.unwrap()
}

/// What is left of an hour's 300 to interactive calls after 200: 91, less a step for each time that it was rebuilt.
async fn is_right(bench: &Bench, rebuilt: u32) {
    let mut more = 0;
    while matches!(take(bench, 1).await, Outcome::Admitted(_)) {
        more += 1;
    }
    assert!((91 - 12 * rebuilt..=91).contains(&more), "{more} more");
}

#[tokio::test]
async fn a_cluster_decides_for_each_app_where_its_counters_are() {
    let cluster = Cluster::start().await;
    let mut keepers = BTreeSet::new();
    // By chance all of nine apps in a row are with one server in none of five thousand cases; the numbers are no chance.
    for _ in 0..9 {
        let bench = cluster.bench().await;
        admitted(&take(&bench, 200).await);
        keepers.insert(cluster.keeper(bench.app).await);
        is_right(&bench, 0).await;
        assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 291);
        let tenant = "acme".parse::<TenantId>().unwrap();
        let key = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None).key;
        bench.store.note_use(&tenant, &[&key]).await.unwrap();
        assert!(bench.store.used_by(&tenant).await.unwrap().contains(&key));
    }
    assert!(keepers.len() > 1, "{keepers:?}");
}

#[tokio::test]
async fn an_app_whose_server_restarts_empty_is_rebuilt_and_the_others_go_on() {
    let mut cluster = Cluster::start().await;
    let lost = cluster.bench().await;
    let first = admitted(&take(&lost, 200).await).clone();
    let keeper = cluster.keeper(lost.app).await;
    let (other, second) = cluster.elsewhere(keeper).await;
    cluster.0[keeper].restart_empty().await;
    assert_eq!(admitted(&take(&other, 1).await).epoch, second.epoch);
    is_right(&lost, 1).await;
    assert!(lost.store.known_epoch(lost.app).unwrap() > first.epoch);
}

#[tokio::test]
async fn a_server_that_is_away_is_away_for_its_own_apps_only() {
    let mut cluster = Cluster::start().await;
    let lost = cluster.bench().await;
    admitted(&take(&lost, 1).await);
    let keeper = cluster.keeper(lost.app).await;
    let (other, first) = cluster.elsewhere(keeper).await;
    // One replica serves both.
    let counter = counter::Counter::new(Arc::clone(&lost.store));
    let demand = |bench: &Bench| bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Interactive);
    admitted(&counter.take(&demand(&other)).await.unwrap());
    cluster.0[keeper].kill();
    // What was written ahead may go for a while.
    eventually(async || counter.take(&demand(&lost)).await.is_err()).await;
    assert!(!counter.is_away(other.app));
    assert_eq!(admitted(&counter.take(&demand(&other)).await.unwrap()).epoch, first.epoch);
    assert_eq!(other.standing(other.account(ADS_MANAGEMENT)).await.own, 3, "it was counted where it is kept");
}

#[tokio::test]
async fn counters_that_move_to_another_server_and_back_stay_right() {
    let cluster = Cluster::start().await;
    let bench = cluster.bench().await;
    admitted(&take(&bench, 100).await);
    let from = cluster.keeper(bench.app).await;
    let to = (from + 1) % 3;
    cluster.moves(bench.app, from, to).await;
    // The one that finds out is written down before and after, so it is a small one.
    admitted(&take(&bench, 1).await);
    admitted(&take(&bench, 99).await);
    assert_eq!(cluster.keeper(bench.app).await, to);
    cluster.moves(bench.app, to, from).await;
    is_right(&bench, 2).await;
    assert_eq!(cluster.keeper(bench.app).await, from);
}
