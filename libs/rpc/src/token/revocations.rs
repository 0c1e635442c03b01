//! What auth's stream of revocations ends: tokens whose signature and times are still good.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proto::auth::v1::credential_service_client::CredentialServiceClient;
use proto::auth::v1::revocation::Subject;
use proto::auth::v1::{Revocation, WatchRevocationsRequest};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};
use tracing::warn;
use vocabulary::ids::TenantId;
use vocabulary::{Clock, SystemClock};

use super::{TokenError, Verified, Verifier, lock};
use crate::caller::Tenants;
use crate::client::Peer;

/// Asks for everything that auth keeps: that is longer than any token lives.
const FROM_THE_BEGINNING: i64 = -1;

/// Auth beats every two seconds; after this long the stream counts as cut.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long to wait before the stream is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// No token lives this long, so nothing that ended longer ago can come again.
const KEPT_SECONDS: i64 = 2 * 86_400;

/// So many may have ended before the old ones are looked for.
const KEPT_MIN: usize = 1_000;

/// What has ended, as far as this process was told.
#[derive(Default)]
pub(super) struct Ended {
    subjects: Gone,
    /// Our own signing keys.
    keys: Gone,
    tenants: HashMap<TenantId, Suspension>,
}

/// What ended for good, and when, in unix seconds.
#[derive(Default)]
struct Gone {
    since: HashMap<String, i64>,
    /// With so many the old ones are looked for, so that each is looked at a few times at most.
    full: usize,
}

impl Gone {
    fn add(&mut self, name: &str, since: i64) {
        self.since.insert(name.to_owned(), since);
        if self.since.len() >= self.full.max(KEPT_MIN) {
            let oldest = SystemClock.now().as_second().saturating_sub(KEPT_SECONDS);
            self.since.retain(|_, since| *since > oldest);
            self.full = self.since.len().saturating_mul(2);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.since.contains_key(name)
    }
}

/// A tenant that was stopped. It may begin again, with new tokens.
#[derive(Clone, Copy)]
struct Suspension {
    /// When it was stopped last, in unix seconds.
    since: i64,
    /// It is stopped now.
    stands: bool,
}

impl Ended {
    /// Whether a token is of a subject or a key that ended, or was made before all its tenants did.
    pub(super) fn covers(&self, token: &Verified) -> bool {
        self.subjects.has(&token.subject)
            || token.key_id.as_ref().is_some_and(|key| self.keys.has(key))
            || matches!(&token.tenants, Tenants::Only(tenants)
                if !tenants.is_empty() && tenants.iter().all(|tenant| self.covers_for(token, tenant)))
    }

    /// Whether a token was made for this tenant before that ended.
    fn covers_for(&self, token: &Verified, tenant: &TenantId) -> bool {
        let ended = self.tenants.get(tenant).is_some_and(|suspension| token.issued <= suspension.since);
        ended && token.tenants != Tenants::All
    }

    fn add(&mut self, revocation: &Revocation) {
        let time = revocation.revoke_time.as_ref().map_or(i64::MAX, |time| time.seconds);
        let tenant = || revocation.tenant.trim_start_matches("tenants/").parse::<TenantId>().ok();
        match &revocation.subject {
            Some(Subject::Caller(caller)) => self.subjects.add(caller, time),
            Some(Subject::CallerRestored(caller)) => {
                self.subjects.since.remove(caller);
            }
            Some(Subject::WholeTenant(_)) => {
                if let Some(tenant) = tenant() {
                    self.tenants.insert(tenant, Suspension { since: time, stands: true });
                }
            }
            Some(Subject::TenantResumed(_)) => {
                if let Some(suspension) = tenant().and_then(|tenant| self.tenants.get_mut(&tenant)) {
                    suspension.stands = false;
                }
            }
            Some(Subject::SigningKey(key)) => self.keys.add(key, time),
            // No caller's token hangs on a connection.
            Some(Subject::Connection(_)) | None => {}
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
    /// From now on refuses every token of this subject, as auth's stream of revocations tells.
    pub fn refuse(&self, subject: &str) {
        lock(&self.ended).subjects.add(subject, SystemClock.now().as_second());
    }

    /// Takes in one revocation, where it does not come by [`Verifier::watch`].
    pub fn end(&self, revocation: &Revocation) {
        lock(&self.ended).add(revocation);
    }

    /// Whether an operator has stopped this tenant.
    pub fn is_suspended(&self, tenant: &TenantId) -> bool {
        lock(&self.ended).tenants.get(tenant).is_some_and(|suspension| suspension.stands)
    }

    /// Fails where the token was made for this tenant before that was stopped.
    pub(crate) fn require_alive(&self, token: &Verified, tenant: &TenantId) -> Result<(), TokenError> {
        if lock(&self.ended).covers_for(token, tenant) { Err(TokenError::Refused("revoked")) } else { Ok(()) }
    }

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
        let mut auth = CredentialServiceClient::new(auth.channel());
        let opened = tokio::time::timeout(SILENCE_MAX, auth.watch_revocations(request)).await;
        let mut stream = opened.map_err(|_| Cut::Silent)??.into_inner();
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
    async fn a_token_for_several_tenants_serves_the_others() {
        let issuer = Issuer::new();
        let (verifier, mut claims) = (issuer.verifier(), issuer.claims("acme", &["*"]));
        let [acme, brands] = ["acme", "brands"].map(|tenant| tenant.parse::<TenantId>().unwrap());
        claims.tenants = Tenants::Only(vec![acme.clone(), brands.clone()]);
        verifier.end(&suspended("acme", claims.iat));
        let token = verifier.verify(&issuer.sign(&claims)).await.unwrap();
        assert!(verifier.require_alive(&token, &brands).is_ok());
        assert!(matches!(verifier.require_alive(&token, &acme), Err(TokenError::Refused("revoked"))));
        assert!(verifier.is_suspended(&acme) && !verifier.is_suspended(&brands));

        let resumed = Revocation { subject: Some(Subject::TenantResumed(true)), ..suspended("acme", claims.iat + 9) };
        verifier.end(&resumed);
        assert!(!verifier.is_suspended(&acme));
        assert!(verifier.require_alive(&token, &acme).is_err(), "what ended stays ended");
    }

    #[tokio::test]
    async fn a_key_that_was_revoked_signs_nothing_more() {
        let (issuer, other) = (Issuer::new(), Issuer::new());
        let verifier = issuer.verifier();
        let token = issuer.token("acme", &["*"]);
        let ended =
            |key: &str| Revocation { subject: Some(Subject::SigningKey(key.to_owned())), ..suspended("system", 0) };
        verifier.end(&ended(other.key_id()));
        assert!(verifier.verify(&token).await.is_ok());
        verifier.end(&ended(issuer.key_id()));
        assert!(matches!(verifier.verify(&token).await.unwrap_err(), TokenError::Refused("revoked")));
    }

    #[test]
    fn what_ended_longer_ago_than_a_token_lives_is_forgotten() {
        let (mut ended, now) = (Ended::default(), SystemClock.now().as_second());
        let gone = |caller: String, seconds| Revocation {
            subject: Some(Subject::Caller(caller)),
            ..suspended("acme", seconds)
        };
        for n in 0..10 * KEPT_MIN {
            ended.add(&gone(format!("callers/{n}"), now - KEPT_SECONDS - 1));
            assert!(ended.subjects.since.len() <= KEPT_MIN, "{n}");
        }
        // As many as ended lately are kept, and all of them.
        for n in 0..3 * KEPT_MIN {
            ended.add(&gone(format!("callers/new-{n}"), now));
        }
        assert!((0..3 * KEPT_MIN).all(|n| ended.subjects.has(&format!("callers/new-{n}"))));
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
