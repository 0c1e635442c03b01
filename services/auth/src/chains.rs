//! The audit chains of all services, read from one place.
//!
//! Each service keeps its own chain per tenant and serves it to us alone; our own we read from the store. What comes over
//! the wire is what the hash covers, so that nobody's word is needed for whether it is sound.

pub mod merging;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use proto::auth::v1::{self as pb, chain_service_client::ChainServiceClient};
use rpc::{Channel, Peer, ROW_MESSAGE_BYTES_MAX, ServiceIdentity, Upstream};
use storage::audit::{self, Head, Recorded};
use tonic::{Request, Status};
use uuid::Uuid;
use vocabulary::{ids::TenantId, names};

use self::merging::{Lane, Positions, merge};
use crate::{NAME, error::Error, store::Store, wire};

/// How long a service may take for a page; the others do not wait longer for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The chains of every service.
#[derive(Clone)]
pub struct Chains {
    own: Store,
    others: BTreeMap<String, ChainServiceClient<Channel>>,
}

/// Which entries of a chain; what is empty does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// By this actor.
    pub actor: String,
    /// This action.
    pub action: String,
    /// On resources whose name begins so.
    pub resource: String,
    /// In this service.
    pub service: String,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Not beyond these places; `None` is to the end.
    pub upto: Option<Positions>,
}

/// A page of one chain.
#[derive(Debug, Clone)]
pub struct ChainPage {
    /// Where the chain ended just before the entries were read.
    pub head: Option<Head>,
    /// Oldest first.
    pub entries: Vec<Recorded>,
    /// No wanted entry comes after these.
    pub ended: bool,
}

/// A page over all chains.
#[derive(Debug, Clone)]
pub struct View {
    /// In order of time, each with the service that keeps it.
    pub entries: Vec<(String, Recorded)>,
    /// Where the next page begins.
    pub positions: Positions,
    /// There are more, in services that answered.
    pub more: bool,
    /// Services that did not answer.
    pub unreachable: Vec<String>,
}

impl ChainPage {
    /// Without what lies beyond a place.
    fn until(mut self, last: Option<i64>) -> Self {
        let Some(last) = last else { return self };
        let found = self.entries.len();
        self.entries.retain(|entry| entry.sequence <= last);
        self.ended |= self.entries.len() < found;
        self
    }
}

impl Chains {
    /// Our own chains and those of the services at these addresses.
    ///
    /// # Errors
    /// For an address that is none.
    pub fn connect(
        own: Store,
        services: &BTreeMap<String, String>,
        identity: &ServiceIdentity,
    ) -> Result<Self, rpc::client::AddressError> {
        let client = |(service, endpoint): (&String, &String)| {
            let peer = Peer::connect(endpoint, identity.clone())?;
            let client = ChainServiceClient::new(peer.channel()).max_decoding_message_size(ROW_MESSAGE_BYTES_MAX);
            Ok((service.clone(), client))
        };
        Ok(Self { own, others: services.iter().map(client).collect::<Result<_, _>>()? })
    }

    /// The services that keep a chain, in the order of their names.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> = self.others.keys().cloned().collect();
        services.push(NAME.to_owned());
        services.sort();
        services
    }

    /// A page of entries over all services, after these positions.
    pub async fn view(&self, tenant: &TenantId, wanted: &Wanted, after: &Positions, size: usize) -> View {
        let services = self.services().into_iter();
        let services = services.filter(|service| wanted.service.is_empty() || wanted.service == *service);
        let reads = services.map(|service| async {
            let page = self.read(&service, tenant, wanted, (after.of(&service), size + 1)).await;
            let upto = wanted.upto.as_ref().map(|upto| upto.of(&service));
            let page = page.map(|page| page.until(upto));
            (service, page)
        });
        let (mut lanes, mut unreachable) = (Vec::new(), Vec::new());
        for (service, page) in futures::future::join_all(reads).await {
            match page {
                Ok(page) => lanes.push(Lane::new(service, page.entries, page.ended)),
                Err(error) => {
                    tracing::warn!(
                        audit.service = service,
                        error = &error as &dyn std::error::Error,
                        "the audit of a service cannot be read now"
                    );
                    unreachable.push(service);
                }
            }
        }
        let entries = merge(&mut lanes, size);
        let mut positions = after.clone();
        for (service, entry) in &entries {
            positions.advance(service, entry.sequence);
        }
        let more = lanes.iter().any(Lane::has_more);
        View { entries, positions, more, unreachable }
    }

    /// A page of one chain: at most so many entries after a place.
    ///
    /// # Errors
    /// Where the service, or our own store, cannot be asked.
    pub async fn read(
        &self,
        service: &str,
        tenant: &TenantId,
        wanted: &Wanted,
        (after, size): (i64, usize),
    ) -> Result<ChainPage, Error> {
        match self.others.get(service) {
            Some(client) => bounded(service, ask(client.clone(), tenant, wanted, (after, size))).await,
            None if service == NAME => self.read_own(tenant, wanted, (after, size)).await,
            None => Err(Error::Unreachable { service: service.to_owned(), source: None }),
        }
    }

    async fn read_own(
        &self,
        tenant: &TenantId,
        wanted: &Wanted,
        (after, size): (i64, usize),
    ) -> Result<ChainPage, Error> {
        let client = self.own.client().await?;
        let head = audit::head(&client, tenant.as_str()).await?;
        let listing = audit::Listing {
            actor: &wanted.actor,
            action: &wanted.action,
            resource_prefix: &wanted.resource,
            from: wanted.from,
            until: wanted.until,
            after,
            size,
        };
        let entries = audit::list(&client, tenant.as_str(), listing).await?;
        Ok(ChainPage { ended: entries.len() < size, head, entries })
    }

    /// A page of the heads of a service, in order of tenant, and the token of the next; empty at the end.
    ///
    /// # Errors
    /// Where the service, or our own store, cannot be asked.
    pub async fn heads(&self, service: &str, token: &str) -> Result<(Vec<(TenantId, Head)>, String), Error> {
        const SIZE: usize = 1_000;
        if let Some(client) = self.others.get(service) {
            let request = pb::ListChainHeadsRequest { page_size: 1_000, page_token: token.to_owned() };
            let mut client = client.clone();
            let answer = bounded(service, async move { client.list_chain_heads(limited(request)).await }).await?;
            let answer = answer.into_inner();
            let heads = answer.heads.into_iter().filter_map(|head| {
                let tenant = head.tenant.clone();
                named(service, &tenant, tenants_head(head))
            });
            return Ok((heads.collect(), answer.next_page_token));
        }
        let heads = audit::heads(&self.own.client().await?, token, SIZE).await?;
        let next = heads.last().filter(|_| heads.len() == SIZE).map(|(tenant, _)| tenant.clone()).unwrap_or_default();
        let heads = heads.into_iter().filter_map(|(tenant, head)| {
            let parsed = tenant.parse().ok().map(|id| (id, head));
            named(service, &tenant, parsed)
        });
        Ok((heads.collect(), next))
    }
}

/// A head, unless what it is of cannot be a tenant: somebody put it there. The others stand all the same.
fn named(service: &str, tenant: &str, head: Option<(TenantId, Head)>) -> Option<(TenantId, Head)> {
    if head.is_none() {
        tracing::error!(audit.service = service, audit.head = tenant, "a head of the audit is of no tenant");
    }
    head
}

/// What a service answers in time.
async fn bounded<T>(service: &str, asking: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
    let unreachable = |source| Error::Unreachable { service: service.to_owned(), source };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer.map_err(|status| {
            let error = unreachable(Some(Upstream::from(status)));
            if !error.is_away() {
                let error = &error as &dyn std::error::Error;
                tracing::error!(audit.service = service, error, "a service answers and does not show its audit");
            }
            error
        }),
        Err(_) => Err(unreachable(None)),
    }
}

fn limited<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

async fn ask(
    mut client: ChainServiceClient<Channel>,
    tenant: &TenantId,
    wanted: &Wanted,
    (after, size): (i64, usize),
) -> Result<ChainPage, Status> {
    let filter = pb::AuditFilter {
        actor: wanted.actor.clone(),
        resource: wanted.resource.clone(),
        action: wanted.action.clone(),
        from_time: wanted.from.map(wire::timestamp),
        until_time: wanted.until.map(wire::timestamp),
        service: String::new(),
    };
    let request = pb::ListChainEntriesRequest {
        filter: Some(filter),
        after_sequence: after,
        page_size: i32::try_from(size).unwrap_or(i32::MAX),
        page_token: String::new(),
    };
    let answer = client.list_chain_entries(rpc::for_tenant(limited(request), tenant)).await?.into_inner();
    let entries = answer.entries.into_iter().map(recorded).collect::<Option<_>>();
    let entries = entries.ok_or(Error::Corrupt("entry of a chain"))?;
    let head = answer.head.filter(|head| head.sequence > 0);
    let head = head.map(|head| tenants_head(head).ok_or(Error::Corrupt("head of a chain"))).transpose()?;
    Ok(ChainPage { head: head.map(|(_, head)| head), entries, ended: answer.next_page_token.is_empty() })
}

/// An entry as another service tells it. `None` where it has a form that no entry has.
fn recorded(entry: pb::ChainEntry) -> Option<Recorded> {
    let time = entry.write_time?;
    let request_id = match entry.request_id.as_str() {
        "" => None,
        id => Some(id.parse::<Uuid>().ok()?),
    };
    Some(Recorded {
        sequence: entry.sequence,
        written: Timestamp::new(time.seconds, time.nanos).ok()?,
        actor: entry.actor,
        action: entry.action,
        resource: entry.resource,
        request_id,
        detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
        detail_text: entry.detail,
        previous: entry.previous,
        hash: entry.hash,
    })
}

fn tenants_head(head: pb::ChainHead) -> Option<(TenantId, Head)> {
    let tenant = names::tenant(&head.tenant).ok()?;
    Some((tenant, Head { sequence: head.sequence, hash: head.hash.try_into().ok()? }))
}
