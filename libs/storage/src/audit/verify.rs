use super::entry::ORIGIN;
use super::{Head, Listing, Recorded, head, list};
use crate::{Error, GenericClient};

const PAGE: usize = 1_000;

/// What the check of a chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry is what it was, and none is missing. The head where it ends now; `None` for an empty chain.
    Whole(Option<Head>),
    /// The first place where it is not.
    Broken {
        /// The sequence number of the entry that is wrong or missing.
        sequence: i64,
        /// How.
        how: Break,
    },
}

/// How a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The entry's content does not give its hash.
    Edited,
    /// The entry is missing from the middle or the end.
    Missing,
    /// The entry does not follow the one before it: an entry and its hash were replaced together.
    Unlinked,
    /// The chain is sound in itself, but the head that was kept elsewhere is not in it: it was rewritten.
    Rewritten,
    /// The tenant's head does not name the last entry.
    Head,
}

/// Checks the tenant's whole chain against itself, against its head in the database, and against `anchor`, a head that was
/// kept elsewhere.
///
/// # Errors
/// [`Error::Outage`] when the database is away. A broken chain is an answer, not an error.
pub async fn verify(client: &impl GenericClient, tenant: &str, anchor: Option<&Head>) -> Result<Verdict, Error> {
    // Read first: entries that are appended meanwhile come after it and do no harm.
    let stored = head(client, tenant).await?;
    let mut check = Check { tenant, anchor, sequence: 0, hash: ORIGIN };
    let end = stored.map_or(0, |head| head.sequence).max(anchor.map_or(0, |head| head.sequence));
    loop {
        let page = list(client, tenant, Listing { after: check.sequence, size: PAGE, ..Listing::default() }).await?;
        for entry in &page {
            // The head at the time of the first statement is checked in passing.
            if let Err(how) = check.next(entry) {
                return Ok(Verdict::Broken { sequence: check.sequence + 1, how });
            }
            if stored.is_some_and(|head| head.sequence == check.sequence && head.hash != check.hash) {
                return Ok(Verdict::Broken { sequence: check.sequence, how: Break::Head });
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    if check.sequence < end {
        return Ok(Verdict::Broken { sequence: check.sequence + 1, how: Break::Missing });
    }
    if stored.is_none() && check.sequence > 0 {
        return Ok(Verdict::Broken { sequence: check.sequence, how: Break::Head });
    }
    Ok(Verdict::Whole((check.sequence > 0).then_some(Head { sequence: check.sequence, hash: check.hash })))
}

/// How far the check is: the last entry that was sound.
struct Check<'a> {
    tenant: &'a str,
    anchor: Option<&'a Head>,
    sequence: i64,
    hash: [u8; 32],
}

impl Check<'_> {
    fn next(&mut self, entry: &Recorded) -> Result<(), Break> {
        if entry.sequence != self.sequence + 1 {
            return Err(Break::Missing);
        }
        let hash = entry.expected_hash(self.tenant);
        if entry.hash != hash {
            return Err(Break::Edited);
        }
        if entry.previous != self.hash {
            return Err(Break::Unlinked);
        }
        if self.anchor.is_some_and(|anchor| anchor.sequence == entry.sequence && anchor.hash != hash) {
            return Err(Break::Rewritten);
        }
        self.sequence = entry.sequence;
        self.hash = hash;
        Ok(())
    }
}
