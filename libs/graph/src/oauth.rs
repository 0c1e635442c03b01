//! Tokens at Meta: the log-in, what a token is and may do, what it reaches, and its end.
//!
//! Only auth calls these. They come before any lease exists, so they bring the app and its secret along and ask no
//! permit: they count in the app's bucket at Meta, which sees a handful of them per connection and day. Secrets travel
//! in POST forms and in the `Authorization` header. What Meta takes in a query alone (`input_token`) is sent there;
//! this crate writes no URL with its query into logs or errors.

mod assets;
mod refusal;
mod remedy;

use std::{borrow::Cow, time::Duration};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _},
};
use url::Url;
use vocabulary::ids::MetaAppId;

pub use self::{
    assets::{AdAccount, Business, Dataset, InstagramUser, Page},
    refusal::refusal,
    remedy::{Remedy, remedy, remedy_of},
};
use crate::{
    call::{Call, Replay},
    error::Error,
    meta_error::{MetaError, Verdict},
    outcome,
    retry::{Next, Patience, Seen},
    settings::Settings,
    transport::{Attempt, Failure, Reply, Transport},
    usage,
};

/// Our app at Meta, with what proves that it is ours.
#[derive(Debug, Clone)]
pub struct App {
    /// Meta's id of it.
    pub id: MetaAppId,
    /// Its secret.
    pub secret: SecretString,
    /// The version of Meta's API to call, such as `v26.0`.
    pub version: String,
}

impl App {
    /// The app's own token, which Meta accepts in this form always (Meta, "Access tokens: app access tokens").
    fn token(&self) -> SecretString {
        SecretString::from(format!("{}|{}", self.id, self.secret.expose_secret()))
    }
}

/// A token that Meta just gave.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: SecretString,
    /// How long it lives; `None` where Meta does not say, or for ever.
    pub life: Option<Duration>,
    /// Meta's trace of the exchange, for the audit.
    pub trace_id: Option<String>,
}

/// What `debug_token` says about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// It works now.
    pub is_valid: bool,
    /// The app that it was given to; `None` where Meta cannot read the token at all.
    pub app: Option<MetaAppId>,
    /// Meta's word: `USER`, `SYSTEM_USER`, `PAGE` or `APP`.
    pub kind: String,
    /// The person or system user, as this app sees them.
    pub user_id: String,
    /// The permissions it has, in Meta's words.
    pub scopes: Vec<String>,
    /// Permissions that hold for some objects only.
    pub granular_scopes: Vec<GranularScope>,
    /// When it ends, in unix seconds; `None` is never.
    pub expires_at: Option<i64>,
    /// When Meta stops giving data for it without a new log-in, in unix seconds; `None` is never.
    pub data_access_expires_at: Option<i64>,
    /// Why it does not work, in Meta's words.
    pub problem: Option<String>,
    /// What helps; `None` where it works.
    pub remedy: Option<Remedy>,
}

/// A permission that holds for some objects only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GranularScope {
    /// Meta's word.
    pub scope: String,
    /// Meta's ids of the objects; empty means all.
    #[serde(default)]
    pub target_ids: Vec<String>,
}

/// Whether a token is a system user's: `SYSTEM_USER` in [`Inspection::kind`].
pub const SYSTEM_USER: &str = "SYSTEM_USER";

/// What is asked for where nobody names anything else: managing and reading ads, and the business they belong to (Meta,
/// "Marketing API: authorization").
pub const SCOPES: [&str; 3] = ["ads_management", "ads_read", "business_management"];

/// More pages than any token's edge has: two hundred thousand rows.
const PAGES_MAX: usize = 1_000;

/// Calls Meta about tokens. Cheap to clone.
#[derive(Clone)]
pub struct Oauth {
    transport: Transport,
    patience: Patience,
}

impl Oauth {
    /// Prepares connections; nothing is called yet.
    ///
    /// # Errors
    /// When the proxy or its certificate cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(settings)?, patience: Patience::from(settings) })
    }

    /// Asks Meta for the app's token, which only the right secret gets.
    ///
    /// # Errors
    /// `Rejected` where Meta knows no such app or refuses the secret; see [`refusal`].
    pub async fn check_secret(&self, app: &App) -> Result<(), Error> {
        let form = [("grant_type", "client_credentials")];
        self.exchange(app, &form, Replay::Safe, "POST oauth/access_token client_credentials").await.map(drop)
    }

    /// The code of a log-in for a token. Works once: a lost answer means that the person logs in again.
    ///
    /// # Errors
    /// `Rejected` where Meta refuses the code, the secret or the address; see [`refusal`].
    pub async fn exchange_code(&self, app: &App, redirect_uri: &str, code: &SecretString) -> Result<Granted, Error> {
        let form = [("redirect_uri", redirect_uri), ("code", code.expose_secret())];
        self.exchange(app, &form, Replay::Never, "POST oauth/access_token code").await
    }

    /// A person's living token for one that lives 60 days. The old one works on, so this may be repeated. Meta makes a
    /// token younger once a day at most (Meta, "Long-lived access tokens").
    ///
    /// # Errors
    /// `NeedsConsent` where the token is dead.
    pub async fn exchange_long_lived(&self, app: &App, token: &SecretString) -> Result<Granted, Error> {
        let form = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", token.expose_secret())];
        self.exchange(app, &form, Replay::Safe, "POST oauth/access_token fb_exchange_token").await
    }

    /// A system user's expiring token for one that lives 60 days from now. Without the last field Meta would make one of
    /// another kind. The old one works on until its own end, so this may be repeated (Meta, "System users: refresh an
    /// expiring token").
    ///
    /// # Errors
    /// `NeedsConsent` where the token is dead.
    pub async fn refresh_system_user(&self, app: &App, token: &SecretString) -> Result<Granted, Error> {
        let form = [
            ("grant_type", "fb_exchange_token"),
            ("fb_exchange_token", token.expose_secret()),
            ("set_token_expires_in_60_days", "true"),
        ];
        self.exchange(app, &form, Replay::Safe, "POST oauth/access_token fb_exchange_token").await
    }

    /// What a token is and may do. A dead token is an answer, not an error.
    ///
    /// # Errors
    /// `Rejected` where Meta refuses our app; see [`refusal`].
    pub async fn inspect(&self, app: &App, token: &SecretString) -> Result<Inspection, Error> {
        let call = Call::<Enveloped>::get("/debug_token").field("input_token", token.expose_secret());
        let label = call.label();
        match self.send(app, &app.token(), call).await {
            Ok(answer) => Ok(answer.data.into()),
            // What is dead is the token that asks, which is our app's own.
            Err(Error::NeedsConsent { meta }) => Err(Error::Rejected { call: label, meta }),
            Err(error) => Err(error),
        }
    }

    /// Takes back every permission that this person or system user gave our app: the token dies. Gives Meta's trace of the
    /// call, for the audit.
    ///
    /// # Errors
    /// `NeedsConsent` where it was dead already.
    pub async fn revoke(&self, app: &App, token: &SecretString, user_id: &str) -> Result<Option<String>, Error> {
        let call = Call::<crate::Ack>::delete(format!("/{user_id}/permissions"));
        let reply = self.sent(app, token, &call).await?;
        read::<crate::Ack>(&reply, &call.label())?;
        Ok(trace_id(&reply))
    }

    async fn exchange(
        &self,
        app: &App,
        more: &[(&str, &str)],
        replay: Replay,
        label: &'static str,
    ) -> Result<Granted, Error> {
        let id = app.id.to_string();
        let mut form = vec![("client_id", id.as_str()), ("client_secret", app.secret.expose_secret())];
        form.extend_from_slice(more);
        let attempt = || self.transport.send_form(&app.version, "/oauth/access_token", &form);
        let reply = self.tried(attempt, replay, label).await?;
        let answer: TokenAnswer = read(&reply, label)?;
        let life = answer.expires_in.map(Duration::from_secs);
        Ok(Granted { token: answer.access_token, life, trace_id: trace_id(&reply) })
    }

    async fn send<T: DeserializeOwned>(&self, app: &App, token: &SecretString, call: Call<T>) -> Result<T, Error> {
        read(&self.sent(app, token, &call).await?, &call.label())
    }

    /// Sends a call with a token and its proof.
    async fn sent<T>(&self, app: &App, token: &SecretString, call: &Call<T>) -> Result<Reply, Error> {
        let proof = proof(&app.secret, token);
        let attempt = || {
            self.transport.send(Attempt {
                verb: call.verb,
                version: &app.version,
                path: &call.path,
                fields: &call.fields,
                file: None,
                token,
                proof: &proof,
                etag: None,
            })
        };
        self.tried(attempt, call.replay, &call.label()).await
    }

    /// All rows of an edge. A list that cannot be read to its end is an error: half of it would be taken for the whole.
    async fn all<T: DeserializeOwned>(
        &self,
        app: &App,
        token: &SecretString,
        call: Call<crate::Page<T>>,
    ) -> Result<Vec<T>, Error> {
        let broken = |what| Error::Malformed { call: call.label(), source: serde_json::Error::custom(what) };
        let (mut rows, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let mut call = call.clone();
            call.fields.extend(after.clone().map(|after| (Cow::Borrowed("after"), after)));
            let page = self.send(app, token, call).await?;
            let next = page.next(after.as_deref()).map_err(broken)?.map(str::to_owned);
            rows.extend(page.data);
            if next.is_none() {
                return Ok(rows);
            }
            after = next;
        }
        Err(broken("the pages do not end"))
    }

    async fn tried<F>(&self, attempt: impl Fn() -> F, replay: Replay, label: &str) -> Result<Reply, Error>
    where
        F: Future<Output = Result<Reply, Failure>>,
    {
        for tries in 1.. {
            let seen = match attempt().await {
                Ok(reply) => match MetaError::parse(reply.status, &reply.body) {
                    None => return Ok(reply),
                    Some(meta) => Seen::Meta(Box::new(meta)),
                },
                Err(Failure::Unsent(cause)) => Seen::Unsent(cause),
                Err(Failure::Lost(cause)) => Seen::Lost(cause),
            };
            let next = match &seen {
                // No permit makes the next try wait, so whoever asked has to.
                Seen::Meta(meta) if meta.verdict() == Verdict::Throttled => Next::Give,
                seen => self.patience.next(seen, replay, tries),
            };
            match next {
                Next::Again(pause) => tokio::time::sleep(pause).await,
                Next::NewLease | Next::Give => return Err(outcome::given(seen, label, self.patience.throttled)),
                Next::GiveUnknown => return Err(outcome::unknown(seen, label)),
            }
        }
        Err(Error::Deadline { call: label.to_owned() })
    }
}

/// What proves to Meta that a call comes from the app whose token it shows: HMAC-SHA256 of the token under the app's
/// secret, in hex (Meta, "Securing Graph API requests").
pub fn proof(app_secret: &SecretString, token: &SecretString) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.expose_secret().as_bytes());
    SecretString::from(hex::encode(hmac::sign(&key, token.expose_secret().as_bytes())))
}

/// The host of Meta's own log-in dialog.
pub const DIALOG_HOST: &str = "https://www.facebook.com";

/// Where to send a person who is to log in: Meta's dialog. `base` is its host, such as `https://www.facebook.com`.
///
/// # Errors
/// When `base` is no address.
pub fn dialog(
    base: &str,
    (app, version): (MetaAppId, &str),
    redirect_uri: &str,
    state: &SecretString,
    scopes: &[String],
) -> Result<Url, url::ParseError> {
    let mut url = Url::parse(&format!("{}/{version}/dialog/oauth", base.trim_end_matches('/')))?;
    url.query_pairs_mut()
        .append_pair("client_id", &app.to_string())
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", state.expose_secret())
        .append_pair("scope", &scopes.join(","))
        .append_pair("response_type", "code");
    Ok(url)
}

fn trace_id(reply: &Reply) -> Option<String> {
    reply.headers.get(usage::TRACE_ID)?.to_str().ok().map(str::to_owned)
}

fn read<T: DeserializeOwned>(reply: &Reply, label: &str) -> Result<T, Error> {
    serde_json::from_slice(&reply.body).map_err(|source| Error::Malformed { call: label.to_owned(), source })
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    expires_in: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Enveloped {
    data: Debugged,
}

/// As Meta writes it (Meta, "debug_token").
#[derive(Debug, Deserialize)]
struct Debugged {
    #[serde(default)]
    is_valid: bool,
    #[serde(default, deserialize_with = "maybe_digits")]
    app_id: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "maybe_digits")]
    user_id: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    granular_scopes: Vec<GranularScope>,
    #[serde(default)]
    expires_at: i64,
    #[serde(default)]
    data_access_expires_at: i64,
    error: Option<DebuggedError>,
}

#[derive(Debug, Deserialize)]
struct DebuggedError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: i64,
    subcode: Option<i64>,
}

impl From<Debugged> for Inspection {
    fn from(debugged: Debugged) -> Self {
        let moment = |seconds: i64| (seconds > 0).then_some(seconds); // zero is never
        let remedy = match &debugged.error {
            _ if debugged.is_valid => None,
            Some(error) => Some(remedy(error.code, error.subcode)),
            None => Some(Remedy::Consent), // dead without a word
        };
        Self {
            remedy,
            is_valid: debugged.is_valid,
            app: debugged.app_id.and_then(|id| id.parse().ok()),
            kind: debugged.kind,
            user_id: debugged.user_id.unwrap_or_default(),
            scopes: debugged.scopes,
            granular_scopes: debugged.granular_scopes,
            expires_at: moment(debugged.expires_at),
            data_access_expires_at: moment(debugged.data_access_expires_at),
            problem: debugged.error.map(|error| crate::meta_error::without_tokens(&error.message)),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn maybe_digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    crate::digits(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_metas_own() {
        let proof = proof(&SecretString::from("SECRET"), &SecretString::from("TOK"));
        assert_eq!(proof.expose_secret(), "74efee799c2b41164fab3ee4c2dff980dbdb23fd0c24f71bf08be0978464b1e4");
    }

    #[test]
    fn the_dialog_gets_what_it_needs() {
        let scopes = ["ads_management".to_owned(), "ads_read".to_owned()];
        let url = dialog(
            "https://www.facebook.com/",
            (MetaAppId::new(138), "v26.0"),
            "https://gateway/oauth/callback?a=b",
            &SecretString::from("s t"),
            &scopes,
        );
        assert_eq!(
            url.unwrap().as_str(),
            "https://www.facebook.com/v26.0/dialog/oauth?client_id=138&redirect_uri=https%3A%2F%2Fgateway%2Foauth\
             %2Fcallback%3Fa%3Db&state=s+t&scope=ads_management%2Cads_read&response_type=code"
        );
    }

    #[test]
    fn a_living_token_is_read_and_zero_means_never() {
        let text = r#"{"data":{"app_id":"138","type":"SYSTEM_USER","application":"My App","expires_at":0,
            "data_access_expires_at":1774000000,"is_valid":true,"scopes":["ads_read"],
            "granular_scopes":[{"scope":"ads_read","target_ids":["1"]},{"scope":"ads_management"}],"user_id":"10100"}}"#;
        let inspection = Inspection::from(serde_json::from_str::<Enveloped>(text).unwrap().data);
        assert!(inspection.is_valid);
        assert_eq!(inspection.app, Some(MetaAppId::new(138)));
        assert_eq!(inspection.kind, SYSTEM_USER);
        assert_eq!((inspection.expires_at, inspection.remedy), (None, None));
        assert_eq!(inspection.data_access_expires_at, Some(1_774_000_000));
        assert_eq!(inspection.granular_scopes[1].target_ids, Vec::<String>::new());
    }

    #[test]
    fn a_dead_token_is_an_answer() {
        let text = r#"{"data":{"is_valid":false,"scopes":[],
            "error":{"code":190,"message":"Error validating access token","subcode":463}}}"#;
        let inspection = Inspection::from(serde_json::from_str::<Enveloped>(text).unwrap().data);
        assert!(!inspection.is_valid);
        assert_eq!(inspection.app, None);
        assert_eq!(inspection.problem.as_deref(), Some("Error validating access token"));
        assert_eq!(inspection.remedy, Some(Remedy::Renew));
    }

    #[test]
    fn what_meta_gave_does_not_print() {
        let text = r#"{"access_token":"EAAplanted","token_type":"bearer","expires_in":5183944}"#;
        let answer: TokenAnswer = serde_json::from_str(text).unwrap();
        let life = answer.expires_in.map(Duration::from_secs);
        let granted = Granted { token: answer.access_token, life, trace_id: None };
        assert!(!format!("{granted:?}").contains("planted"));
    }
}
