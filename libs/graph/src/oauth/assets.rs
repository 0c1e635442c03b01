//! What a token reaches.

use secrecy::SecretString;
use serde::Deserialize;
use vocabulary::ids::{AdAccountId, BusinessId, DatasetId, InstagramUserId, PageId};

use super::{App, Oauth};
use crate::{call::Call, error::Error};

/// How many rows to ask for at once; Meta serves these small rows by the hundred.
const LIMIT: usize = 200;

/// An ad account.
#[derive(Debug, Clone, Deserialize)]
pub struct AdAccount {
    /// Meta's id, without `act_`.
    #[serde(rename = "account_id")]
    pub id: AdAccountId,
    /// As Meta calls it.
    #[serde(default)]
    pub name: String,
    /// The tasks that the token's owner has on it, in Meta's words, such as `ADVERTISE`.
    #[serde(default, rename = "user_tasks")]
    pub tasks: Vec<String>,
}

/// A page.
#[derive(Debug, Clone, Deserialize)]
pub struct Page {
    /// Meta's id.
    pub id: PageId,
    /// As Meta calls it.
    #[serde(default)]
    pub name: String,
    /// The tasks that the token's owner has on it, in Meta's words.
    #[serde(default)]
    pub tasks: Vec<String>,
}

/// An Instagram user.
#[derive(Debug, Clone, Deserialize)]
pub struct InstagramUser {
    /// Meta's id.
    pub id: InstagramUserId,
    /// Its handle.
    #[serde(default)]
    pub username: String,
}

/// A dataset, or pixel.
#[derive(Debug, Clone, Deserialize)]
pub struct Dataset {
    /// Meta's id.
    pub id: DatasetId,
    /// As Meta calls it.
    #[serde(default)]
    pub name: String,
}

/// A business portfolio.
#[derive(Debug, Clone, Deserialize)]
pub struct Business {
    /// Meta's id.
    pub id: BusinessId,
    /// As Meta calls it.
    #[serde(default)]
    pub name: String,
}

fn edge<T>(path: &str, fields: &[&str]) -> Call<crate::Page<T>> {
    Call::get(path).fields(fields).field("limit", LIMIT)
}

impl Oauth {
    /// The ad accounts that the token reaches.
    ///
    /// # Errors
    /// As for any read.
    pub async fn ad_accounts(&self, app: &App, token: &SecretString) -> Result<Vec<AdAccount>, Error> {
        self.all(app, token, edge("/me/adaccounts", &["account_id", "name", "user_tasks"])).await
    }

    /// The pages that the token reaches. Their own tokens are not asked for.
    ///
    /// # Errors
    /// `Permission` without `pages_show_list`.
    pub async fn pages(&self, app: &App, token: &SecretString) -> Result<Vec<Page>, Error> {
        self.all(app, token, edge("/me/accounts", &["id", "name", "tasks"])).await
    }

    /// The business portfolios that the token reaches.
    ///
    /// # Errors
    /// `Permission` without `business_management`.
    pub async fn businesses(&self, app: &App, token: &SecretString) -> Result<Vec<Business>, Error> {
        self.all(app, token, edge("/me/businesses", &["id", "name"])).await
    }

    /// The Instagram users that an ad account may advertise for.
    ///
    /// # Errors
    /// As for any read.
    pub async fn instagram_users(
        &self,
        app: &App,
        token: &SecretString,
        account: AdAccountId,
    ) -> Result<Vec<InstagramUser>, Error> {
        self.all(app, token, edge(&format!("/{}/instagram_accounts", account.act()), &["id", "username"])).await
    }

    /// The datasets of an ad account.
    ///
    /// # Errors
    /// As for any read.
    pub async fn datasets(&self, app: &App, token: &SecretString, account: AdAccountId) -> Result<Vec<Dataset>, Error> {
        self.all(app, token, edge(&format!("/{}/adspixels", account.act()), &["id", "name"])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_asked_for_its_small_rows_many_at_a_time() {
        let call = edge::<AdAccount>("/me/adaccounts", &["account_id", "name"]);
        assert_eq!(call.to_string(), "GET /me/adaccounts\nfields=account_id,name\nlimit=200");
    }

    #[test]
    fn an_ad_account_is_read_without_act() {
        let text = r#"{"account_id":"7","name":"Shop","user_tasks":["ADVERTISE"],"id":"act_7"}"#;
        let account: AdAccount = serde_json::from_str(text).unwrap();
        assert_eq!((account.id, account.tasks), (AdAccountId::new(7), vec!["ADVERTISE".to_owned()]));
    }
}
