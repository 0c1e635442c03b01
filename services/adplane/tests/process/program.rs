//! Running `adplane`, and knowing every process that came of it.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Far more than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// The highest port of a stack above its base.
const SPAN: u16 = 91;

/// A process, known apart from a later one of the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pid {
    number: u32,
    began: u64,
}

impl Pid {
    /// Empty where the process has ended.
    pub(crate) fn arguments_and_environment(self) -> (Vec<u8>, Vec<u8>) {
        let read = |what: &str| fs::read(format!("/proc/{}/{what}", self.number)).unwrap_or_default();
        (read("cmdline"), read("environ"))
    }
}

/// A running `adplane` and all that it has started so far. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: thread::JoinHandle<String>,
    watched: Arc<Mutex<BTreeSet<Pid>>>,
    ended: Arc<AtomicBool>,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Every process that it started, and theirs.
    pub(crate) processes: BTreeSet<Pid>,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// `adplane ARGS`, from the root of this tree, with none of our variables but `environment`.
pub(crate) fn adplane(args: &[&str], environment: &[(&str, &str)]) -> Program {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_adplane"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ADPLANE_") {
            command.env_remove(name);
        }
    }
    command.args(args).envs(environment.iter().copied()).current_dir(root);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("adplane starts");
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut stderr = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let (watched, ended) = (Arc::<Mutex<BTreeSet<Pid>>>::default(), Arc::<AtomicBool>::default());
    watch(child.id(), Arc::clone(&watched), Arc::clone(&ended));
    Program { child, lines, errors, watched, ended }
}

/// Looks for descendants until the program has ended.
fn watch(root: u32, watched: Arc<Mutex<BTreeSet<Pid>>>, ended: Arc<AtomicBool>) {
    thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            let found = descendants(root);
            watched.lock().unwrap().extend(found);
            thread::sleep(Duration::from_millis(20));
        }
    });
}

impl Program {
    /// The next line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => {
                drop(self.child.kill());
                let ended = self.child.wait().unwrap();
                let errors = std::mem::replace(&mut self.errors, thread::spawn(String::new));
                panic!("no line: {error}; it ended with {ended} and said\n{}", errors.join().unwrap_or_default());
            }
        }
    }

    /// Every process that it has started so far, and theirs.
    pub(crate) fn processes(&self) -> BTreeSet<Pid> {
        let mut all = self.watched.lock().unwrap().clone();
        all.extend(descendants(self.child.id()));
        all
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "adplane did not end");
            thread::sleep(Duration::from_millis(20));
        };
        self.ended.store(true, Ordering::Relaxed);
        let mut stdout = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let errors = std::mem::replace(&mut self.errors, thread::spawn(String::new));
        let stderr = errors.join().unwrap();
        let processes = self.watched.lock().unwrap().clone();
        Ended { status, stdout, stderr, processes }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Ended already, where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until none of these is left.
pub(crate) fn all_gone(processes: &BTreeSet<Pid>, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        let left: Vec<String> = processes.iter().filter(|pid| is_alive(**pid)).map(|pid| describe(*pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still there after {} s: {left:#?}", patience.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
}

/// A base whose ports are all free, and which no other test of this process was given.
pub(crate) fn port_base() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 100).unwrap();
    for _ in 0..150 {
        let base = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 150 * 100;
        if (base..base + SPAN).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base.to_string();
        }
    }
    panic!("no free ports");
}

/// Every file beneath a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

fn descendants(root: u32) -> BTreeSet<Pid> {
    let mut children: Vec<(u32, Pid)> = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
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

/// A zombie has ended; only nobody has asked how.
fn is_alive(pid: Pid) -> bool {
    stat(pid.number).is_some_and(|(_, began, state)| began == pid.began && state != 'Z')
}

fn describe(pid: Pid) -> String {
    let line = fs::read(format!("/proc/{}/cmdline", pid.number)).unwrap_or_default();
    format!("{} {}", pid.number, String::from_utf8_lossy(&line).replace('\0', " "))
}
