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

/// A walk along a chain, entry by entry: how far it was sound. Whoever reads the entries decides where from.
#[derive(Clone, Debug)]
pub struct Walk {
    tenant: String,
    sequence: i64,
    hash: [u8; 32],
}

impl Walk {
    /// From the first entry on.
    pub fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), sequence: 0, hash: ORIGIN }
    }

    /// From behind an entry that is known to be good.
    pub fn after(tenant: &str, head: &Head) -> Self {
        Self { tenant: tenant.to_owned(), sequence: head.sequence, hash: head.hash }
    }

    /// The last entry that was sound; `None` before the first.
    pub fn reached(&self) -> Option<Head> {
        (self.sequence > 0).then_some(Head { sequence: self.sequence, hash: self.hash })
    }

    /// The place of that entry, 0 before the first.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Goes on to an entry, which must be the next one. Where it is not, the walk stays where it is, and the place that is
    /// broken is the one after it.
    ///
    /// # Errors
    /// How the chain is broken there.
    pub fn next(&mut self, entry: &Recorded) -> Result<(), Break> {
        if entry.sequence != self.sequence + 1 {
            return Err(Break::Missing);
        }
        let hash = entry.expected_hash(&self.tenant);
        if entry.hash != hash {
            return Err(Break::Edited);
        }
        if entry.previous != self.hash {
            return Err(Break::Unlinked);
        }
        self.sequence = entry.sequence;
        self.hash = hash;
        Ok(())
    }

    /// Is this the entry that a head kept elsewhere names? True as well where the head names another place.
    pub fn agrees(&self, head: &Head) -> bool {
        head.sequence != self.sequence || head.hash == self.hash
    }
}

/// Checks the tenant's whole chain against itself, against its head in the database, and against `anchor`, a head that was
/// kept elsewhere.
///
/// # Errors
/// [`Error::Outage`] when the database is away. A broken chain is an answer, not an error.
pub async fn verify(client: &impl GenericClient, tenant: &str, anchor: Option<&Head>) -> Result<Verdict, Error> {
    // Read first: entries that are appended meanwhile come after it and do no harm.
    let stored = head(client, tenant).await?;
    let mut walk = Walk::new(tenant);
    let end = stored.map_or(0, |head| head.sequence).max(anchor.map_or(0, |head| head.sequence));
    loop {
        let page = list(client, tenant, Listing { after: walk.sequence, size: PAGE, ..Listing::default() }).await?;
        for entry in &page {
            if let Err(how) = walk.next(entry) {
                return Ok(Verdict::Broken { sequence: walk.sequence + 1, how });
            }
            if anchor.is_some_and(|anchor| !walk.agrees(anchor)) {
                return Ok(Verdict::Broken { sequence: walk.sequence, how: Break::Rewritten });
            }
            // The head at the time of the first statement is checked in passing.
            if stored.is_some_and(|head| !walk.agrees(&head)) {
                return Ok(Verdict::Broken { sequence: walk.sequence, how: Break::Head });
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    if walk.sequence < end {
        return Ok(Verdict::Broken { sequence: walk.sequence + 1, how: Break::Missing });
    }
    // What was appended since the first statement moved the head with it; what did not was put there by somebody else.
    let named = head(client, tenant).await?.map_or(0, |head| head.sequence);
    if named < walk.sequence {
        return Ok(Verdict::Broken { sequence: named + 1, how: Break::Head });
    }
    Ok(Verdict::Whole(walk.reached()))
}
