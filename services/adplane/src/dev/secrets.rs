//! The secrets of a laptop's stack: random, made at the first start, readable by nobody else.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::layout::Files;
use crate::serve::Service;

/// Files in the folder of secrets, each 32 random bytes in base64.
pub(crate) const KEYS: [&str; 5] = ["kek", "page_key", "permit_key", "member_key", "bootstrap_code"];

/// Makes the folders and what is missing in them. What is there stays: with `--data` the vault must open again.
pub(crate) fn prepare(files: &Files) -> Result<()> {
    for folder in files.folders() {
        let cannot = || format!("the folder {} cannot be made", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(cannot)?;
    }
    for name in KEYS {
        write_once(&files.secret(name))?;
    }
    for service in Service::ALL {
        write_once(&files.service_secrets().join(service.name()))?;
    }
    Ok(())
}

fn write_once(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    write(path, &random())
}

/// Writes a file that only this user can read: whole under another name first, since a kill in between must not leave
/// half a key that is then kept.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("new");
    let written = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}

/// 32 random bytes in base64, from two random UUIDs' worth of the system's randomness and then some.
fn random() -> String {
    let bytes: Vec<u8> = std::iter::repeat_with(|| uuid::Uuid::new_v4().into_bytes()).take(4).flatten().collect();
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes))
}
