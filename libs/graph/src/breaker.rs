//! While Meta is away, nobody waits for it: circuits per kind of call and asset, and one for Meta as a whole.
//!
//! They open by what an outage looks like (no connection, no answer, a 5xx) and by nothing else: a throttle or a wrong
//! request is an answer. What is open answers at once; one call at a time finds out whether it may close.

mod circuit;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use opentelemetry::{KeyValue, global};
use serde::Deserialize;
use tracing::{info, warn};

use self::circuit::{Circuit, Passage, Rules};
use crate::on::{Asset, On, Priority};

/// Circuits held at most; an asset beyond that is guarded by Meta's circuit alone.
const CIRCUITS_MAX: usize = 10_000;

/// When calls to Meta are no longer tried.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// So many failures of one kind of call on one asset within `window_seconds` open its circuit, where at least half of
    /// the calls failed. Default 5.
    pub failures: u32,
    /// The same over all calls: then nothing is sent to Meta at all. Default 50.
    pub failures_of_meta: u32,
    /// Over how long failures are counted, in seconds. Default 30.
    pub window_seconds: u64,
    /// How long a circuit stays open before one call probes, in seconds; twice as long after each probe that fails.
    /// Default 5.
    pub open_seconds: u64,
    /// The longest that it stays open between two probes, in seconds. Default 60.
    pub open_max_seconds: u64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, failures_of_meta: 50, window_seconds: 30, open_seconds: 5, open_max_seconds: 60 }
    }
}

impl BreakerSettings {
    pub(crate) fn faults(&self, faults: &mut Vec<(&'static str, String)>) {
        if self.failures == 0 || self.failures_of_meta < self.failures {
            faults.push(("breaker.failures", "must be 1 to failures_of_meta".to_owned()));
        }
        if !(1..=3600).contains(&self.window_seconds) {
            faults.push(("breaker.window_seconds", "must be 1 to 3600".to_owned()));
        }
        if self.open_seconds == 0 || !(self.open_seconds..=3600).contains(&self.open_max_seconds) {
            faults.push(("breaker.open_max_seconds", "must be open_seconds, at least 1, to 3600".to_owned()));
        }
    }

    fn rules(&self, failures: u32) -> Rules {
        Rules {
            failures,
            window: Duration::from_secs(self.window_seconds),
            open: Duration::from_secs(self.open_seconds),
            open_max: Duration::from_secs(self.open_max_seconds),
        }
    }
}

/// Kinds of calls that fail together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Read,
    Write,
    Insights,
    Audiences,
    Events,
}

impl Class {
    const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Insights, Self::Audiences, Self::Events];

    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Insights => "insights",
            Self::Audiences => "audiences",
            Self::Events => "events",
        }
    }
}

/// All circuits of one client.
#[derive(Clone)]
pub(crate) struct Breaker(Arc<Inside>);

struct Inside {
    of_asset: Rules,
    of_meta: Rules,
    circuits: Mutex<Circuits>,
}

struct Circuits {
    meta: Circuit,
    /// Only those that saw a failure of late.
    assets: HashMap<(Class, Asset), Circuit>,
}

impl Breaker {
    pub(crate) fn new(settings: &BreakerSettings) -> Self {
        let circuits = Circuits { meta: Circuit::new(Instant::now()), assets: HashMap::new() };
        let inside = Arc::new(Inside {
            of_asset: settings.rules(settings.failures),
            of_meta: settings.rules(settings.failures_of_meta),
            circuits: Mutex::new(circuits),
        });
        observe(Arc::downgrade(&inside));
        Self(inside)
    }

    /// Is it worth asking for a permit? The error says when it may be.
    pub(crate) fn look(&self, class: Class, on: &On) -> Result<(), Duration> {
        let (now, urgent) = (Instant::now(), on.priority == Priority::Safety);
        let circuits = self.0.open();
        let asset = circuits.assets.get(&(class, on.asset));
        let passages = [Some(&circuits.meta), asset].into_iter().flatten().map(|circuit| circuit.look(now, urgent));
        let shut = passages.filter_map(|passage| if let Passage::Shut(time) = passage { Some(time) } else { None });
        shut.max().map_or(Ok(()), Err)
    }

    /// Lets one call through, or says how long not.
    pub(crate) fn admit(&self, class: Class, on: &On) -> Result<Pass, Duration> {
        let (now, urgent) = (Instant::now(), on.priority == Priority::Safety);
        let mut circuits = self.0.open();
        let mut pass =
            Pass { breaker: self.clone(), key: (class, on.asset), meta: false, asset: false, is_told: false };
        let passage = circuits.meta.admit(now, urgent);
        pass.meta = passage == Passage::Probe;
        let own = circuits.assets.get_mut(&pass.key).map_or(Passage::Free, |circuit| circuit.admit(now, urgent));
        pass.asset = own == Passage::Probe;
        drop(circuits); // the pass takes the lock again when it is given back
        match (passage, own) {
            (Passage::Shut(time), _) | (_, Passage::Shut(time)) => Err(time),
            _ => Ok(pass),
        }
    }
}

impl Inside {
    fn open(&self) -> MutexGuard<'_, Circuits> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was let through. Dropped without a word, it says nothing about Meta.
pub(crate) struct Pass {
    breaker: Breaker,
    key: (Class, Asset),
    /// It is the probe of Meta's circuit.
    meta: bool,
    /// It is the probe of its asset's.
    asset: bool,
    is_told: bool,
}

impl Pass {
    /// Meta answered, whatever it said.
    pub(crate) fn answered(mut self) {
        self.is_told = true;
        let now = Instant::now();
        let inside = &self.breaker.0;
        let mut circuits = inside.open();
        circuits.meta.answered(inside.of_meta, now, self.meta);
        let is_over = circuits.assets.get_mut(&self.key).is_some_and(|circuit| {
            let was_idle = circuit.is_idle(inside.of_asset, now);
            circuit.answered(inside.of_asset, now, self.asset);
            self.asset || was_idle
        });
        if is_over {
            circuits.assets.remove(&self.key);
        }
        if self.meta || self.asset {
            info!(graph.class = self.key.0.word(), asset = %self.key.1, "Meta answers again");
        }
    }

    /// It failed as calls fail in an outage.
    pub(crate) fn failed(mut self) {
        self.is_told = true;
        let now = Instant::now();
        let inside = &self.breaker.0;
        let mut circuits = inside.open();
        if circuits.meta.failed(inside.of_meta, now, self.meta) {
            warn!("Meta fails: calls are held back, and one at a time probes");
        }
        if circuits.assets.len() >= CIRCUITS_MAX {
            circuits.assets.retain(|_, circuit| !circuit.is_idle(inside.of_asset, now));
        }
        if circuits.assets.len() >= CIRCUITS_MAX && !circuits.assets.contains_key(&self.key) {
            return;
        }
        let circuit = circuits.assets.entry(self.key).or_insert_with(|| Circuit::new(now));
        if circuit.failed(inside.of_asset, now, self.asset) {
            warn!(graph.class = self.key.0.word(), asset = %self.key.1, "calls fail at Meta and are held back");
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_told || !(self.meta || self.asset) {
            return;
        }
        let now = Instant::now();
        let mut circuits = self.breaker.0.open();
        if self.meta {
            circuits.meta.unprobed(now);
        }
        if self.asset
            && let Some(circuit) = circuits.assets.get_mut(&self.key)
        {
            circuit.unprobed(now);
        }
    }
}

/// How many circuits are open, by kind of call, and whether Meta's own is. It ends with the client.
fn observe(inside: Weak<Inside>) {
    let meter = global::meter("graph");
    let _registered = meter
        .u64_observable_gauge("adplane_graph_circuits_open")
        .with_description("Circuits to Meta that are open or probing, by kind of call; meta is the one of all")
        .with_callback(move |observer| {
            let Some(inside) = inside.upgrade() else { return };
            let circuits = inside.open();
            observer.observe(u64::from(circuits.meta.is_open()), &[KeyValue::new("class", "meta")]);
            for class in Class::ALL {
                let open =
                    circuits.assets.iter().filter(|((of, _), circuit)| *of == class && circuit.is_open()).count();
                let open = u64::try_from(open).unwrap_or(u64::MAX);
                observer.observe(open, &[KeyValue::new("class", class.word())]);
            }
        })
        .build();
}
