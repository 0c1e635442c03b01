//! Processes of the machine, told apart also where a number is used again.

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

/// A process, known apart from a later one of the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pid {
    number: u32,
    began: u64,
}

impl Pid {
    /// Empty where the process has ended.
    pub fn arguments_and_environment(self) -> (Vec<u8>, Vec<u8>) {
        let read = |what: &str| fs::read(format!("/proc/{}/{what}", self.number)).unwrap_or_default();
        (read("cmdline"), read("environ"))
    }

    /// A zombie has ended; only nobody has asked how.
    fn is_alive(self) -> bool {
        stat(self.number).is_some_and(|(_, began, state)| began == self.began && state != 'Z')
    }

    fn describe(self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.number)).unwrap_or_default();
        format!("{} {}", self.number, String::from_utf8_lossy(&line).replace('\0', " "))
    }
}

/// Waits until none of these is left.
///
/// # Errors
/// With those that are there after so long.
pub fn all_gone(processes: &BTreeSet<Pid>, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let left: Vec<String> = processes.iter().filter(|pid| pid.is_alive()).map(|pid| pid.describe()).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "still there after {} s: {left:#?}", patience.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Every process that this one has started, and theirs.
pub(crate) fn descendants(root: u32) -> BTreeSet<Pid> {
    let mut children: Vec<(u32, Pid)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok) {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some((parent, began, _)) = stat(number) {
            children.push((parent, Pid { number, began }));
        }
    }
    let (mut all, mut parents) = (BTreeSet::new(), vec![root]);
    while let Some(of) = parents.pop() {
        for (_, pid) in children.iter().filter(|(parent, _)| *parent == of) {
            if all.insert(*pid) {
                parents.push(pid.number);
            }
        }
    }
    all
}

/// The parent, when it began, and its state; `None` where there is no such process.
fn stat(number: u32) -> Option<(u32, u64, char)> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?, fields.first()?.chars().next()?))
}
