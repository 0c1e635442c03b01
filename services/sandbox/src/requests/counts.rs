//! How many calls arrived per account and bucket, also in the fullest window of time: what shows that a client kept to
//! a limit.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Line, Requests};
use crate::usage::Bucket;

/// Calls of one second under one bucket.
#[derive(Debug, Clone, Copy)]
struct Calls {
    second: i64,
    ours: u64,
    others: u64,
    refused: u64,
}

/// A row for each account and bucket. Work that was done long after its call does not arrive again.
///
/// `arrivals` counts every call that reached the door, also those that a fault ate; `refused` those that met a limit.
/// `in_window` and `peak` are of arrivals, without and with the calls of others.
pub(crate) fn counts(requests: &Requests, window_seconds: i64, now: Timestamp) -> Value {
    let mut all: BTreeMap<(String, &'static str), Vec<Calls>> = BTreeMap::new();
    for line in requests.lines.iter().filter(|line| !line.late && line.arrived.word() != "none") {
        let calls = Calls { second: line.at.as_second(), ours: 1, others: 0, refused: u64::from(met_a_limit(line)) };
        all.entry(key(line.arrived)).or_default().push(calls);
    }
    for others in &requests.others {
        let calls = Calls { second: others.at.as_second(), ours: 0, others: others.calls, refused: 0 };
        all.entry(key(others.bucket)).or_default().push(calls);
    }
    let rows: Vec<Value> = all
        .into_iter()
        .map(|((account, bucket), mut calls)| {
            // A clock that was turned back leaves them out of order.
            calls.sort_by_key(|calls| calls.second);
            row(&account, bucket, &calls, window_seconds, now.as_second())
        })
        .collect();
    json!({ "now": now, "window_seconds": window_seconds, "rows": rows })
}

fn key(bucket: Bucket) -> (String, &'static str) {
    (bucket.account().map_or_else(String::new, |id| format!("act_{id}")), bucket.word())
}

fn row(account: &str, bucket: &str, calls: &[Calls], window: i64, now: i64) -> Value {
    let sum = |of: fn(&Calls) -> u64| calls.iter().map(of).sum::<u64>();
    let here = calls.iter().filter(|calls| calls.second > now - window && calls.second <= now);
    let mut row = json!({
        "bucket": bucket,
        "arrivals": sum(|calls| calls.ours),
        "refused": sum(|calls| calls.refused),
        "others": sum(|calls| calls.others),
        "in_window": here.map(|calls| calls.ours).sum::<u64>(),
        "peak": peak(calls, window, |calls| calls.ours),
        "peak_with_others": peak(calls, window, |calls| calls.ours + calls.others),
    });
    if let Value::Object(map) = &mut row
        && !account.is_empty()
    {
        map.insert("account".to_owned(), json!(account));
    }
    row
}

/// The most that lies in any window of that length.
fn peak(calls: &[Calls], window: i64, of: fn(&Calls) -> u64) -> u64 {
    let mut held: VecDeque<&Calls> = VecDeque::new();
    let (mut sum, mut most) = (0, 0);
    for calls in calls {
        while let Some(first) = held.front().filter(|first| first.second <= calls.second - window) {
            sum -= of(first);
            held.pop_front();
        }
        held.push_back(calls);
        sum += of(calls);
        most = most.max(sum);
    }
    most
}

fn met_a_limit(line: &Line) -> bool {
    matches!(line.code, Some(4 | 17 | 32 | 613 | 80_000..=80_014))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_the_fullest_window() {
        let calls: Vec<Calls> = [(0, 1), (5, 1), (9, 1), (10, 1), (30, 2)]
            .map(|(second, ours)| Calls { second, ours, others: 0, refused: 0 })
            .to_vec();
        assert_eq!(peak(&calls, 10, |calls| calls.ours), 3);
        assert_eq!(peak(&calls, 1, |calls| calls.ours), 2);
        assert_eq!(peak(&calls, 100, |calls| calls.ours), 6);
        assert_eq!(peak(&[], 10, |calls| calls.ours), 0);
    }
}
