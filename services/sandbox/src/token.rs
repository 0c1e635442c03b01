//! Who calls: the token of a request, its proof, and what it may do.

use std::sync::Arc;

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::error::Refusal;
use crate::params::{Params, as_text};
use crate::state::{APP, APP_SECRET, Change, Grant, Holder, State, sealed};

/// How long a proof that names its time is good.
const PROOF_MINUTES: i64 = 5;

/// The caller of one request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The token as it was sent; it goes back out only in `next` links.
    pub(crate) token: String,
    pub(crate) grant: Arc<Grant>,
}

/// Takes token and proof out of the parameters. The query wins over the header, as at Meta.
pub(crate) fn take(params: &mut Params, bearer: Option<&str>) -> Option<String> {
    params
        .remove("access_token")
        .map(|value: Value| as_text(&value))
        .filter(|token| !token.is_empty())
        .or_else(|| bearer.map(str::to_owned))
}

/// Fails with 104, 2500 or 190 as Meta does, or 100 for a bad proof.
pub(crate) fn caller(
    state: &State,
    token: Option<&str>,
    params: &mut Params,
    path: &[String],
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let proof = params.remove("appsecret_proof").map(|value| as_text(&value));
    let time = params.remove("appsecret_time").map(|value| as_text(&value));
    let Some(token) = token else {
        if path.first().is_some_and(|first| first == "me") {
            let message = "An active access token must be used to query information about the current user.";
            return Err(Refusal::new(2500, message));
        }
        return Err(Refusal::new(104, "An access token is required to request this resource."));
    };
    let grant = grant(state, token, now)?;
    match proof {
        Some(proof) if !proven(token, &proof, time.as_deref(), now) => {
            let message = "Invalid appsecret_proof provided in the API argument";
            Err(Refusal::new(100, message).kind("GraphMethodException"))
        }
        None if state.settings.require_proof => {
            let message = "API calls from the server require an appsecret_proof argument";
            Err(Refusal::new(100, message).kind("GraphMethodException"))
        }
        _ => Ok(Caller { token: token.to_owned(), grant }),
    }
}

/// The grant behind a token that is alive.
pub(crate) fn grant(state: &State, token: &str, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
    if token == format!("{APP}|{APP_SECRET}") {
        return Ok(Arc::new(app_grant(now)));
    }
    alive(state, &sealed(token), now)
}

/// The caller behind the digest of a token, for work that is done after its call.
pub(crate) fn holder(state: &State, digest: &str, now: Timestamp) -> Result<Caller, Refusal> {
    Ok(Caller { token: String::new(), grant: alive(state, digest, now)? })
}

fn alive(state: &State, digest: &str, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
    let Some(grant) = state.token(digest) else {
        return Err(Refusal::new(190, "Invalid OAuth access token - Cannot parse access token"));
    };
    if let Some(subcode) = grant.dead {
        return Err(dead(grant.dead_code.unwrap_or(190), subcode, grant.app));
    }
    if let Some(expires) = grant.expires
        && expires <= now
    {
        let text = |at: Timestamp| at.strftime("%A, %d-%b-%y %H:%M:%S UTC").to_string();
        let message = format!(
            "Error validating access token: Session has expired on {}. The current time is {}.",
            text(expires),
            text(now)
        );
        return Err(Refusal::new(190, message).subcode(463));
    }
    Ok(Arc::clone(grant))
}

pub(crate) fn app_grant(now: Timestamp) -> Grant {
    Grant {
        app: APP,
        holder: Holder::App,
        person: APP,
        page: None,
        scopes: std::collections::BTreeSet::new(),
        declined: std::collections::BTreeSet::new(),
        issued: now,
        logged_in: None,
        expires: None,
        dead: None,
        dead_code: None,
    }
}

impl Caller {
    /// Fails with 200 where the token may not read ads.
    pub(crate) fn may_read(&self) -> Result<(), Refusal> {
        if self.has("ads_read") || self.has("ads_management") {
            return Ok(());
        }
        Err(Refusal::new(200, "(#200) Ad account owner has NOT grant ads_management or ads_read permission").http(403))
    }

    /// Fails with 294 where the token may not write ads.
    pub(crate) fn may_write(&self) -> Result<(), Refusal> {
        if self.has("ads_management") {
            return Ok(());
        }
        let message =
            "(#294) Managing advertisements requires an access token with the extended permission for ads_management";
        Err(Refusal::new(294, message).http(403))
    }

    /// Fails with 200 where the token may send no events to the dataset.
    pub(crate) fn may_send_events(&self, dataset: u64) -> Result<(), Refusal> {
        let own = self.grant.holder == Holder::Dataset && self.grant.person == dataset;
        if own || (self.grant.holder != Holder::Dataset && self.has("ads_management")) {
            return Ok(());
        }
        let message = "(#200) The token must be made for this dataset, or have the permission ads_management";
        Err(Refusal::new(200, message).http(403))
    }

    /// Fails with 200 where the token lacks a permission.
    pub(crate) fn needs(&self, scope: &str) -> Result<(), Refusal> {
        if self.has(scope) {
            return Ok(());
        }
        let message = format!("(#200) Requires {scope} permission to manage the object");
        Err(Refusal::new(200, message).http(403))
    }

    fn has(&self, scope: &str) -> bool {
        self.grant.scopes.contains(scope)
    }
}

/// The lower-case hex of HMAC-SHA256 over the token (and its time), keyed by the app's secret.
pub(crate) fn proof(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, text.as_bytes()))
}

fn proven(token: &str, given: &str, time: Option<&str>, now: Timestamp) -> bool {
    let Some(time) = time else { return given == proof(APP_SECRET, token) };
    let fresh = time
        .parse()
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .is_some_and(|at| now.duration_since(at).abs() <= SignedDuration::from_mins(PROOF_MINUTES));
    fresh && given == proof(APP_SECRET, &format!("{token}|{time}"))
}

/// How a token that died is refused; a subcode of 0 is none (Meta, "Handle errors").
pub(crate) fn dead(code: i64, subcode: i64, app: u64) -> Refusal {
    let why = match subcode {
        0 if code == 190 => return Refusal::new(190, "Invalid OAuth access token - Cannot parse access token"),
        0 => return Refusal::new(code, "The session is no longer valid. Please log in again."),
        458 => format!("The user has not authorized application {app}."),
        459 => "The user has to log in at www.facebook.com before anything else.".into(),
        460 => "The session has been invalidated because the user changed their password or Facebook has changed the \
             session for security reasons."
            .into(),
        463 => "Session has expired.".into(),
        464 => "The user is not a confirmed user.".into(),
        467 => "The session is invalid because the user logged out.".into(),
        492 => "The user no longer has a role on the page.".into(),
        _ => "The session is invalid.".to_owned(),
    };
    Refusal::new(code, format!("Error validating access token: {why}")).subcode(subcode)
}

/// Lets a token die for good. The app's own, which is its id and secret, lives as long as the app.
pub(crate) fn kill(state: &mut State, token: &str, code: i64, subcode: i64) {
    let digest = sealed(token);
    if let Some(mut grant) = state.token(&digest).map(|grant| Grant::clone(grant)) {
        grant.dead = Some(subcode);
        grant.dead_code = (code != 190).then_some(code);
        state.commit(Change::Token { digest, grant });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_official_sdks() {
        assert_eq!(proof("SECRET", "TOK"), "74efee799c2b41164fab3ee4c2dff980dbdb23fd0c24f71bf08be0978464b1e4");
    }

    #[test]
    fn a_proof_with_a_time_is_good_for_five_minutes() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let given = proof(APP_SECRET, "TOK|1790000000");
        assert!(proven("TOK", &given, Some("1790000000"), now));
        let later = Timestamp::from_second(1_790_000_600).unwrap();
        assert!(!proven("TOK", &given, Some("1790000000"), later));
    }
}
