//! Ids that are neither numbers nor UUIDs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::IdError;

/// A tenant: 1 to 40 of `a` to `z`, `0` to `9` and `-`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(IdError::new("TenantId", "1 to 40 of a-z, 0-9 and -", text))
        }
    }
}

/// An image in an ad account's library, named by what it holds: 32 hexadecimal digits, lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageHash([u8; 32]);

impl ImageHash {
    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for ImageHash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::new("ImageHash", "32 hexadecimal digits", text);
        let digits: [u8; 32] = text.to_ascii_lowercase().into_bytes().try_into().map_err(|_| error())?;
        if digits.iter().all(u8::is_ascii_hexdigit) { Ok(Self(digits)) } else { Err(error()) }
    }
}

impl fmt::Debug for ImageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageHash({self})")
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

as_text!(TenantId);
as_text!(ImageHash);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tenant_reads_back_as_it_prints(text in "[a-z0-9-]{1,40}") {
            prop_assert_eq!(text.parse::<TenantId>().unwrap().to_string(), text);
        }

        #[test]
        fn an_image_hash_reads_back_as_it_prints(text in "[0-9a-f]{32}") {
            prop_assert_eq!(text.parse::<ImageHash>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_tenant_is_refused() {
        for text in ["", "Acme", "a_b", "a/b", "ä", &"a".repeat(41)] {
            assert!(text.parse::<TenantId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_image_hash_is_32_digits_of_either_case() {
        let hash: ImageHash = "02BEE5277EC507B6FD0F9B9FF2F22D9C".parse().unwrap();
        assert_eq!(hash.as_str(), "02bee5277ec507b6fd0f9b9ff2f22d9c");
        assert!("02bee".parse::<ImageHash>().is_err());
        assert!("g2bee5277ec507b6fd0f9b9ff2f22d9c".parse::<ImageHash>().is_err());
    }
}
