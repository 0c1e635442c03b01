//! A service's audit, served to auth, which shows and anchors the chains of all services as one.

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message;
use proto::auth::v1 as pb;
use proto::auth::v1::chain_service_server::ChainService;
use tonic::{Code, Request, Response, Status};
use vocabulary::ids::TenantId;
use vocabulary::page::PageTokens;

use crate::caller::{open, open_untenanted};
use crate::fault::{self, ErrorReason, Fault, FieldError};

/// The one service that may ask.
const READER: &str = "auth";

/// A page ends with the entry that brings its details to this many bytes, so that it fits a message.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The lists of heads are of no tenant; their page tokens name this one, which nobody can be.
const NO_TENANT: &str = "system";

/// Which entries of a chain.
#[derive(Debug, Clone, Copy)]
pub struct ChainQuery<'a> {
    /// Narrows by actor, action and resource.
    pub filter: &'a pb::AuditFilter,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub until: Option<Timestamp>,
    /// Only after this place.
    pub after: i64,
    /// At most so many.
    pub size: usize,
}

/// Where a service keeps its chains.
#[tonic::async_trait]
pub trait ChainStore: Send + Sync + 'static {
    /// The head, read first, and then entries, oldest first.
    async fn entries(
        &self,
        tenant: &TenantId,
        query: ChainQuery<'_>,
    ) -> Result<(pb::ChainHead, Vec<pb::ChainEntry>), Status>;

    /// The heads of all tenants in order of tenant, after one.
    async fn heads(&self, after: &str, size: usize) -> Result<Vec<pb::ChainHead>, Status>;
}

/// `ChainService` over a store.
pub struct ChainApi<S> {
    store: Arc<S>,
    tokens: PageTokens,
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("only auth may read the chains")]
    NotAuth,
    #[error("the tokens of the chains' pages cannot be made")]
    NoTenant,
}

impl Fault for Refusal {
    fn code(&self) -> Code {
        match self {
            Self::NotAuth => Code::PermissionDenied,
            Self::NoTenant => Code::Internal,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::NotAuth => ErrorReason::ScopeMissing,
            Self::NoTenant => ErrorReason::Internal,
        }
    }
}

impl<S: ChainStore> ChainApi<S> {
    /// Serves the chains of `store`.
    pub fn new(store: S, tokens: PageTokens) -> Self {
        Self { store: Arc::new(store), tokens }
    }
}

#[tonic::async_trait]
impl<S: ChainStore> ChainService for ChainApi<S> {
    async fn list_chain_entries(
        &self,
        request: Request<pb::ListChainEntriesRequest>,
    ) -> Result<Response<pb::ListChainEntriesResponse>, Status> {
        let (caller, request) = open(request)?;
        only_auth(caller.require_service()?)?;
        let filter = request.filter.unwrap_or_default();
        let bytes = filter.encode_to_vec();
        let page = self.tokens.request(&caller.tenant, &bytes, request.page_size, &request.page_token);
        let page = page.map_err(FieldError::from)?;
        let after = page.after.and_then(|key| key.parse().ok()).unwrap_or(request.after_sequence);
        let (from, until) =
            (moment("filter.from_time", filter.from_time)?, moment("filter.until_time", filter.until_time)?);
        let query = ChainQuery { filter: &filter, from, until, after, size: page.size + 1 };
        let (head, mut entries) = self.store.entries(&caller.tenant, query).await?;
        let fits = fitting(&entries).min(page.size);
        let more = entries.len() > fits;
        entries.truncate(fits);
        let last = entries.last().filter(|_| more).map(|entry| entry.sequence.to_string());
        let next_page_token = last.map(|key| self.tokens.seal(&caller.tenant, &bytes, &key)).unwrap_or_default();
        Ok(Response::new(pb::ListChainEntriesResponse { entries, next_page_token, head: Some(head) }))
    }

    async fn list_chain_heads(
        &self,
        request: Request<pb::ListChainHeadsRequest>,
    ) -> Result<Response<pb::ListChainHeadsResponse>, Status> {
        let (principal, request) = open_untenanted(request)?;
        only_auth(principal.require_service()?)?;
        let nobody: TenantId = NO_TENANT.parse().map_err(|_| fault::status(&Refusal::NoTenant))?;
        let page = self.tokens.request(&nobody, b"heads", request.page_size, &request.page_token);
        let page = page.map_err(FieldError::from)?;
        let mut heads = self.store.heads(page.after.as_deref().unwrap_or_default(), page.size + 1).await?;
        let more = heads.len() > page.size;
        heads.truncate(page.size);
        let last = heads.last().filter(|_| more).map(|head| head.tenant.trim_start_matches("tenants/"));
        let next_page_token = last.map(|key| self.tokens.seal(&nobody, b"heads", key)).unwrap_or_default();
        Ok(Response::new(pb::ListChainHeadsResponse { heads, next_page_token }))
    }
}

fn only_auth(service: &str) -> Result<(), Status> {
    if service == READER { Ok(()) } else { Err(fault::status(&Refusal::NotAuth)) }
}

/// How many entries fit a page; at least one.
fn fitting(entries: &[pb::ChainEntry]) -> usize {
    let mut bytes = 0_usize;
    let before = entries.iter().take_while(|entry| {
        let fits = bytes < PAGE_BYTES;
        bytes = bytes.saturating_add(entry.detail.len());
        fits
    });
    before.count()
}

fn moment(field: &str, time: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, FieldError> {
    let time = time.map(|time| Timestamp::new(time.seconds, time.nanos)).transpose();
    time.map_err(|_| FieldError::new(field, "must be a moment that a calendar has", "TIMESTAMP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Principal, Scopes, Tenants};

    /// Ten entries of a mebibyte each.
    struct Long;

    #[tonic::async_trait]
    impl ChainStore for Long {
        async fn entries(
            &self,
            tenant: &TenantId,
            query: ChainQuery<'_>,
        ) -> Result<(pb::ChainHead, Vec<pb::ChainEntry>), Status> {
            let head = pb::ChainHead { tenant: format!("tenants/{tenant}"), sequence: 10, hash: Vec::new() };
            let detail = "x".repeat(1024 * 1024);
            let entry = |sequence| pb::ChainEntry { sequence, detail: detail.clone(), ..pb::ChainEntry::default() };
            Ok((head, (query.after + 1..=10).take(query.size).map(entry).collect()))
        }

        async fn heads(&self, after: &str, size: usize) -> Result<Vec<pb::ChainHead>, Status> {
            let tenants = ["a", "b", "c"].into_iter().filter(|tenant| *tenant > after).take(size);
            let head = |tenant| pb::ChainHead { tenant: format!("tenants/{tenant}"), ..pb::ChainHead::default() };
            Ok(tenants.map(head).collect())
        }
    }

    fn api() -> ChainApi<Long> {
        ChainApi::new(Long, PageTokens::new(b"key"))
    }

    fn by<T>(service: Option<&str>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Principal {
            tenant: Some("acme".parse().unwrap()),
            tenants: Tenants::All,
            subject: "services/x".into(),
            scopes: Scopes::All,
            service: service.map(Into::into),
            token: None,
            suspended: false,
        });
        request
    }

    #[tokio::test]
    async fn only_auth_reads_chains() {
        for service in [None, Some("campaigns")] {
            let entries = api().list_chain_entries(by(service, pb::ListChainEntriesRequest::default())).await;
            assert_eq!(entries.unwrap_err().code(), Code::PermissionDenied, "{service:?}");
            let heads = api().list_chain_heads(by(service, pb::ListChainHeadsRequest::default())).await;
            assert_eq!(heads.unwrap_err().code(), Code::PermissionDenied, "{service:?}");
        }
    }

    #[tokio::test]
    async fn long_entries_make_short_pages_and_none_is_lost() {
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListChainEntriesRequest { page_token, ..pb::ListChainEntriesRequest::default() };
            let page = api().list_chain_entries(by(Some("auth"), request)).await.unwrap().into_inner();
            assert!((1..=3).contains(&page.entries.len()), "{}", page.entries.len());
            assert_eq!(page.head.unwrap().sequence, 10);
            seen.extend(page.entries.iter().map(|entry| entry.sequence));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn heads_come_in_pages() {
        let request = pb::ListChainHeadsRequest { page_size: 2, ..pb::ListChainHeadsRequest::default() };
        let first = api().list_chain_heads(by(Some("auth"), request.clone())).await.unwrap().into_inner();
        assert_eq!(first.heads.len(), 2);
        let request = pb::ListChainHeadsRequest { page_token: first.next_page_token, ..request };
        let second = api().list_chain_heads(by(Some("auth"), request)).await.unwrap().into_inner();
        assert_eq!((second.heads[0].tenant.as_str(), second.heads.len()), ("tenants/c", 1));
        assert!(second.next_page_token.is_empty());
    }
}
