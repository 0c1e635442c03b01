//! Messages that mirror Meta's objects, to Graph parameters and back, steered by the field options of
//! `adplane.meta.v1`. A field is added to the suite by adding it to its proto.
//!
//! Writing gives the parameters of a form. Reading never fails for what we do not know: an unknown key, an unknown
//! word of an enum and a value of an unexpected type all survive as JSON text in the message's `extra`.

mod facts;
mod read;
#[cfg(test)]
mod tests;
mod time;
mod write;

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

pub use read::decode;
pub use write::{Mode, encode};

/// Why a message has no Graph form, or the other way round.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The schema has no such message: our mistake.
    #[error("the schema has no message `{0}`")]
    UnknownMessage(String),
    /// The bytes are not that message: our mistake.
    #[error("the bytes are no `{message}`")]
    Bytes {
        /// Its full name.
        message: String,
        /// What the parser says.
        #[source]
        source: prost::DecodeError,
    },
    /// The answer is not a JSON object.
    #[error("Meta's answer is no object")]
    NotAnObject,
    /// An `extra` value is no JSON text, or its key is one that we type.
    #[error("`{field}`: {reason}")]
    Field {
        /// The path in the message.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
        /// A stable rule name.
        rule: &'static str,
    },
    /// The mask clears a field that Meta cannot clear.
    #[error("Meta has no way to clear `{field}`")]
    NotClearable {
        /// The path in the message.
        field: String,
    },
    /// The mask names a field that cannot be changed, or that does not exist.
    #[error("`{field}` cannot be in the update mask: {reason}")]
    Mask {
        /// The path in the mask.
        field: String,
        /// Why, and what to name instead.
        reason: String,
    },
}

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTOR_SET).ok());

fn descriptor(message: &str) -> Result<MessageDescriptor, CodecError> {
    POOL.as_ref()
        .and_then(|pool| pool.get_message_by_name(message))
        .ok_or_else(|| CodecError::UnknownMessage(message.to_owned()))
}

fn dynamic(message: &str, bytes: &[u8]) -> Result<DynamicMessage, CodecError> {
    DynamicMessage::decode(descriptor(message)?, bytes)
        .map_err(|source| CodecError::Bytes { message: message.to_owned(), source })
}
