//! Campaigns, ad sets, creatives and ads: reading them, and changing what exists. Making them is `mutation`'s.

use std::time::Duration;

use futures::FutureExt;
use graph::{
    On,
    codec::{self, CodecError, Mode},
    objects::{self, Kind},
};
use proto::campaigns::v1::Campaign;
use rpc::Caller;
use serde_json::{Value, json};
use storage::audit::Entry;
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use crate::{
    context::{self, Context},
    error::Error,
    freshness::{Read, Wanted},
    mirror::{self, Mirrored},
    once::Once,
    rules::{self, Findings},
    wire,
};

/// Which object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Which {
    pub(crate) account: AdAccountId,
    pub(crate) kind: Kind,
    pub(crate) id: u64,
}

impl Which {
    /// Its name with us.
    pub(crate) fn name(self) -> String {
        mirror::resource_name(self.account, self.kind, self.id)
    }
}

impl Context {
    /// One object. Where it is not stored, or not fresh enough, Meta is asked.
    pub(crate) async fn object(&self, tenant: &TenantId, which: Which, wanted: &Wanted) -> Result<Read<Value>, Error> {
        self.object_on(&context::reading(tenant, which.account), which, wanted).await
    }

    /// As [`Context::object`], as urgently as `on` says.
    async fn object_on(&self, on: &On, which: Which, wanted: &Wanted) -> Result<Read<Value>, Error> {
        let tenant = &on.tenant;
        self.own_on(on, which.account).await?;
        let stored = self.store.object(tenant, which.account, which.kind, which.id).await?;
        let kept = Duration::from_secs(self.settings.mirror_seconds);
        match stored {
            Some(stored) if wanted.is_met(stored.fetched, self.now(), kept) => {
                Ok(Read::fresh(stored.graph, stored.fetched))
            }
            stored => match self.live(on, which).await {
                Ok(read) => Ok(read),
                Err(error) => match stored {
                    Some(stored) if error.is_temporary() && wanted.takes_stale() => {
                        Ok(Read::stale(stored.graph, stored.fetched))
                    }
                    _ => Err(error),
                },
            },
        }
    }

    /// One object as Meta has it now. Money and status moves look at this first.
    pub(crate) async fn live(&self, on: &On, which: Which) -> Result<Read<Value>, Error> {
        let now = self.now();
        let mut graph = match self.graph.send(on, objects::get(which.kind, which.id)).await {
            Err(graph::Error::Missing { .. }) => return Err(Error::NotFound(which.name())),
            other => other?,
        };
        // A token may reach more accounts than this one, and whose they are is not for an id to decide. What does not say
        // where it is at home is no object of an account.
        if mirror::number(&graph, "account_id") != Some(which.account.get()) {
            return Err(Error::NotFound(which.name()));
        }
        if let Some(object) = graph.as_object_mut() {
            object.remove("account_id");
        }
        let client = self.store.postgres.client().await?;
        self.store.keep_object(&client, &on.tenant, which.account, which.kind, &graph, now).await?;
        Ok(Read::fresh(graph, now))
    }

    /// Stops it, before all other work.
    pub(crate) async fn pause(
        &self,
        caller: &Caller,
        which: Which,
        reason: String,
        asked: Option<Once>,
        validate_only: bool,
    ) -> Result<Value, Error> {
        let on = context::before_stopping(&caller.tenant, which.account);
        if validate_only {
            return Ok(self.object_on(&on, which, &Wanted::Stored).await?.value);
        }
        let (context, theirs) = (self.clone(), caller.clone());
        let request = asked.map(|asked| asked.request);
        let work = async move {
            context.object_on(&on, which, &Wanted::Stored).await?;
            context.set_status(&theirs, which, false, request, &reason).await
        };
        self.once(&caller.tenant, asked, work.boxed()).await
    }

    /// Lets it deliver, if it is what the caller saw.
    pub(crate) async fn activate(
        &self,
        caller: &Caller,
        which: Which,
        etag: String,
        asked: Once,
        validate_only: bool,
    ) -> Result<Value, Error> {
        if validate_only {
            return self.seen(&caller.tenant, which, &etag).await;
        }
        let (context, theirs) = (self.clone(), caller.clone());
        let work = async move {
            context.seen(&theirs.tenant, which, &etag).await?;
            context.set_status(&theirs, which, true, Some(asked.request), "").await
        };
        self.once(&caller.tenant, Some(asked), work.boxed()).await
    }

    /// Lets it deliver, or stops it.
    async fn set_status(
        &self,
        caller: &Caller,
        which: Which,
        active: bool,
        request: Option<Uuid>,
        reason: &str,
    ) -> Result<Value, Error> {
        let on = if active {
            context::writing(&caller.tenant, which.account)
        } else {
            context::stopping(&caller.tenant, which.account)
        };
        let call = objects::set_status(which.kind, which.id, active);
        let verb = if active { "activate" } else { "pause" };
        self.change(caller, which, on, call, verb, request, json!({ "reason": reason })).await
    }

    /// The object as Meta has it now, which must be what the caller saw.
    async fn seen(&self, tenant: &TenantId, which: Which, etag: &str) -> Result<Value, Error> {
        self.own(tenant, which.account).await?;
        let graph = self.live(&context::reading(tenant, which.account), which).await?.value;
        wire::etag(etag, &mirror::etag(&graph), &which.name())?;
        Ok(graph)
    }

    /// Changes a campaign, or only checks the change. Meta has no conditional write, so what the caller saw is compared
    /// with what is there just before; a change in Ads Manager between the two is lost.
    pub(crate) async fn update_campaign(
        &self,
        caller: &Caller,
        which: Which,
        campaign: Campaign,
        mask: Vec<String>,
        asked: Once,
        validate_only: bool,
    ) -> Result<Value, Error> {
        update_form(&campaign, &mask)?;
        let mut findings = Findings::default();
        rules::campaign::changes(&campaign, &mask, &mut findings);
        findings.finish()?;
        if validate_only {
            let seen = self.seen(&caller.tenant, which, &campaign.etag).await?;
            self.check_update(caller, which, &campaign, &mask).await.map_err(|error| error.at("campaign"))?;
            return Ok(seen);
        }
        let (context, theirs) = (self.clone(), caller.clone());
        let work = async move {
            context.seen(&theirs.tenant, which, &campaign.etag).await?;
            let updated = context.update(&theirs, which, &campaign, &mask, asked.request).await;
            updated.map_err(|error| error.at("campaign"))
        };
        self.once(&caller.tenant, Some(asked), work.boxed()).await
    }

    /// Changes the fields that the mask names.
    async fn update<M: Mirrored>(
        &self,
        caller: &Caller,
        which: Which,
        message: &M,
        mask: &[String],
        request: Uuid,
    ) -> Result<Value, Error> {
        let form = update_form(message, mask)?;
        let on = context::writing(&caller.tenant, which.account);
        let call = objects::update(which.kind, which.id, form);
        self.change(caller, which, on, call, "update", Some(request), json!({ "fields": mask })).await
    }

    /// Lets Meta check an update, which changes nothing.
    async fn check_update<M: Mirrored>(
        &self,
        caller: &Caller,
        which: Which,
        message: &M,
        mask: &[String],
    ) -> Result<(), Error> {
        let call = objects::check_update(which.id, update_form(message, mask)?);
        self.graph.send(&context::writing(&caller.tenant, which.account), call).await?;
        Ok(())
    }

    /// Deletes it and all beneath it, if it is what the caller saw and `confirm_name` is its name.
    pub(crate) async fn remove(
        &self,
        caller: &Caller,
        which: Which,
        (etag, confirm_name): (String, String),
        asked: Once,
        validate_only: bool,
    ) -> Result<(), Error> {
        let (context, theirs) = (self.clone(), caller.clone());
        let check = async move {
            let graph = context.seen(&theirs.tenant, which, &etag).await?;
            let same = confirm_name == mirror::text(&graph, "name");
            let differs = || Error::field("confirm_name", "must be the campaign's own name", "NAME_DIFFERS");
            if same { Ok(()) } else { Err(differs()) }
        };
        if validate_only {
            return check.await;
        }
        let (context, theirs) = (self.clone(), caller.clone());
        let work = async move {
            check.await?;
            context.delete(&theirs, which, asked.request).await?;
            Ok(Value::Null)
        };
        self.once(&caller.tenant, Some(asked), work.boxed()).await.map(drop)
    }

    async fn delete(&self, caller: &Caller, which: Which, request: Uuid) -> Result<(), Error> {
        let (context, caller, on) = (self.clone(), caller.clone(), context::writing(&caller.tenant, which.account));
        self.finish(async move {
            let answer = match context.graph.send_traced(&on, objects::delete(which.id)).await {
                Err(graph::Error::Missing { .. }) => None, // gone already
                other => other?.trace_id,
            };
            let name = which.name();
            let action = format!("{}.delete", which.kind);
            let detail = json!({ "fbtrace_id": answer });
            let entry = entry(&caller, &action, &name, Some(request), detail);
            Ok(context.store.changed(&caller.tenant, which.account, which.kind, None, entry).await?)
        })
        .await
    }

    /// One absolute change: safe to repeat, so it needs no intent. Meta's answer is the read-back.
    #[expect(clippy::too_many_arguments, reason = "one private path for three verbs")]
    async fn change(
        &self,
        caller: &Caller,
        which: Which,
        on: graph::On,
        call: graph::Call<Value>,
        verb: &'static str,
        request: Option<Uuid>,
        mut detail: Value,
    ) -> Result<Value, Error> {
        let (context, caller) = (self.clone(), caller.clone());
        self.finish(async move {
            let answer = context.graph.send_traced(&on, call).await?;
            let again = On { priority: on.priority, ..context::reading(&caller.tenant, which.account) };
            let now = context.now();
            // Without the fields, or with an acknowledgement only, the object is read.
            let graph = match mirror::number(&answer.value, "id") {
                Some(_) if answer.value.get("status").is_some() => answer.value,
                _ => context.live(&again, which).await?.value,
            };
            if let Some(detail) = detail.as_object_mut() {
                detail.insert("fbtrace_id".to_owned(), json!(answer.trace_id));
            }
            let name = which.name();
            let action = format!("{}.{verb}", which.kind);
            let entry = entry(&caller, &action, &name, request, detail);
            context.store.changed(&caller.tenant, which.account, which.kind, Some((&graph, now)), entry).await?;
            Ok(graph)
        })
        .await
    }

    /// Does something to its end, also when the caller goes away meanwhile.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match self.tasks.spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(Error::Store(storage::Error::Broken(format!("a task of ours ended early: {error}")))),
        }
    }
}

fn entry<'a>(
    caller: &'a Caller,
    action: &'a str,
    resource: &'a str,
    request: Option<Uuid>,
    detail: Value,
) -> Entry<'a> {
    let (tenant, actor) = (caller.tenant.as_str(), caller.subject.as_ref());
    Entry { tenant, actor, action, resource, request_id: request, detail }
}

/// What an update sends; what cannot be sent is the caller's to fix.
fn update_form<M: Mirrored>(message: &M, mask: &[String]) -> Result<Vec<(String, String)>, Error> {
    if mask.is_empty() {
        return Err(Error::field("update_mask", "is required: names of top-level fields", "REQUIRED"));
    }
    if mask.iter().any(|path| path == "status") {
        return Err(Error::field("update_mask", "status is changed by its own RPCs", "STATUS_HAS_ITS_OWN_RPC"));
    }
    codec::encode(message, M::KIND.message(), Mode::Update(mask)).map_err(|error| match error {
        CodecError::NotClearable { field } => Error::NotClearable(field),
        CodecError::Mask { field, reason } => Error::field("update_mask", format!("`{field}`: {reason}"), "MASK"),
        CodecError::Field { field, reason, rule } => Error::field(format!("{}.{field}", M::KIND), reason, rule),
        other => Error::Codec(other),
    })
}
