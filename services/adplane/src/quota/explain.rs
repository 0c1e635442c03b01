//! `adplane quota explain`: read at three in the morning, so the first line says what is so and until when.

use anyhow::{Context, Result};
use proto::ratelimit::v1::{BucketState, ExplainThrottleRequest, Explanation, Priority, QuotaEvent, Refused, Spender};
use vocabulary::clock::{Clock, SystemClock};

use crate::{
    door::Door,
    moment::Moment,
    output::{Output, indented, moment, word},
    quota::{bar, bucket, full},
};

/// As many lines as each table has; `--json` has more.
const LINES_MAX: usize = 8;

/// Whose calls, and when.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What waits: act_1 or adAccounts/act_1, metaApps/1, pages/1, users/1
    name: String,
    /// How it was then, such as 2026-11-22T10:00:00Z or 90m for that long ago; else how it is now
    #[arg(long)]
    at: Option<Moment>,
    #[command(flatten)]
    door: Door,
}

pub(crate) async fn run(Options { name, at, door }: Options) -> Result<()> {
    let time = at.map(|at| at.before(SystemClock.now())).transpose()?;
    let request = ExplainThrottleRequest { name: full(&name), time };
    let answer = door.open()?.quotas().explain_throttle(request).await?.into_inner();
    show(door.output(), &answer.explanation.context("ratelimit answered without an explanation")?)
}

fn show(output: Output, explanation: &Explanation) -> Result<()> {
    output.text(explanation, text)
}

/// What is so; the buckets; who spent; why; what to do.
fn text(explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![explanation.headline.clone()];
    let mut part = |title: &str, more: Vec<String>| {
        if !more.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(more);
        }
    };
    part("Buckets (# ours, o others', class: when a call of it goes)", buckets(&explanation.buckets));
    part("Who spent it in the hour before", spenders(&explanation.spenders));
    let reasons = explanation.reasons.iter().map(|reason| format!("  {reason}"));
    part("Why", reasons.collect());
    part("Who was told to wait", refused(&explanation.refused));
    part("What happened", events(&explanation.events));
    part("Next", vec![format!("  {}", explanation.next_step)]);
    lines
}

fn buckets(states: &[BucketState]) -> Vec<String> {
    let mut table = vec![row(["bucket", "used", "", "safety", "interactive", "sync", "bulk", "backfill"])];
    for state in states {
        let quota = state.quota.clone().unwrap_or_default();
        let used = match quota.held {
            0 => (quota.used + quota.others).to_string(),
            held => format!("{} + {held} held", quota.used + quota.others),
        };
        let of = quota.limit.map_or(used.clone(), |limit| format!("{used} of {limit}"));
        let mut cells = vec![bucket(&quota.scope.clone().unwrap_or_default()), of, bar(&quota)];
        for class in [Priority::Safety, Priority::Interactive, Priority::Sync, Priority::Bulk, Priority::Backfill] {
            let next = state.classes.iter().find(|state| state.priority() == class).and_then(|state| state.next_in);
            cells.push(next.map(|next| goes(&next)).unwrap_or_default());
        }
        table.push(cells);
    }
    table_of(&table)
}

fn goes(next: &prost_types::Duration) -> String {
    if next.seconds == 0 && next.nanos == 0 { "now".to_owned() } else { format!("in {}", span(next)) }
}

/// Rounded up, because who asks again too early waits again.
fn span(span: &prost_types::Duration) -> String {
    let seconds = span.seconds + i64::from(span.nanos > 0);
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", (seconds + 59) / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

fn spenders(spenders: &[Spender]) -> Vec<String> {
    let mut table = vec![row(["tenant", "caller", "for", "call", "calls", "points", "told to wait", "longest wait"])];
    for spender in spenders.iter().take(LINES_MAX) {
        let is_rest = spender.caller.is_empty();
        table.push(vec![
            spender.tenant.trim_start_matches("tenants/").to_owned(),
            if is_rest { "all others".to_owned() } else { spender.caller.clone() },
            spender.purpose.clone(),
            spender.call.clone(),
            spender.calls.to_string(),
            spender.points.to_string(),
            spender.refused.to_string(),
            spender.longest_wait.as_ref().map(span).unwrap_or_default(),
        ]);
    }
    table_of(&table)
}

fn refused(refused: &[Refused]) -> Vec<String> {
    let mut table = vec![row(["last", "times", "class", "call", "waits for", "because", "told to wait"])];
    for refused in refused.iter().take(LINES_MAX) {
        table.push(vec![
            moment(refused.time.as_ref()),
            refused.count.to_string(),
            word(refused.priority().as_str_name(), "PRIORITY_"),
            refused.call.clone(),
            refused.scope.as_ref().map(bucket).unwrap_or_default(),
            word(refused.reason().as_str_name(), "WAIT_REASON_"),
            refused.delay.as_ref().map(span).unwrap_or_default(),
        ]);
    }
    table_of(&table)
}

fn events(events: &[QuotaEvent]) -> Vec<String> {
    let line = |event: &QuotaEvent| vec![moment(event.time.as_ref()), event.words.clone()];
    indented(&events.iter().take(LINES_MAX).map(line).collect::<Vec<_>>())
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Nothing where there is only the head.
fn table_of(table: &[Vec<String>]) -> Vec<String> {
    if table.len() == 1 { Vec::new() } else { indented(table) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_may_go_without_its_collection() {
        assert_eq!(full("act_1"), "adAccounts/act_1");
        assert_eq!(full("metaApps/1"), "metaApps/1");
    }

    #[test]
    fn spans_are_rounded_up() {
        let of = |seconds, nanos| span(&prost_types::Duration { seconds, nanos });
        assert_eq!((of(0, 1), of(89, 0), of(90, 0)), ("1 s".to_owned(), "89 s".to_owned(), "2 min".to_owned()));
        assert_eq!((of(840, 1), of(11_100, 0)), ("15 min".to_owned(), "3 h 5 min".to_owned()));
    }
}
