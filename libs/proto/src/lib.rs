//! The messages, clients and servers of every package under `proto/`, generated at build time, and nothing else.
//!
//! `Debug` of a message never shows a field that says `debug_redact = true`. Maps are `BTreeMap`s, so that a message
//! encodes to the same bytes every time and its fingerprint is stable.

mod generated {
    #![allow(clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/modules.rs"));
}

pub use generated::adplane::*;

/// Every file under `proto/` and what it imports, as an encoded `google.protobuf.FileDescriptorSet` with source info.
///
/// Bytes on purpose: they keep the options that are extensions, such as `adplane.common.v1.scope`, which a set decoded
/// by prost loses. Read them with prost-reflect, serve them with tonic-reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
