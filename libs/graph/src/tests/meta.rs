//! A Meta that answers as it is told to, and notes what arrived.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What is answered to one request.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Instead of the body.
    pub(crate) packed: Option<Vec<u8>>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) after: Duration,
}

impl Said {
    pub(crate) fn good(body: &Value) -> Self {
        Self { status: 200, body: body.to_string(), packed: None, headers: Vec::new(), after: Duration::ZERO }
    }

    pub(crate) fn error(status: u16, code: i64, subcode: Option<i64>) -> Self {
        let mut error = json!({ "message": "no", "type": "OAuthException", "code": code, "fbtrace_id": "T" });
        if let Some(subcode) = subcode {
            error["error_subcode"] = json!(subcode);
        }
        Self { status, ..Self::good(&json!({ "error": error })) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) fields: Vec<(String, String)>,
}

impl Arrival {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The items of a batch.
    pub(crate) fn items(&self) -> Vec<Value> {
        self.field("batch").map(|batch| serde_json::from_str(batch).unwrap()).unwrap_or_default()
    }
}

type Rule = Arc<dyn Fn(&Arrival) -> Said + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Meta {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    /// What is said next; then the rule decides.
    next: Arc<Mutex<VecDeque<Said>>>,
    rule: Arc<Mutex<Rule>>,
}

impl Default for Meta {
    fn default() -> Self {
        Self { arrivals: Arc::default(), next: Arc::default(), rule: Arc::new(Mutex::new(Arc::new(usual))) }
    }
}

/// What is read has the id it is read by; a batch is answered item by item.
pub(crate) fn usual(arrival: &Arrival) -> Said {
    let items = arrival.items();
    if items.is_empty() {
        let id = arrival.path.rsplit('/').next().filter(|_| arrival.method == Method::GET);
        return Said::good(&json!({ "id": id.unwrap_or("7") }));
    }
    let answers = items.iter().map(|item| {
        let id = item["relative_url"].as_str().unwrap_or_default();
        json!({ "code": 200, "headers": [], "body": json!({ "id": id.split('?').next() }).to_string() })
    });
    Said::good(&Value::Array(answers.collect()))
}

impl Meta {
    /// Serves on a free port and says where.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        let serving = axum::serve(listener, router);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(serving.into_future());
        format!("http://{address}")
    }

    pub(crate) fn next(&self, said: Said) {
        self.next.lock().unwrap().push_back(said);
    }

    pub(crate) fn rule(&self, rule: impl Fn(&Arrival) -> Said + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Arc::new(rule);
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }
}

async fn answer(State(meta): State<Meta>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut fields = parse(&body);
    fields.extend(parse(uri.query().unwrap_or_default().as_bytes()));
    let arrival = Arrival { method, path: uri.path().to_owned(), headers, fields };
    meta.arrivals.lock().unwrap().push(arrival.clone());
    let next = meta.next.lock().unwrap().pop_front();
    let rule = meta.rule.lock().unwrap().clone();
    let said = next.unwrap_or_else(|| rule(&arrival));
    tokio::time::sleep(said.after).await;
    let body = said.packed.unwrap_or_else(|| said.body.into_bytes());
    let mut response = body.into_response();
    *response.status_mut() = said.status.try_into().unwrap();
    for (name, value) in said.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn parse(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}
