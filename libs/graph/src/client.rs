//! The one way to Meta: a lease and a permit, the bytes, the answer, what Meta said about its quota; again where that
//! is safe, and an honest word where it is not.

use std::{borrow::Cow, sync::Arc, time::Duration};

use futures::{Stream, stream};
use serde::de::{DeserializeOwned, Error as _};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Answer, Got, Page, Unless},
    batch,
    before::{Announcement, Before},
    breaker::{Breaker, Class},
    budget::Budget,
    call::{Call, File, Replay, UseCase, Verb},
    cost::Priced,
    error::Error,
    gather::Gather,
    lease::Leases,
    on::{Asset, On},
    outcome::read,
    permit::Permits,
    retry::Patience,
    settings::Settings,
    transport::Transport,
    version_watch,
};

/// Calls Meta for everyone. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) leases: Leases,
    pub(crate) permits: Permits,
    pub(crate) patience: Patience,
    pub(crate) budget: Arc<Budget>,
    pub(crate) breaker: Breaker,
    pub(crate) gather: Gather,
    pub(crate) versions: version_watch::Seen,
    /// Items that one batch holds at most.
    pub(crate) items_max: usize,
}

/// A call without the type of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) fields: Vec<(Cow<'static, str>, String)>,
    pub(crate) file: Option<File>,
    pub(crate) replay: Replay,
    pub(crate) use_case: UseCase,
    pub(crate) prices: Vec<Priced>,
    /// It changes nothing, be it a read or a batch of reads.
    pub(crate) only_reads: bool,
    pub(crate) etag: Option<String>,
    pub(crate) label: String,
}

impl Outgoing {
    /// With what it fails together in an outage.
    pub(crate) fn class(&self, asset: Asset) -> Class {
        match (asset, self.use_case) {
            (Asset::Dataset(_), _) => Class::Events,
            (_, UseCase::AdsInsights) => Class::Insights,
            (_, UseCase::CustomAudience) => Class::Audiences,
            _ if self.only_reads => Class::Read,
            _ => Class::Write,
        }
    }
}

impl<T> From<Call<T>> for Outgoing {
    fn from(call: Call<T>) -> Self {
        Self {
            label: call.label(),
            prices: vec![Priced::from(&call)],
            only_reads: call.verb == Verb::Get,
            verb: call.verb,
            path: call.path,
            fields: call.fields,
            file: call.file,
            replay: call.replay,
            use_case: call.use_case,
            etag: call.etag,
        }
    }
}

impl Client {
    /// Prepares connections; nothing is called yet. Spawn [`Client::watch_revocations`] beside it.
    ///
    /// # Errors
    /// When the proxy or its certificate cannot be used.
    pub fn connect(settings: &Settings, auth: rpc::Peer, ratelimit: rpc::Peer) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(settings)?,
            leases: Leases::new(auth),
            permits: Permits::new(ratelimit),
            patience: Patience::from(settings),
            budget: Arc::new(Budget::new(settings.retry_percent, settings.retry_burst)),
            breaker: Breaker::new(&settings.breaker),
            gather: Gather::new(Duration::from_millis(settings.gather_milliseconds), settings.batch_items_max),
            versions: version_watch::Seen::watched(),
            items_max: settings.batch_items_max.clamp(1, batch::ITEMS_MAX),
        })
    }

    /// Holds auth's stream of revocations until `stop`, so that a revoked token is dropped within two seconds and a
    /// good one need not be asked for again.
    pub async fn watch_revocations(self, stop: CancellationToken) {
        self.leases.watch(stop).await;
    }

    /// Sends one call and reads its answer.
    ///
    /// # Errors
    /// As [`Error`] sorts them. `OutcomeUnknown` only for calls that may not be replayed.
    pub async fn send<T: DeserializeOwned>(&self, on: &On, call: Call<T>) -> Result<T, Error> {
        self.send_traced(on, call).await.map(|answer| answer.value)
    }

    /// As [`Client::send`], with Meta's trace id for the audit.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_traced<T: DeserializeOwned>(&self, on: &On, call: Call<T>) -> Result<Answer<T>, Error> {
        self.send_whole(on, call, None).await
    }

    /// As [`Client::send_traced`], with a word of the caller's before the first byte goes: see [`Before`].
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::Withheld`] where `before` refuses.
    pub async fn send_announced<T: DeserializeOwned>(
        &self,
        on: &On,
        call: Call<T>,
        before: &dyn Before,
    ) -> Result<Answer<T>, Error> {
        self.send_whole(on, call, Some(Announcement::new(before, vec![0]))).await
    }

    async fn send_whole<T: DeserializeOwned>(
        &self,
        on: &On,
        call: Call<T>,
        mut before: Option<Announcement<'_>>,
    ) -> Result<Answer<T>, Error> {
        let call = Outgoing::from(call);
        let got = match &mut before {
            // On the heap, because the future of every call of every service holds it.
            None if call.only_reads => Box::pin(self.read(on, &call)).await?,
            before => Got::from(Box::pin(self.deliver(on, &call, before.as_mut())).await?),
        };
        Ok(Answer { value: read(&got.bytes, &call)?, trace_id: got.trace_id })
    }

    /// Reads, unless what is there still has this etag; without one it reads in any case.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_unless<T: DeserializeOwned>(
        &self,
        on: &On,
        mut call: Call<T>,
        etag: Option<&str>,
    ) -> Result<Unless<T>, Error> {
        call.etag = etag.map(str::to_owned);
        let call = Outgoing::from(call);
        let got = Got::from(Box::pin(self.deliver(on, &call, None)).await?);
        if got.status == 304 {
            return Ok(Unless::NotModified);
        }
        Ok(Unless::Now { value: read(&got.bytes, &call)?, etag: got.etag })
    }

    /// The pages of an edge, one held at a time: the next is asked for when the last one was taken.
    pub fn pages<T>(&self, on: &On, call: Call<Page<T>>) -> impl Stream<Item = Result<Vec<T>, Error>> + Send + use<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let first = Some((self.clone(), on.clone(), Outgoing::from(call)));
        stream::try_unfold(first, |state| async move {
            let Some((client, on, mut call)) = state else { return Ok(None) };
            let reply = client.deliver(&on, &call, None).await?.reply;
            let page: Page<T> = read(&reply.body, &call)?;
            let used = call.fields.iter().find(|(name, _)| name == "after").map(|(_, after)| after.as_str());
            let broken = |what| Error::Malformed { call: call.label.clone(), source: serde_json::Error::custom(what) };
            let next = page.next(used).map_err(broken)?.map(str::to_owned);
            let state = next.map(|after| {
                call.fields.retain(|(name, _)| name != "after");
                call.fields.push((Cow::Borrowed("after"), after));
                (client, on, call)
            });
            Ok(Some((page.data, state)))
        })
    }
}
