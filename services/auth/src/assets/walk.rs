//! Looking through what a token reaches, in steps, so that thousands of ad accounts are no one long call: where a step
//! fails, what was found before it stays, and the next try goes on from there.

use futures::{StreamExt, TryStreamExt, stream};
use graph::oauth::{AdAccount, App, Oauth};
use secrecy::SecretString;
use vocabulary::ids::AdAccountId;

use super::{AssetKind, Found};

/// How many ad accounts are looked into at once.
const ACCOUNTS_AT_ONCE: usize = 8;
/// How many ad accounts are looked into in a step: what is lost where a step fails.
const STEP: usize = 100;
/// With more ad accounts than this a caller does not wait for the look into each.
const AWAITED_MAX: usize = 100;

/// How far the look at what a token reaches has come.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// Those that are to be looked into; `None` until they are listed.
    accounts: Option<Vec<AdAccountId>>,
    /// How many of them were looked into.
    looked: usize,
    found: Vec<Found>,
}

impl Walk {
    /// Takes one step. Says whether there is more. What the token may not list (businesses, pages) is left out; ad accounts
    /// must work.
    pub async fn step(&mut self, oauth: &Oauth, app: &App, token: &SecretString) -> Result<bool, graph::Error> {
        let Some(accounts) = &self.accounts else {
            self.list(oauth, app, token).await?;
            return Ok(!self.is_whole());
        };
        let step: Vec<AdAccountId> = accounts.iter().skip(self.looked).take(STEP).copied().collect();
        let looks: Vec<_> = step.iter().map(|&account| of_account(oauth, app, token, account)).collect();
        let found: Vec<Found> = stream::iter(looks).buffer_unordered(ACCOUNTS_AT_ONCE).try_concat().await?;
        self.found.extend(found);
        self.looked += step.len();
        // Accounts of one business share datasets and Instagram users; kept once, they take no more room than they are.
        sort(&mut self.found);
        Ok(!self.is_whole())
    }

    async fn list(&mut self, oauth: &Oauth, app: &App, token: &SecretString) -> Result<(), graph::Error> {
        let accounts = oauth.ad_accounts(app, token).await?;
        let pages = listed(oauth.pages(app, token).await)?;
        let businesses = listed(oauth.businesses(app, token).await)?;
        let ids = accounts.iter().map(|account| account.id).collect();
        self.found = accounts.into_iter().map(of_ad_account).collect();
        self.found.extend(pages.into_iter().map(|p| Found::new(AssetKind::Page, p.id.get(), p.name, p.tasks)));
        self.found
            .extend(businesses.into_iter().map(|b| Found::new(AssetKind::Business, b.id.get(), b.name, Vec::new())));
        sort(&mut self.found);
        self.accounts = Some(ids);
        Ok(())
    }

    /// Whether nothing is left to look into.
    pub fn is_whole(&self) -> bool {
        self.accounts.as_ref().is_some_and(|accounts| self.looked >= accounts.len())
    }

    /// Whether there is so much that a caller should not wait for it.
    pub fn is_long(&self) -> bool {
        self.accounts.as_ref().is_some_and(|accounts| accounts.len() > AWAITED_MAX)
    }

    /// How many ad accounts were looked into, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.looked, self.accounts.as_ref().map_or(0, Vec::len))
    }

    /// What was found so far, each thing once and in order.
    pub fn found(self) -> Vec<Found> {
        self.found
    }
}

fn sort(found: &mut Vec<Found>) {
    found.sort_by(|one, other| (one.kind, &one.meta_id).cmp(&(other.kind, &other.meta_id)));
    found.dedup_by(|one, other| (one.kind, &one.meta_id) == (other.kind, &other.meta_id));
}

fn of_ad_account(account: AdAccount) -> Found {
    Found::new(AssetKind::AdAccount, account.id.get(), account.name, account.tasks)
}

async fn of_account(
    oauth: &Oauth,
    app: &App,
    token: &SecretString,
    account: AdAccountId,
) -> Result<Vec<Found>, graph::Error> {
    let datasets = listed(oauth.datasets(app, token, account).await)?.into_iter();
    let users = listed(oauth.instagram_users(app, token, account).await)?.into_iter();
    let datasets = datasets.map(|dataset| Found::new(AssetKind::Dataset, dataset.id.get(), dataset.name, Vec::new()));
    let users = users.map(|user| Found::new(AssetKind::InstagramUser, user.id.get(), user.username, Vec::new()));
    Ok(datasets.chain(users).collect())
}

/// Nothing, where the token may not list them.
fn listed<T>(rows: Result<Vec<T>, graph::Error>) -> Result<Vec<T>, graph::Error> {
    match rows {
        Err(graph::Error::Permission { .. } | graph::Error::Missing { .. }) => Ok(Vec::new()),
        rows => rows,
    }
}
