//! What a ceiling is counted for, and the key of its bucket in Redis.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A bucket's identity. Meta counts per app, so the app is part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope {
    /// Digits of the Meta app.
    pub(crate) app: u64,
    pub(crate) kind: Kind,
    /// Of what is counted; empty for [`Kind::App`].
    pub(crate) id: String,
    /// Meta's word; empty where the kind has none.
    pub(crate) use_case: String,
}

/// What is counted; `ScopeKind` in the proto says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    App,
    User,
    AdAccount,
    Page,
    TenantShare,
    Mutation,
    BudgetChange,
}

/// The use case of [`Kind::BudgetChange`] that counts an ad account's spend cap instead of an ad set's budget.
pub(crate) const SPEND_CAP: &str = "spend_cap";

/// Meta's words for the use cases that are counted per ad account.
pub(crate) const ADS_MANAGEMENT: &str = "ads_management";
pub(crate) const ADS_INSIGHTS: &str = "ads_insights";
pub(crate) const CUSTOM_AUDIENCE: &str = "custom_audience";

impl Kind {
    const ALL: [Self; 7] =
        [Self::App, Self::User, Self::AdAccount, Self::Page, Self::TenantShare, Self::Mutation, Self::BudgetChange];

    /// The word in keys and messages.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::User => "user",
            Self::AdAccount => "ad_account",
            Self::Page => "page",
            Self::TenantShare => "tenant_share",
            Self::Mutation => "mutation",
            Self::BudgetChange => "budget_change",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl Scope {
    /// The bucket of an ad account: of one use case, or with an empty one of its score.
    pub(crate) fn ad_account(app: u64, account: &str, use_case: &str) -> Self {
        Self { app, kind: Kind::AdAccount, id: account.to_owned(), use_case: use_case.to_owned() }
    }

    /// The bucket of the app: of one use case, or with an empty one of Meta's platform limit.
    pub(crate) fn of_app(app: u64, use_case: &str) -> Self {
        Self { app, kind: Kind::App, id: String::new(), use_case: use_case.to_owned() }
    }

    /// `{app:1}:b:ad_account:2:ads_management`. The braces are Redis Cluster's hash tag: all buckets of an app live in
    /// one slot, so that one script can take from all of them or from none.
    pub(crate) fn key(&self) -> String {
        format!("{}:b:{}:{}:{}", app_tag(self.app), self.kind.word(), self.id, self.use_case)
    }

    /// The way back from [`Scope::key`]; `None` for any other text.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        let (app, rest) = key.strip_prefix("{app:")?.split_once("}:b:")?;
        let mut parts = rest.split(':');
        let (kind, id, use_case) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            app: app.parse().ok()?,
            kind: Kind::from_word(kind)?,
            id: id.to_owned(),
            use_case: use_case.to_owned(),
        })
    }

    /// The bucket of what one tenant takes of this one, where tenants can share it.
    pub(crate) fn share(&self, tenant: &str) -> Option<Self> {
        let id = match self.kind {
            Kind::AdAccount => format!("{tenant}/{}", self.id),
            Kind::App => tenant.to_owned(),
            Kind::User | Kind::Page | Kind::TenantShare | Kind::Mutation | Kind::BudgetChange => return None,
        };
        Some(Self { kind: Kind::TenantShare, id, ..self.clone() })
    }

    /// Of a share: whose it is, and the bucket that is shared.
    pub(crate) fn shared(&self) -> Option<(&str, Self)> {
        let (tenant, shared) = match (self.kind, self.id.split_once('/')) {
            (Kind::TenantShare, Some((tenant, account))) => {
                (tenant, Self::ad_account(self.app, account, &self.use_case))
            }
            (Kind::TenantShare, None) => (self.id.as_str(), Self::of_app(self.app, &self.use_case)),
            _ => return None,
        };
        Some((tenant, shared))
    }

    /// The ad account that the bucket belongs to, where there is one.
    pub(crate) fn account(&self) -> Option<&str> {
        match self.kind {
            Kind::AdAccount | Kind::Mutation => Some(&self.id),
            Kind::TenantShare => self.id.split_once('/').map(|(_, account)| account),
            Kind::BudgetChange if self.use_case == SPEND_CAP => Some(&self.id),
            Kind::App | Kind::User | Kind::Page | Kind::BudgetChange => None,
        }
    }
}

/// The hash tag of everything that is kept for one app.
pub(crate) fn app_tag(app: u64) -> String {
    format!("{{app:{app}}}")
}

/// For people, as in `AD_ACCOUNT 2 ads_management of metaApps/1`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.word().to_ascii_uppercase())?;
        for part in [&self.id, &self.use_case] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        write!(f, " of metaApps/{}", self.app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_carries_its_app_as_hash_tag_and_reads_back() {
        let scope = Scope::ad_account(7, "12", ADS_MANAGEMENT);
        assert_eq!(scope.key(), "{app:7}:b:ad_account:12:ads_management");
        for kind in Kind::ALL {
            let scope = Scope { kind, ..scope.clone() };
            assert_eq!(Scope::from_key(&scope.key()), Some(scope));
        }
    }

    #[test]
    fn a_share_knows_whose_it_is_and_of_what() {
        for scope in [Scope::ad_account(7, "12", ADS_MANAGEMENT), Scope::ad_account(7, "12", ""), Scope::of_app(7, "")]
        {
            let share = scope.share("acme").unwrap();
            assert_eq!(Scope::from_key(&share.key()).as_ref(), Some(&share));
            assert_eq!(share.shared(), Some(("acme", scope.clone())));
            assert_eq!(share.account(), scope.account());
            assert_eq!((share.share("acme"), scope.shared()), (None, None));
        }
    }

    #[test]
    fn another_key_is_no_scope() {
        for key in ["{app:7}:epoch", "{app:x}:b:app::", "{app:7}:b:planet:1:", "{app:7}:b:app:1:2:3", ""] {
            assert_eq!(Scope::from_key(key), None, "{key}");
        }
    }

    #[test]
    fn people_read_the_scope_in_words() {
        assert_eq!(Scope::ad_account(7, "12", "").to_string(), "AD_ACCOUNT 12 of metaApps/7");
        assert_eq!(Scope::of_app(7, "").to_string(), "APP of metaApps/7");
    }
}
