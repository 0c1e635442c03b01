//! The order of things: what is under way, what arrives when, and what must hold at the end.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::replica::{APP, Replica};
use super::stores::{Answer, Data, Holder, Redis, Rows};
use crate::ceilings::Ceilings;
use crate::demand::{Demand, Rules};
use crate::journal::{Allowance, When};
use crate::priority::{ClassCaps, Priority};
use crate::settings::Settings;
use crate::store::{Agreement, Found};

/// Long enough for the score's window of five minutes to fill three times.
const FAULTS_UNTIL_MS: i64 = 15 * 60_000;
/// The longest that a fault goes on.
const LAST_FAULT_ENDS_MS: i64 = 6 * 60_000;
/// After it nothing that a fault spoiled may matter: the score's window, as long as we count it.
const QUIET_MS: i64 = 7 * 60_000;
const REPLICAS: usize = 3;
const CALLERS: usize = 6;
const START_MS: i64 = 1_000_000_000;
/// As settings have it.
const SEND_BEFORE_MS: i64 = 5_000;
const CALL_TIMEOUT_MS: i64 = 60_000;
/// How often a call tries again after another replica opened an epoch.
const TRIES: u32 = 4;
/// How long it is taken for granted that nobody has begun another epoch.
const FENCE_MS: i64 = 1_000;
/// How long one write to PostgreSQL may take.
const WRITE_MS: i64 = 2_000;

/// What is wrong on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// A bucket counts Meta's window and not the time that a call may travel.
    NoTravel,
    /// After a loss nothing of what was spent is put back.
    NothingRebuilt,
    /// What is charged is not written before.
    NotWrittenAhead,
    /// A permit may be used from when it is received, however long its answer took.
    FromReceipt,
    /// What was spent without Redis is never told to it.
    NothingAdded,
    /// An epoch is set in whatever server answers, though another one was rebuilt.
    AnyServer,
}

impl Flaw {
    pub(super) const ALL: [Self; 6] = [
        Self::NoTravel,
        Self::NothingRebuilt,
        Self::NotWrittenAhead,
        Self::FromReceipt,
        Self::NothingAdded,
        Self::AnyServer,
    ];
}

mod agreeing;
mod callers;
mod calls;
mod faults;
mod writes;

pub(super) struct World {
    now_ms: i64,
    chance: Chance,
    flaw: Flaw,
    rules: Rules,
    events: BTreeMap<(i64, u64), Event>,
    numbered: u64,
    redis: Redis,
    rows: Rows,
    replicas: Vec<Replica>,
    began: Instant,
    /// Waiting for a write, or for an agreement.
    held_up: Vec<Call>,
    /// By bucket: when calls arrived at Meta, and what they cost there.
    arrivals: BTreeMap<String, Vec<(i64, i64)>>,
    /// Calls that were let through.
    admitted: u32,
    /// Times that nobody could say what was spent: then safety has its share, even if it had it before.
    unknown: i64,
    /// Just before the next epoch is set.
    restarts_again: bool,
    /// Redis may be out of reach, for all or for one. Else PostgreSQL may be away: both at once are known not to hold.
    is_lossy: bool,
    /// Faults and epochs, for whoever plays a seed again.
    told: Vec<String>,
}

#[derive(Clone)]
struct Call {
    holder: Holder,
    demand: Demand,
    /// By the true time, which both ends only measure spans of.
    asked_ms: i64,
    received_ms: i64,
    tries: u32,
}

enum Event {
    Ask,
    /// At its replica: held, or not yet.
    Hold(Call),
    /// At Redis: sent at that moment, which the script may believe up to another.
    Script(Call, When, i64, i64),
    /// At its replica again. No answer: Redis is away, or the answer was lost.
    Answered(Call, When, Option<Answer>, i64),
    /// At PostgreSQL: Redis is out of reach.
    Fence(Call, i64),
    /// At its replica: goes without Redis, or not at all.
    Open(Call),
    /// At its caller: sent by the replica to Redis at that moment.
    Granted(Call, i64, Vec<i64>, i64),
    AtMeta(Demand),
    Release(Demand, i64, Vec<i64>),
    /// At PostgreSQL, begun at that moment.
    Write(Holder, Vec<Allowance>, i64),
    /// At the replica.
    Wrote(Holder, Option<(Vec<Allowance>, Vec<Allowance>)>),
    Tidy(usize),
    Agree(Holder, Step),
    Fault,
    End(End),
}

/// How replicas agree on an epoch: each step somewhere else, and later.
enum Step {
    Lock,
    Read,
    ReadAlone,
    Load(Found, Option<(i64, u64)>, u64, Agreement),
    Set(Option<(i64, u64)>, u64, Agreement),
    Commit(Agreement),
    SetAlone(Option<(i64, u64)>, u64, Agreement),
}

/// What was a fault is over.
enum End {
    RedisAway,
    PostgresAway,
    Restore(Data),
}

static SETTINGS: LazyLock<Duration> = LazyLock::new(|| Settings::default().travel());

impl World {
    pub(super) fn new(seed: u64, flaw: Flaw) -> Self {
        let began = Instant::now();
        let travel = if flaw == Flaw::NoTravel { Duration::ZERO } else { *SETTINGS };
        let mut world = Self {
            now_ms: START_MS,
            chance: Chance::new(seed),
            flaw,
            rules: Rules::new(Ceilings { score: true, ..Ceilings::default() }, travel),
            events: BTreeMap::new(),
            numbered: 0,
            redis: Redis { run: 1, is_up: true, ahead_ms: 0, data: Data::default() },
            rows: Rows::new(),
            replicas: Vec::new(),
            began,
            held_up: Vec::new(),
            arrivals: BTreeMap::new(),
            admitted: 0,
            told: Vec::new(),
            unknown: 0,
            restarts_again: false,
            is_lossy: seed.is_multiple_of(2),
        };
        for number in 0..REPLICAS {
            let off_ms = world.chance.between(-300, 300);
            world.replicas.push(Replica::start(0, world.now_ms, off_ms, began));
            world.later(30_000, Event::Tidy(number));
        }
        for _ in 0..CALLERS {
            world.soon(20_000, Event::Ask);
        }
        for _ in 0..world.chance.between(1, 6) {
            world.soon(FAULTS_UNTIL_MS, Event::Fault);
        }
        world
    }

    /// Plays until nothing is under way; how many calls were admitted, or what was broken.
    pub(super) fn run(mut self) -> Result<u32, String> {
        let quiet_from_ms = self.now_ms + FAULTS_UNTIL_MS;
        self.play_until(quiet_from_ms + LAST_FAULT_ENDS_MS, quiet_from_ms);
        // Somebody has to ask for the replicas to find out what happened.
        self.ask_everyone();
        self.play_until(self.now_ms + QUIET_MS, 0);
        let before = self.admitted;
        self.ask_everyone();
        self.play_until(self.now_ms + 60_000, 0);
        self.check_windows()?;
        if self.admitted == before {
            let minutes = QUIET_MS / 60_000;
            return Err(format!(
                "{}\nnothing is admitted {minutes} minutes after the last fault",
                self.told.join("\n")
            ));
        }
        Ok(self.admitted)
    }

    /// Each replica, by somebody who waits.
    fn ask_everyone(&mut self) {
        for number in 0..REPLICAS {
            let demand = self.demand(1, Priority::Interactive, false);
            self.ask(number, demand);
        }
    }

    /// Callers ask until `asked_until_ms`.
    fn play_until(&mut self, until_ms: i64, asked_until_ms: i64) {
        while let Some(entry) = self.events.first_entry() {
            let (at_ms, _) = *entry.key();
            if at_ms > until_ms {
                break;
            }
            let event = entry.remove();
            self.now_ms = at_ms;
            if !matches!(event, Event::Ask) || at_ms < asked_until_ms {
                self.play(event);
            }
        }
        self.now_ms = until_ms;
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Ask => self.ask_again(),
            Event::Hold(call) => self.hold(call),
            Event::Script(call, when, sent_ms, not_after_ms) => self.script(call, when, sent_ms, not_after_ms),
            Event::Answered(call, when, answer, sent_ms) => self.answered(call, when, answer, sent_ms),
            Event::Fence(call, asked_ms) => self.fence(call, asked_ms),
            Event::Open(call) => self.open(call),
            Event::Granted(call, epoch, heads, sent_ms) => self.granted(&call, epoch, heads, sent_ms),
            Event::AtMeta(demand) => self.at_meta(&demand),
            Event::Release(demand, epoch, heads) => self.redis.release(&demand, epoch, &heads),
            Event::Write(holder, rows, begun_ms) => self.write(holder, rows, begun_ms),
            Event::Wrote(holder, written) => self.wrote(holder, written),
            Event::Tidy(number) => self.tidy(number),
            Event::Agree(holder, step) => self.agree(holder, step),
            Event::Fault => self.fault(),
            Event::End(end) => self.end(end),
        }
    }

    fn later(&mut self, after_ms: i64, event: Event) {
        self.numbered += 1;
        self.events.insert((self.now_ms + after_ms, self.numbered), event);
    }

    fn soon(&mut self, within_ms: i64, event: Event) {
        let after_ms = self.chance.between(0, within_ms);
        self.later(after_ms, event);
    }

    /// Over a network that is mostly quick.
    fn over_the_network(&mut self, event: Event) {
        let slow = self.chance.permille(15);
        self.soon(if slow { 3_000 } else { 4 }, event);
    }

    /// The replica, if it lives; one that is stopped is looked at again when it goes on.
    fn here(&mut self, holder: Holder) -> Option<&mut Replica> {
        self.replicas.get_mut(holder.0).filter(|replica| replica.generation == holder.1)
    }

    fn stopped_for(&self, holder: Holder) -> Option<i64> {
        let stopped_for_ms = self.replicas.get(holder.0)?.stopped_until_ms - self.now_ms;
        (stopped_for_ms > 0).then_some(stopped_for_ms)
    }

    fn check_windows(&self) -> Result<(), String> {
        for (bucket, _) in self.demand(1, Priority::Safety, true).charges {
            let mut arrivals = self.arrivals.get(&bucket.key).cloned().unwrap_or_default();
            arrivals.sort_unstable();
            let span_ms = i64::try_from(bucket.window.span.as_millis()).unwrap();
            let ceiling = bucket.ceiling.limit.unwrap();
            let limit = i64::from(ceiling) + self.unknown * i64::from(ClassCaps::default().lost_cap(ceiling));
            let (mut first, mut sum) = (0, 0);
            for (at_ms, cost) in &arrivals {
                sum += cost;
                while arrivals[first].0 <= at_ms - span_ms {
                    sum -= arrivals[first].1;
                    first += 1;
                }
                if sum > limit {
                    let (from_ms, to_ms) = (arrivals[first].0 - START_MS, at_ms - START_MS);
                    return Err(format!(
                        "{}\n{}: {sum} from {from_ms} to {to_ms} ms, above its ceiling of {limit}",
                        self.told.join("\n"),
                        bucket.scope
                    ));
                }
            }
        }
        Ok(())
    }
}
