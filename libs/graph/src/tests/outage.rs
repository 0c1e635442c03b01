//! Meta is away: what is tried again, what is held back, and how many requests arrive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpc::Fault;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{House, create, meta::Said, on, on_account, peers::Peers};
use crate::{Call, Client, Error, Priority, Settings};

fn read() -> Call<Value> {
    Call::get("/7")
}

/// Without repeats, and with circuits that open after three failures.
async fn strict() -> House {
    House::open_with(|settings| {
        (settings.tries_max, settings.breaker.failures, settings.breaker.failures_of_meta) = (1, 3, 6);
    })
    .await
}

#[tokio::test]
async fn failures_open_the_circuit_of_their_kind_and_account_and_of_no_other() {
    let house = strict().await;
    house.meta.rule(|_| Said::error(503, 2, None));
    for _ in 0..3 {
        let error = house.client.send(&on(), read()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    let (arrived, asked) = (house.meta.count(), house.peers.acquires());
    let error = house.client.send(&on(), read()).await.unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error:?}");
    assert_eq!(error.code(), rpc::Code::Unavailable);
    assert!(error.retry_after().unwrap() > Duration::ZERO);
    assert_eq!((house.meta.count(), house.peers.acquires()), (arrived, asked), "nothing was sent nor charged");
    house.meta.rule(|_| Said::good(&serde_json::json!({ "id": "7" })));
    house.client.send(&on(), create()).await.unwrap();
    house.client.send(&on_account(2, Priority::Interactive), read()).await.unwrap();
}

#[tokio::test]
async fn what_is_urgent_probes_and_an_answer_lets_all_go_again() {
    let house = strict().await;
    house.meta.rule(|_| Said::error(503, 2, None));
    for _ in 0..3 {
        assert!(house.client.send(&on(), read()).await.is_err());
    }
    house.meta.rule(|_| Said::good(&serde_json::json!({ "id": "7" })));
    assert!(matches!(house.client.send(&on(), read()).await, Err(Error::Open { .. })));
    house.client.send(&on_account(1, Priority::Safety), read()).await.unwrap();
    house.client.send(&on(), read()).await.unwrap();
}

#[tokio::test]
async fn failures_everywhere_hold_back_every_account() {
    let house = strict().await;
    house.meta.rule(|_| Said::error(503, 2, None));
    for account in 1..=6 {
        assert!(house.client.send(&on_account(account, Priority::Interactive), read()).await.is_err());
    }
    let arrived = house.meta.count();
    let error = house.client.send(&on_account(99, Priority::Interactive), create()).await.unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error:?}");
    assert_eq!(house.meta.count(), arrived);
}

#[tokio::test]
async fn a_meta_that_says_nothing_is_away_and_a_hasty_caller_says_nothing_about_it() {
    let house = strict().await;
    house.meta.rule(|_| Said { after: Duration::from_hours(1), ..Said::good(&Value::Null) });
    let cut = async |seconds: u64| {
        let before = house.meta.count();
        let mut on = on();
        on.deadline = tokio::time::Instant::now().into_std() + Duration::from_secs(seconds);
        let arrived = async {
            while house.meta.count() == before {
                tokio::task::yield_now().await;
            }
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(seconds)).await;
            tokio::time::resume();
        };
        tokio::join!(house.client.send(&on, read()), arrived).0.unwrap_err()
    };
    for _ in 0..5 {
        let error = cut(3).await;
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    }
    for _ in 0..3 {
        let error = cut(30).await;
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    }
    assert!(matches!(house.client.send(&on(), read()).await, Err(Error::Open { .. })));
}

#[tokio::test]
async fn throttles_and_wrong_requests_are_answers() {
    let house = strict().await;
    for said in [Said::error(400, 80_004, None), Said::error(400, 100, None), Said::error(403, 4, None)] {
        for _ in 0..10 {
            house.meta.next(said.clone());
            let error = house.client.send(&on(), read()).await.unwrap_err();
            assert!(matches!(error, Error::Throttled { .. } | Error::Rejected { .. }), "{error:?}");
        }
    }
    house.client.send(&on(), read()).await.unwrap();
}

#[tokio::test]
async fn an_outage_does_not_multiply_the_load() {
    let house = House::open_with(|settings| {
        (settings.tries_max, settings.retry_percent, settings.retry_burst) = (3, 10, 5);
        (settings.pause_milliseconds, settings.breaker.failures, settings.breaker.failures_of_meta) = (1, 1000, 1000);
    })
    .await;
    house.meta.rule(|_| Said::error(503, 2, None));
    for _ in 0..50 {
        assert!(house.client.send(&on(), read()).await.is_err());
    }
    let arrived = house.meta.count();
    assert!((51..=60).contains(&arrived), "50 calls, 5 repeats saved up and 10 % of 50: {arrived}");
    assert_eq!(house.peers.acquires(), arrived, "a permit for each");
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_told_and_not_begun() {
    let house = House::open().await;
    house.meta.rule(|_| Said::error(400, 613, Some(1_487_632)));
    let error = house.client.send(&on(), create()).await.unwrap_err();
    let Error::Throttled { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!((retry_after, house.meta.count()), (Duration::from_hours(1), 1));
}

/// Answers the first request of each connection as if it would keep it, and cuts it after the second has arrived.
struct Cutting {
    arrivals: Arc<AtomicUsize>,
    base: String,
}

impl Cutting {
    async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let arrivals = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&arrivals);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&count)));
            }
        });
        Self { arrivals, base }
    }

    fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, arrivals: Arc<AtomicUsize>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    for turn in 0..2 {
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line).await.ok()? > 2 {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        if line.is_empty() {
            return None; // closed by the client
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        arrivals.fetch_add(1, Ordering::SeqCst);
        if turn == 0 {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\":\"1\"}").await.ok()?;
        }
    }
    Some(())
}

#[tokio::test]
async fn nothing_below_us_sends_again_what_a_cut_connection_lost() {
    let (meta, peers) = (Cutting::serve().await, Peers::default());
    let peer = peers.serve().await;
    let settings = Settings { base_url: meta.base.clone(), ..Settings::default() };
    let client = Client::connect(&settings, peer.clone(), peer).unwrap();
    let mut lost = 0;
    for _ in 0..10 {
        match client.send(&on(), create()).await {
            Ok(made) => assert_eq!(made["id"], "1"),
            Err(Error::OutcomeUnknown { .. }) => lost += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(lost > 0, "no connection was used a second time");
    assert_eq!(meta.arrivals(), 10, "each create arrived once, also those whose connection was cut");
    assert_eq!(peers.acquires() - peers.releases(), 10);
    client.send(&on(), read()).await.unwrap();
    assert_eq!(meta.arrivals(), peers.acquires() - peers.releases(), "a permit for every arrival");
}
