//! The gRPC surface: open, decode, do, encode. No rule, no SQL, no JSON.

mod accounts;
mod ad_sets;
mod ads;
mod campaigns;
mod creatives;
mod graph;
mod media;
mod plans;

use crate::context::Context;

/// All services of this crate, over the same use cases.
#[derive(Clone)]
pub(crate) struct Api(Context);

impl Api {
    /// Over these use cases.
    pub(crate) fn new(context: Context) -> Self {
        Self(context)
    }
}
