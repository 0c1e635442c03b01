//! The journal: one JSON line for each committed change, on disk before its answer leaves.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::Change;

const FILE: &str = "world.jsonl";

/// The first line: from what the world was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) world: String,
    pub(crate) seed: u64,
    /// The time from which the world was dated back.
    pub(crate) began: Timestamp,
    /// What its file said, so that the world comes back when the file is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Value>,
}

/// An open journal. Appending is in the order of the changes; syncing is shared by all who wait.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    written: AtomicU64,
    synced: Mutex<u64>,
}

/// Opens the journal of a folder, or begins one with what `fresh` says. Gives the origin and the changes since.
///
/// A last line without its end was cut by a kill; its answer never left, so it is dropped.
pub(crate) fn open(
    folder: &Path,
    fresh: impl FnOnce() -> io::Result<Origin>,
) -> io::Result<(Journal, Origin, Vec<Change>)> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(FILE);
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
    let mut reader = BufReader::new(File::open(&path)?);
    let mut line = Vec::new();
    let mut kept = 0_u64;
    let mut origin = None;
    let mut changes = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 || line.last() != Some(&b'\n') {
            break;
        }
        if origin.is_none() {
            origin = Some(serde_json::from_slice(&line)?);
        } else {
            changes.push(serde_json::from_slice(&line)?);
        }
        kept += u64::try_from(length).unwrap_or_default();
    }
    file.set_len(kept)?;
    let origin = match origin {
        Some(origin) => origin,
        None => {
            let fresh = fresh()?;
            let mut first = serde_json::to_vec(&fresh)?;
            first.push(b'\n');
            file.write_all(&first)?;
            file.sync_data()?;
            fresh
        }
    };
    let journal = Journal { file, written: AtomicU64::new(0), synced: Mutex::new(0) };
    Ok((journal, origin, changes))
}

impl Journal {
    /// Appends lines, and gives the mark up to which to sync. Must be called in the order of the changes.
    pub(crate) fn append(&self, lines: &[u8]) -> io::Result<u64> {
        (&self.file).write_all(lines)?;
        Ok(self.written.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Returns when everything up to the mark is on disk. One sync serves all who came before it.
    pub(crate) fn sync(&self, mark: u64) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= mark {
            return Ok(());
        }
        let until = self.written.load(Ordering::SeqCst);
        self.file.sync_data()?;
        *synced = until;
        Ok(())
    }

    /// Forgets everything and begins anew.
    pub(crate) fn restart(&self, origin: &Origin) -> io::Result<()> {
        self.file.set_len(0)?;
        let mut first = serde_json::to_vec(origin)?;
        first.push(b'\n');
        (&self.file).write_all(&first)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { world: "small".to_owned(), seed: 1, began: Timestamp::UNIX_EPOCH, file: None }
    }

    fn used(digest: &str) -> Change {
        Change::CodeUsed { digest: digest.to_owned() }
    }

    fn line(change: &Change) -> Vec<u8> {
        let mut line = serde_json::to_vec(change).unwrap();
        line.push(b'\n');
        line
    }

    #[test]
    fn changes_come_back_in_order_and_a_torn_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _, changes) = open(folder.path(), || Ok(origin())).unwrap();
        assert!(changes.is_empty());
        for digest in ["a", "b"] {
            let mark = journal.append(&line(&used(digest))).unwrap();
            journal.sync(mark).unwrap();
        }
        journal.append(b"{\"code_us").unwrap();
        drop(journal);

        let other = Origin { seed: 9, ..origin() };
        let (journal, kept, changes) = open(folder.path(), || Ok(other.clone())).unwrap();
        assert_eq!(kept, origin());
        assert_eq!(changes, [used("a"), used("b")]);
        journal.append(&line(&used("c"))).unwrap();
        let (_, _, changes) = open(folder.path(), || Ok(other.clone())).unwrap();
        assert_eq!(changes.len(), 3);
    }
}
