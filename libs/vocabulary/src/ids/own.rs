//! Ids that we give: UUIDs, written in lower case with hyphens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::IdError;

const UUID: &str = "a UUID such as 5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11";

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self).ok_or_else(|| IdError::new(stringify!($name), UUID, text))
            }
        }
    };
}

uuid_id! {
    /// What a caller gives a write, so that a repeat of it is known.
    RequestId
}
uuid_id! {
    /// A tenant's consent at Meta.
    ConnectionId
}
uuid_id! {
    /// A report of ours. Meta's own id of the work behind it is a `ReportRunId`.
    ReportId
}
uuid_id! {
    /// A plan.
    PlanId
}
uuid_id! {
    /// A job that adds people to an audience or removes them.
    MemberJobId
}

/// Long work, with the service that does it: `campaigns-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId {
    /// The service's name: lower-case letters.
    pub service: String,
    /// The row's id in that service.
    pub id: Uuid,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.service, self.id.hyphenated())
    }
}

impl FromStr for OperationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts = text.split_once('-').and_then(|(service, id)| Some((service, parse(id)?)));
        match parts {
            Some((service, id)) if !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                Ok(Self { service: service.to_owned(), id })
            }
            _ => Err(IdError::new("OperationId", "{service}-{uuid}", text)),
        }
    }
}

/// Only the one spelling that we print, so that a name has one form.
fn parse(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_operation_reads_back_as_it_prints(service in "[a-z]{1,12}", id in any::<u128>()) {
            let operation = OperationId { service, id: Uuid::from_u128(id) };
            prop_assert_eq!(operation.to_string().parse::<OperationId>(), Ok(operation));
        }

        #[test]
        fn a_request_id_reads_back_as_it_prints(id in any::<u128>()) {
            let id = RequestId(Uuid::from_u128(id));
            prop_assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
        }
    }

    #[test]
    fn a_uuid_has_one_spelling() {
        for text in ["", "5F0C1D9E-3B7A-4C1E-9A54-0D2F6C8B7E11", "5f0c1d9e3b7a4c1e9a540d2f6c8b7e11", "5f0c"] {
            assert!(text.parse::<RequestId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_operation_without_a_service_is_refused() {
        for text in ["5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11", "-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11", "campaigns-"] {
            assert!(text.parse::<OperationId>().is_err(), "{text:?}");
        }
    }
}
