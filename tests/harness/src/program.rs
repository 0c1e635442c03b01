//! Running `adplane` as people and scripts do, and knowing every process that came of it.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::pid::{Pid, descendants};

/// Far more than anything takes.
pub const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(20);

/// A running `adplane` and all that it has started so far. Dropped, it is killed.
#[derive(Debug)]
pub struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
    watched: Arc<Mutex<BTreeSet<Pid>>>,
    ended: Arc<AtomicBool>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// By itself or by a signal.
    pub status: ExitStatus,
    /// What nobody has read of it yet.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
    /// Every process that it started, and theirs.
    pub processes: BTreeSet<Pid>,
}

impl Ended {
    /// `None` where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Starts `adplane ARGS`, from the root of this tree, with none of our variables but `environment`, and watches whom it
/// starts.
pub fn adplane(args: &[&str], environment: &[(&str, &str)]) -> Result<Program> {
    let program = adplane_alone(args, environment)?;
    watch(program.child.id(), Arc::clone(&program.watched), Arc::clone(&program.ended));
    Ok(program)
}

/// The same for a command that starts nobody.
pub fn adplane_alone(args: &[&str], environment: &[(&str, &str)]) -> Result<Program> {
    program_alone(&built()?, args, environment)
}

/// The same for another program than this tree's: one of an older version.
pub fn program_alone(program: &Path, args: &[&str], environment: &[(&str, &str)]) -> Result<Program> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ADPLANE_") {
            command.env_remove(name);
        }
    }
    command.args(args).envs(environment.iter().copied()).current_dir(root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("adplane cannot be started")?;
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().context("adplane has no standard output")?);
    let mut stderr = child.stderr.take().context("adplane has no standard error")?;
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        // What was read before a failure is as good as all there is.
        drop(stderr.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let (watched, ended) = (Arc::<Mutex<BTreeSet<Pid>>>::default(), Arc::<AtomicBool>::default());
    Ok(Program { child, lines, errors: Some(errors), watched, ended })
}

/// The program of this tree, which stands beside the folder of the test's own program.
pub fn built() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this test's own path")?;
    let folder = own.ancestors().nth(2).with_context(|| format!("{} is in no target folder", own.display()))?;
    let program = folder.join("adplane");
    ensure!(program.is_file(), "{} is not there; `make build` makes it", program.display());
    Ok(program)
}

/// Looks for descendants until the program has ended.
fn watch(root: u32, watched: Arc<Mutex<BTreeSet<Pid>>>, ended: Arc<AtomicBool>) {
    thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            let found = descendants(root);
            watched.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            thread::sleep(PAUSE);
        }
    });
}

impl Program {
    /// The next line of its standard output.
    ///
    /// # Errors
    /// With all that it said, where there is no further line in three minutes.
    pub fn line(&mut self) -> Result<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(error) => {
                // It may have ended already.
                drop(self.child.kill());
                let ended = self.child.wait()?;
                bail!("no line: {error}; it ended with {ended} and said\n{}", self.said());
            }
        }
    }

    /// Every process that it has started so far, and theirs.
    pub fn processes(&self) -> BTreeSet<Pid> {
        let mut all = self.watched();
        all.extend(descendants(self.child.id()));
        all
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status()?;
        ensure!(sent.success(), "there is nobody to take {name}");
        Ok(())
    }

    /// Has it ended by itself?
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Ends it by SIGKILL. When this returns nothing of it runs, and the system has closed its connections.
    pub fn kill(self) -> Result<Ended> {
        self.signal("KILL")?;
        self.end()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it goes on for three minutes.
    pub fn end(mut self) -> Result<Ended> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "adplane did not end");
            thread::sleep(PAUSE);
        };
        self.ended.store(true, Ordering::Relaxed);
        let mut stdout = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let stderr = self.said();
        Ok(Ended { status, stdout, stderr, processes: self.watched() })
    }

    /// Its standard error, once it has ended.
    fn said(&mut self) -> String {
        self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default()
    }

    fn watched(&self) -> BTreeSet<Pid> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
