//! `FieldService`: what a query may say.

use proto::{
    common::v1::FieldViolation,
    insights::v1::{self as pb, field_service_server::FieldService},
};
use tonic::{Request, Response, Status};
use vocabulary::{Clock, calendar, page::PageTokens};

use super::{cut, filter, page_error};
use crate::{
    Error,
    query::{self, Today},
    slices,
    wire::{self, Word, all_words, encode_word},
};

/// `FieldService`. Asks neither Meta nor the store.
#[derive(Debug, Clone)]
pub(crate) struct FieldApi<C> {
    tokens: PageTokens,
    also: Vec<String>,
    clock: C,
}

impl<C: Clock> FieldApi<C> {
    /// `also` as in [`crate::reports::Reports`].
    pub(crate) fn new(tokens: PageTokens, also: Vec<String>, clock: C) -> Self {
        Self { tokens, also, clock }
    }
}

#[tonic::async_trait]
impl<C: Clock> FieldService for FieldApi<C> {
    async fn list_fields(
        &self,
        request: Request<pb::ListFieldsRequest>,
    ) -> Result<Response<pb::ListFieldsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let filter = filter("fields", &request.kind.to_string());
        let page =
            self.tokens.request(&caller.tenant, &filter, request.page_size, &request.page_token).map_err(page_error)?;
        let after = page.after.as_deref().unwrap_or_default();
        let wanted = |word: &Word| (request.kind == 0 || word.kind == request.kind) && key(word).as_str() > after;
        let mut words: Vec<Word> = all_words().into_iter().filter(wanted).take(page.size + 1).collect();
        let more = cut(&mut words, page.size);
        let last = words.last().filter(|_| more).map(key);
        Ok(Response::new(pb::ListFieldsResponse {
            fields: words.into_iter().map(encode_word).collect(),
            next_page_token: last.map(|key| self.tokens.seal(&caller.tenant, &filter, &key)).unwrap_or_default(),
        }))
    }

    async fn validate_query(
        &self,
        request: Request<pb::ValidateQueryRequest>,
    ) -> Result<Response<pb::ValidateQueryResponse>, Status> {
        let (_, request) = rpc::open(request)?;
        let now = self.clock.now();
        let response = match query::check(request.query.as_ref(), &self.also, Today::at(now)) {
            Ok(checked) => {
                // In the account's zone a named period may begin a day earlier or later; its length stays.
                let today = calendar::today(&jiff::tz::TimeZone::UTC, now);
                let (mode, reason) = slices::mode(&checked.resolve(today));
                pb::ValidateQueryResponse {
                    legal: true,
                    findings: Vec::new(),
                    mode: wire::mode(mode).into(),
                    mode_reason: reason.to_owned(),
                }
            }
            Err(violations) => pb::ValidateQueryResponse {
                legal: false,
                findings: violations.into_iter().map(finding).collect(),
                ..pb::ValidateQueryResponse::default()
            },
        };
        Ok(Response::new(response))
    }
}

/// Lists are by kind, then by name.
fn key(word: &Word) -> String {
    format!("{} {}", word.kind, word.name)
}

fn finding(violation: rpc::Violation) -> FieldViolation {
    FieldViolation { field: violation.field, description: violation.description, reason: violation.reason.to_owned() }
}

impl From<vocabulary::page::PageError> for Error {
    fn from(error: vocabulary::page::PageError) -> Self {
        page_error(error)
    }
}
