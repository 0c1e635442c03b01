//! The gRPC surface: open, decode, do, encode.

mod audiences;
mod members;

use vocabulary::page::PageTokens;

use crate::{audiences::Audiences, members::Members};

/// Serves audiences.
#[derive(Clone)]
pub(crate) struct AudienceApi<C> {
    audiences: Audiences<C>,
    pages: PageTokens,
    clock: C,
}

/// Serves uploads.
#[derive(Clone)]
pub(crate) struct MemberApi<C> {
    members: Members<C>,
    audiences: Audiences<C>,
    pages: PageTokens,
}

impl<C> AudienceApi<C> {
    /// Serves `audiences`; pages are sealed with `pages`.
    pub(crate) fn new(audiences: Audiences<C>, pages: PageTokens, clock: C) -> Self {
        Self { audiences, pages, clock }
    }
}

impl<C> MemberApi<C> {
    /// Serves `members` of `audiences`; pages are sealed with `pages`.
    pub(crate) fn new(members: Members<C>, audiences: Audiences<C>, pages: PageTokens) -> Self {
        Self { members, audiences, pages }
    }
}
