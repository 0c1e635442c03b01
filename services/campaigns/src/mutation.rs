//! The one path of a create: intent row, call, outcome row.
//!
//! A create is never safe to repeat, so it is written down before it is sent. What a crash, a timeout or a cut connection
//! leaves is a row that says "look before you send again"; [`crate::looking`] looks.
//!
//! The row says `sending` once lease and permit are in hand, just before the bytes go ([`crate::announce`]). A create that
//! waits for its permit is only `prepared`, so a crash then leaves nothing to look for.

use aws_lc_rs::digest;
use graph::objects::{self as calls, Kind};
use jiff::Timestamp;
use proto::operations::v1::Operation;
use rpc::{Caller, Fault};
use serde_json::{Value, json};
use storage::{operations::New, requests::Begin};
use tracing::warn;
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use crate::{
    announce::{Announce, is_taken},
    context::{self, Context},
    error::Error,
    mirror,
    objects::Which,
    operations,
    settings::Marker,
    store::{
        accounts::Made,
        intents::{Intent, State},
    },
};

/// What is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) account: AdAccountId,
    pub(crate) kind: Kind,
    /// The campaign of an ad set, the ad set of an ad; else 0.
    pub(crate) parent: u64,
    pub(crate) name: String,
    /// What is sent.
    pub(crate) form: Vec<(String, String)>,
    /// Where it stands in the request.
    pub(crate) path: &'static str,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// Meta has it; this is how.
    Made(Value),
    /// The answer was lost; the operation ends when we have looked.
    Looking(Box<Operation>),
}

/// What one attempt to send came to.
#[derive(Debug)]
pub(crate) enum Sent {
    /// Meta has it.
    Made(Value),
    /// Meta does not have it, and this is why.
    Refused(Error),
    /// It did not reach Meta. The intent is withdrawn.
    Unsent(Error),
    /// The answer was lost.
    Lost,
}

impl Context {
    /// Lets Meta check a create, which makes nothing.
    pub(crate) async fn check_create(&self, tenant: &TenantId, order: &Order) -> Result<(), Error> {
        let call = calls::check(order.kind, order.account, order.form.clone());
        self.graph
            .send(&context::writing(tenant, order.account), call)
            .await
            .map_err(|error| Error::from(error).at(order.path))?;
        Ok(())
    }

    /// Makes one thing, once. `method` and `fingerprint` tell a repeat of the request from a reuse of its id.
    pub(crate) async fn create(
        &self,
        caller: &Caller,
        request: Uuid,
        method: &'static str,
        fingerprint: [u8; 32],
        order: Order,
    ) -> Result<Outcome, Error> {
        match self.store.requests.begin(caller.tenant.as_str(), request, method, fingerprint).await? {
            Begin::New => {}
            Begin::Answered(bytes) => return self.answered(&caller.tenant, &bytes).await,
            Begin::InFlight => return Err(Error::InFlight(format!("request {request}"))),
            Begin::Reused => return Err(Error::RequestIdReused(request)),
        }
        let (context, caller, on) = (self.clone(), caller.clone(), context::writing(&caller.tenant, order.account));
        self.finish(async move {
            let result = context.create_once(&caller, request, fingerprint, order, on).await;
            context.remember(&caller.tenant, request, &result).await?;
            result
        })
        .await
    }

    /// Stores the answer for repeats; a failure that changed nothing is forgotten, so that a corrected request can run.
    async fn remember(&self, tenant: &TenantId, request: Uuid, result: &Result<Outcome, Error>) -> Result<(), Error> {
        let requests = &self.store.requests;
        match result {
            Ok(Outcome::Made(graph)) => {
                requests.answer(tenant.as_str(), request, json!({ "made": graph }).to_string().as_bytes()).await?;
            }
            Ok(Outcome::Looking(operation)) => {
                let answer = json!({ "operation": operation.name }).to_string();
                requests.answer(tenant.as_str(), request, answer.as_bytes()).await?;
            }
            Err(_) => requests.abandon(tenant.as_str(), request).await?,
        }
        Ok(())
    }

    /// The answer that a repeat of the request gets.
    async fn answered(&self, tenant: &TenantId, bytes: &[u8]) -> Result<Outcome, Error> {
        let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if let Some(made) = answer.get("made") {
            return Ok(Outcome::Made(made.clone()));
        }
        let name = mirror::text(&answer, "operation");
        let id = name.rsplit_once(&format!("{}-", operations::SERVICE)).and_then(|(_, id)| id.parse().ok());
        let stored = match id {
            Some(id) => self.store.operations.get(tenant.as_str(), id).await?,
            None => None,
        };
        let stored = stored.ok_or_else(|| Error::NotFound(name.to_owned()))?;
        Ok(Outcome::Looking(Box::new(operations::read(&stored)?)))
    }

    async fn create_once(
        &self,
        caller: &Caller,
        request: Uuid,
        fingerprint: [u8; 32],
        order: Order,
        on: graph::On,
    ) -> Result<Outcome, Error> {
        let earlier = self.store.intent_of_request(&caller.tenant, request).await?;
        // The answer of a run that failed half-way is abandoned; what it began still says what was asked for.
        if earlier.as_ref().is_some_and(|intent| intent.fingerprint != fingerprint) {
            return Err(Error::RequestIdReused(request));
        }
        let intent = match earlier {
            // An earlier run of this request died; its row says how far it came.
            Some(intent) if intent.state == State::Done => {
                let id = intent.object.unwrap_or(0);
                let stored = self.store.object(&caller.tenant, intent.account, intent.kind, id).await?;
                let graph = stored.map_or_else(|| json!({ "id": id.to_string() }), |stored| stored.graph);
                return Ok(Outcome::Made(graph));
            }
            Some(intent) if intent.state != State::Prepared => return self.look_for(&intent).await,
            Some(intent) => intent,
            None => {
                let label = self.week_label((caller, request), order.account, &on).await?;
                let intent = Intent {
                    request: Some(request),
                    label,
                    ..intent(&caller.tenant, &caller.subject, fingerprint, &order)
                };
                self.prepare(&intent).await?;
                intent
            }
        };
        match self.send_one(&intent, order.form, &on).await? {
            Sent::Made(graph) => Ok(Outcome::Made(graph)),
            Sent::Refused(error) | Sent::Unsent(error) => Err(error.at(order.path)),
            Sent::Lost => self.look_for(&intent).await,
        }
    }

    /// Writes the intent. Another one that could not be told from it at Meta makes it wait.
    pub(crate) async fn prepare(&self, intent: &Intent) -> Result<(), Error> {
        match self.store.prepare(intent).await {
            Err(error) if error.constraint() == Some("intents_unresolved") => {
                Err(Error::InFlight(format!("another {} of the name {:?}", intent.kind, intent.name)))
            }
            Err(error) if error.is_conflict() => Err(Error::InFlight(format!("the {} {:?}", intent.kind, intent.name))),
            other => Ok(other?),
        }
    }

    /// Sends one create and writes down what came of it.
    pub(crate) async fn send_one(
        &self,
        intent: &Intent,
        form: Vec<(String, String)>,
        on: &graph::On,
    ) -> Result<Sent, Error> {
        let announce = Announce { store: &self.store, tenant: &intent.tenant, intents: &[intent.id] };
        let call = calls::create(intent.kind, intent.account, form, intent.label.as_deref());
        let (answer, trace) = match self.graph.send_announced(on, call, &announce).await {
            Ok(answer) => (Ok(answer.value), answer.trace_id),
            Err(error) if is_taken(&error) => {
                return Err(Error::InFlight(format!("the {} {:?}", intent.kind, intent.name)));
            }
            Err(error) => (Err(error), None),
        };
        self.settle(intent, answer, trace).await
    }

    /// Writes down what came of a create that was sent.
    pub(crate) async fn settle(
        &self,
        intent: &Intent,
        answer: Result<Value, graph::Error>,
        trace: Option<String>,
    ) -> Result<Sent, Error> {
        let error = match answer {
            Ok(graph) => match mirror::number(&graph, "id") {
                Some(id) => {
                    let graph = self.read_back(intent, id, graph).await;
                    let detail = json!({ "fbtrace_id": trace, "name": intent.name });
                    self.store.made(intent, id, &graph, self.now(), detail).await?;
                    return Ok(Sent::Made(graph));
                }
                None => return self.lose(intent).await, // an answer without an id says nothing
            },
            Err(error) => error,
        };
        match &error {
            // Meta said something that we cannot read: it may well have made it.
            graph::Error::OutcomeUnknown { .. } | graph::Error::Malformed { .. } => self.lose(intent).await,
            graph::Error::Upstream(_)
            | graph::Error::Quota { .. }
            | graph::Error::Throttled { .. }
            | graph::Error::Unavailable { .. }
            | graph::Error::DeadVersion { .. }
            | graph::Error::Open { .. }
            | graph::Error::Withheld { .. }
            | graph::Error::Deadline { .. }
            | graph::Error::Setup(_) => {
                self.store.withdraw(&intent.tenant, &[intent.id]).await?;
                Ok(Sent::Unsent(Error::from(error)))
            }
            _ => {
                self.store.failed(&intent.tenant, intent.id, &rpc::row_error(&error), None).await?;
                Ok(Sent::Refused(Error::from(error)))
            }
        }
    }

    /// What was made, as Meta has it. The fields ride on the answer; where Meta left them out, they are read. A read that
    /// fails right after a create is lag and not loss, so then the answer stands as it is.
    async fn read_back(&self, intent: &Intent, id: u64, answer: Value) -> Value {
        if answer.get("name").is_some() {
            return answer;
        }
        let which = Which { account: intent.account, kind: intent.kind, id };
        let on = context::reading(&intent.tenant, intent.account);
        self.live(&on, which).await.map_or(answer, |read| read.value)
    }

    async fn lose(&self, intent: &Intent) -> Result<Sent, Error> {
        warn!(intent.id = %intent.id, intent.kind = intent.kind.word(), "the answer to a create was lost");
        self.store.lost(&intent.tenant, intent.id, None).await?;
        Ok(Sent::Lost)
    }

    /// Hands a lost create to a worker that looks for it. Again for the same intent gives the same operation.
    pub(crate) async fn look_for(&self, intent: &Intent) -> Result<Outcome, Error> {
        if let Some(id) = intent.operation
            && let Some(stored) = self.store.operations.get(intent.tenant.as_str(), id).await?
        {
            return Ok(Outcome::Looking(Box::new(operations::read(&stored)?)));
        }
        let id = Uuid::now_v7();
        let resource = format!("adAccounts/{}", intent.account.act());
        let body = operations::accepted(id, &resource, "looking whether Meta made it", self.now());
        let new = New {
            tenant: intent.tenant.as_str(),
            id,
            kind: operations::LOOK,
            resource: &resource,
            input: intent.id.as_bytes(),
            body: &prost::Message::encode_to_vec(&body),
        };
        let client = self.store.postgres.client().await?;
        self.store.operations.create(&client, new).await?;
        self.store.lost(&intent.tenant, intent.id, Some(id)).await?;
        self.wake.notify_one();
        Ok(Outcome::Looking(Box::new(body)))
    }

    /// The label that marks single creates of this week, made where there is none. One for each week, because an account
    /// may have 100,000 labels in all.
    async fn week_label(
        &self,
        (caller, request): (&Caller, Uuid),
        account: AdAccountId,
        on: &graph::On,
    ) -> Result<Option<String>, Error> {
        let tenant = &caller.tenant;
        if self.settings.marker != Marker::Label {
            return Ok(None);
        }
        let name = week(self.now());
        if let Some(label) = self.store.label(tenant, account, &name).await? {
            return Ok(Some(label));
        }
        let made = self.graph.send_traced(on, graph::labels::create(account, &name)).await;
        let made = made.map_err(|error| Error::from(error).hide(format!("adAccounts/{}", account.act())))?;
        let told = Made { trace: made.trace_id, actor: &caller.subject, request: Some(request) };
        Ok(Some(self.store.keep_label(tenant, account, (&name, &made.value.id), told).await?))
    }
}

/// An intent for this order, not written yet.
pub(crate) fn intent(tenant: &TenantId, actor: &str, fingerprint: [u8; 32], order: &Order) -> Intent {
    Intent {
        tenant: tenant.clone(),
        id: Uuid::now_v7(),
        account: order.account,
        kind: order.kind,
        parent: order.parent,
        name: order.name.clone(),
        fingerprint,
        label: None,
        actor: actor.to_owned(),
        request: None,
        plan: None,
        temporary_id: String::new(),
        state: State::Prepared,
        sent: None,
        object: None,
        error: None,
        operation: None,
    }
}

/// The SHA-256 of what a request means.
pub(crate) fn fingerprint(method: &str, message: &impl prost::Message) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(method.as_bytes());
    context.update(&[0]);
    context.update(&message.encode_to_vec());
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

/// `adplane 2026-W47`.
fn week(now: Timestamp) -> String {
    let week = now.to_zoned(jiff::tz::TimeZone::UTC).date().iso_week_date();
    format!("adplane {}-W{:02}", week.year(), week.week())
}

/// As an operation that could not be sent tells it.
pub(crate) fn row_error(error: &Error) -> proto::common::v1::RowError {
    rpc::row_error(error as &dyn Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_creates_of_one_week_share_a_label() {
        assert_eq!(week("2026-11-16T00:00:00Z".parse().unwrap()), "adplane 2026-W47");
        assert_eq!(week("2026-11-22T23:59:59Z".parse().unwrap()), "adplane 2026-W47");
        assert_eq!(week("2027-01-01T12:00:00Z".parse().unwrap()), "adplane 2026-W53");
    }

    #[test]
    fn a_fingerprint_tells_methods_and_messages_apart() {
        let message = proto::common::v1::Money { currency_code: "USD".to_owned(), minor_units: 1 };
        let other = proto::common::v1::Money { currency_code: "USD".to_owned(), minor_units: 2 };
        assert_eq!(fingerprint("a", &message), fingerprint("a", &message));
        assert_ne!(fingerprint("a", &message), fingerprint("b", &message));
        assert_ne!(fingerprint("a", &message), fingerprint("a", &other));
    }
}
