//! The one way to Meta: a lease and a permit, the bytes, the answer, what Meta said about its quota; again where that
//! is safe, and an honest word where it is not.

use std::borrow::Cow;

use futures::{Stream, stream};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Answer, Page},
    before::{Announcement, Before},
    call::{Call, File, Replay, UseCase, Verb},
    cost::Priced,
    error::Error,
    lease::Leases,
    on::On,
    outcome::read,
    permit::Permits,
    settings::Settings,
    transport::Transport,
    usage::{self, Headers},
};

/// Calls Meta for everyone. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) leases: Leases,
    pub(crate) permits: Permits,
    pub(crate) tries_max: u32,
}

/// A call without the type of its answer.
pub(crate) struct Outgoing {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) fields: Vec<(Cow<'static, str>, String)>,
    pub(crate) file: Option<File>,
    pub(crate) replay: Replay,
    pub(crate) use_case: UseCase,
    pub(crate) prices: Vec<Priced>,
    pub(crate) label: String,
}

impl<T> From<Call<T>> for Outgoing {
    fn from(call: Call<T>) -> Self {
        Self {
            label: call.label(),
            prices: vec![Priced::from(&call)],
            verb: call.verb,
            path: call.path,
            fields: call.fields,
            file: call.file,
            replay: call.replay,
            use_case: call.use_case,
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
            tries_max: settings.tries_max.max(1),
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
        let reply = self.deliver(on, &call, before.as_mut()).await?.reply;
        let trace_id = reply.headers.value(usage::TRACE_ID).map(str::to_owned);
        Ok(Answer { value: read(&reply.body, &call)?, trace_id })
    }

    /// The pages of an edge, one held at a time.
    pub fn pages<T>(&self, on: &On, call: Call<Page<T>>) -> impl Stream<Item = Result<Vec<T>, Error>> + Send + use<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let first = Some((self.clone(), on.clone(), Outgoing::from(call)));
        stream::try_unfold(first, |state| async move {
            let Some((client, on, mut call)) = state else { return Ok(None) };
            let reply = client.deliver(&on, &call, None).await?.reply;
            let page: Page<T> = read(&reply.body, &call)?;
            let next = page.next().map(str::to_owned);
            let state = next.map(|after| {
                call.fields.retain(|(name, _)| name != "after");
                call.fields.push((Cow::Borrowed("after"), after));
                (client, on, call)
            });
            Ok(Some((page.data, state)))
        })
    }
}
