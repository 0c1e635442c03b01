//! The client against a Meta, an auth and a ratelimit of the tests' own.

mod before;
mod gathering;
mod meta;
mod outage;
mod peers;
mod proxied;
mod reading;
mod sending;
mod throttles;

use std::time::{Duration, Instant};

use serde_json::Value;
use vocabulary::ids::AdAccountId;

use self::{meta::Meta, peers::Peers};
use crate::{Asset, Call, Client, On, Priority, Replay, Settings};

pub(crate) struct House {
    pub(crate) client: Client,
    pub(crate) meta: Meta,
    pub(crate) peers: Peers,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With other settings than the others have.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let (meta, peers) = (Meta::default(), Peers::default());
        let mut settings = Settings { base_url: meta.serve().await, ..Settings::default() };
        change(&mut settings);
        let peer = peers.serve().await;
        let client = Client::connect(&settings, peer.clone(), peer).unwrap();
        Self { client, meta, peers }
    }
}

pub(crate) fn on() -> On {
    on_account(1, Priority::Interactive)
}

pub(crate) fn on_account(account: u64, priority: Priority) -> On {
    On {
        tenant: "acme".parse().unwrap(),
        asset: Asset::AdAccount(AdAccountId::new(account)),
        priority,
        deadline: Instant::now() + Duration::from_secs(30),
        purpose: "campaigns.write",
        reservation: None,
    }
}

pub(crate) fn create() -> Call<Value> {
    Call::post("/act_1/campaigns", Replay::Never).field("name", "Summer")
}
