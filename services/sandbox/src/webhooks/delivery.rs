//! Tells subscribers: the handshake before, the deliveries, and the repetitions where nobody answered 200.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, Method};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::outbox::{Attempt, Content, Delivery};
use super::outgoing::Outgoing;
use super::subscriptions::{Subscription, by_app, of, tells};
use super::{Notice, watch::Seen};
use crate::door::Sandbox;
use crate::error::Refusal;
use crate::params::Params;
use crate::state::{APP_SECRET, Kind, State};
use crate::token;

/// After so long Meta gives a delivery up (Meta, "Webhooks: getting started").
const GIVE_UP_HOURS: i64 = 36;
/// The longest wait between two attempts.
const RETRY_SECONDS_MAX: i64 = 3_600;

/// The proof that a callback belongs to whoever subscribes: it must echo a challenge. Fails with 2200 where it does not.
pub(crate) async fn handshake(
    sandbox: &Sandbox,
    app: &str,
    params: &Params,
    token: Option<&str>,
) -> Result<(), Refusal> {
    let now = sandbox.now();
    let (challenge, hosts, timeout) = {
        let inner = sandbox.lock();
        let Some(grant) = token.and_then(|token| token::grant(&inner.state, token, now).ok()) else {
            // Whoever may not subscribe is refused with the call itself.
            return Ok(());
        };
        by_app(grant.app, grant.holder, app.parse().unwrap_or_default())?;
        let digits = inner.state.fresh_secret("challenge");
        let number = digits.get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(1);
        (number.to_string(), inner.state.settings.webhook_hosts.clone(), timeout(&inner.state))
    };
    let wanted = Subscription::read(params)?;
    let failed = |why: &str| {
        let message = format!("(#2200) Callback verification failed with the following errors: {why}");
        Err(Refusal::new(2200, message))
    };
    let Ok(mut address) = url::Url::parse(&wanted.callback_url) else {
        return failed("callback_url is no address");
    };
    address
        .query_pairs_mut()
        .append_pair("hub.mode", "subscribe")
        .append_pair("hub.challenge", &challenge)
        .append_pair("hub.verify_token", &params.text("verify_token").unwrap_or_default());
    let outgoing = Outgoing {
        method: Method::GET,
        address: address.as_str(),
        content_type: "text/plain",
        headers: Vec::new(),
        body: String::new(),
        hosts: &hosts,
        timeout,
    };
    match outgoing.send().await {
        Ok((200, echo)) if echo.trim() == challenge => Ok(()),
        Ok((200, _)) => failed("the answer is not the challenge (hub.challenge)"),
        Ok((status, _)) => failed(&format!("HTTP Status Code = {status}; it must be 200")),
        Err(error) => failed(&error.to_string()),
    }
}

impl Sandbox {
    /// Tells what a look has shown, and looks again where things go on by themselves.
    pub(crate) fn tell(self: &Arc<Self>, seen: Seen) {
        self.notify(&seen.notices);
        for (id, at) in seen.again {
            let sandbox = Arc::clone(self);
            self.later(at, async move {
                let seen = sandbox.look_at(id);
                sandbox.tell(seen);
            });
        }
    }

    /// Puts notices into the outbox for everybody who subscribed, and sees to it that they are sent in time.
    pub(crate) fn notify(self: &Arc<Self>, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let now = self.now();
        let (deliveries, copies, wait) = {
            let inner = self.lock();
            let all: Vec<Delivery> = notices.iter().flat_map(|notice| deliveries(&inner.state, notice, now)).collect();
            let settings = &inner.state.settings;
            (all, settings.webhook_copies, settings.webhook_delay_milliseconds)
        };
        let due = now.checked_add(SignedDuration::from_millis(wait)).unwrap_or(now);
        for delivery in deliveries {
            for _ in 0..copies {
                self.webhooks.put(due, delivery.clone());
            }
            self.send_at(due);
        }
    }

    fn send_at(self: &Arc<Self>, due: Timestamp) {
        let sandbox = Arc::clone(self);
        let sent: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { sandbox.send_due().await });
        self.later(due, sent);
    }

    /// Sends everything that is due, in one order.
    async fn send_due(self: &Arc<Self>) {
        let _one = self.webhooks.sending.lock().await;
        let mut due = self.webhooks.due(self.now());
        let (reorder, batch, hosts, timeout) = {
            let inner = self.lock();
            let settings = &inner.state.settings;
            (settings.webhook_reorder, settings.webhook_batch, settings.webhook_hosts.clone(), timeout(&inner.state))
        };
        if reorder {
            due.reverse();
        }
        for group in grouped(due, batch.max(1)) {
            self.send(group, &hosts, timeout).await;
        }
    }

    async fn send(self: &Arc<Self>, group: Vec<Delivery>, hosts: &[String], timeout: Duration) {
        let Some(first) = group.first() else { return };
        let (object, content_type, body) = written(&group, self.now());
        let signature = |name: &'static str, prefix: &str, algorithm: hmac::Algorithm| {
            let key = hmac::Key::new(algorithm, APP_SECRET.as_bytes());
            let hex = hex::encode(hmac::sign(&key, body.as_bytes()));
            (HeaderName::from_static(name), format!("{prefix}={hex}"))
        };
        let headers = vec![
            signature("x-hub-signature-256", "sha256", hmac::HMAC_SHA256),
            signature("x-hub-signature", "sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ];
        let address = first.address.clone();
        let number = first.attempts + 1;
        let outgoing =
            Outgoing { method: Method::POST, address: &address, content_type, headers, body, hosts, timeout };
        let answer = outgoing.send().await;
        let at = self.now();
        let (status, error) = match answer {
            Ok((status, _)) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let entries = group.len();
        self.webhooks.log(Attempt { at, address, object, entries, number, status, error });
        if !status.is_some_and(|status| (200..300).contains(&status)) {
            for delivery in group {
                self.repeat(delivery, at);
            }
        }
    }

    /// Twice as long is waited after each failure.
    fn repeat(self: &Arc<Self>, mut delivery: Delivery, now: Timestamp) {
        if now.duration_since(delivery.first) > SignedDuration::from_hours(GIVE_UP_HOURS) {
            return;
        }
        let wait = 2_i64.saturating_pow(delivery.attempts).min(RETRY_SECONDS_MAX);
        let due = now.checked_add(SignedDuration::from_secs(wait)).unwrap_or(now);
        delivery.attempts += 1;
        self.webhooks.put(due, delivery);
        self.send_at(due);
    }
}

fn timeout(state: &State) -> Duration {
    Duration::from_millis(state.settings.webhook_timeout_milliseconds)
}

/// What a notice means to each app that wants to know of it.
fn deliveries(state: &State, notice: &Notice, now: Timestamp) -> Vec<Delivery> {
    let new = |address, content| Delivery { address, content, attempts: 0, first: now };
    match notice {
        Notice::Changed { object, id, field, value } => {
            let Some(about) = state.object(*id) else { return Vec::new() };
            let wanted = state
                .apps()
                .flat_map(|app| of(app).into_iter().map(move |it| (app.id, it)))
                .filter(|(app, it)| it.object == *object && it.fields.contains(field) && tells(about, *app, field));
            wanted
                .map(|(_, it)| {
                    let shown_id = if about.kind == Kind::Page { json!(id) } else { json!(id.to_string()) };
                    let entry = if it.include_values {
                        json!({ "id": shown_id, "time": now.as_second(), "changes": [{ "field": field, "value": value }] })
                    } else {
                        json!({ "id": shown_id, "time": now.as_second(), "changed_fields": [field] })
                    };
                    new(it.callback_url, Content::Entry { object: object.clone(), entry })
                })
                .collect()
        }
        Notice::Deauthorized { app, person } => {
            let address = state.of_kind(*app, Kind::App).map(|app| app.text("deauth_callback_url").to_owned());
            let content = json!({
                "algorithm": "HMAC-SHA256",
                "issued_at": now.as_second(),
                "user_id": person.to_string(),
            });
            let address = address.filter(|address| !address.is_empty());
            address.map(|address| new(address, Content::SignedRequest(content))).into_iter().collect()
        }
    }
}

/// Neighbours to the same address about the same kind of object go in one request, up to so many.
fn grouped(due: Vec<Delivery>, most: usize) -> Vec<Vec<Delivery>> {
    let mut groups: Vec<Vec<Delivery>> = Vec::new();
    for delivery in due {
        let fits =
            groups.last().and_then(|group| Some((group.first()?, group.len()))).is_some_and(|(first, length)| {
                length < most
                    && first.address == delivery.address
                    && kind(first).is_some()
                    && kind(first) == kind(&delivery)
            });
        match groups.last_mut() {
            Some(group) if fits => group.push(delivery),
            _ => groups.push(vec![delivery]),
        }
    }
    groups
}

fn kind(delivery: &Delivery) -> Option<&str> {
    match &delivery.content {
        Content::Entry { object, .. } => Some(object),
        Content::SignedRequest(_) => None,
    }
}

/// The kind of object, the content type and the body of a request.
fn written(group: &[Delivery], now: Timestamp) -> (String, &'static str, String) {
    let entries: Vec<&Value> = group
        .iter()
        .filter_map(|delivery| match &delivery.content {
            Content::Entry { entry, .. } => Some(entry),
            Content::SignedRequest(_) => None,
        })
        .collect();
    match group.first().map(|delivery| &delivery.content) {
        Some(Content::SignedRequest(content)) => {
            let form = format!("signed_request={}", signed_request(content));
            ("deauthorize".to_owned(), "application/x-www-form-urlencoded", form)
        }
        Some(Content::Entry { object, .. }) => {
            let body = escaped(&json!({ "object": object, "entry": entries }).to_string());
            (object.clone(), "application/json", body)
        }
        None => (String::new(), "application/json", json!({ "time": now.as_second() }).to_string()),
    }
}

/// `base64url(signature).base64url(content)`, keyed by the app's secret.
fn signed_request(content: &Value) -> String {
    let content = URL_SAFE_NO_PAD.encode(content.to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, content.as_bytes()));
    format!("{signature}.{content}")
}

/// JSON with everything beyond ASCII as `\u00e4`: the form that Meta signs.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
        } else {
            let mut units = [0_u16; 2];
            for unit in letter.encode_utf16(&mut units) {
                escaped.extend(['\\', 'u']);
                escaped.extend(
                    [12, 8, 4, 0].map(|shift| char::from_digit(u32::from(*unit >> shift & 0xf), 16).unwrap_or('0')),
                );
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_beyond_ascii_are_escaped_before_they_are_signed() {
        assert_eq!(escaped("{\"name\":\"Käse 🧀\"}"), "{\"name\":\"K\\u00e4se \\ud83e\\uddc0\"}");
    }

    #[test]
    fn a_signed_request_carries_its_content_and_a_signature_over_it() {
        let signed = signed_request(&json!({ "user_id": "7" }));
        let (signature, content) = signed.split_once('.').unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(content).unwrap(), b"{\"user_id\":\"7\"}");
        let expected = token::proof(APP_SECRET, content);
        assert_eq!(hex::encode(URL_SAFE_NO_PAD.decode(signature).unwrap()), expected);
    }
}
