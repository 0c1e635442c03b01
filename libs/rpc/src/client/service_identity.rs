//! Who a service is to the others: a token from auth, renewed when half of its life is over.
//!
//! Auth may be away for the other half without anybody noticing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use proto::auth::v1::exchange_service_token_request::Proof;
use proto::auth::v1::identity_service_client::IdentityServiceClient;
use proto::auth::v1::{ExchangeServiceTokenRequest, ServiceSecret};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tonic::{Code, Request, Status};
use vocabulary::{Clock, SystemClock};

use super::{AddressError, pool_of};
use crate::fault::{self, ErrorReason, Fault, Upstream};
use crate::pool::Pool;

const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where auth is and how a service proves to it who it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PeerSettings {
    /// `http://host:port` of auth. Default: the one of `adplane dev`.
    pub endpoint: String,
    /// The file that holds this service's secret. No default; not read where there is a `service_account_token_file`.
    pub service_secret_file: PathBuf,
    /// The file into which Kubernetes projects this pod's token for auth, in the place of a secret. Default: none.
    pub service_account_token_file: Option<PathBuf>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:7410".to_owned(),
            service_secret_file: PathBuf::new(),
            service_account_token_file: None,
        }
    }
}

impl PeerSettings {
    /// Whether there is a file that proves to auth who we are.
    pub fn names_a_proof(&self) -> bool {
        self.service_account_token_file.as_ref().unwrap_or(&self.service_secret_file).as_os_str() != ""
    }
}

/// Who we are to other services. Clones share the token.
#[derive(Clone)]
pub struct ServiceIdentity(Arc<Kind>);

enum Kind {
    Nobody,
    Fixed(HeaderValue),
    Exchanged(Exchange),
    Issued(Issued),
}

/// Makes a token that lives as long as it says.
type Issue = Box<dyn Fn() -> Option<(SecretString, Duration)> + Send + Sync>;

struct Issued {
    issue: Issue,
    held: ArcSwapOption<Held>,
}

struct Exchange {
    service: String,
    proof: ProofFile,
    auth: Pool,
    held: ArcSwapOption<Held>,
    /// Held while asking auth, so that one asks and the others wait.
    asking: Mutex<()>,
}

/// What proves who we are. Read anew each time: secrets are changed, and the kubelet renews its tokens.
enum ProofFile {
    Secret(PathBuf),
    ServiceAccountToken(PathBuf),
}

struct Held {
    header: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("what proves who this service is cannot be read")]
    Secret(#[source] std::io::Error),
    #[error("auth gave no token for this service")]
    Refused(#[source] Upstream),
    #[error("auth gave a token that no header can hold")]
    Malformed,
    #[error("no token could be made for this service")]
    NotIssued,
}

impl Fault for Failure {
    fn code(&self) -> Code {
        match self {
            Self::Refused(upstream) if upstream.code() == Code::Unavailable => Code::Unavailable,
            Self::Refused(upstream) if upstream.code() == Code::DeadlineExceeded => Code::Unavailable,
            _ => Code::Internal, // our own set-up, nothing that the caller could change
        }
    }

    fn reason(&self) -> ErrorReason {
        match self.code() {
            Code::Unavailable => ErrorReason::ServiceUnavailable,
            _ => ErrorReason::Internal,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        vec![("upstream", "auth".to_owned())]
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.code() == Code::Unavailable).then_some(Duration::from_secs(1))
    }
}

impl ServiceIdentity {
    /// No service: the caller's token is all that goes along.
    pub fn nobody() -> Self {
        Self(Arc::new(Kind::Nobody))
    }

    /// A token that is there already, in tests. What no header can hold counts as none.
    pub fn fixed(token: &str) -> Self {
        Self(Arc::new(bearer(token).map_or(Kind::Nobody, Kind::Fixed)))
    }

    /// Gets its tokens from auth for what the file holds, which is read again each time.
    pub fn of_service(service: &str, settings: &PeerSettings) -> Result<Self, AddressError> {
        Ok(Self(Arc::new(Kind::Exchanged(Exchange {
            service: service.to_owned(),
            proof: match settings.service_account_token_file.clone() {
                Some(file) => ProofFile::ServiceAccountToken(file),
                None => ProofFile::Secret(settings.service_secret_file.clone()),
            },
            auth: pool_of(&settings.endpoint)?,
            held: ArcSwapOption::empty(),
            asking: Mutex::new(()),
        }))))
    }

    /// Makes its tokens itself, which only auth can. Each serves for half of the life that comes with it.
    pub fn issued(issue: impl Fn() -> Option<(SecretString, Duration)> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Kind::Issued(Issued { issue: Box::new(issue), held: ArcSwapOption::empty() })))
    }

    /// The value for `x-adplane-service-authorization`. Fails where there is no token that still serves.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, Status> {
        match &*self.0 {
            Kind::Nobody => Ok(None),
            Kind::Fixed(header) => Ok(Some(header.clone())),
            Kind::Exchanged(exchange) => exchange.header().await.map(Some).map_err(|error| fault::status(&error)),
            Kind::Issued(issued) => issued.header().map(Some).map_err(|error| fault::status(&error)),
        }
    }
}

impl ServiceIdentity {
    /// Somebody refused this token, although it should live: its key may be revoked. The next call asks for another one;
    /// where there is none to be had it is used on, for it may be the caller's own token that was refused.
    pub(crate) fn refused(&self, header: &HeaderValue) {
        let held = match &*self.0 {
            Kind::Nobody | Kind::Fixed(_) => return,
            Kind::Exchanged(exchange) => &exchange.held,
            Kind::Issued(issued) => &issued.held,
        };
        if let Some(known) = held.load_full().filter(|known| known.header == *header) {
            let renew = Held { header: known.header.clone(), renew_at: Instant::now(), ends_at: known.ends_at };
            // Somebody who has got another one meanwhile keeps it.
            drop(held.compare_and_swap(&Some(known), Some(Arc::new(renew))));
        }
    }
}

impl Issued {
    /// Two that come at once may both make one, which harms nothing.
    fn header(&self) -> Result<HeaderValue, Failure> {
        let now = Instant::now();
        if let Some(held) = self.held.load_full().filter(|held| now < held.renew_at) {
            return Ok(held.header.clone());
        }
        let (token, life) = (self.issue)().ok_or(Failure::NotIssued)?;
        let header = bearer(token.expose_secret()).ok_or(Failure::Malformed)?;
        let held = Held { header: header.clone(), renew_at: now + life / 2, ends_at: now + life };
        self.held.store(Some(Arc::new(held)));
        Ok(header)
    }
}

impl Exchange {
    async fn header(&self) -> Result<HeaderValue, Failure> {
        let now = Instant::now();
        match self.held.load_full() {
            Some(held) if now < held.renew_at => Ok(held.header.clone()),
            Some(held) if now < held.ends_at => {
                let renewed = match self.asking.try_lock() {
                    Ok(_asking) => self.exchange().await.ok(),
                    Err(_) => None, // somebody is at it
                };
                Ok(renewed.unwrap_or_else(|| held.header.clone()))
            }
            _ => {
                let _asking = self.asking.lock().await;
                match self.held.load_full() {
                    Some(held) if Instant::now() < held.renew_at => Ok(held.header.clone()),
                    _ => self.exchange().await,
                }
            }
        }
    }

    async fn exchange(&self) -> Result<HeaderValue, Failure> {
        let mut request = Request::new(ExchangeServiceTokenRequest { proof: Some(self.proof().await?) });
        request.set_timeout(EXCHANGE_TIMEOUT);
        let mut auth = IdentityServiceClient::new(self.auth.clone());
        let answer = tokio::time::timeout(EXCHANGE_TIMEOUT, auth.exchange_service_token(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(fault::status(&crate::deadline::DeadlinePassed)));
        let answer = answer.map_err(|status| Failure::Refused(status.into()))?.into_inner();
        let header = bearer(&answer.token).ok_or(Failure::Malformed)?;
        let life = life(answer.expire_time.as_ref());
        let now = Instant::now();
        let held = Held { header: header.clone(), renew_at: now + life / 2, ends_at: now + life };
        self.held.store(Some(Arc::new(held)));
        Ok(header)
    }
}

impl Exchange {
    async fn proof(&self) -> Result<Proof, Failure> {
        let (ProofFile::Secret(file) | ProofFile::ServiceAccountToken(file)) = &self.proof;
        let text = SecretString::from(tokio::fs::read_to_string(file).await.map_err(Failure::Secret)?);
        let text = text.expose_secret().trim().to_owned();
        Ok(match &self.proof {
            ProofFile::Secret(_) => Proof::Secret(ServiceSecret { service: self.service.clone(), secret: text }),
            ProofFile::ServiceAccountToken(_) => Proof::ServiceAccountToken(text),
        })
    }
}

/// How long a token serves from now on, by the machine's clock.
fn life(expires: Option<&prost_types::Timestamp>) -> Duration {
    let left = expires.map_or(0, |expires| expires.seconds - SystemClock.now().as_second());
    Duration::from_secs(u64::try_from(left).unwrap_or_default())
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
