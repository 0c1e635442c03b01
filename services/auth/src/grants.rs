//! Rules of what a caller may be given: nobody grants more than they have.

use std::collections::BTreeSet;

/// Everything, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// `*`: for operators.
    Everything,
    /// These and no others; never empty.
    Only(BTreeSet<String>),
}

/// What is wrong with a list of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// At least one is needed.
    #[error("must name at least one, or a single `*`")]
    Empty,
    /// At most a hundred.
    #[error("must name at most 100")]
    TooMany,
    /// `*` beside names says two things.
    #[error("must be a single `*`, or names without it")]
    StarAmongNames,
    /// One of them has no valid form.
    #[error("`{0}` is no valid name here")]
    Malformed(String),
}

/// The most names in one grant.
const NAMES_MAX: usize = 100;

impl Grant {
    /// Reads a list of names; `valid` says which form a name must have.
    pub fn parse(names: &[String], valid: impl Fn(&str) -> bool) -> Result<Self, GrantError> {
        match names {
            [] => Err(GrantError::Empty),
            [star] if star == "*" => Ok(Self::Everything),
            _ if names.len() > NAMES_MAX => Err(GrantError::TooMany),
            _ if names.iter().any(|name| name == "*") => Err(GrantError::StarAmongNames),
            _ => match names.iter().find(|name| !valid(name)) {
                Some(name) => Err(GrantError::Malformed(name.clone())),
                None => Ok(Self::Only(names.iter().cloned().collect())),
            },
        }
    }

    /// As it is stored and sent: sorted names, or a single `*`.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Everything => vec!["*".to_owned()],
            Self::Only(names) => names.iter().cloned().collect(),
        }
    }

    /// From what was stored, which was parsed before.
    pub fn from_stored(names: Vec<String>) -> Self {
        if names.iter().any(|name| name == "*") { Self::Everything } else { Self::Only(names.into_iter().collect()) }
    }

    /// What of `other` this grant does not hold; empty where it holds all of it.
    pub fn lacks(&self, other: &Self) -> Vec<String> {
        match (self, other) {
            (Self::Everything, _) => Vec::new(),
            (Self::Only(_), Self::Everything) => other.names(),
            (Self::Only(mine), Self::Only(theirs)) => theirs.difference(mine).cloned().collect(),
        }
    }

    /// What both hold.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Everything, _) => other.clone(),
            (_, Self::Everything) => self.clone(),
            (Self::Only(mine), Self::Only(theirs)) => Self::Only(mine.intersection(theirs).cloned().collect()),
        }
    }

    /// Is it for operators?
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Everything)
    }
}

/// A scope as methods state it: a domain and a word, such as `campaigns.write`. `internal` and `open` are none.
pub fn is_scope(name: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    name.len() <= 60 && name.split_once('.').is_some_and(|(domain, verb)| word(domain) && word(verb))
}

/// A permission in Meta's words, such as `ads_management`.
pub fn is_permission(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// What was expected and is not there, in the order in which it was expected.
pub fn missing(expected: &[String], granted: &[String]) -> Vec<String> {
    expected.iter().filter(|scope| !granted.contains(scope)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn scopes(list: &[&str]) -> Grant {
        Grant::parse(&names(list), is_scope).unwrap()
    }

    #[test]
    fn nobody_grants_what_they_lack() {
        let mine = scopes(&["campaigns.read", "campaigns.write"]);
        assert!(mine.lacks(&scopes(&["campaigns.read"])).is_empty());
        assert_eq!(mine.lacks(&scopes(&["campaigns.read", "auth.write"])), ["auth.write"]);
        assert_eq!(mine.lacks(&Grant::Everything), ["*"]);
        assert!(Grant::Everything.lacks(&Grant::Everything).is_empty());
        assert!(Grant::Everything.lacks(&mine).is_empty());
    }

    #[test]
    fn lists_that_say_nothing_or_two_things_are_refused() {
        let parse = |list: &[&str]| Grant::parse(&names(list), is_scope).unwrap_err();
        assert_eq!(parse(&[]), GrantError::Empty);
        assert_eq!(parse(&["*", "auth.read"]), GrantError::StarAmongNames);
        assert_eq!(parse(&["internal"]), GrantError::Malformed("internal".to_owned()));
        assert_eq!(parse(&["auth."]), GrantError::Malformed("auth.".to_owned()));
        assert_eq!(Grant::parse(&vec!["a.b".to_owned(); 101], is_scope).unwrap_err(), GrantError::TooMany);
    }

    #[test]
    fn a_grant_reads_back_as_it_was_written() {
        for grant in [Grant::Everything, scopes(&["b.c", "a.b"])] {
            assert_eq!(Grant::from_stored(grant.names()), grant);
        }
        assert_eq!(scopes(&["b.c", "a.b", "a.b"]).names(), ["a.b", "b.c"]);
    }

    #[test]
    fn missing_permissions_are_named() {
        let expected = names(&["ads_management", "ads_read", "business_management"]);
        assert_eq!(missing(&expected, &names(&["ads_read"])), ["ads_management", "business_management"]);
        assert!(missing(&expected, &expected).is_empty());
    }
}
