//! Persons and programs whom an issuer outside vouches for, locked out by an operator and let in again.
//!
//! Their tokens are not ours to take back and their issuer may be slow to hear, so it is the subject that ends: every token
//! of it, those that are still to be issued too, until an operator restores it.

use jiff::Timestamp;
use serde_json::json;

use crate::{
    by::{By, Repeat},
    callers,
    error::Error,
    issuers::IssuerSettings,
    now::Now,
    revocations::Subject,
    sensitive,
    store::{Store, Told, revocations, subjects},
    vault::Vault,
};

/// Somebody who is locked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// `{issuer}:{sub}`, as the audit names them.
    pub subject: String,
    /// Why, for a person.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// The use cases.
#[derive(Clone)]
pub struct Subjects {
    store: Store,
    vault: Vault,
    /// The names of the issuers that are trusted here.
    issuers: Vec<String>,
    now: Now,
}

impl Subjects {
    /// Over the store, for these issuers.
    pub fn new((store, vault, now): (Store, Vault, Now), issuers: &[IssuerSettings]) -> Self {
        let issuers = issuers.iter().map(|issuer| issuer.name.clone()).collect();
        Self { store, vault, issuers, now }
    }

    /// Locks a subject out. Again changes nothing, and neither does a call without an answer to store.
    pub async fn revoke(
        &self,
        by: &By,
        (subject, reason): (&str, &str),
        closing: Option<(&Repeat, Vec<u8>)>,
    ) -> Result<(), Error> {
        by.require_operator()?;
        self.require_known(subject)?;
        let now = (self.now)();
        let revoked = Revoked {
            subject: subject.to_owned(),
            reason: sensitive::text(&self.vault, by.tenant.as_str(), reason).await,
            by: by.actor.to_string(),
            since: now,
        };
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let is_new = subjects::insert(&transaction, &revoked).await?;
        let detail = json!({"reason": revoked.reason});
        let ends = Subject::Outsider(revoked.subject);
        self.end(transaction, by, is_new.then_some((ends, "subjects.revoke", detail)), closing).await
    }

    /// Lets a subject in again; without an answer to store nothing is changed.
    pub async fn restore(&self, by: &By, subject: &str, closing: Option<(&Repeat, Vec<u8>)>) -> Result<(), Error> {
        by.require_operator()?;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !subjects::delete(&transaction, subject).await? {
            return Err(Error::NotFound { resource: name(subject) });
        }
        let begins = Subject::OutsiderRestored(subject.to_owned());
        self.end(transaction, by, Some((begins, "subjects.restore", json!({}))), closing).await
    }

    /// Those who are locked out, by name, after one.
    pub async fn list(&self, by: &By, after: &str, limit: i64) -> Result<Vec<Revoked>, Error> {
        by.require_operator()?;
        Ok(subjects::list(&self.store.client().await?, after, limit).await?)
    }

    /// Stores a change with what tells of it; without one, only the answer; without that, nothing.
    async fn end(
        &self,
        transaction: storage::Transaction<'_>,
        by: &By,
        change: Option<(Subject, &'static str, serde_json::Value)>,
        closing: Option<(&Repeat, Vec<u8>)>,
    ) -> Result<(), Error> {
        let Some((repeat, answer)) = closing else { return Ok(transaction.rollback().await?) };
        let Some((subject, action, detail)) = change else {
            transaction.rollback().await?;
            return Ok(self.store.answer(by, repeat, &answer).await?);
        };
        revocations::append(&transaction, by.tenant.as_str(), &subject, (self.now)()).await?;
        let resource = name(&subject.parts().1);
        let told = Told { action, resource: &resource, detail };
        Ok(self.store.commit(transaction, by, told, Some((repeat, answer))).await?)
    }

    /// Fails where no issuer of ours could name such a subject: a mistake in it would lock out nobody and look as if it did.
    fn require_known(&self, subject: &str) -> Result<(), Error> {
        let issuer = subject.split_once(':').filter(|(_, sub)| !sub.is_empty()).map(|(issuer, _)| issuer);
        if issuer.is_some_and(|issuer| self.issuers.iter().any(|known| known == issuer)) {
            return Ok(());
        }
        let known = if self.issuers.is_empty() { "none is set up".to_owned() } else { self.issuers.join(", ") };
        let words = format!("must be `{{issuer}}:{{sub}}` with an issuer of the settings ({known})");
        let words = if subject.starts_with(callers::COLLECTION) {
            "is a caller of ours: use DeleteCaller".to_owned()
        } else {
            words
        };
        Err(Error::field("subject", words, "SUBJECT"))
    }
}

fn name(subject: &str) -> String {
    format!("subjects/{subject}")
}
