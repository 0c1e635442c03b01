//! What auth's stream of revocations ends: tokens whose signature and times are still good.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proto::auth::v1::credential_service_client::CredentialServiceClient;
use proto::auth::v1::revocation::Subject;
use proto::auth::v1::{Revocation, WatchRevocationsRequest};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};
use tracing::warn;
use vocabulary::ids::TenantId;

use super::{Verified, Verifier, lock};
use crate::caller::Tenants;
use crate::client::Peer;

/// Asks for everything that auth keeps: that is longer than any token lives.
const FROM_THE_BEGINNING: i64 = -1;

/// Auth beats every two seconds; after this long the stream counts as cut.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long to wait before the stream is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// What has ended, as far as this process was told.
#[derive(Default)]
pub(super) struct Ended {
    subjects: HashSet<String>,
    /// By tenant, when it ended, in unix seconds. It may begin again, with new tokens.
    tenants: HashMap<TenantId, i64>,
}

impl Ended {
    pub(super) fn add_subject(&mut self, subject: &str) {
        self.subjects.insert(subject.to_owned());
    }

    /// Whether a token is of a subject that ended, or was made for a tenant before that ended.
    pub(super) fn covers(&self, token: &Verified) -> bool {
        let of_ended = |tenant| self.tenants.get(tenant).is_some_and(|ended| token.issued <= *ended);
        self.subjects.contains(&*token.subject)
            || matches!(&token.tenants, Tenants::Only(tenants) if tenants.iter().any(of_ended))
    }

    fn add(&mut self, revocation: &Revocation) {
        match &revocation.subject {
            Some(Subject::Caller(caller)) => self.add_subject(caller),
            Some(Subject::WholeTenant(_)) => {
                let ended = revocation.revoke_time.as_ref().map_or(i64::MAX, |time| time.seconds);
                if let Ok(tenant) = revocation.tenant.trim_start_matches("tenants/").parse() {
                    self.tenants.insert(tenant, ended);
                }
            }
            // No caller's token hangs on a connection; which keys are good is told by the key set.
            Some(Subject::Connection(_) | Subject::SigningKey(_)) | None => {}
        }
    }
}

/// Why the stream ended.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("auth's heartbeat stopped")]
    Silent,
    #[error("auth ended the stream")]
    Ended(#[from] Status),
}

impl Verifier {
    /// Refuses what auth's stream ends, within two seconds, until `stop`. `auth` is called as a service of ours.
    ///
    /// While the stream is cut, tokens serve until their own end, because auth's absence must stop nobody's work; what
    /// ended meanwhile is told as soon as the stream is back.
    pub async fn watch(self: Arc<Self>, auth: Peer, stop: CancellationToken) {
        let mut generation = FROM_THE_BEGINNING;
        while let Some(heard) = stop.run_until_cancelled(self.listen(&auth, &mut generation)).await {
            if let Err(cut) = heard {
                warn!(error = &cut as &dyn std::error::Error, "which tokens ended is not heard now");
            }
            stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }

    async fn listen(&self, auth: &Peer, generation: &mut i64) -> Result<(), Cut> {
        let request = Request::new(WatchRevocationsRequest { generation: *generation });
        let mut stream = CredentialServiceClient::new(auth.channel()).watch_revocations(request).await?.into_inner();
        loop {
            let next = tokio::time::timeout(SILENCE_MAX, stream.message()).await;
            let Some(message) = next.map_err(|_| Cut::Silent)?? else { return Ok(()) };
            if let Some(revocation) = message.revocation {
                lock(&self.ended).add(&revocation);
            }
            // Where nothing ever ended the stream stands at 0, which would ask for what is to come only.
            *generation = if message.generation > 0 { message.generation } else { FROM_THE_BEGINNING };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Issuer;
    use crate::token::TokenError;

    fn suspended(tenant: &str, seconds: i64) -> Revocation {
        let revoke_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        Revocation { tenant: format!("tenants/{tenant}"), revoke_time, subject: Some(Subject::WholeTenant(true)) }
    }

    #[tokio::test]
    async fn a_suspended_tenants_tokens_end_and_those_made_later_serve() {
        let issuer = Issuer::new();
        let (verifier, mut claims) = (issuer.verifier(), issuer.claims("acme", &["*"]));
        let old = issuer.sign(&claims);
        assert!(verifier.verify(&old).await.is_ok());
        lock(&verifier.ended).add(&suspended("acme", claims.iat));
        assert!(matches!(verifier.verify(&old).await.unwrap_err(), TokenError::Refused("revoked")));
        claims.iat += 1;
        assert!(verifier.verify(&issuer.sign(&claims)).await.is_ok());
    }

    #[tokio::test]
    async fn a_suspended_tenant_ends_nobody_elses_tokens() {
        let issuer = Issuer::new();
        let verifier = issuer.verifier();
        lock(&verifier.ended).add(&suspended("acme", i64::MAX));
        for other in [issuer.token("brands", &["*"]), issuer.token("*", &["*"]), issuer.service_token("campaigns")] {
            assert!(verifier.verify(&other).await.is_ok());
        }
    }
}
