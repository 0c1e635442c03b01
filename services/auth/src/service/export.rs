//! An export of the audit: page after page as a stream, with what is needed to resume it and to check it later.

use std::time::Duration;

use futures::{Stream, stream};
use proto::auth::v1 as pb;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use vocabulary::{ids::TenantId, page::PageTokens};

use crate::{
    chains::{Chains, Wanted, merging::Positions},
    error::Error,
    verification::Verification,
    wire,
};

/// Entries in one message.
const SIZE: usize = 500;
/// A checkpoint comes at least so often.
const CHECKPOINT: Duration = Duration::from_secs(15);

/// One export under way. It ends when all was sent, and when the server stops; then the caller resumes.
pub(super) struct Export {
    tokens: PageTokens,
    /// What else a resume token is for, beside the tenant.
    covered: Vec<u8>,
    wanted: Wanted,
    after: Positions,
    tenant: TenantId,
    chains: Chains,
    verification: Verification,
    checkpoint_due: Instant,
    stop: CancellationToken,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    /// All entries are sent, the last checkpoint is not.
    Closing,
    Ended,
}

impl Export {
    /// Of what is wanted of the tenant's entries, after these positions. `covered` is what its resume tokens are for.
    pub(super) fn new(
        tenant: TenantId,
        (chains, verification): (Chains, Verification),
        (tokens, covered): (PageTokens, Vec<u8>),
        (wanted, after): (Wanted, Positions),
    ) -> Self {
        let (checkpoint_due, stop) = (Instant::now() + CHECKPOINT, rpc::stopping());
        let state = State::Sending;
        Self { tokens, covered, wanted, after, tenant, chains, verification, checkpoint_due, stop, state }
    }

    /// Its messages. What is written while it runs is left to the next export.
    pub(super) fn messages(self) -> impl Stream<Item = Result<pb::ExportAuditEntriesResponse, Status>> + Send {
        stream::unfold(self, |mut export| async {
            let message = export.next().await?;
            if message.is_err() {
                export.state = State::Ended;
            }
            Some((message, export))
        })
    }

    async fn next(&mut self) -> Option<Result<pb::ExportAuditEntriesResponse, Status>> {
        if self.state == State::Ended || self.stop.is_cancelled() {
            return None;
        }
        if self.state == State::Closing || Instant::now() >= self.checkpoint_due {
            return Some(self.checkpoint().await.map_err(Status::from));
        }
        if self.wanted.upto.is_none() {
            match self.ends().await {
                Ok(ends) => self.wanted.upto = Some(ends),
                Err(error) => return Some(Err(error.into())),
            }
        }
        let view = self.chains.view(&self.tenant, &self.wanted, &self.after, SIZE).await;
        if let Some(service) = view.unreachable.into_iter().next() {
            // An export with a gap would look whole.
            return Some(Err(Error::Unreachable { service, source: None }.into()));
        }
        self.after = view.positions;
        if !view.more {
            self.state = State::Closing;
        }
        if view.entries.is_empty() {
            return Some(self.checkpoint().await.map_err(Status::from));
        }
        let entries = view.entries.into_iter().map(|(service, entry)| wire::entry(&self.tenant, service, entry));
        let entries = entries.collect();
        Some(Ok(pb::ExportAuditEntriesResponse { entries, resume_token: self.token(), checkpoint: None }))
    }

    /// Where the chains end now. Places and not moments, for an entry bears a time from before its commit, and by another
    /// machine's clock: whoever saw a change made finds it in the export that he asks for then.
    async fn ends(&self) -> Result<Positions, Error> {
        let mut ends = Positions::default();
        for chain in self.verification.standing(&self.tenant).await? {
            let anchored = chain.anchored.map_or(0, |anchor| anchor.head.sequence);
            ends.advance(&chain.service, chain.reached.map_or(0, |head| head.sequence).max(anchored));
        }
        Ok(ends)
    }

    async fn checkpoint(&mut self) -> Result<pb::ExportAuditEntriesResponse, Error> {
        self.checkpoint_due = Instant::now() + CHECKPOINT;
        let complete = self.state == State::Closing;
        let chains = self.verification.standing(&self.tenant).await?.into_iter().map(wire::chain).collect();
        if complete {
            self.state = State::Ended;
        }
        let checkpoint = Some(pb::AuditCheckpoint { chains, complete });
        Ok(pb::ExportAuditEntriesResponse { entries: Vec::new(), resume_token: self.token(), checkpoint })
    }

    fn token(&self) -> String {
        self.tokens.seal(&self.tenant, &self.covered, &self.after.to_string())
    }
}
