//! Meta's own calls, as a caller puts them together: within one ad account, charged, and audited where they change
//! something. The audit says what is going to be sent before it is, and what came of it after: a kill in between leaves
//! the first.

use std::collections::{BTreeMap, BTreeSet};

use graph::{
    Batch, Item, MetaError, Replied, Verb,
    passthrough::{self, Passed, Start},
};
use prost::Message;
use proto::{
    common::v1::RowError,
    graph::v1::{BatchResult, ExecuteBatchResponse},
};
use rpc::Caller;
use serde_json::json;
use storage::audit;
use uuid::Uuid;
use vocabulary::ids::AdAccountId;

use crate::{
    context::{self, Context},
    error::Error,
    mutation::row_error,
    once::Once,
    rules::Findings,
};

/// What all answers together may have, in bytes: the rest of a message is for what stands around them.
const BODIES_BYTES_MAX: usize = 3 << 20;

/// One call as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) name: String,
    pub(crate) depends_on: String,
}

/// A batch that may go.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    account: AdAccountId,
    batch: Batch,
    /// Where calls begin, by the field that says so.
    objects: BTreeMap<String, u64>,
    /// As the audit tells them; reads are not in it.
    changes: Vec<(usize, String)>,
}

impl Checked {
    /// Fails with all that is wrong, by the request's own fields.
    pub(crate) fn new(account: AdAccountId, asked: Vec<Asked>) -> Result<Self, Error> {
        let (mut findings, mut items) = (Findings::default(), Vec::with_capacity(asked.len()));
        let (mut objects, mut changes, mut listing) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        let is_mixed = asked.iter().any(|it| it.verb == Verb::Get) && asked.iter().any(|it| it.verb != Verb::Get);
        // The answer to a change is kept for its repeats; what was read has no place there.
        findings.check(!is_mixed, "calls", "must be all reads or all changes: send the others by themselves", "MIXED");
        for (place, asked) in asked.into_iter().enumerate() {
            match passthrough::call(account, asked.verb, &asked.path, &asked.params, &listing) {
                Ok(Passed { call, start, lists }) => {
                    if let Start::Object(id) = start {
                        objects.insert(format!("calls[{place}].path"), id);
                    }
                    if lists && !asked.name.is_empty() {
                        listing.insert(asked.name.clone());
                    }
                    if call.is_write() {
                        changes.push((place, format!("{} {}", asked.verb.as_str(), asked.path)));
                    }
                    items.push(Item::new(call).named(&asked.name).after(&asked.depends_on));
                }
                Err(refused) => {
                    findings.add(format!("calls[{place}].{}", refused.field), &refused.words, "NOT_ALLOWED");
                }
            }
        }
        findings.finish()?;
        let batch = Batch::new(items).map_err(|error| Error::field("calls", error.to_string(), "NO_BATCH"))?;
        Ok(Self { account, batch, objects, changes })
    }

    /// Whether something is changed.
    pub(crate) fn is_write(&self) -> bool {
        !self.changes.is_empty()
    }
}

impl Context {
    /// Sends the batch; with `once` every repeat gets the first answer.
    pub(crate) async fn execute(
        &self,
        caller: &Caller,
        batch: Checked,
        once: Option<Once>,
        validate_only: bool,
    ) -> Result<ExecuteBatchResponse, Error> {
        self.own(&caller.tenant, batch.account).await?;
        self.require_known(caller, &batch).await?;
        if validate_only {
            return Ok(ExecuteBatchResponse::default());
        }
        let (context, by) = (self.clone(), caller.clone());
        let request = once.map(|once| once.request);
        let work = async move { Ok(context.send_batch(&by, batch, request).await?.encode_to_vec()) };
        let answer = self.once_bytes(&caller.tenant, once, Box::pin(work)).await?;
        Ok(ExecuteBatchResponse::decode(answer.as_slice())?)
    }

    /// An object of another account, or of nobody, does not exist.
    async fn require_known(&self, caller: &Caller, batch: &Checked) -> Result<(), Error> {
        let ids: Vec<u64> = batch.objects.values().copied().collect();
        let known: BTreeSet<u64> = self.store.known(&caller.tenant, batch.account, &ids).await?;
        let mut findings = Findings::default();
        for (field, id) in batch.objects.iter().filter(|(_, id)| !known.contains(id)) {
            let words = format!(
                "{id} is no campaign, ad set, ad or creative of {} that a list has shown: list them first",
                batch.account.act()
            );
            findings.add(field, &words, "UNKNOWN_OBJECT");
        }
        findings.finish()
    }

    async fn send_batch(
        &self,
        caller: &Caller,
        checked: Checked,
        request: Option<Uuid>,
    ) -> Result<ExecuteBatchResponse, Error> {
        let Checked { account, batch, changes, .. } = checked;
        let on = if changes.is_empty() {
            context::reading(&caller.tenant, account)
        } else {
            context::writing(&caller.tenant, account)
        };
        if !changes.is_empty() {
            let calls: Vec<&str> = changes.iter().map(|(_, call)| call.as_str()).collect();
            self.tell(caller, account, request, "graph.execute.begin", json!({ "calls": calls })).await?;
        }
        let replied = Box::pin(self.graph.execute(&on, batch)).await?;
        for (place, call) in &changes {
            let replied = replied.get(*place).and_then(Option::as_ref);
            let (status, trace) = replied.map_or((0, None), |it| (it.status, it.trace_id.as_deref()));
            let came = json!({ "call": call, "status": status, "fbtrace_id": trace });
            self.tell(caller, account, request, "graph.execute", came).await?;
        }
        let mut left = BODIES_BYTES_MAX;
        Ok(ExecuteBatchResponse { results: replied.into_iter().map(|replied| result(replied, &mut left)).collect() })
    }

    async fn tell(
        &self,
        caller: &Caller,
        account: AdAccountId,
        request_id: Option<Uuid>,
        action: &str,
        detail: serde_json::Value,
    ) -> Result<(), Error> {
        let resource = format!("adAccounts/{}", account.act());
        let (tenant, actor) = (caller.tenant.as_str(), &*caller.subject);
        let entry = audit::Entry { tenant, actor, action, resource: &resource, request_id, detail };
        Ok(self.store.audited(entry).await?)
    }
}

/// `left` is what the answers that follow may have together.
fn result(replied: Option<Replied>, left: &mut usize) -> BatchResult {
    let Some(Replied { status, result, trace_id }) = replied else {
        let message =
            "Meta did not finish this call, or did not begin it because one before it failed: look, then send it again";
        return BatchResult { error: Some(failed(rpc::Code::Unknown, message)), ..BatchResult::default() };
    };
    let answer =
        BatchResult { status: i32::from(status), fbtrace_id: trace_id.unwrap_or_default(), ..Default::default() };
    match result {
        Err(meta) => BatchResult { error: Some(refused(*meta)), ..answer },
        Ok(body) => {
            let body = body.to_string();
            match left.checked_sub(body.len()) {
                Some(rest) => {
                    *left = rest;
                    BatchResult { body, ..answer }
                }
                None => {
                    let message = "the answers are more than 3 MiB together: ask for fewer fields, or a smaller limit";
                    BatchResult { error: Some(failed(rpc::Code::FailedPrecondition, message)), ..answer }
                }
            }
        }
    }
}

fn failed(code: rpc::Code, message: &str) -> RowError {
    let reason = if code == rpc::Code::Unknown { "OUTCOME_UNKNOWN" } else { "QUERY_TOO_LARGE" };
    RowError { code: code.into(), reason: reason.to_owned(), message: message.to_owned(), ..RowError::default() }
}

/// As the same answer to a call of its own would be told.
fn refused(meta: MetaError) -> RowError {
    row_error(&Error::Graph(graph::Error::of(meta, "a call of the batch")))
}
