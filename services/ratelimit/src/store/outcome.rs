//! What the scripts answer.

use std::time::Duration;

use redis::Value;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Ceiling,
    Pace,
    Closed,
    Gate,
    CountersLost,
    CostAboveCeiling,
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
}

/// How acquire.lua answers.
pub(crate) enum Answer {
    /// The counters are not known to be whole, or those of another epoch.
    OtherEpoch,
    /// A decision, and the server's time in ms.
    Decided { time_ms: i64, outcome: Outcome },
}

pub(crate) fn decode(answer: &[Value]) -> Result<Answer, Error> {
    let outcome = match number(answer, 0)? {
        -1 => return Ok(Answer::OtherEpoch),
        0 => Outcome::Refused(Refusal {
            epoch: number(answer, 1)?,
            wait: Duration::from_millis(u64::try_from(number(answer, 3)?).unwrap_or_default()),
            binding: number(answer, 4)?,
            reason: reason(number(answer, 5)?)?,
        }),
        _ => Outcome::Admitted(Admission {
            epoch: number(answer, 1)?,
            issued_ms: number(answer, 3)?,
            probing: number(answer, 4)? == 1,
            cells: cells(answer)?,
        }),
    };
    Ok(Answer::Decided { time_ms: number(answer, 2)?, outcome })
}

pub(crate) fn standings(answer: &[Value]) -> Result<Vec<Standing>, Error> {
    const FIELDS: usize = 7;
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
    let pairs = answer.get(5..).ok_or(Error::Script)?.chunks_exact(2);
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
        _ => Err(Error::Script),
    }
}
