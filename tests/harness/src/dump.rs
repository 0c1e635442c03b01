//! What whoever takes a backup away can read: the stores, written down by their own programs.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use storage::{Redis, RedisSettings};

use crate::stored;

/// Fewer hex digits than this are no bytes worth a look.
const HEX_DIGITS_MIN: usize = 8;

/// A store written down, and the bytes that stand in it as hex digits.
#[derive(Debug)]
pub struct Dump {
    /// As it is, and what it holds decoded; all in small letters beside it, because an e-mail stays one in capitals.
    texts: Vec<Vec<u8>>,
}

impl Dump {
    /// All schemas of a database, by `pg_dump`, as text.
    ///
    /// # Errors
    /// When the program is not there or does not end well.
    pub fn of_postgres(url: &str) -> Result<Self> {
        let programs = devstack::find().map_err(|missing| anyhow::anyhow!("{missing}"))?;
        let done = Command::new(programs.pg_dump()).args(["--format=plain", "--dbname", url]).output();
        let done = done.with_context(|| programs.pg_dump().display().to_string())?;
        ensure!(done.status.success(), "pg_dump: {}", String::from_utf8_lossy(&done.stderr));
        Ok(Self::of_bytes(done.stdout))
    }

    /// All of a Redis: the file that `SAVE` writes, what `DUMP` says of each key, and each key as it is read.
    ///
    /// # Errors
    /// When it does not answer, or its file cannot be read by us.
    pub async fn of_redis(url: &str) -> Result<Self> {
        let mut connection = Redis::connect(&RedisSettings::at(url)).await?.connection();
        // Compressed text would hide what is in it.
        let mut ask = redis::cmd("CONFIG");
        ask.arg("SET").arg("rdbcompression").arg("no").query_async::<()>(&mut connection).await?;
        redis::cmd("SAVE").query_async::<()>(&mut connection).await?;
        let mut place = Vec::new();
        for word in ["dir", "dbfilename"] {
            let answer: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(word).query_async(&mut connection).await?;
            place.push(answer.into_iter().nth(1).with_context(|| format!("Redis does not tell its {word}"))?);
        }
        let [folder, file] = place.as_slice() else { bail!("Redis has no file") };
        let mut all = std::fs::read(std::path::Path::new(folder).join(file)).context("the file of Redis")?;
        ensure!(all.starts_with(b"REDIS"), "{file} is not what SAVE writes");
        let names: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await?;
        for name in names {
            // A key may have ended since.
            let dumped: Option<Vec<u8>> = redis::cmd("DUMP").arg(&name).query_async(&mut connection).await?;
            all.extend(dumped.into_iter().flatten());
        }
        all.extend(stored::keys(url).await?.into_bytes());
        Ok(Self::of_bytes(all))
    }

    fn of_bytes(bytes: Vec<u8>) -> Self {
        let mut texts = decoded(&bytes);
        texts.push(bytes);
        let small: Vec<_> = texts.iter().map(|text| text.to_ascii_lowercase()).collect();
        texts.extend(small);
        Self { texts }
    }

    /// In which form this is in it: `None` where it is in none.
    pub fn holds(&self, planted: &[u8]) -> Option<&'static str> {
        let forms = forms(planted);
        let found = forms.iter().find(|(_, form)| self.texts.iter().any(|text| contains(text, form)));
        found.map(|(name, _)| *name)
    }
}

/// Every way in which bytes could have been written down.
fn forms(planted: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("clear", planted.to_vec()),
        ("clear, in small letters", planted.to_ascii_lowercase()),
        ("hex digits", hex::encode(planted).into_bytes()),
        ("hex digits in capitals", hex::encode_upper(planted).into_bytes()),
    ];
    // In the middle of something longer, base64 looks different by where it begins; its ends mix with their neighbours.
    for before in 0..3 {
        let shifted = [vec![0; before].as_slice(), planted].concat();
        for (name, text) in
            [("base64", STANDARD_NO_PAD.encode(&shifted)), ("base64 for URLs", URL_SAFE_NO_PAD.encode(&shifted))]
        {
            let (from, until) = (if before == 0 { 0 } else { before + 1 }, shifted.len() / 3 * 4);
            forms.extend(text.get(from..until).map(|text| (name, text.as_bytes().to_vec())));
        }
    }
    forms
}

/// The bytes of every run of hex digits, as PostgreSQL shows them after an `x`.
fn decoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let runs = bytes.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= HEX_DIGITS_MIN);
    runs.filter_map(|run| hex::decode(run).ok()).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    // Comparing everywhere is slow in a build without optimisation; most places differ in the first byte.
    let Some((first, rest)) = part.split_first() else { return true };
    let mut left = text;
    while let Some(at) = left.iter().position(|byte| byte == first) {
        let after = left.get(at + 1..).unwrap_or_default();
        if after.starts_with(rest) {
            return true;
        }
        left = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANTED: &[u8] = b"Canary.Person@example.org";

    #[test]
    fn what_is_there_is_found_in_every_form() {
        for (form, written) in [
            ("clear", format!("7\t{}\tx", String::from_utf8_lossy(PLANTED))),
            ("clear, in small letters", "7\tcanary.person@example.org".to_owned()),
            ("clear", format!("7\t\\\\x{}", hex::encode([b"ab", PLANTED].concat()))),
            ("clear", format!("7\t\\\\x{}", hex::encode_upper(PLANTED))),
            ("clear", format!("7\t\\\\x{}", hex::encode(hex::encode(PLANTED)))),
            ("base64", format!("{{\"a\":\"{}\"}}", STANDARD_NO_PAD.encode(PLANTED))),
            ("base64", format!("\\\\x{}", hex::encode(STANDARD_NO_PAD.encode([b"x", PLANTED, b"yz"].concat())))),
            ("base64", STANDARD_NO_PAD.encode([b"xy", PLANTED, b"z"].concat())),
        ] {
            let found = Dump::of_bytes(written.clone().into_bytes()).holds(PLANTED);
            // Bytes in hex digits are found as what they are, or as what they stand for.
            assert!(found.is_some(), "{form}: {written}");
        }
        assert_eq!(Dump::of_bytes(b"canary\tperson@example.org \\\\x63616e617279".to_vec()).holds(PLANTED), None);
    }

    #[test]
    fn base64_for_urls_is_found_in_the_middle_too() {
        let planted = [0xfb, 0xff, 0xfe, 0xfb, 0xef, 0xbe, 0xff, 0xff, 0xfb];
        for around in [&b""[..], b"a", b"ab", b"abc"] {
            let text = URL_SAFE_NO_PAD.encode([around, &planted, around].concat());
            assert_eq!(Dump::of_bytes(text.into_bytes()).holds(&planted), Some("base64 for URLs"));
        }
    }
}
