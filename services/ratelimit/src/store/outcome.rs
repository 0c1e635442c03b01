//! What the scripts answer.

use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use crate::error::Error;

/// What became of a demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Admitted(Admission),
    Refused(Refusal),
}

/// Charged to every bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) epoch: i64,
    /// The buckets' clock at the charge, in ms.
    pub(crate) issued_ms: i64,
    /// Not later than the charge, by this replica's own clock.
    pub(crate) sent: Instant,
    /// One of the buckets was closed and tries whether Meta lets calls through again.
    pub(crate) probing: bool,
    /// Per bucket the cell that was charged and the sum after it.
    pub(crate) cells: Vec<(i64, i64)>,
}

/// Nothing was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// 0 where it was not asked of Redis.
    pub(crate) epoch: i64,
    /// Until asking again can succeed.
    pub(crate) wait: Duration,
    /// The number of the bucket that has to wait longest, from 1.
    pub(crate) binding: i64,
    pub(crate) reason: Reason,
}

/// Why a demand has to wait; `WaitReason` in the proto says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    Ceiling,
    Pace,
    Closed,
    Gate,
    CountersLost,
    CostAboveCeiling,
    Frozen,
}

/// How one bucket stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// 0 where nothing was counted yet.
    pub(crate) epoch: i64,
    pub(crate) own: i64,
    pub(crate) others: i64,
    /// In ms since 1970; `None` while open.
    pub(crate) closed_until_ms: Option<i64>,
    /// Meta's code of the closing; 0 where a header said it.
    pub(crate) closed_code: i64,
    pub(crate) gate_percent: Option<u32>,
    pub(crate) observed_percent: Option<u32>,
    /// Until then the counters count as lost, in ms since 1970.
    pub(crate) lost_until_ms: Option<i64>,
    /// Until then an operator lets only safety through, in ms since 1970.
    pub(crate) frozen_until_ms: Option<i64>,
    /// What reservations hold and has not been used.
    pub(crate) held: i64,
}

/// How acquire.lua answers one demand.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The counters are not known to be whole, or those of another epoch.
    OtherEpoch,
    /// A decision, and the server's time in ms.
    Decided { time_ms: i64, outcome: Outcome },
}

/// The answers to that many demands, which were written down under this epoch and sent at that moment.
pub(crate) fn decode(answer: &[Value], epoch: i64, sent: Instant, demands: usize) -> Result<Vec<Answer>, Error> {
    let time_ms = number(answer, 0)?;
    if time_ms == -1 {
        return Ok(vec![Answer::OtherEpoch; demands]);
    }
    let issued_ms = number(answer, 1)?;
    let decided = answer.get(2..).filter(|decided| decided.len() == demands).ok_or(Error::Script)?;
    let one = |decided: &Value| {
        let Value::Array(decided) = decided else { return Err(Error::Script) };
        Ok(Answer::Decided { time_ms, outcome: decode_one(decided, epoch, sent, issued_ms)? })
    };
    decided.iter().map(one).collect()
}

fn decode_one(decided: &[Value], epoch: i64, sent: Instant, issued_ms: i64) -> Result<Outcome, Error> {
    if number(decided, 0)? == 1 {
        let probing = number(decided, 1)? == 1;
        return Ok(Outcome::Admitted(Admission { epoch, issued_ms, sent, probing, cells: cells(decided)? }));
    }
    Ok(Outcome::Refused(refusal(decided, epoch)?))
}

/// What a script says that holds nothing and charges nothing.
pub(crate) fn refusal(decided: &[Value], epoch: i64) -> Result<Refusal, Error> {
    Ok(Refusal {
        epoch,
        wait: Duration::from_millis(u64::try_from(number(decided, 1)?).unwrap_or_default()),
        binding: number(decided, 2)?,
        reason: reason(number(decided, 3)?)?,
    })
}

pub(crate) fn standings(answer: &[Value]) -> Result<Vec<Standing>, Error> {
    const FIELDS: usize = 9;
    let epoch = number(answer, 0)?;
    let buckets = answer.get(3..).ok_or(Error::Script)?.chunks_exact(FIELDS);
    let standing = |bucket: &[Value]| {
        let positive = |place| Ok::<_, Error>(Some(number(bucket, place)?).filter(|ms| *ms > 0));
        Ok(Standing {
            epoch,
            own: number(bucket, 0)?,
            others: number(bucket, 1)?,
            closed_until_ms: positive(2)?,
            closed_code: number(bucket, 3)?,
            gate_percent: u32::try_from(number(bucket, 4)?).ok(),
            observed_percent: u32::try_from(number(bucket, 5)?).ok(),
            lost_until_ms: positive(6)?,
            frozen_until_ms: positive(7)?,
            held: number(bucket, 8)?,
        })
    };
    buckets.map(standing).collect()
}

/// The number at a place of an answer.
pub(crate) fn number(answer: &[Value], place: usize) -> Result<i64, Error> {
    match answer.get(place) {
        Some(Value::Int(number)) => Ok(*number),
        _ => Err(Error::Script),
    }
}

fn cells(answer: &[Value]) -> Result<Vec<(i64, i64)>, Error> {
    let pairs = answer.get(2..).ok_or(Error::Script)?.chunks_exact(2);
    pairs.map(|pair| Ok((number(pair, 0)?, number(pair, 1)?))).collect()
}

fn reason(number: i64) -> Result<Reason, Error> {
    match number {
        1 => Ok(Reason::Ceiling),
        2 => Ok(Reason::Pace),
        3 => Ok(Reason::Closed),
        4 => Ok(Reason::Gate),
        5 => Ok(Reason::CountersLost),
        6 => Ok(Reason::CostAboveCeiling),
        7 => Ok(Reason::Frozen),
        _ => Err(Error::Script),
    }
}
