//! Plans: checked, stored, looked at, handed to a worker.

use aws_lc_rs::digest;
use prost::Message;
use proto::common::v1::Warning;
use proto::operations::v1::Operation;
use proto::plans::v1::{DiffPlanResponse, Plan, PlanEstimate, PlanState};
use rpc::Caller;
use serde_json::json;
use storage::{audit, operations::New, requests::Begin};
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, PlanId, TenantId},
    names,
};

use crate::{
    context::Context,
    error::Error,
    operations,
    plan::{apply::Input, diff, steps},
    rules::{Findings, defaults, tree},
    settings::Marker,
    store::plans::{Plan as Stored, State},
    wire,
};

const CREATE: &str = "plans.create";
const APPLY: &str = "plans.apply";

impl Context {
    /// Checks a plan and stores it. A plan that is wrong is refused before anything else happens.
    pub(crate) async fn create_plan(
        &self,
        caller: &Caller,
        account: AdAccountId,
        mut plan: Plan,
        request: Uuid,
        validate_only: bool,
    ) -> Result<(Plan, Vec<Warning>), Error> {
        let warnings = complete(&mut plan);
        check(&plan, None)?; // what needs no account is said before the account is asked for
        let least = self.own(&caller.tenant, account).await?.least_daily_budget();
        check(&plan, least)?;
        let content = plan.encode_to_vec();
        let stored = fresh(account, content);
        if validate_only {
            let mut shown = self.shown(&caller.tenant, &stored, plan).await?;
            shown.name.clear();
            return Ok((shown, warnings));
        }
        let fingerprint = crate::mutation::fingerprint(&format!("{CREATE} {account}"), &plan);
        let requests = &self.store.requests;
        match requests.begin(caller.tenant.as_str(), request, CREATE, fingerprint).await? {
            Begin::New => {}
            Begin::Reused => return Err(Error::RequestIdReused(request)),
            Begin::InFlight => return Err(Error::InFlight(format!("request {request}"))),
            Begin::Answered(id) => {
                let id = Uuid::from_slice(&id).unwrap_or_default();
                let (stored, plan) = self.stored_plan(&caller.tenant, account, id).await?;
                return Ok((self.shown(&caller.tenant, &stored, plan).await?, warnings));
            }
        }
        if let Err(error) = self.keep(caller, &stored, request).await {
            requests.abandon(caller.tenant.as_str(), request).await?;
            return Err(error);
        }
        let (stored, plan) = self.stored_plan(&caller.tenant, account, stored.id).await?;
        Ok((self.shown(&caller.tenant, &stored, plan).await?, warnings))
    }

    /// The plan, its audit entry and the answer to its request, together or not at all.
    async fn keep(&self, caller: &Caller, stored: &Stored, request: Uuid) -> Result<(), Error> {
        let mut client = self.store.postgres.client().await?;
        let transaction = client.transaction().await.map_err(storage::Error::from)?;
        self.store.keep_plan(&transaction, &caller.tenant, stored).await?;
        let tenant = caller.tenant.as_str();
        self.store.requests.answer_in(&transaction, tenant, request, stored.id.as_bytes()).await?;
        let resource = names::of_plan(stored.account, PlanId(stored.id));
        let entry = entry(caller, CREATE, &resource, request);
        audit::append(&transaction, entry).await?;
        Ok(transaction.commit().await.map_err(storage::Error::from)?)
    }

    /// One plan as it stands.
    pub(crate) async fn plan(&self, tenant: &TenantId, account: AdAccountId, id: Uuid) -> Result<Plan, Error> {
        let (stored, plan) = self.stored_plan(tenant, account, id).await?;
        self.shown(tenant, &stored, plan).await
    }

    /// A page of plans, newest first.
    pub(crate) async fn plans(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        after: Option<Uuid>,
        size: usize,
    ) -> Result<Vec<(Uuid, Plan)>, Error> {
        self.own(tenant, account).await?;
        let mut plans = Vec::new();
        for stored in self.store.plans(tenant, account, after, size).await? {
            let plan = Plan::decode(stored.content.as_slice())?;
            let mut shown = self.shown(tenant, &stored, plan).await?;
            shown.estimate = None;
            plans.push((stored.id, shown));
        }
        Ok(plans)
    }

    /// What applying would cost.
    pub(crate) async fn estimate(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        id: Uuid,
    ) -> Result<PlanEstimate, Error> {
        Ok(self.plan(tenant, account, id).await?.estimate.unwrap_or_default())
    }

    /// What applying would change.
    pub(crate) async fn diff(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        id: Uuid,
    ) -> Result<DiffPlanResponse, Error> {
        let (stored, plan) = self.stored_plan(tenant, account, id).await?;
        let intents = self.store.intents_of_plan(tenant, stored.id).await?;
        let (changes, calls) = diff::diff(&plan, &stored, &intents, self.labelled())?;
        let estimate = Some(steps::estimate(&plan, &stored, &intents, self.labelled()));
        Ok(DiffPlanResponse { changes, calls, estimate })
    }

    /// Hands a plan to a worker. One that is being applied answers with the operation that does it.
    pub(crate) async fn apply(
        &self,
        caller: &Caller,
        account: AdAccountId,
        id: Uuid,
        etag: &str,
        request: Uuid,
        validate_only: bool,
    ) -> Result<Operation, Error> {
        let (stored, _) = self.stored_plan(&caller.tenant, account, id).await?;
        let resource = names::of_plan(account, PlanId(id));
        wire::etag(etag, &stored.etag, &resource)?;
        self.own(&caller.tenant, account).await?;
        if validate_only {
            return Ok(Operation { done: true, ..Operation::default() });
        }
        let fingerprint = crate::mutation::fingerprint(APPLY, &Plan { name: resource.clone(), ..Plan::default() });
        let requests = &self.store.requests;
        match requests.begin(caller.tenant.as_str(), request, APPLY, fingerprint).await? {
            Begin::New => {}
            Begin::Reused => return Err(Error::RequestIdReused(request)),
            Begin::InFlight => return Err(Error::InFlight(format!("request {request}"))),
            Begin::Answered(id) => {
                return self.operation(&caller.tenant, Uuid::from_slice(&id).unwrap_or_default()).await;
            }
        }
        let began = self.begin_apply(caller, &stored, &resource, request).await;
        if began.is_err() {
            requests.abandon(caller.tenant.as_str(), request).await?;
        }
        let operation = self.operation(&caller.tenant, began?).await?;
        self.wake.notify_one();
        Ok(operation)
    }

    /// The operation that applies the plan from here on: a new one, or the one that does already.
    async fn begin_apply(
        &self,
        caller: &Caller,
        stored: &Stored,
        resource: &str,
        request: Uuid,
    ) -> Result<Uuid, Error> {
        let id = Uuid::now_v7();
        let tenant = caller.tenant.as_str();
        let input = Input { account: stored.account, plan: stored.id, actor: caller.subject.to_string() };
        let body = operations::accepted(id, resource, "accepted", self.now()).encode_to_vec();
        let input = json!(input).to_string();
        let mut client = self.store.postgres.client().await?;
        let transaction = client.transaction().await.map_err(storage::Error::from)?;
        let ours = self.store.begin_plan(&transaction, &caller.tenant, stored.id, id).await?;
        let id = if ours {
            let new = New { tenant, id, kind: operations::APPLY, resource, input: input.as_bytes(), body: &body };
            self.store.operations.create(&transaction, new).await?;
            id
        } else {
            // Read now: what the caller's plan was read with may be of an earlier time, and its operation long ended.
            let theirs = self.store.operation_of_plan(&transaction, &caller.tenant, stored.id).await?;
            theirs.ok_or_else(|| Error::InFlight(resource.to_owned()))?
        };
        self.store.requests.answer_in(&transaction, tenant, request, id.as_bytes()).await?;
        audit::append(&transaction, entry(caller, APPLY, resource, request)).await?;
        transaction.commit().await.map_err(storage::Error::from)?;
        Ok(id)
    }

    async fn operation(&self, tenant: &TenantId, id: Uuid) -> Result<Operation, Error> {
        let stored = self.store.operations.get(tenant.as_str(), id).await?;
        operations::read(&stored.ok_or_else(|| Error::NotFound(operations::name(id)))?)
    }

    /// A plan and its row.
    pub(crate) async fn stored_plan(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        id: Uuid,
    ) -> Result<(Stored, Plan), Error> {
        let stored = self.store.plan(tenant, account, id).await?;
        let stored = stored.ok_or_else(|| Error::NotFound(names::of_plan(account, PlanId(id))))?;
        let plan = Plan::decode(stored.content.as_slice())?;
        Ok((stored, plan))
    }

    /// A plan as callers see it: with its name, its steps and what is left to pay for.
    async fn shown(&self, tenant: &TenantId, stored: &Stored, mut plan: Plan) -> Result<Plan, Error> {
        let intents = self.store.intents_of_plan(tenant, stored.id).await?;
        plan.name = names::of_plan(stored.account, PlanId(stored.id));
        plan.etag.clone_from(&stored.etag);
        plan.set_state(match stored.state {
            State::Draft => PlanState::Draft,
            State::Applying => PlanState::Applying,
            State::Applied => PlanState::Applied,
            State::Partial => PlanState::Partial,
        });
        plan.steps = steps::steps(&plan, stored, &intents, self.labelled());
        plan.estimate = Some(steps::estimate(&plan, stored, &intents, self.labelled()));
        plan.create_time = Some(wire::time(stored.created));
        plan.update_time = Some(wire::time(stored.updated));
        Ok(plan)
    }

    fn labelled(&self) -> bool {
        self.settings.marker == Marker::Label
    }
}

/// Takes out what is ours to set, and says what the caller left to us.
fn complete(plan: &mut Plan) -> Vec<Warning> {
    let mut warnings = Vec::new();
    *plan = Plan {
        campaign: plan.campaign.take(),
        ad_sets: std::mem::take(&mut plan.ad_sets),
        media: std::mem::take(&mut plan.media),
        creatives: std::mem::take(&mut plan.creatives),
        ads: std::mem::take(&mut plan.ads),
        ..Plan::default()
    };
    if let Some(campaign) = &plan.campaign {
        defaults::status(campaign.status, "plan.campaign", &mut warnings);
    }
    for (index, ad_set) in plan.ad_sets.iter_mut().enumerate() {
        let path = format!("plan.ad_sets[{index}]");
        defaults::status(ad_set.status, &path, &mut warnings);
        defaults::ad_set(ad_set, &path, &mut warnings);
    }
    for (index, ad) in plan.ads.iter().enumerate() {
        defaults::status(ad.status, &format!("plan.ads[{index}]"), &mut warnings);
    }
    warnings.truncate(50);
    warnings
}

fn check(plan: &Plan, least_daily_budget: Option<i64>) -> Result<(), Error> {
    let mut findings = Findings::default();
    tree::create(plan, least_daily_budget, &mut findings);
    findings.finish()
}

/// A plan that is not stored yet.
fn fresh(account: AdAccountId, content: Vec<u8>) -> Stored {
    let digest = digest::digest(&digest::SHA256, &content);
    Stored {
        id: Uuid::now_v7(),
        account,
        etag: hex::encode(digest.as_ref().get(..8).unwrap_or_default()),
        content,
        state: State::Draft,
        label: None,
        pictures: false,
        created: jiff::Timestamp::UNIX_EPOCH,
        updated: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn entry<'a>(caller: &'a Caller, action: &'a str, resource: &'a str, request: Uuid) -> audit::Entry<'a> {
    audit::Entry {
        tenant: caller.tenant.as_str(),
        actor: &caller.subject,
        action,
        resource,
        request_id: Some(request),
        detail: json!({}),
    }
}

#[cfg(test)]
mod tests {
    use crate::{plan::samples, tests::house::House};

    use super::*;

    #[tokio::test]
    async fn of_two_who_apply_at_once_the_second_gets_the_operation_of_the_first() {
        let house = House::open().await;
        let (context, tenant) = (&house.context, &house.caller.tenant);
        let name = house.store_plan(samples::plan()).await;
        let (account, id) = names::plan(&name).unwrap();
        let (read_before, _) = context.stored_plan(tenant, account, id.0).await.unwrap();
        let first = house.apply(&name).await;
        let second = context.begin_apply(&house.caller, &read_before, &name, Uuid::new_v4()).await.unwrap();
        assert_eq!(operations::name(second), first);
    }
}
