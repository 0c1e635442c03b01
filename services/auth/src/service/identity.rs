//! `IdentityService`.

use prost::Message;
use proto::auth::v1::{self as pb, exchange_service_token_request::Proof, identity_service_server::IdentityService};
use rpc::{FieldError, Fields};
use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::page::PageError;

use super::{Common, open, open_for_installation};
use crate::{
    bootstrap::Bootstrap, by::Repeat, callers::Callers, error::Error, now::Now, once::once, subjects::Subjects,
    tokens::Tokens, wire,
};

/// The surface of callers and tokens.
pub struct IdentityApi {
    /// What all have at hand.
    pub common: Common,
    /// The first operator and tenant.
    pub bootstrap: Bootstrap,
    /// Tokens.
    pub tokens: Tokens,
    /// Callers.
    pub callers: Callers,
    /// Whom issuers outside vouch for.
    pub subjects: Subjects,
    /// The clock.
    pub now: Now,
}

#[tonic::async_trait]
impl IdentityService for IdentityApi {
    async fn bootstrap(
        &self,
        request: Request<pb::BootstrapRequest>,
    ) -> Result<Response<pb::BootstrapResponse>, Status> {
        let (code, wanted, validate_only) = wire::bootstrap(request.into_inner(), (self.now)())?;
        let first = self.bootstrap.run(&code, wanted, validate_only).await?;
        Ok(Response::new(pb::BootstrapResponse {
            tenant: Some((&first.tenant).into()),
            operator: Some((&first.operator).into()),
            operator_secret: exposed(first.operator_secret.as_ref()),
            caller: Some((&first.caller).into()),
            caller_secret: exposed(first.caller_secret.as_ref()),
        }))
    }

    async fn issue_token(
        &self,
        request: Request<pb::IssueTokenRequest>,
    ) -> Result<Response<pb::IssueTokenResponse>, Status> {
        let (caller, secret, scopes) = wire::issue(request.into_inner())?;
        let (token, end) = self.tokens.issue(caller, &secret, scopes).await?;
        let (token, expire_time) = (token.expose_secret().to_owned(), Some(wire::timestamp(end)));
        Ok(Response::new(pb::IssueTokenResponse { token, expire_time }))
    }

    async fn exchange_service_token(
        &self,
        request: Request<pb::ExchangeServiceTokenRequest>,
    ) -> Result<Response<pb::ExchangeServiceTokenResponse>, Status> {
        let (token, end) = match request.into_inner().proof {
            Some(Proof::Secret(proof)) => {
                self.tokens.exchange(&proof.service, &SecretString::from(proof.secret)).await?
            }
            Some(Proof::ServiceAccountToken(token)) => {
                self.tokens.exchange_projected(&SecretString::from(token)).await?
            }
            None => return Err(FieldError::required("secret").into()),
        };
        let (token, expire_time) = (token.expose_secret().to_owned(), Some(wire::timestamp(end)));
        Ok(Response::new(pb::ExchangeServiceTokenResponse { token, expire_time }))
    }

    async fn create_caller(
        &self,
        request: Request<pb::CreateCallerRequest>,
    ) -> Result<Response<pb::CreateCallerResponse>, Status> {
        let (by, request) = open(request)?;
        let mut fields = Fields::new();
        let wanted = wire::caller(&mut fields, request.caller.clone(), None);
        let request_id = wire::request_id(&mut fields, &request.request_id, true);
        fields.finish()?;
        let wanted = wanted.ok_or_else(|| FieldError::required("caller"))?;
        let wanted = (wanted.display_name, wanted.tenants, wanted.scopes);
        let answer = |caller: &crate::callers::Caller, secret: Option<&SecretString>| pb::CreateCallerResponse {
            caller: Some(caller.into()),
            secret: exposed(secret),
        };
        let repeat = Repeat::of("CreateCaller", request_id, &request);
        if request.validate_only {
            let (caller, _) = self.callers.create(&by, wanted, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&caller, None)));
        }
        let work = async {
            // What is stored for repeats has no secret in it.
            let closing = (&repeat, |caller: &_| answer(caller, None).encode_to_vec());
            let (caller, secret) = self.callers.create(&by, wanted, false, closing).await?;
            Ok(answer(&caller, secret.as_ref()))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn list_callers(
        &self,
        request: Request<pb::ListCallersRequest>,
    ) -> Result<Response<pb::ListCallersResponse>, Status> {
        let (by, request) = open(request)?;
        let filter: &[u8] = if by.is_operator() { b"callers*" } else { b"callers" };
        let page = self.common.pages.request(&by.tenant, filter, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let after = page.after.as_deref().map_or(Ok(Uuid::nil()), Uuid::try_parse);
        let after = after.map_err(|_| Error::from(PageError::Token))?;
        let mut rows = self.callers.list(&by, after, wire::limit(&page)).await?;
        let next = wire::cut(&mut rows, &page, |caller| caller.id.to_string());
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, filter, &key)).unwrap_or_default();
        let callers = rows.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListCallersResponse { callers, next_page_token }))
    }

    async fn delete_caller(
        &self,
        request: Request<pb::DeleteCallerRequest>,
    ) -> Result<Response<pb::DeleteCallerResponse>, Status> {
        let (by, request) = open(request)?;
        let mut fields = Fields::new();
        let id = fields.take(wire::caller_id("name", &request.name));
        let request_id = wire::request_id(&mut fields, &request.request_id, false);
        fields.finish()?;
        let which = (id.unwrap_or_default(), request.etag.as_str());
        let repeat = Repeat::of("DeleteCaller", request_id, &request);
        let answer = pb::DeleteCallerResponse {};
        let closing = (&repeat, answer.encode_to_vec());
        if request.validate_only {
            self.callers.delete(&by, which, true, closing).await?;
            return Ok(Response::new(answer));
        }
        let work = async { self.callers.delete(&by, which, false, closing).await.map(|()| answer) };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn revoke_subject(
        &self,
        request: Request<pb::RevokeSubjectRequest>,
    ) -> Result<Response<pb::RevokeSubjectResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let request_id = wire::revoke_subject(&request)?;
        let repeat = Repeat::of("RevokeSubject", request_id, &request);
        let answer = pb::RevokeSubjectResponse {};
        let closing = (!request.validate_only).then(|| (&repeat, answer.encode_to_vec()));
        let who = (request.subject.as_str(), request.reason.as_str());
        let work = async { self.subjects.revoke(&by, who, closing).await.map(|()| answer) };
        if request.validate_only {
            return Ok(Response::new(work.await?));
        }
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn restore_subject(
        &self,
        request: Request<pb::RestoreSubjectRequest>,
    ) -> Result<Response<pb::RestoreSubjectResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let request_id = wire::restore_subject(&request)?;
        let repeat = Repeat::of("RestoreSubject", request_id, &request);
        let answer = pb::RestoreSubjectResponse {};
        let closing = (!request.validate_only).then(|| (&repeat, answer.encode_to_vec()));
        let work = async { self.subjects.restore(&by, &request.subject, closing).await.map(|()| answer) };
        if request.validate_only {
            return Ok(Response::new(work.await?));
        }
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn list_revoked_subjects(
        &self,
        request: Request<pb::ListRevokedSubjectsRequest>,
    ) -> Result<Response<pb::ListRevokedSubjectsResponse>, Status> {
        const FILTER: &[u8] = b"revoked subjects";
        let (by, request) = open_for_installation(request)?;
        let page = self.common.pages.request(&by.tenant, FILTER, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let after = page.after.clone().unwrap_or_default();
        let mut rows = self.subjects.list(&by, &after, wire::limit(&page)).await?;
        let next = wire::cut(&mut rows, &page, |revoked| revoked.subject.clone());
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, FILTER, &key)).unwrap_or_default();
        let subjects = rows.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListRevokedSubjectsResponse { subjects, next_page_token }))
    }
}

/// A secret for the one answer that shows it; empty where there is none.
fn exposed(secret: Option<&SecretString>) -> String {
    secret.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default()
}
