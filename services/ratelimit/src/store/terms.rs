//! What acquire.lua reads: the buckets of several demands, each once, and what every demand takes from them.

use std::collections::HashMap;

use super::flights::Asked;
use crate::demand::Bucket;
use crate::priority::Priority;

/// The script's keys and its argument.
pub(super) struct Terms<'a> {
    /// Of the buckets, each once.
    pub(super) keys: Vec<&'a str>,
    /// Of eight bytes each, numbers with the least significant first, in the order that acquire.lua names.
    pub(super) packed: Vec<u8>,
}

impl<'a> Terms<'a> {
    /// `asked` is not empty, and of one app and epoch. No later moment than `not_after_ms` is believed.
    pub(super) fn of(asked: &'a [Asked], not_after_ms: i64) -> Self {
        let (mut numbers, mut keys) = (HashMap::new(), Vec::new());
        let mut packed = Vec::with_capacity(512 * asked.len());
        let epoch = asked.first().map_or(0, |asked| asked.epoch);
        put(&mut packed, [not_after_ms, epoch, count(asked.len())]);
        for (bucket, _) in asked.iter().flat_map(|asked| &asked.demand.charges) {
            numbers.entry(bucket.key.as_str()).or_insert_with(|| {
                keys.push(bucket.key.as_str());
                let ceiling = &bucket.ceiling;
                let lost_cap = ceiling.limit.map_or(-1, |limit| i64::from(ceiling.caps.lost_cap(limit)));
                put(&mut packed, [bucket.cell_ms(), i64::from(bucket.window.cells), lost_cap]);
                count(keys.len())
            });
        }
        for Asked { demand, .. } in asked {
            let (class, gate) = (demand.priority.class(), i64::from(demand.priority.gate_percent()));
            put(&mut packed, [class, gate]);
            packed.extend(demand.reservation.id.bytes());
            put(&mut packed, [count(demand.charges.len())]);
            for (bucket, cost) in &demand.charges {
                let number = numbers.get(bucket.key.as_str()).copied().unwrap_or_default();
                let (cap, pace) = cap_and_pace(bucket, demand.priority);
                put(&mut packed, [number, i64::from(*cost), cap, pace]);
            }
        }
        Self { keys, packed }
    }
}

/// What a class may fill of a bucket, and put into one cell of it; -1 where nothing limits it.
fn cap_and_pace(bucket: &Bucket, priority: Priority) -> (i64, i64) {
    (bucket.cap(priority).map_or(-1, i64::from), bucket.pace(priority).map_or(-1, i64::from))
}

pub(super) fn put<const N: usize>(packed: &mut Vec<u8>, numbers: [i64; N]) {
    packed.extend(numbers.into_iter().flat_map(i64::to_le_bytes));
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
