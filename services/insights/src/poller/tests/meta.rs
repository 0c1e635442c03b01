//! A Meta of a few lines: two campaigns that deliver every day, report runs, batches, and what can go wrong on demand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};
use vocabulary::{Day, DayRange};

type Params = BTreeMap<String, String>;

/// What goes wrong.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// So many polls say `Job Running` with 100 percent before a run completes.
    pub(super) working_polls: u32,
    /// Runs over more days than this fail, always.
    pub(super) fails_over_days: Option<usize>,
    /// So many runs end as `Job Skipped`.
    pub(super) skipped: u32,
    /// So many reads of a run's rows leave the last row out.
    pub(super) short_reads: u32,
    /// Polls get no answer.
    pub(super) silent: bool,
    /// What pages do not end of.
    pub(super) endless: Option<Endless>,
}

/// Pages without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endless {
    /// Of rows: the second names itself as the next.
    RowsRepeat,
    /// Of rows: each names one that is new and empty.
    RowsGrow,
    /// Of the account's totals: the second names itself as the next.
    TotalsRepeat,
    /// Of the account's totals: each names one that is new and empty.
    TotalsGrow,
}

/// What was asked.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The days of every run that was begun.
    pub(super) starts: Vec<DayRange>,
    /// The runs that were polled.
    pub(super) polled: Vec<u64>,
    /// Pages of rows that were read, at once or of runs, totals included.
    pub(super) reads: u32,
}

impl Endless {
    fn is_of_totals(self) -> bool {
        matches!(self, Self::TotalsRepeat | Self::TotalsGrow)
    }
}

#[derive(Default)]
struct World {
    trouble: Trouble,
    seen: Seen,
    polls: BTreeMap<u64, u32>,
    runs: BTreeMap<u64, Params>,
}

/// The stand-in. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Meta {
    world: Arc<Mutex<World>>,
    /// Fires with every poll.
    pub(super) polled: Arc<Notify>,
}

impl Meta {
    /// Serves on a free port and gives its address.
    #[expect(clippy::disallowed_methods, reason = "a test's own task, which ends with the test's runtime")]
    pub(super) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(door).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    pub(super) fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.world.lock().unwrap().trouble);
    }

    pub(super) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.world.lock().unwrap().seen)
    }
}

async fn door(State(meta): State<Meta>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let mut params = pairs(parts.uri.query().unwrap_or_default());
    params.extend(pairs(std::str::from_utf8(&body).unwrap()));
    let path = parts.uri.path().trim_start_matches("/v26.0").trim_matches('/').to_owned();
    if let Some(batch) = params.get("batch") {
        let items: Vec<Value> = serde_json::from_str(batch).unwrap();
        let mut answers = Vec::new();
        for item in items {
            let (path, query) = item["relative_url"]
                .as_str()
                .unwrap()
                .split_once('?')
                .unwrap_or((item["relative_url"].as_str().unwrap(), item["body"].as_str().unwrap_or_default()));
            let (code, body) = answer(&meta, item["method"] == "POST", path, &pairs(query)).await;
            answers.push(json!({ "code": code, "headers": [], "body": body.to_string() }));
        }
        return (StatusCode::OK, Value::Array(answers).to_string()).into_response();
    }
    let (code, body) = answer(&meta, parts.method == Method::POST, &path, &params).await;
    (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response()
}

fn pairs(text: &str) -> Params {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

async fn answer(meta: &Meta, is_post: bool, path: &str, params: &Params) -> (u16, Value) {
    let mut segments = path.split('/');
    let (node, edge) = (segments.next().unwrap_or_default(), segments.next());
    let is_account = node.starts_with("act_");
    match edge {
        None if is_account => (200, json!({ "currency": "USD", "timezone_name": "America/New_York", "id": node })),
        None => poll(meta, node.parse().unwrap()).await,
        Some(_) if is_post => start(meta, params),
        Some(_) => read(meta, node, is_account, params),
    }
}

fn start(meta: &Meta, params: &Params) -> (u16, Value) {
    let mut world = meta.world.lock().unwrap();
    world.seen.starts.push(days(params));
    let id = 1_000 + u64::try_from(world.runs.len()).unwrap();
    world.runs.insert(id, params.clone());
    (200, json!({ "report_run_id": id.to_string() }))
}

async fn poll(meta: &Meta, id: u64) -> (u16, Value) {
    let silent = {
        let mut world = meta.world.lock().unwrap();
        world.seen.polled.push(id);
        world.trouble.silent
    };
    meta.polled.notify_one();
    if silent {
        return std::future::pending().await;
    }
    let mut world = meta.world.lock().unwrap();
    let days = days(&world.runs[&id]).day_count();
    let polls = *world.polls.entry(id).and_modify(|polls| *polls += 1).or_insert(1);
    let mut status = "Job Completed";
    if world.trouble.fails_over_days.is_some_and(|most| days > most) {
        status = "Job Failed";
    } else if world.trouble.skipped > 0 {
        world.trouble.skipped -= 1;
        status = "Job Skipped";
    } else if polls <= world.trouble.working_polls {
        status = "Job Running";
    }
    (200, json!({ "id": id.to_string(), "async_status": status, "async_percent_completion": 100 }))
}

fn read(meta: &Meta, node: &str, is_account: bool, params: &Params) -> (u16, Value) {
    let mut world = meta.world.lock().unwrap();
    world.seen.reads += 1;
    let question = if is_account { params.clone() } else { world.runs[&node.parse().unwrap()].clone() };
    let mut rows = rows(&question);
    if !is_account && world.trouble.short_reads > 0 {
        world.trouble.short_reads -= 1;
        rows.pop();
    }
    // Pages of five, whatever is asked for, by a cursor that is a number.
    let from: usize = params.get("after").map_or(0, |after| after.parse().unwrap());
    let page: Vec<Value> = rows.iter().skip(from).take(5).cloned().collect();
    let is_totals = question["level"] == "account";
    let endless = world.trouble.endless.filter(|endless| endless.is_of_totals() == is_totals);
    let next = match endless {
        Some(Endless::RowsRepeat | Endless::TotalsRepeat) => 5,
        Some(Endless::RowsGrow | Endless::TotalsGrow) => from + 5,
        None => from + page.len(),
    };
    let mut paging = json!({ "cursors": { "before": from.to_string(), "after": next.to_string() } });
    if next < rows.len() || endless.is_some() {
        paging["next"] = json!("https://graph.facebook.com/next");
    }
    (200, json!({ "data": page, "paging": paging }))
}

fn days(params: &Params) -> DayRange {
    let range: Value = serde_json::from_str(&params["time_range"]).unwrap();
    let day = |key: &str| range[key].as_str().unwrap().parse::<Day>().unwrap();
    DayRange::new(day("since"), day("until")).unwrap()
}

/// Two campaigns deliver each day, the second three times as much.
fn rows(params: &Params) -> Vec<Value> {
    let row = |day: Day, times: i64| {
        let impressions = times * (100 + i64::from(day.day()));
        json!({ "date_start": day.to_string(), "date_stop": day.to_string(), "account_id": "1",
            "account_currency": "USD", "impressions": impressions.to_string(), "clicks": times.to_string(),
            "spend": format!("{}.{:02}", impressions / 100, impressions % 100) })
    };
    let campaign = |day: Day, id: i64| {
        let mut row = row(day, id);
        row["campaign_id"] = json!(id.to_string());
        row
    };
    days(params)
        .days()
        .flat_map(|day| match params["level"].as_str() {
            "account" => vec![row(day, 4)],
            _ => vec![campaign(day, 1), campaign(day, 3)],
        })
        .collect()
}
