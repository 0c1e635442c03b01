use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// What the first entry of a chain has before it.
pub(super) const ORIGIN: [u8; 32] = [0; 32];

/// One change, to be appended.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Whose chain it goes to.
    pub tenant: &'a str,
    /// Who did it: the subject of the token, or the service for work of its own.
    pub actor: &'a str,
    /// What was done, such as `campaigns.update`.
    pub action: &'a str,
    /// To what, such as `adAccounts/act_1/campaigns/2`.
    pub resource: &'a str,
    /// The request that asked for it.
    pub request_id: Option<Uuid>,
    /// What else a reader needs: before and after, `fbtrace_id`. No secret, no person's data.
    pub detail: Value,
}

/// One entry as it stands in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place in the tenant's chain, from 1 without gaps.
    pub sequence: i64,
    /// When it was written, by the database's clock.
    pub written: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource: String,
    /// The request that asked for it.
    pub request_id: Option<Uuid>,
    /// What else a reader needs.
    pub detail: Value,
    /// The same as the characters that the hash covers.
    pub detail_text: String,
    /// The hash of the entry before.
    pub previous: Vec<u8>,
    /// The hash of this entry.
    pub hash: Vec<u8>,
}

/// The last entry of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its place.
    pub sequence: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Recorded {
    /// The hash that this entry must have as an entry of `tenant`.
    pub(super) fn expected_hash(&self, tenant: &str) -> [u8; 32] {
        let entry = Entry {
            tenant,
            actor: &self.actor,
            action: &self.action,
            resource: &self.resource,
            request_id: self.request_id,
            detail: Value::Null,
        };
        hash(&self.previous, self.sequence, self.written, &entry, &self.detail_text)
    }
}

/// SHA-256 over the previous hash and the canonical entry: each part with its length before it, so that no two entries have
/// the same bytes.
pub(super) fn hash(previous: &[u8], sequence: i64, written: Timestamp, entry: &Entry<'_>, detail: &str) -> [u8; 32] {
    let request_id = entry.request_id.map(Uuid::into_bytes);
    let parts: [&[u8]; 10] = [
        b"adplane audit 1",
        previous,
        entry.tenant.as_bytes(),
        &sequence.to_be_bytes(),
        &written.as_microsecond().to_be_bytes(),
        entry.actor.as_bytes(),
        entry.action.as_bytes(),
        entry.resource.as_bytes(),
        request_id.as_ref().map_or(&[], |id| id.as_slice()),
        detail.as_bytes(),
    ];
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// JSON with sorted keys and no spaces, whatever order the map had.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            let members: Vec<_> = keys
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry<'a>(actor: &'a str, action: &'a str) -> Entry<'a> {
        Entry { tenant: "acme", actor, action, resource: "r", request_id: None, detail: Value::Null }
    }

    #[test]
    fn canonical_json_is_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": "ü\n"}], "a": null});
        assert_eq!(canonical(&value), r#"{"a":null,"b":[{"a":"ü\n","z":1}]}"#);
    }

    #[test]
    fn a_letter_that_moves_to_the_next_field_changes_the_hash() {
        let at = Timestamp::UNIX_EPOCH;
        let one = hash(&ORIGIN, 1, at, &entry("ab", "c"), "");
        let other = hash(&ORIGIN, 1, at, &entry("a", "bc"), "");
        assert_ne!(one, other);
    }

    #[test]
    fn the_hash_is_fixed_for_ever() {
        let hash = hash(&ORIGIN, 1, Timestamp::UNIX_EPOCH, &entry("someone", "campaigns.update"), "{}");
        assert_eq!(hex::encode(hash), "a3bb2c17e3b01a30f26a4b092caf0fb1f0c4b901cdff609658b5fb83c33563be");
    }
}
