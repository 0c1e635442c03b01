//! Which epoch an app's counters are in, decided from what PostgreSQL and Redis say of it. Pure.

use std::fmt;

use super::allowances::Opened;

/// Longer than all windows are counted but those of spend caps, of which safety keeps one change anyway.
const COUNTED_MS: i64 = 2 * 3_600_000;

/// What Redis says of an app's epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// 0 where it is not of this run of the server.
    pub(crate) epoch: i64,
    /// Of whatever run of the server; 0 where it says nothing at all.
    pub(crate) any_epoch: i64,
    /// When the counters before that epoch were found lost; 0 where they were whole.
    pub(crate) lost_at_ms: i64,
    /// Whether it says nothing at all.
    pub(crate) is_empty: bool,
    /// When, by the buckets' clock.
    pub(crate) time_ms: i64,
}

/// Why there is a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    New,
    Emptied,
    RestartedOrFailedOver,
    OlderCounters,
    NoJournal,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Redis' counters are whole and those of this epoch.
    Holds(i64),
    /// Redis' counters are whole and were begun without a journal: it takes over their epoch.
    Adopt(Opened),
    /// Redis' counters are whole but for what was spent while some replica did not reach them: that is added.
    Mend { next: Opened, lost_at_ms: i64 },
    /// Opens the next epoch with what the journal knows; before `lost_at_ms` somebody may have spent what it does not know
    /// (0: it knows everything), and for one window after it only safety goes on. `rebuilds` is false where nothing that it
    /// knows of would help.
    Open { next: Opened, why: Why, lost_at_ms: i64, rebuilds: bool },
}

/// Decides under the lock of the app's row. `known` is the newest epoch that this replica charged under, 0 where none;
/// `is_exact` whether everything that living replicas spent is written; `is_fenced` whether the epoch before the opened one
/// was ended because Redis was out of reach.
pub(crate) fn agree(opened: Opened, found: Found, known: i64, is_exact: bool, is_fenced: bool) -> Agreement {
    if found.epoch != 0 && found.epoch == opened.epoch {
        return Agreement::Holds(found.epoch);
    }
    if found.epoch != 0 && opened.epoch == 0 {
        return Agreement::Adopt(Opened { epoch: found.epoch, exact_from_ms: found.time_ms });
    }
    let (why, next) = (why(opened, found), next(opened, found, known, is_exact));
    if is_fenced && found.epoch != 0 && found.epoch + 1 == opened.epoch {
        return Agreement::Mend { next, lost_at_ms: found.lost_at_ms };
    }
    // What the journal does not know of still counts: nobody can say how much is left.
    let is_unknown = found.time_ms < next.exact_from_ms.saturating_add(COUNTED_MS) && why != Why::New;
    let lost_at_ms = match why {
        _ if is_unknown => found.time_ms,
        Why::New => 0,
        _ => next.exact_from_ms,
    };
    Agreement::Open { next, why, lost_at_ms, rebuilds: !is_unknown }
}

/// Whether everything that was ever spent and still counts is in the journal, as of an epoch.
pub(crate) fn is_known(opened: Opened, now_ms: i64) -> bool {
    opened.exact_from_ms == 0 || now_ms >= opened.exact_from_ms.saturating_add(COUNTED_MS)
}

/// Without PostgreSQL: Redis' own epoch where it is not older than the one known, else the next, in which only safety goes
/// on, because nobody can say what was spent.
pub(crate) fn agree_without_journal(found: Found, known: Option<i64>) -> Agreement {
    if found.epoch != 0 && known.is_none_or(|known| found.epoch >= known) {
        return Agreement::Holds(found.epoch);
    }
    let opened = Opened { epoch: known.unwrap_or_default(), exact_from_ms: 0 };
    let next = next(opened, found, known.unwrap_or_default(), false);
    Agreement::Open { next, why: Why::NoJournal, lost_at_ms: found.time_ms, rebuilds: false }
}

/// An epoch that nobody has had, and from when on the journal knows everything.
fn next(opened: Opened, found: Found, known: i64, is_exact: bool) -> Opened {
    let epoch = opened.epoch.max(found.epoch).max(found.any_epoch).max(known) + 1;
    // Redis counted without a journal, or a living replica may still have something to write.
    let inexact = (opened.epoch == 0 && !found.is_empty) || !is_exact;
    let exact_from_ms = if inexact { found.time_ms } else { opened.exact_from_ms };
    Opened { epoch: epoch.max(found.time_ms), exact_from_ms }
}

fn why(opened: Opened, found: Found) -> Why {
    match (found.is_empty, found.epoch) {
        (true, _) if opened.epoch == 0 => Why::New,
        (true, _) => Why::Emptied,
        (false, 0) => Why::RestartedOrFailedOver,
        (false, _) => Why::OlderCounters,
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "a new app",
            Self::Emptied => "Redis had nothing of the app: restarted empty, flushed, or evicting",
            Self::RestartedOrFailedOver => "Redis restarted, or a replica of it was promoted",
            Self::OlderCounters => "Redis had counters of another epoch",
            Self::NoJournal => "PostgreSQL is away and Redis is not known to be whole",
        })
    }
}
