//! Many chains, each in its own order, as one list in order of time.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    str::FromStr,
};

use storage::audit::Recorded;

/// More chains than there will ever be services; a token with more is none of ours.
const SERVICES_MAX: usize = 32;

/// How far each chain was read: the last place that was given. It prints as text for a page token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<String, i64>);

impl Positions {
    /// How far the chain of a service was read; 0 is not at all.
    pub fn of(&self, service: &str) -> i64 {
        self.0.get(service).copied().unwrap_or(0)
    }

    /// The chain of a service was read up to here.
    pub fn advance(&mut self, service: &str, sequence: i64) {
        self.0.insert(service.to_owned(), sequence);
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (service, sequence)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{service}={sequence}")?;
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        let positions = parts.map(|part| {
            let (service, sequence) = part.split_once('=')?;
            Some((service.to_owned(), sequence.parse().ok().filter(|sequence| *sequence >= 0)?))
        });
        let positions: BTreeMap<String, i64> = positions.collect::<Option<_>>().ok_or(())?;
        if positions.len() <= SERVICES_MAX { Ok(Self(positions)) } else { Err(()) }
    }
}

/// One chain while it is merged with others.
#[derive(Debug)]
pub struct Lane {
    service: String,
    entries: VecDeque<Recorded>,
    ended: bool,
}

impl Lane {
    /// Entries in the order of their chain; `ended` says that no more come after them.
    pub fn new(service: String, entries: Vec<Recorded>, ended: bool) -> Self {
        Self { service, entries: entries.into(), ended }
    }

    /// Does something follow what was taken?
    pub fn has_more(&self) -> bool {
        !self.ended || !self.entries.is_empty()
    }
}

/// Takes the earliest entries of all lanes, at most `size`. Stops early where a lane has run out though its chain goes on:
/// what comes next there may be earlier than what the others have.
pub fn merge(lanes: &mut [Lane], size: usize) -> Vec<(String, Recorded)> {
    let mut merged = Vec::new();
    while merged.len() < size && lanes.iter().all(|lane| lane.ended || !lane.entries.is_empty()) {
        let earliest = lanes.iter_mut().filter(|lane| !lane.entries.is_empty());
        let Some(lane) = earliest.min_by_key(|lane| lane.entries.front().map(|entry| entry.written)) else { break };
        if let Some(entry) = lane.entries.pop_front() {
            merged.push((lane.service.clone(), entry));
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn entries(times: &[i64]) -> Vec<Recorded> {
        let entry = |(sequence, second): (i64, &i64)| Recorded {
            sequence,
            written: Timestamp::from_second(*second).unwrap(),
            actor: String::new(),
            action: String::new(),
            resource: String::new(),
            request_id: None,
            detail: serde_json::Value::Null,
            detail_text: String::new(),
            previous: Vec::new(),
            hash: Vec::new(),
        };
        (1..).zip(times).map(entry).collect()
    }

    fn lane(service: &str, times: &[i64], ended: bool) -> Lane {
        Lane::new(service.to_owned(), entries(times), ended)
    }

    fn told(merged: &[(String, Recorded)]) -> Vec<(&str, i64)> {
        merged.iter().map(|(service, entry)| (service.as_str(), entry.sequence)).collect()
    }

    #[test]
    fn chains_are_merged_by_time_and_keep_their_own_order() {
        let mut lanes = [lane("a", &[1, 5, 6], true), lane("b", &[2, 3, 9], true), lane("c", &[], true)];
        assert_eq!(told(&merge(&mut lanes, 4)), [("a", 1), ("b", 1), ("b", 2), ("a", 2)]);
        assert!(lanes[0].has_more() && lanes[1].has_more() && !lanes[2].has_more());
    }

    #[test]
    fn a_chain_that_ran_out_in_the_middle_ends_the_page() {
        let mut lanes = [lane("a", &[1, 2], false), lane("b", &[1, 7], true)];
        assert_eq!(told(&merge(&mut lanes, 100)), [("a", 1), ("b", 1), ("a", 2)]);
        assert!(lanes[0].has_more());
        let mut lanes = [lane("a", &[1, 2], true), lane("b", &[1, 7], true)];
        assert_eq!(merge(&mut lanes, 100).len(), 4);
        assert!(!lanes.iter().any(Lane::has_more));
    }

    #[test]
    fn positions_read_back_as_they_print() {
        let mut positions = Positions::default();
        assert_eq!(positions.to_string().parse(), Ok(positions.clone()));
        positions.advance("campaigns", 12);
        positions.advance("auth", 3);
        assert_eq!(positions.to_string(), "auth=3,campaigns=12");
        assert_eq!("auth=3,campaigns=12".parse(), Ok(positions));
        let many: Vec<_> = (0..33).map(|place| format!("s{place}=1")).collect();
        for text in ["auth", "auth=", "auth=x", "auth=-1", &many.join(",")] {
            assert_eq!(text.parse::<Positions>(), Err(()), "{text}");
        }
    }
}
