//! A Meta of one ad account: just enough to be refused by, to lose answers and to be looked through.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What goes wrong with the next create on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused, with the name to blame.
    Refuse,
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is done when the test says so, and the answer is lost.
    CommitLate,
    /// It is done, and there is no answer for a long time.
    Hang,
}

#[derive(Default)]
struct World {
    last_id: u64,
    /// Edge and object, by id.
    objects: BTreeMap<u64, (String, Value)>,
    images: Vec<String>,
    faults: HashMap<String, VecDeque<Fault>>,
    late: Vec<(String, Form)>,
    /// Edges that may not be read.
    closed: HashSet<String>,
    calls: Vec<String>,
}

type Form = HashMap<String, String>;

#[derive(Clone, Default)]
pub(crate) struct Meta(Arc<Mutex<World>>);

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

    pub(crate) fn next(&self, edge: &str, fault: Fault) {
        self.0.lock().unwrap().faults.entry(edge.to_owned()).or_default().push_back(fault);
    }

    pub(crate) fn all(&self, edge: &str) -> Vec<Value> {
        let world = self.0.lock().unwrap();
        world.objects.values().filter(|(of, _)| of == edge).map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn put(&self, edge: &str, name: &str) {
        let form = Form::from([("name".to_owned(), name.to_owned()), ("status".to_owned(), "ACTIVE".to_owned())]);
        self.0.lock().unwrap().make(edge, &form);
    }

    pub(crate) fn put_image(&self, hash: &str) {
        self.0.lock().unwrap().images.push(hash.to_owned());
    }

    /// What a person made there, without a label, beneath a parent.
    pub(crate) fn put_beneath(&self, edge: &str, (key, parent): (&str, u64), name: &str) {
        let pairs = [("name", name), ("status", "PAUSED"), (key, &parent.to_string())];
        let form = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.0.lock().unwrap().make(edge, &Form::from(form));
    }

    /// Changes a field of an object behind our back.
    pub(crate) fn set(&self, id: u64, key: &str, value: Value) {
        self.0.lock().unwrap().objects.get_mut(&id).unwrap().1[key] = value;
    }

    /// Whether the edge may not be read.
    pub(crate) fn close(&self, edge: &str, closed: bool) {
        let edges = &mut self.0.lock().unwrap().closed;
        if closed {
            edges.insert(edge.to_owned())
        } else {
            edges.remove(edge)
        };
    }

    /// Does what was promised to be done late.
    pub(crate) fn commit_late(&self) {
        let mut world = self.0.lock().unwrap();
        for (edge, form) in std::mem::take(&mut world.late) {
            world.make(&edge, &form);
        }
    }

    /// How many calls whose method and edge begin so.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        self.0.lock().unwrap().calls.iter().filter(|call| call.starts_with(prefix)).count()
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }
}

impl World {
    fn make(&mut self, edge: &str, form: &Form) -> Value {
        self.last_id += 1;
        let id = 120_000 + self.last_id;
        let mut object = json!({ "id": id.to_string(), "account_id": "1", "effective_status": "PAUSED" });
        for (name, text) in form {
            if matches!(name.as_str(), "fields" | "execution_options" | "access_token" | "appsecret_proof") {
                continue;
            }
            let value = serde_json::from_str::<Value>(text).ok().filter(|value| value.is_object() || value.is_array());
            object[name] = value.unwrap_or_else(|| json!(text));
        }
        if edge != "adcreatives" {
            let now = vocabulary::Clock::now(&vocabulary::SystemClock).strftime("%Y-%m-%dT%H:%M:%S+0000").to_string();
            object["created_time"] = json!(now);
            object["updated_time"] = json!(now);
        }
        self.objects.insert(id, (edge.to_owned(), object.clone()));
        object
    }

    /// Status and body; `None`: no answer for a long time.
    fn call(&mut self, method: &Method, path: &str, form: &Form, in_batch: bool) -> (u16, Option<Value>) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && !part.starts_with('v')).collect();
        let edge = parts.last().copied().unwrap_or("batch");
        self.calls.push(format!("{method} {}", if edge.starts_with("act_") { "account" } else { edge }));
        match (method.as_str(), parts.as_slice()) {
            ("POST", []) => self.batch(form),
            ("GET", ["act_1"]) => {
                (200, Some(json!({"id": "act_1", "account_id": "1", "currency": "USD", "min_daily_budget": 100})))
            }
            ("GET", ["act_1", "adimages"]) => {
                let rows: Vec<_> = self.images.iter().map(|hash| json!({ "hash": hash })).collect();
                (200, Some(json!({ "data": rows })))
            }
            ("POST", ["act_1", "adimages"]) => {
                (200, Some(json!({"images": {"shoe.png": {"hash": "c8".repeat(16), "width": 4, "height": 5}}})))
            }
            ("GET", [_, edge]) if self.closed.contains(*edge) => {
                (403, Some(json!({"error": {"code": 200, "message": "no permission"}})))
            }
            ("GET", [of, edge]) => (200, Some(json!({ "data": self.edge(of, edge) }))),
            ("POST", ["act_1", edge]) => self.create(edge, form, in_batch),
            (_, [id]) => self.node(method, id.parse().unwrap_or(0), form),
            _ => (404, Some(json!({"error": {"code": 100, "error_subcode": 33, "message": "no such thing"}}))),
        }
    }

    fn batch(&mut self, form: &Form) -> (u16, Option<Value>) {
        let items: Vec<Value> = serde_json::from_str(form.get("batch").unwrap()).unwrap();
        let lost = self.fault("batch") == Some(Fault::LoseAnswer);
        let answers: Vec<_> = items
            .iter()
            .map(|item| {
                let method: Method = item["method"].as_str().unwrap().parse().unwrap();
                let form = parse(item["body"].as_str().unwrap_or_default().as_bytes());
                let (code, body) = self.call(&method, item["relative_url"].as_str().unwrap(), &form, true);
                json!({ "code": code, "body": body.unwrap_or_default().to_string() })
            })
            .collect();
        if lost { (500, Some(json!({}))) } else { (200, Some(json!(answers))) }
    }

    fn create(&mut self, edge: &str, form: &Form, _in_batch: bool) -> (u16, Option<Value>) {
        if form.get("execution_options").is_some_and(|options| options.contains("validate_only")) {
            return (200, Some(json!({ "success": true })));
        }
        match self.fault(edge) {
            None => (200, Some(self.make(edge, form))),
            Some(Fault::Refuse) => (
                400,
                Some(json!({"error": {"code": 100, "message": "no", "error_data": {"blame_field_specs": [["name"]]}}})),
            ),
            Some(Fault::LoseAnswer) => {
                self.make(edge, form);
                (500, Some(json!({})))
            }
            Some(Fault::CommitLate) => {
                self.late.push((edge.to_owned(), form.clone()));
                (500, Some(json!({})))
            }
            Some(Fault::Hang) => {
                self.make(edge, form);
                (200, None)
            }
        }
    }

    fn node(&mut self, method: &Method, id: u64, form: &Form) -> (u16, Option<Value>) {
        let Some((_, object)) = self.objects.get_mut(&id) else {
            return (400, Some(json!({"error": {"code": 100, "error_subcode": 33, "message": "gone"}})));
        };
        match method.as_str() {
            "DELETE" => {
                self.objects.remove(&id);
                (200, Some(json!({ "success": true })))
            }
            "POST" => {
                for (name, text) in form.iter().filter(|(name, _)| *name != "fields") {
                    object[name] = json!(text);
                }
                (200, Some(object.clone()))
            }
            _ => (200, Some(object.clone())),
        }
    }

    fn edge(&self, of: &str, edge: &str) -> Vec<Value> {
        let belongs = |object: &&Value| match of {
            "act_1" => true,
            of => {
                let labelled =
                    object["adlabels"].as_array().is_some_and(|labels| labels.iter().any(|it| it["id"] == of));
                labelled || object["campaign_id"] == of || object["adset_id"] == of
            }
        };
        let all = self.objects.values().filter(|(on, _)| on == edge).map(|(_, object)| object);
        all.filter(belongs).cloned().collect()
    }

    fn fault(&mut self, edge: &str) -> Option<Fault> {
        self.faults.get_mut(edge)?.pop_front()
    }
}

async fn answer(State(meta): State<Meta>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let mut form = parse(&body);
    form.extend(parse(uri.query().unwrap_or_default().as_bytes()));
    let (status, body) = meta.0.lock().unwrap().call(&method, uri.path(), &form, false);
    if body.is_none() {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    (StatusCode::from_u16(status).unwrap(), body.unwrap_or_default().to_string())
}

fn parse(text: &[u8]) -> Form {
    url::form_urlencoded::parse(text).into_owned().collect()
}
