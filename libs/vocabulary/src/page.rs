//! Pages: how many rows, after which one, and tokens that cannot be forged, altered or used for another list.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::TenantId;

const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 1_000;
const TAG_BYTES: usize = 32;

/// Which rows to read: at most `size`, after the row whose key is `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to 1,000.
    pub size: usize,
    /// The key of the last row of the page before; `None` for the first page.
    pub after: Option<String>,
}

/// Why a page cannot be given. Both are the caller's to fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// `page_size` is negative.
    #[error("must not be negative; 0 means 100, more than 1,000 is cut to 1,000")]
    Size,
    /// `page_token` is not one of ours for this tenant and this list.
    #[error("must be the next_page_token of the page before, with the same filter")]
    Token,
}

impl PageError {
    /// The field of the request that is wrong.
    pub fn field(self) -> &'static str {
        match self {
            Self::Size => "page_size",
            Self::Token => "page_token",
        }
    }
}

/// Seals and opens page tokens with one key, which all replicas of a service share.
#[derive(Debug, Clone)]
pub struct PageTokens(hmac::Key);

impl PageTokens {
    /// `key` should be 32 random bytes.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Reads the two page fields of a request. `filter` is what else chooses the rows, as bytes: the encoded filter
    /// message, or a hash of it with the parent.
    pub fn request(
        &self,
        tenant: &TenantId,
        filter: &[u8],
        page_size: i32,
        page_token: &str,
    ) -> Result<PageRequest, PageError> {
        let size = match usize::try_from(page_size).map_err(|_| PageError::Size)? {
            0 => SIZE_DEFAULT,
            size => size.min(SIZE_MAX),
        };
        let after = match page_token {
            "" => None,
            token => Some(self.open(tenant, filter, token)?),
        };
        Ok(PageRequest { size, after })
    }

    /// A token for the page after the row with `last_key`, which the caller can read but not change.
    pub fn seal(&self, tenant: &TenantId, filter: &[u8], last_key: &str) -> String {
        let mut token = hmac::sign(&self.0, &covered(tenant, filter, last_key)).as_ref().to_vec();
        token.extend_from_slice(last_key.as_bytes());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The key that was sealed. Fails for anything that this key did not seal for this tenant and filter.
    pub fn open(&self, tenant: &TenantId, filter: &[u8], token: &str) -> Result<String, PageError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| PageError::Token)?;
        let (tag, last_key) = bytes.split_at_checked(TAG_BYTES).ok_or(PageError::Token)?;
        let last_key = std::str::from_utf8(last_key).map_err(|_| PageError::Token)?;
        hmac::verify(&self.0, &covered(tenant, filter, last_key), tag).map_err(|_| PageError::Token)?;
        Ok(last_key.to_owned())
    }
}

/// Each part with its length before it, so that no two triples give the same bytes.
fn covered(tenant: &TenantId, filter: &[u8], last_key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [tenant.as_str().as_bytes(), filter, last_key.as_bytes()] {
        bytes.extend_from_slice(&part.len().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_token_opens_to_what_was_sealed(last_key in "\\PC{0,80}", filter in any::<Vec<u8>>()) {
            let tokens = PageTokens::new(b"key");
            let token = tokens.seal(&tenant("acme"), &filter, &last_key);
            prop_assert_eq!(tokens.open(&tenant("acme"), &filter, &token), Ok(last_key));
        }

        #[test]
        fn an_altered_token_does_not_open(last_key in "[a-z]{0,40}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let tokens = PageTokens::new(b"key");
            let mut bytes = URL_SAFE_NO_PAD.decode(tokens.seal(&tenant("acme"), b"", &last_key)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(tokens.open(&tenant("acme"), b"", &URL_SAFE_NO_PAD.encode(bytes)), Err(PageError::Token));
        }
    }

    #[test]
    fn a_token_serves_its_own_list_only() {
        let tokens = PageTokens::new(b"key");
        let token = tokens.seal(&tenant("acme"), b"paused", "7");
        assert_eq!(tokens.open(&tenant("other"), b"paused", &token), Err(PageError::Token));
        assert_eq!(tokens.open(&tenant("acme"), b"active", &token), Err(PageError::Token));
        assert_eq!(PageTokens::new(b"other").open(&tenant("acme"), b"paused", &token), Err(PageError::Token));
        assert_eq!(tokens.open(&tenant("acme"), b"paused", "no token"), Err(PageError::Token));
    }

    #[test]
    fn sizes_have_a_default_and_a_cap() {
        let tokens = PageTokens::new(b"key");
        let size = |size| tokens.request(&tenant("acme"), b"", size, "").map(|page| page.size);
        assert_eq!(size(0), Ok(100));
        assert_eq!(size(1), Ok(1));
        assert_eq!(size(5_000), Ok(1_000));
        assert_eq!(size(-1), Err(PageError::Size));
    }
}
