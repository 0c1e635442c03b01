//! Single creates, as orders: what is checked of each kind before it is sent.

use graph::objects::Kind;
use proto::campaigns::v1::{Ad, AdSet, Campaign, Creative};
use proto::common::v1::Warning;
use rpc::Caller;
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use crate::{
    context::Context,
    error::Error,
    mirror::{self, Mirrored},
    mutation::{Order, Outcome, fingerprint},
    rules::{self, Around, Findings, defaults},
};

/// What a request to create something asks for, beside the thing itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) account: AdAccountId,
    pub(crate) request: Uuid,
    pub(crate) validate_only: bool,
}

/// What came of it; `None` after validate_only.
pub(crate) type Created = (Option<Outcome>, Vec<Warning>);

impl Context {
    /// Makes a campaign, or only checks it.
    pub(crate) async fn create_campaign(&self, caller: &Caller, asked: Asked, it: Campaign) -> Result<Created, Error> {
        let mut warnings = Vec::new();
        defaults::status(it.status, "campaign", &mut warnings);
        let check = |least| {
            let mut findings = Findings::default();
            rules::campaign::create(&it, "campaign", least, &mut findings);
            findings.finish()
        };
        check(None)?;
        let least = self.own(&caller.tenant, asked.account).await?.least_daily_budget();
        check(least)?;
        self.order(caller, asked, &it, 0, "campaign", warnings).await
    }

    /// Makes an ad set, or only checks it. What is known of its campaign is checked with it.
    pub(crate) async fn create_ad_set(&self, caller: &Caller, asked: Asked, mut it: AdSet) -> Result<Created, Error> {
        let mut warnings = Vec::new();
        defaults::status(it.status, "ad_set", &mut warnings);
        defaults::ad_set(&mut it, "ad_set", &mut warnings);
        let check = |around: Around| {
            let mut findings = Findings::default();
            rules::ad_set::create(&it, "ad_set", around, &mut findings);
            findings.finish()
        };
        check(Around::default())?;
        let parent = parent(it.campaign_id.as_deref(), "ad_set.campaign_id")?;
        let least = self.own(&caller.tenant, asked.account).await?.least_daily_budget();
        check(self.around(&caller.tenant, asked.account, parent, least).await?)?;
        self.order(caller, asked, &it, parent, "ad_set", warnings).await
    }

    /// Makes an ad, or only checks it.
    pub(crate) async fn create_ad(&self, caller: &Caller, asked: Asked, it: Ad) -> Result<Created, Error> {
        let mut warnings = Vec::new();
        defaults::status(it.status, "ad", &mut warnings);
        let mut findings = Findings::default();
        rules::ad::create(&it, "ad", &mut findings);
        findings.finish()?;
        let parent = parent(it.adset_id.as_deref(), "ad.adset_id")?;
        self.own(&caller.tenant, asked.account).await?;
        self.order(caller, asked, &it, parent, "ad", warnings).await
    }

    /// Makes a creative, or only checks it.
    pub(crate) async fn create_creative(&self, caller: &Caller, asked: Asked, it: Creative) -> Result<Created, Error> {
        let mut findings = Findings::default();
        rules::creative::create(&it, "creative", &rules::tree::is_hash, &mut findings);
        findings.finish()?;
        self.own(&caller.tenant, asked.account).await?;
        self.order(caller, asked, &it, 0, "creative", Vec::new()).await
    }

    async fn order<M: Mirrored>(
        &self,
        caller: &Caller,
        asked: Asked,
        message: &M,
        parent: u64,
        path: &'static str,
        warnings: Vec<Warning>,
    ) -> Result<Created, Error> {
        let mut findings = Findings::default();
        findings.check(
            message.temporary_id().is_empty(),
            &format!("{path}.temporary_id"),
            "only stands within a plan",
            "NOT_IN_A_PLAN",
        );
        let form = match mirror::form(message) {
            Ok(form) => form,
            Err(error) => {
                findings.codec(path, &error);
                Vec::new()
            }
        };
        findings.finish()?;
        let order =
            Order { account: asked.account, kind: M::KIND, parent, name: message.name().to_owned(), form, path };
        if asked.validate_only {
            self.check_create(&caller.tenant, &order).await?;
            return Ok((None, warnings));
        }
        let method = method(M::KIND);
        let fingerprint = fingerprint(&format!("{method} {}", asked.account), message);
        let outcome = self.create(caller, asked.request, method, fingerprint, order).await?;
        Ok((Some(outcome), warnings))
    }

    /// What the campaign of an ad set says about it, as far as it is stored.
    async fn around(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        campaign: u64,
        least_daily_budget: Option<i64>,
    ) -> Result<Around, Error> {
        let Some(stored) = self.store.object(tenant, account, Kind::Campaign, campaign).await? else {
            return Ok(Around { least_daily_budget, ..Around::default() });
        };
        Ok(Around::of(&mirror::read::<Campaign>(account, &stored.graph)?, least_daily_budget))
    }
}

/// The id of the parent, in digits.
fn parent(id: Option<&str>, field: &str) -> Result<u64, Error> {
    let id = id.unwrap_or_default().parse();
    id.map_err(|_| Error::field(field, "must be Meta's id, in digits", "NO_ID"))
}

fn method(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "campaigns.create",
        Kind::AdSet => "ad_sets.create",
        Kind::Creative => "creatives.create",
        Kind::Ad => "ads.create",
    }
}
