//! `InsightService`: small questions, answered by Meta at once.

use std::time::{Duration, Instant};

use graph::{Asset, On, Page, Priority, insights as meta};
use proto::{
    common::v1::ReadInfo,
    insights::v1::{self as pb, insight_service_server::InsightService},
};
use rpc::Caller;
use tonic::{Request, Response, Status};
use vocabulary::{Clock, calendar, ids::AdAccountId, names, page::PageRequest, page::PageTokens};

use super::filter_of;
use crate::{
    Error,
    query::{self, Today},
    report::zone,
    row,
    slices::{self, Mode},
    wire,
};

/// More rows than this Meta does not answer reliably.
const PAGE_MAX: u16 = 500;

/// `InsightService`.
#[derive(Clone)]
pub(crate) struct InsightApi<C> {
    graph: graph::Client,
    tokens: PageTokens,
    also: Vec<String>,
    clock: C,
}

impl<C: Clock> InsightApi<C> {
    /// `also` as in [`crate::reports::Reports`].
    pub(crate) fn new(graph: graph::Client, tokens: PageTokens, also: Vec<String>, clock: C) -> Self {
        Self { graph, tokens, also, clock }
    }

    async fn query(
        &self,
        caller: &Caller,
        account: AdAccountId,
        query: Option<&pb::Query>,
        page: &PageRequest,
    ) -> Result<(Page<meta::Row>, meta::Query, jiff::tz::TimeZone), Error> {
        let now = self.clock.now();
        let checked = query::check(query, &self.also, Today::at(now)).map_err(Error::Query)?;
        // What is too large is so in every zone: refused before Meta is asked anything.
        if let (Mode::Async, why) = slices::mode(&checked.resolve(calendar::today(&jiff::tz::TimeZone::UTC, now))) {
            return Err(Error::TooLarge(why));
        }
        let on = On {
            tenant: caller.tenant.clone(),
            asset: Asset::AdAccount(account),
            priority: Priority::Interactive,
            deadline: rpc::deadline::current().unwrap_or_else(|| Instant::now() + Duration::from_secs(30)),
            purpose: "insights.read",
            reservation: None,
        };
        let found = self.graph.send(&on, meta::account(account)).await;
        let found = found.map_err(|error| Error::from(error).hide(names::of_ad_account(account)))?;
        let zone = zone(&found.timezone_name);
        let query = checked.resolve(calendar::today(&zone, now));
        let limit = u16::try_from(page.size).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let answer = self.graph.send(&on, meta::read(account, &query, limit, page.after.as_deref())).await?;
        Ok((answer, query, zone))
    }
}

#[tonic::async_trait]
impl<C: Clock> InsightService for InsightApi<C> {
    async fn query_insights(
        &self,
        request: Request<pb::QueryInsightsRequest>,
    ) -> Result<Response<pb::QueryInsightsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let query = request.query.unwrap_or_default();
        let filter = filter_of("insights", &account.act(), &query);
        let page = self
            .tokens
            .request(&caller.tenant, &filter, request.page_size, &request.page_token)
            .map_err(Error::from)?;
        let (answer, asked, zone) = self.query(&caller, account, Some(&query), &page).await?;
        let now = self.clock.now();
        let next = crate::poller::cursor_after(&answer, page.after.as_deref())?
            .map(|cursor| self.tokens.seal(&caller.tenant, &filter, &cursor));
        let time = Some(wire::timestamp(now));
        Ok(Response::new(pb::QueryInsightsResponse {
            rows: answer.data.into_iter().map(|read| row::encode(read, &asked.breakdowns)).collect(),
            next_page_token: next.unwrap_or_default(),
            read_info: Some(ReadInfo { data_time: time, fetch_time: time, ..ReadInfo::default() }),
            finality: wire::finality_of(asked.days.until(), &zone, now).into(),
        }))
    }
}
