//! Meta throttles with each of its codes: it is told at once, it is waited for, and nothing unsafe goes twice.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{create, on_account, peers::Peers};
use crate::{Client, Error, Priority, Settings};

/// Each code of Meta's limits (Meta, "Rate limits: error codes"), with the subcodes that are told apart.
const CODES: [(i64, Option<i64>); 27] = [
    (4, None),
    (4, Some(1_504_022)),
    (4, Some(1_504_039)),
    (17, None),
    (17, Some(2_446_079)),
    (32, None),
    (341, None),
    (613, None),
    (613, Some(1996)),
    (613, Some(1_487_742)),
    (613, Some(1_487_225)),
    (613, Some(1_487_632)),
    (613, Some(5_044_001)),
    (80_000, Some(2_446_079)),
    (80_001, Some(2_446_079)),
    (80_002, Some(2_446_079)),
    (80_003, Some(2_446_079)),
    (80_004, Some(2_446_079)),
    (80_005, Some(2_446_079)),
    (80_006, Some(2_446_079)),
    (80_008, Some(2_446_079)),
    (80_009, Some(2_446_079)),
    (80_010, None),
    (80_011, None),
    (80_012, None),
    (80_013, None),
    (80_014, Some(2_446_079)),
];

/// A sandbox, and how it is told what to do.
struct Sandbox {
    base: String,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sandbox {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(sandbox::serve_on(listener, sandbox::Options::default(), stop.clone()));
        Self { base, http: reqwest::Client::builder().build().unwrap(), stop }
    }

    async fn fault(&self, matcher: Value, action: Value) {
        let rule = json!([{ "matcher": matcher, "action": action, "count": 1 }]);
        let url = format!("{}/__sandbox/faults", self.base);
        let told = self.http.post(url).body(rule.to_string()).send().await.unwrap();
        assert!(told.status().is_success(), "{}", told.text().await.unwrap());
    }

    /// How many requests of this method and of a path that ends so have come.
    async fn arrivals(&self, method: &str, path: &str) -> usize {
        let log = self.http.get(format!("{}/__sandbox/requests", self.base)).send().await.unwrap();
        let log = log.text().await.unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let fits = |line: &Value| line["method"] == method && line["path"].as_str().unwrap_or("").ends_with(path);
        lines.filter(fits).count()
    }
}

/// The bearer that the sandbox knows, lent as auth would.
fn token() -> &'static str {
    "sandbox-system-user-token"
}

#[tokio::test]
async fn each_code_is_told_at_once_and_waited_for_and_no_create_goes_twice() {
    let sandbox = Sandbox::open().await;
    for (sent, (code, subcode)) in (1..).zip(CODES) {
        let peers = Peers::lending(token(), "sandbox-app-secret");
        *peers.closes.lock().unwrap() = true;
        let peer = peers.serve().await;
        let settings = Settings { base_url: sandbox.base.clone(), ..Settings::default() };
        let client = Client::connect(&settings, peer.clone(), peer).unwrap();
        let matcher = json!({ "method": "POST", "path": "/campaigns" });
        sandbox.fault(matcher, json!({ "error": { "code": code, "subcode": subcode } })).await;
        let error = client.send(&on_account(1_000_000_000_001, Priority::Interactive), create()).await.unwrap_err();
        let wait = match &error {
            Error::Quota { retry_after, .. } | Error::Throttled { retry_after, .. } => *retry_after,
            other => panic!("{code}/{subcode:?}: {other:?}"),
        };
        assert!(wait >= Duration::from_secs(60), "{code}/{subcode:?}: {wait:?}");
        let told: Vec<_> = peers.settled.lock().unwrap().iter().map(|it| (it.code, it.subcode)).collect();
        let number = |number: Option<i64>| u32::try_from(number.unwrap_or(0)).unwrap();
        assert_eq!(told, [(number(Some(code)), number(subcode))], "{code}/{subcode:?}");
        assert_eq!(sandbox.arrivals("POST", "/campaigns").await, sent, "{code}/{subcode:?}");
    }
}
