//! `QuotaPolicyService`: what people set beside the settings.

use aws_lc_rs::digest;
use prost::Message;
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::quota_policy_service_server::QuotaPolicyService;
use rpc::{Fields, Principal, Tenants};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::page::PageTokens;

use super::viewer;
use crate::error::Error;
use crate::explain::Subject;
use crate::freezes::{Actor, Freeze, Freezes};
use crate::policies::{Change, Kept, PolicyBook};
use crate::store::{Frozen, Repeat};
use crate::wire;

const REASON_MAX: usize = 500;
const FROZEN_MS_MAX: i64 = 30 * 86_400_000;

/// What the page tokens of policies are bound to, beside the tenant.
const LIST: &[u8] = b"policies";

/// Serves `QuotaPolicyService`.
pub(crate) struct PolicyApi {
    freezes: Freezes,
    book: PolicyBook,
    pages: PageTokens,
}

impl PolicyApi {
    pub(crate) fn new(freezes: Freezes, book: PolicyBook, pages: PageTokens) -> Self {
        Self { freezes, book, pages }
    }

    /// Once for each request; a repeat is answered by what holds now.
    async fn update(&self, by: &Actor, change: &Change, repeat: Option<Repeat>) -> Result<Kept, Error> {
        let Some(repeat) = repeat else { return self.book.set(by, change, None).await };
        let repeats = self.book.rows().repeats();
        if repeats.begin(&by.tenant, &repeat).await? {
            return self.book.kept(change.layer(by)?, &change.subject).await;
        }
        let set = self.book.set(by, change, Some(&repeat)).await;
        if set.is_err() {
            repeats.abandon(&by.tenant, &repeat).await;
        }
        set
    }

    /// Once for each request; a repeat is answered by what holds now.
    async fn set(&self, by: &Actor, freeze: &Freeze, repeat: Option<Repeat>) -> Result<Frozen, Error> {
        let Some(repeat) = repeat else { return self.freezes.set(by, freeze, None).await };
        let rows = self.freezes.rows();
        if rows.repeats().begin(&by.tenant, &repeat).await? {
            let held = rows.get(&freeze.subject.name()).await?;
            return held.ok_or(Error::Corrupt("a freeze"));
        }
        let set = self.freezes.set(by, freeze, Some(&repeat)).await;
        if set.is_err() {
            rows.repeats().abandon(&by.tenant, &repeat).await;
        }
        set
    }
}

#[tonic::async_trait]
impl QuotaPolicyService for PolicyApi {
    async fn freeze_scope(
        &self,
        request: Request<pb::FreezeScopeRequest>,
    ) -> Result<Response<pb::FreezeScopeResponse>, Status> {
        let (by, request) = open(request)?;
        let now_ms = self.freezes.now_ms();
        let mut fields = Fields::new();
        let until_ms = match request.until_time {
            Some(time) => fields.take(wire::history::millis("until_time", time)).unwrap_or(now_ms + 1),
            None => 0,
        };
        fields.check(request.until_time.is_some(), "until_time", "is required", "REQUIRED");
        let holds = request.until_time.is_none() || (1..=FROZEN_MS_MAX).contains(&until_ms.saturating_sub(now_ms));
        fields.check(holds, "until_time", "must be in the next 30 days", "UNTIL_RANGE");
        let covered = pb::FreezeScopeRequest { request_id: String::new(), ..request.clone() };
        let asked = Asked { name: &request.name, reason: &request.reason, request_id: &request.request_id };
        let (subject, request_id) = asked.check(fields)?;
        let repeat = Repeat { request_id, method: "FreezeScope", fingerprint: fingerprint(&covered) };
        let freeze = Freeze { subject, until_ms, reason: request.reason };
        let frozen = self.set(&by, &freeze, (!request.validate_only).then_some(repeat)).await?;
        Ok(Response::new(pb::FreezeScopeResponse { freeze: Some(wire_of(&frozen)) }))
    }

    async fn unfreeze_scope(
        &self,
        request: Request<pb::UnfreezeScopeRequest>,
    ) -> Result<Response<pb::UnfreezeScopeResponse>, Status> {
        let (by, request) = open(request)?;
        let covered = pb::UnfreezeScopeRequest { request_id: String::new(), ..request.clone() };
        let asked = Asked { name: &request.name, reason: &request.reason, request_id: &request.request_id };
        let (subject, request_id) = asked.check(Fields::new())?;
        let repeat = Repeat { request_id, method: "UnfreezeScope", fingerprint: fingerprint(&covered) };
        let freeze = Freeze { subject, until_ms: 0, reason: request.reason };
        self.set(&by, &freeze, (!request.validate_only).then_some(repeat)).await?;
        Ok(Response::new(pb::UnfreezeScopeResponse {}))
    }

    async fn get_quota_policy(
        &self,
        request: Request<pb::GetQuotaPolicyRequest>,
    ) -> Result<Response<pb::GetQuotaPolicyResponse>, Status> {
        let (by, request) = open(request)?;
        let mut fields = Fields::new();
        let subject = wire::policy::subject(&mut fields, "name", &request.name);
        fields.finish().map_err(Error::Field)?;
        let (kept, effective) = self.book.get(&by, &subject.ok_or(Error::Corrupt("a request"))?).await?;
        Ok(Response::new(pb::GetQuotaPolicyResponse { policy: Some(wire::policy::policy(&kept, &effective)) }))
    }

    async fn list_quota_policies(
        &self,
        request: Request<pb::ListQuotaPoliciesRequest>,
    ) -> Result<Response<pb::ListQuotaPoliciesResponse>, Status> {
        let (viewer, tenant, request) = viewer::open(request)?;
        let page = self.pages.request(&tenant, LIST, request.page_size, &request.page_token).map_err(Error::from)?;
        let (kept, last) = self.book.list(&viewer, &page).await?;
        let policies = kept.iter().map(|kept| wire::policy::policy(kept, &[])).collect();
        let next_page_token = last.map(|last| self.pages.seal(&tenant, LIST, &last)).unwrap_or_default();
        Ok(Response::new(pb::ListQuotaPoliciesResponse { policies, next_page_token }))
    }

    async fn update_quota_policy(
        &self,
        request: Request<pb::UpdateQuotaPolicyRequest>,
    ) -> Result<Response<pb::UpdateQuotaPolicyResponse>, Status> {
        let (by, request) = open(request)?;
        let covered = pb::UpdateQuotaPolicyRequest { request_id: String::new(), ..request.clone() };
        let mut fields = Fields::new();
        let request_id = fields.parse("request_id", request.request_id.parse::<Uuid>(), "UUID");
        let policy = request.policy.unwrap_or_default();
        let change = wire::policy::change(fields, policy, request.update_mask).map_err(Error::Field)?;
        let request_id = request_id.ok_or(Error::Corrupt("a request"))?;
        let repeat = Repeat { request_id, method: "UpdateQuotaPolicy", fingerprint: fingerprint(&covered) };
        let kept = self.update(&by, &change, (!request.validate_only).then_some(repeat)).await?;
        Ok(Response::new(pb::UpdateQuotaPolicyResponse { policy: Some(wire::policy::policy(&kept, &[])) }))
    }
}

/// What both requests have in common.
struct Asked<'a> {
    name: &'a str,
    reason: &'a str,
    request_id: &'a str,
}

impl Asked<'_> {
    /// With the faults that were found before.
    fn check(&self, mut fields: Fields) -> Result<(Subject, Uuid), Error> {
        let subject = Subject::parse(self.name);
        fields.check(subject.is_some(), "name", "must be adAccounts/act_{n} or metaApps/{n}", "RESOURCE_NAME");
        let letters = self.reason.trim().chars().count();
        fields.check((1..=REASON_MAX).contains(&letters), "reason", "must have 1 to 500 characters", "REASON");
        let request_id = self.request_id.parse::<Uuid>().ok();
        fields.check(request_id.is_some(), "request_id", "must be a UUID", "UUID");
        fields.finish().map_err(Error::Field)?;
        subject.zip(request_id).ok_or(Error::Corrupt("a request"))
    }
}

/// Who asks. An operator is one whether or not it names a tenant, and then is in that tenant's audit.
fn open<T>(request: Request<T>) -> Result<(Actor, T), Status> {
    let principal = request.extensions().get::<Principal>();
    let operator = principal.is_some_and(|principal| principal.tenants == Tenants::All);
    let subject = principal.map(|principal| principal.subject.to_string()).unwrap_or_default();
    let (_, tenant, request) = viewer::open(request)?;
    Ok((Actor { tenant, subject, operator }, request))
}

fn wire_of(frozen: &Frozen) -> pb::Freeze {
    pb::Freeze {
        name: frozen.name.clone(),
        until_time: wire::timestamp(frozen.until_ms),
        reason: frozen.reason.clone(),
        actor: frozen.actor.clone(),
    }
}

fn fingerprint(message: &impl Message) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, &message.encode_to_vec()).as_ref());
    fingerprint
}
