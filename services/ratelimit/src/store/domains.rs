//! The buckets of Envoy's domains: cells like those of Meta's limits, and nothing that Meta says.
//!
//! They are in no journal: a Redis that restarts empty lets one window through again, as Envoy's own server does.

use redis::Value;

use super::{Store, outcome, scripts::Script};
use crate::error::Error;

/// What one descriptor asks of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Of the bucket, with the domain's hash tag.
    pub(crate) key: String,
    /// The length of a cell, in ms.
    pub(crate) cell_ms: i64,
    /// How many cells are kept, the newest included.
    pub(crate) cells: i64,
    /// What the request takes.
    pub(crate) cost: u32,
    /// What any window may take.
    pub(crate) limit: u32,
}

/// How a bucket stands after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Whether the hit has room.
    pub(crate) fits: bool,
    /// How much is left of the limit.
    pub(crate) remaining: u32,
    /// Until the hit has room or, where it has, until nothing counts any more.
    pub(crate) reset_ms: u64,
}

impl Store {
    /// Takes all hits of one request, or none; all are of one domain. One round trip.
    pub(crate) async fn count(&self, hits: &[Hit]) -> Result<Vec<Counted>, Error> {
        let mut keys: Vec<&str> = Vec::new();
        let mut args = vec![self.horizon.not_after_ms()];
        let mut charges = Vec::with_capacity(3 * hits.len());
        for hit in hits {
            let place = keys.iter().position(|key| *key == hit.key).unwrap_or_else(|| {
                keys.push(&hit.key);
                args.extend([hit.cell_ms, hit.cells]);
                keys.len() - 1
            });
            charges.extend([i64::try_from(place + 1).unwrap_or(i64::MAX), hit.cost.into(), hit.limit.into()]);
        }
        args.extend(charges);
        let answer = self.scripts.run(Script::Domain, &keys, &args).await?;
        self.horizon.observe(outcome::number(&answer, 0)?);
        let counted: Vec<_> = answer.get(1..).unwrap_or_default().chunks(3).map(decode).collect::<Result<_, _>>()?;
        if counted.len() == hits.len() { Ok(counted) } else { Err(Error::Script) }
    }
}

fn decode(answer: &[Value]) -> Result<Counted, Error> {
    let number = |place| outcome::number(answer, place);
    Ok(Counted {
        fits: number(0)? == 1,
        remaining: u32::try_from(number(1)?).map_err(|_| Error::Script)?,
        reset_ms: u64::try_from(number(2)?).map_err(|_| Error::Script)?,
    })
}
