//! What this replica may still charge before it has to write again. Pure.
//!
//! Per bucket and stretch of time there is one line: what was written to PostgreSQL as allowed, and what of it is spent.
//! Nothing is charged in Redis that was not written before, so what was written is the most that can have been spent.
//!
//! A replica may have hundreds of thousands of lines, and every decision waits for the ledger: what is to be written is
//! found without a look at the others.

use std::collections::{BTreeMap, HashMap, HashSet};

/// How long after a stretch its line is lowered to what was spent: longer than any answer of Redis takes.
const GRACE_MS: i64 = 30_000;

/// Into how many stretches a window is divided, and the shortest stretch.
const STRETCHES: i64 = 6;
const STRETCH_MS_MIN: i64 = 10_000;

/// How much longer than its window an allowance counts: clocks of replicas differ, and permits are sent late.
const SLACK_MS: i64 = 60_000;

/// The part of a ceiling that is allowed at a time, in percent.
const STEP_PERCENT: u64 = 4;

/// A bucket as the journal sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms<'a> {
    pub(crate) key: &'a str,
    pub(crate) limit: u32,
    pub(crate) cell_ms: i64,
    pub(crate) cells: i64,
}

/// A row to write: this replica may charge so much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) app: u64,
    pub(crate) key: String,
    pub(crate) epoch: i64,
    pub(crate) ends_ms: i64,
    pub(crate) until_ms: i64,
    pub(crate) cell_ms: i64,
    pub(crate) cells: i64,
    pub(crate) points: u64,
}

/// Whether a charge is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// By what was written.
    Covered,
    /// By what was written, which runs low.
    Low,
    /// Not yet: more has to be written first. Nothing is held.
    Short,
    /// By nothing: the app is in a newer epoch. Nothing is held.
    Stale,
}

/// The epoch and moment of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) app: u64,
    pub(crate) epoch: i64,
    pub(crate) now_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    app: u64,
    epoch: i64,
    ends_ms: i64,
    cell_ms: i64,
    cells: i64,
    step: u64,
    written: u64,
    spent: u64,
    wanted: u64,
}

/// From when on the row of a stretch that is over is to be written, and which row: its end, epoch and key.
type Due = (i64, i64, i64, String);

/// Where more was spent than was written PostgreSQL has to know at once.
const AT_ONCE: i64 = i64::MIN;

/// All lines of a replica.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The latest moment that was named. It never goes back, so that a stretch which is over is never begun again: its
    /// row would be written as if nothing had been spent before.
    now_ms: i64,
    /// The newest epoch of each app, for the same reason.
    epochs: HashMap<u64, i64>,
    lines: HashMap<String, Line>,
    /// No line ends before.
    next_end_ms: i64,
    /// The keys of the lines that want more than was written, and of some that did.
    wanting: HashSet<String>,
    /// Over, and written as something else than was spent.
    ended: BTreeMap<Due, Allowance>,
}

impl Ledger {
    /// Holds all charges or none.
    pub(crate) fn hold(&mut self, when: When, charges: &[(Terms<'_>, u32)]) -> Held {
        let now = self.at(when);
        if now.epoch != when.epoch {
            return Held::Stale;
        }
        let when = now;
        let mut covered = true;
        for (terms, cost) in charges {
            let line = self.line(when, terms);
            if line.left() < u64::from(*cost) {
                line.want(u64::from(*cost) + line.step);
                self.wants(terms.key);
                covered = false;
            }
        }
        if covered { self.spend(when, charges) } else { Held::Short }
    }

    /// Holds all charges, covered or not: they are written later.
    pub(crate) fn hold_uncovered(&mut self, when: When, charges: &[(Terms<'_>, u32)]) {
        let when = self.at(when);
        self.spend(when, charges);
    }

    /// Holds all charges if what was written covers them; nothing more is asked for. `all` leaves nothing behind, else
    /// half a step stays for those who may have all.
    pub(crate) fn hold_open(&mut self, when: When, charges: &[(Terms<'_>, u32)], all: bool) -> bool {
        let when = self.at(when);
        let covered = charges.iter().all(|(terms, cost)| {
            let line = self.line(when, terms);
            let kept = if all { 0 } else { line.step.div_ceil(2) };
            line.left() >= u64::from(*cost) + kept
        });
        if covered {
            for (terms, cost) in charges {
                self.line(when, terms).spent += u64::from(*cost);
            }
        }
        covered
    }

    /// What was written under an epoch and is not spent.
    pub(crate) fn open(&self, app: u64, epoch: i64, now_ms: i64) -> Vec<Allowance> {
        let lines = self.lines.iter().filter(|(_, line)| (line.app, line.epoch) == (app, epoch));
        let open = lines.filter(|(_, line)| line.ends_ms > now_ms && line.left() > 0);
        open.map(|(key, line)| line.allowance(key, line.left())).collect()
    }

    /// PostgreSQL has taken over an epoch of which it refused the rows before: they have to be written again.
    pub(crate) fn adopted(&mut self, app: u64, epoch: i64) {
        for (key, line) in self.lines.iter_mut().filter(|(_, line)| (line.app, line.epoch) == (app, epoch)) {
            line.wanted = line.wanted.max(line.spent);
            line.written = 0;
            self.wanting.insert(key.clone());
        }
    }

    /// Charges that Redis refused are held no more.
    pub(crate) fn give_back(&mut self, when: When, charges: &[(Terms<'_>, u32)]) {
        for (terms, cost) in charges {
            if let Some(line) = self.lines.get_mut(terms.key)
                && (line.epoch, line.ends_ms) == (when.epoch, ends_ms(terms, when.now_ms))
            {
                line.spent = line.spent.saturating_sub(u64::from(*cost));
            }
        }
    }

    /// What has to be written now: raises, and what can be lowered.
    pub(crate) fn unwritten(&mut self, now_ms: i64) -> Vec<Allowance> {
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        self.end_lines(now_ms);
        let lines = &self.lines;
        let wants = |key: &String| lines.get(key).filter(|line| line.wanted > line.written);
        self.wanting.retain(|key| wants(key).is_some());
        let raise = self.wanting.iter().filter_map(|key| wants(key).map(|line| line.allowance(key, line.wanted)));
        let mut rows: Vec<Allowance> = raise.collect();
        let due = self.ended.range(..(now_ms + 1, i64::MIN, i64::MIN, String::new()));
        let (due, over): (Vec<_>, Vec<_>) = due.partition(|(_, row)| row.until_ms > now_ms);
        rows.extend(due.into_iter().map(|(_, row)| row.clone()));
        let over: Vec<Due> = over.into_iter().map(|(due, _)| due.clone()).collect();
        for due in over {
            self.ended.remove(&due);
        }
        rows
    }

    /// These rows were written.
    pub(crate) fn written(&mut self, allowances: &[Allowance]) {
        for written in allowances {
            match self.running(written) {
                Some(line) => line.written = line.written.max(written.points),
                None => self.end(written),
            }
        }
    }

    /// PostgreSQL took none of these rows, for their epoch is over. What a running line asked for may not be spent, with
    /// Redis or without; what was spent in a stretch that is over was counted as it stood.
    pub(crate) fn refused(&mut self, allowances: &[Allowance]) {
        for refused in allowances {
            match self.running(refused) {
                Some(line) => line.wanted = line.written,
                None => self.end(refused),
            }
        }
    }

    /// A row that stands as it was spent is nobody's matter any more.
    fn end(&mut self, row: &Allowance) {
        for due in [due(row, true), due(row, false)] {
            if self.ended.get(&due) == Some(row) {
                self.ended.remove(&due);
            }
        }
    }

    fn wants(&mut self, key: &str) {
        if !self.wanting.contains(key) {
            self.wanting.insert(key.to_owned());
        }
    }

    fn running(&mut self, row: &Allowance) -> Option<&mut Line> {
        self.lines.get_mut(&row.key).filter(|line| (line.epoch, line.ends_ms) == (row.epoch, row.ends_ms))
    }

    /// That moment, but in the newest epoch and not before any other.
    fn at(&mut self, when: When) -> When {
        self.now_ms = self.now_ms.max(when.now_ms);
        let epoch = self.epochs.entry(when.app).or_insert(when.epoch);
        *epoch = when.epoch.max(*epoch);
        When { epoch: *epoch, now_ms: self.now_ms, ..when }
    }

    fn spend(&mut self, when: When, charges: &[(Terms<'_>, u32)]) -> Held {
        let mut held = Held::Covered;
        for (terms, cost) in charges {
            let line = self.line(when, terms);
            line.spent += u64::from(*cost);
            if line.left() < line.step.div_ceil(2) {
                line.want(line.step);
                self.wants(terms.key);
                held = Held::Low;
            }
        }
        held
    }

    /// The line of the running stretch; one of an older stretch or epoch ends here.
    fn line(&mut self, when: When, terms: &Terms<'_>) -> &mut Line {
        let ends_ms = ends_ms(terms, when.now_ms);
        self.next_end_ms = self.next_end_ms.min(ends_ms);
        let line = self.lines.entry(terms.key.to_owned()).or_insert_with(|| Line::new(when, terms, ends_ms));
        if (line.epoch, line.ends_ms) != (when.epoch, ends_ms) {
            self.ended.extend(line.ended(terms.key));
            *line = Line::new(when, terms, ends_ms);
        }
        line.step = step(terms.limit);
        line
    }

    fn end_lines(&mut self, now_ms: i64) {
        if now_ms < self.next_end_ms {
            return;
        }
        let (ended, mut next_end_ms) = (&mut self.ended, i64::MAX);
        self.lines.retain(|key, line| {
            let runs = line.ends_ms > now_ms;
            if runs {
                next_end_ms = next_end_ms.min(line.ends_ms);
            } else {
                ended.extend(line.ended(key));
            }
            runs
        });
        self.next_end_ms = next_end_ms;
    }
}

impl Line {
    fn new(when: When, terms: &Terms<'_>, ends_ms: i64) -> Self {
        let (cell_ms, cells) = (terms.cell_ms, terms.cells);
        let (step, written, spent, wanted) = (step(terms.limit), 0, 0, 0);
        Self { app: when.app, epoch: when.epoch, ends_ms, cell_ms, cells, step, written, spent, wanted }
    }

    fn left(&self) -> u64 {
        self.written.saturating_sub(self.spent)
    }

    /// So much more than was spent.
    fn want(&mut self, more: u64) {
        self.wanted = self.wanted.max(self.spent + more);
    }

    fn ended(&self, key: &str) -> Option<(Due, Allowance)> {
        let row = (self.written != self.spent).then(|| self.allowance(key, self.spent))?;
        Some((due(&row, self.spent > self.written), row))
    }

    fn allowance(&self, key: &str, points: u64) -> Allowance {
        Allowance {
            app: self.app,
            key: key.to_owned(),
            epoch: self.epoch,
            ends_ms: self.ends_ms,
            until_ms: self.ends_ms + self.cells * self.cell_ms + SLACK_MS,
            cell_ms: self.cell_ms,
            cells: self.cells,
            points,
        }
    }
}

/// When a row is to be written where more was spent than was written, and else: late answers may still change that.
fn due(row: &Allowance, is_more: bool) -> Due {
    let from_ms = if is_more { AT_ONCE } else { row.ends_ms + GRACE_MS };
    (from_ms, row.ends_ms, row.epoch, row.key.clone())
}

/// When the running stretch of a bucket ends.
fn ends_ms(terms: &Terms<'_>, now_ms: i64) -> i64 {
    let stretch = (terms.cell_ms * terms.cells / STRETCHES).max(STRETCH_MS_MIN);
    now_ms - now_ms.rem_euclid(stretch) + stretch
}

fn step(limit: u32) -> u64 {
    (u64::from(limit) * STEP_PERCENT / 100).max(1)
}

#[cfg(test)]
mod tests;
