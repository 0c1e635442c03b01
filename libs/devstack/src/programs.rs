use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the servers' programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder with `initdb`, `postgres` and `pg_ctl` of the newest version.
    pub(crate) postgres: PathBuf,
    pub redis_server: PathBuf,
}

/// What is not installed, and how to install it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `PostgreSQL`, `Redis`, or both.
    pub what: Vec<&'static str>,
    /// The commands that install it, to be run one after another. Empty where we do not know this machine's package manager.
    pub install: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what.join(" and ");
        if self.install.is_empty() {
            return write!(
                f,
                "{what} not found; install the servers so that `initdb` and `redis-server` are on the PATH"
            );
        }
        write!(f, "{what} not found; install with:")?;
        self.install.iter().try_for_each(|command| write!(f, "\n  {command}"))
    }
}

impl Programs {
    /// PostgreSQL's own program that writes a database down.
    pub fn pg_dump(&self) -> PathBuf {
        self.postgres.join("pg_dump")
    }
}

/// Finds the programs, or says what is missing.
///
/// # Errors
/// [`Missing`], with the commands that install it.
pub fn find() -> Result<Programs, Missing> {
    let (postgres, redis_server) = (postgres_folder(), redis_server());
    let (Some(postgres), Some(redis_server)) = (postgres.clone(), redis_server.clone()) else {
        let absent = [("PostgreSQL", postgres.is_none()), ("Redis", redis_server.is_none())];
        let what: Vec<_> = absent.into_iter().filter(|(_, absent)| *absent).map(|(name, _)| name).collect();
        return Err(Missing { install: install(&what), what });
    };
    Ok(Programs { postgres, redis_server })
}

/// What is not installed, or `None` where everything is there.
pub fn missing() -> Option<Missing> {
    find().err()
}

/// Debian keeps every version in a folder of its own, off the PATH; Homebrew too.
fn postgres_folder() -> Option<PathBuf> {
    let parents = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];
    let mut found: Vec<(u32, PathBuf)> = parents
        .iter()
        .filter_map(|parent| std::fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("postgresql@").unwrap_or(&name).parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_postgres(folder))
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder).or_else(|| {
        let initdb = std::fs::canonicalize(on_path("initdb")?).ok()?;
        initdb.parent().filter(|folder| is_postgres(folder)).map(Path::to_path_buf)
    })
}

fn is_postgres(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file())
}

fn redis_server() -> Option<PathBuf> {
    ["redis-server", "valkey-server"].into_iter().find_map(on_path).or_else(|| {
        let known = ["/usr/bin/redis-server", "/opt/homebrew/bin/redis-server", "/usr/local/bin/redis-server"];
        known.into_iter().map(PathBuf::from).find(|path| path.is_file())
    })
}

/// The shell looks along the PATH, so that this crate need not read the environment.
fn on_path(program: &str) -> Option<PathBuf> {
    let output = Command::new("/bin/sh").args(["-c", "command -v \"$1\"", "sh", program]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    (output.status.success() && path.is_absolute()).then_some(path)
}

fn install(what: &[&str]) -> Vec<String> {
    let packages = |postgres: &str, redis: &str| {
        let names = what.iter().map(|name| if *name == "Redis" { redis } else { postgres });
        names.collect::<Vec<_>>().join(" ")
    };
    if on_path("apt-get").is_some() {
        apt(&packages("postgresql", "redis-server"))
    } else if on_path("brew").is_some() {
        vec![format!("brew install {}", packages("postgresql@17", "redis"))]
    } else {
        Vec::new()
    }
}

/// Debian's packages start their servers on 5432 and 6379. A policy and a setting keep them from it, and are taken away again,
/// where there was none before.
fn apt(packages: &str) -> Vec<String> {
    let policy = "/usr/sbin/policy-rc.d";
    let settings = "/etc/postgresql-common/createcluster.d";
    let commands = [
        format!("test -e {policy} || printf '#!/bin/sh\\n# adplane\\nexit 101\\n' | SUDO tee {policy}"),
        format!("SUDO chmod 755 {policy}"),
        format!("SUDO mkdir -p {settings}"),
        format!("echo 'create_main_cluster = false' | SUDO tee {settings}/adplane.conf"),
        "SUDO apt-get update".to_owned(),
        format!("SUDO apt-get install -y --no-install-recommends {packages}"),
        format!("SUDO rm -f {settings}/adplane.conf"),
        format!("grep -q '^# adplane' {policy} && SUDO rm -f {policy}"),
    ];
    let sudo = if on_path("sudo").is_some() { "sudo " } else { "" };
    commands.map(|command| command.replace("SUDO ", sudo)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_the_commands_that_install_it() {
        let missing = Missing { what: vec!["Redis"], install: apt("redis-server") };
        let text = missing.to_string();
        assert!(text.starts_with("Redis not found; install with:\n"), "{text}");
        assert!(text.contains("apt-get install -y --no-install-recommends redis-server"), "{text}");
    }

    #[test]
    fn without_a_package_manager_the_text_names_the_programs() {
        let text = Missing { what: vec!["PostgreSQL", "Redis"], install: Vec::new() }.to_string();
        assert!(text.contains("`initdb` and `redis-server`"), "{text}");
    }
}
