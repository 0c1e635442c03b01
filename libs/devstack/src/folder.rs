use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::Error;
use crate::account::Account;
use crate::guard::Guard;

/// The folder that holds the servers' data, locked for this process.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Removed when the servers have ended.
    pub(crate) temporary: bool,
    /// Held as long as the folder is used; the kernel lets go of it when the process ends.
    _lock: File,
}

/// Says in a kept folder which data folder belongs to it.
const MARK: &str = ".adplane-servers";

/// Holds the process number of the guard.
const GUARD: &str = "guard.pid";

/// A guard needs 30 seconds at most to stop everything.
const FORMER_MAX: Duration = Duration::from_secs(40);

impl Folder {
    /// `wished`, or where root's servers can reach it a folder that stands for it; without a wish a temporary one.
    pub(crate) fn prepare(wished: Option<&Path>, account: Account, guard: &Guard) -> Result<Self, Error> {
        let path = match (wished, account) {
            (None, Account::Own) => std::env::temp_dir().join(format!("adplane-{}", Uuid::new_v4().simple())),
            (None, Account::Other { .. }) => Path::new("/var/tmp").join(format!("adplane-{}", Uuid::new_v4().simple())),
            (Some(wished), Account::Own) => wished.join("servers"),
            (Some(wished), Account::Other { .. }) => stand_in(wished)?,
        };
        let parents = std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")));
        parents.map_err(|error| Self::unusable(&path, &error))?;
        // Others may pass through, as the servers' user must, but not look.
        match DirBuilder::new().mode(0o711).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Self::unusable(&path, &error));
            }
            _ => {}
        }
        // Without links: a server is recognised by the folder that it works in.
        let path = std::fs::canonicalize(&path).map_err(|error| Self::unusable(&path, &error))?;
        if wished.is_none() {
            guard.remove_at_end(&path);
        }
        let lock = Self::lock(&path)?;
        wait_for_former_guard(&path);
        let pid = guard.pid().map(|pid| pid.to_string()).unwrap_or_default();
        std::fs::write(path.join(GUARD), pid).map_err(|error| Self::unusable(&path, &error))?;
        if let (Some(wished), Account::Other { .. }) = (wished, account) {
            forget_former(wished, &path)?;
        }
        Ok(Self { path, temporary: wished.is_none(), _lock: lock })
    }

    /// A folder in it that belongs to the servers' user.
    pub(crate) fn inner(&self, name: &str, account: Account) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        if !path.exists() {
            DirBuilder::new().mode(0o700).create(&path).map_err(|error| Self::unusable(&path, &error))?;
            account.own(&path)?;
        }
        Ok(path)
    }

    /// Opens a log in it for the server to append to.
    pub(crate) fn log(&self, name: &str) -> Result<(PathBuf, File), Error> {
        let path = self.path.join(name);
        let file = File::options().append(true).create(true).open(&path);
        let file = file.map_err(|error| Self::unusable(&path, &error))?;
        Ok((path, file))
    }

    fn lock(path: &Path) -> Result<File, Error> {
        // A folder in /var/tmp with this name may be a trap that another user has laid.
        let found = std::fs::symlink_metadata(path).map_err(|error| Self::unusable(path, &error))?;
        let file = File::options().write(true).create(true).truncate(false).open(path.join("lock"));
        let file = file.map_err(|error| Self::unusable(path, &error))?;
        let ours = file.metadata().map_err(|error| Self::unusable(path, &error))?.uid();
        if !found.is_dir() || found.uid() != ours {
            let reason = "it belongs to another user".to_owned();
            return Err(Error::Folder { path: path.to_path_buf(), reason });
        }
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(Self::unusable(path, &error)),
        }
    }

    pub(crate) fn unusable(path: &Path, error: &std::io::Error) -> Error {
        Error::Folder { path: path.to_path_buf(), reason: error.to_string() }
    }
}

/// The folder in `/var/tmp` that stands for `wished`: always the same one for the same path.
fn stand_in(wished: &Path) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(wished).map_err(|error| Folder::unusable(wished, &error))?;
    let real = std::fs::canonicalize(wished).map_err(|error| Folder::unusable(wished, &error))?;
    Ok(Path::new("/var/tmp").join(format!("adplane-{:016x}", fnv(real.as_os_str().as_encoded_bytes()))))
}

/// When an earlier process was killed, its guard is stopping the servers on this data now; the services come first, so it may
/// take a while.
fn wait_for_former_guard(path: &Path) {
    let pid = std::fs::read_to_string(path.join(GUARD)).unwrap_or_default();
    let deadline = Instant::now() + FORMER_MAX;
    while Instant::now() < deadline && is_guard(&pid) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// By its name, since the number may belong to another process by now.
fn is_guard(pid: &str) -> bool {
    !pid.is_empty()
        && Command::new("/bin/sh")
            .args(["-c", "cat \"/proc/$1/cmdline\" 2>/dev/null || ps -o command= -p \"$1\" 2>/dev/null", "sh", pid])
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("adplane-guard"))
}

/// Empties `path` when `wished` was deleted and made anew since: a person who deletes the folder wants to begin anew.
fn forget_former(wished: &Path, path: &Path) -> Result<(), Error> {
    let (here, there) = (wished.join(MARK), path.join("mark"));
    let known = std::fs::read_to_string(&here).ok();
    if known.is_some() && known == std::fs::read_to_string(&there).ok() {
        return Ok(());
    }
    for name in ["postgres", "redis"] {
        let old = path.join(name);
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(|error| Folder::unusable(&old, &error))?;
        }
    }
    let mark = format!("{}\nThe servers' data is in {}\n", Uuid::new_v4(), path.display());
    for file in [there, here] {
        std::fs::write(&file, &mark).map_err(|error| Folder::unusable(&file, &error))?;
    }
    Ok(())
}

/// Writes a file that only the servers' user reads.
pub(crate) fn write_private(path: &Path, text: &str, account: Account) -> Result<(), Error> {
    // Made anew each time: an older file may have other rights.
    if path.exists() {
        std::fs::remove_file(path).map_err(|error| Folder::unusable(path, &error))?;
    }
    let file = File::options().write(true).create_new(true).open(path);
    let file = file.map_err(|error| Folder::unusable(path, &error))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| Folder::unusable(path, &error))?;
    std::io::Write::write_all(&mut &file, text.as_bytes()).map_err(|error| Folder::unusable(path, &error))?;
    account.own(path)
}

/// FNV-1a, 64 bits: stable over versions of the compiler, which the standard library's hash is not.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_folder_in_use_is_refused_with_its_name() {
        let guard = Guard::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let _first = Folder::prepare(Some(folder.path()), Account::Own, &guard).unwrap();
        let second = Folder::prepare(Some(folder.path()), Account::Own, &guard);
        assert!(matches!(second, Err(Error::InUse(_))), "{second:?}");
    }
}
