use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Error;

/// Whom the servers run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of this process.
    Own,
    /// This process is root; the servers run as this user and group.
    Other { user: u32, group: u32 },
}

impl Account {
    pub(crate) fn choose() -> Result<Self, Error> {
        if id(&["-u"]) != Some(0) {
            return Ok(Self::Own);
        }
        ["postgres", "_postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                let (user, group) = (id(&["-u", name])?, id(&["-g", name])?);
                (user != 0).then_some(Self::Other { user, group })
            })
            .ok_or(Error::NoUser)
    }

    /// Makes `command` run as this user, without any of root's groups.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Other { user, group } = self {
            command.uid(user).gid(group);
        }
    }

    /// Gives a file or folder to this user.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Other { user, group } => {
                chown(path, Some(user), Some(group)).map_err(Error::io("give a folder to the servers' user"))
            }
        }
    }
}

/// A number that `id` prints.
fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}
