//! `adplane quota usage`: sums of calls.

use anyhow::Result;
use client::list_all;
use futures::TryStreamExt;
use proto::ratelimit::v1::{QueryUsageRequest, UsageDimension, UsageFilter, UsageRow, UsageStep};
use vocabulary::clock::{Clock, SystemClock};

use crate::{
    door::{Door, named},
    moment::Moment,
    output::{moment, word},
};

/// Over which time, and by what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What gets a line of its own
    #[arg(long, value_delimiter = ',', default_value = "caller,call")]
    by: Vec<By>,
    /// How finely time is cut; else not at all
    #[arg(long)]
    step: Option<Step>,
    /// From when on, such as 2026-11-22 or 7d
    #[arg(long, default_value = "24h")]
    from: Moment,
    /// Until when; else until now
    #[arg(long)]
    until: Option<Moment>,
    /// Only calls about this ad account, such as act_1
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    door: Door,
}

/// What can get a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Tenant,
    Account,
    Caller,
    Call,
    Code,
    Priority,
    App,
    UseCase,
}

/// How finely time can be cut.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Step {
    Minute,
    Hour,
    Day,
}

impl By {
    fn message(self) -> UsageDimension {
        match self {
            Self::Tenant => UsageDimension::Tenant,
            Self::Account => UsageDimension::AdAccount,
            Self::Caller => UsageDimension::Caller,
            Self::Call => UsageDimension::Call,
            Self::Code => UsageDimension::Code,
            Self::Priority => UsageDimension::Priority,
            Self::App => UsageDimension::MetaApp,
            Self::UseCase => UsageDimension::UseCase,
        }
    }

    fn head(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Account => "account",
            Self::Caller => "caller",
            Self::Call => "call",
            Self::Code => "code",
            Self::Priority => "priority",
            Self::App => "app",
            Self::UseCase => "use case",
        }
    }

    fn cell(self, row: &UsageRow) -> String {
        match self {
            Self::Tenant => row.tenant.clone(),
            Self::Account => row.ad_account.clone(),
            Self::Caller if row.purpose.is_empty() => row.caller.clone(),
            Self::Caller => format!("{} for {}", row.caller, row.purpose),
            Self::Call => row.call.clone(),
            Self::Code => row.code.to_string(),
            Self::Priority => word(row.priority().as_str_name(), "PRIORITY_"),
            Self::App => row.meta_app.clone(),
            Self::UseCase => row.use_case.clone(),
        }
    }
}

pub(crate) async fn run(Options { by, step, from, until, account, door }: Options) -> Result<()> {
    let (client, now) = (door.open()?, SystemClock.now());
    let step = match step {
        None => UsageStep::Unspecified,
        Some(Step::Minute) => UsageStep::Minute,
        Some(Step::Hour) => UsageStep::Hour,
        Some(Step::Day) => UsageStep::Day,
    };
    let ad_account = account.map(|account| named("adAccounts", &account)).unwrap_or_default();
    let request = QueryUsageRequest {
        group_by: by.iter().map(|by| by.message().into()).collect(),
        step: step.into(),
        from_time: Some(from.before(now)?),
        until_time: until.map(|until| until.before(now)).transpose()?,
        filter: Some(UsageFilter { ad_account, ..UsageFilter::default() }),
        page_size: 1_000,
        page_token: String::new(),
    };
    let all = list_all(async |page_token| {
        let page = client.usage().query_usage(QueryUsageRequest { page_token, ..request.clone() }).await?.into_inner();
        Ok((page.rows, page.next_page_token))
    });
    let all: Vec<UsageRow> = all.try_collect().await?;
    let mut head = vec!["from"];
    head.extend(by.iter().map(|by| by.head()));
    head.extend(["calls", "points", "answers", "told to wait", "waited s"]);
    door.output().rows(&head, &all, |row| {
        let mut cells = vec![moment(row.time.as_ref())];
        cells.extend(by.iter().map(|by| by.cell(row)));
        cells.extend([row.calls, row.points, row.answers, row.refused].map(|number| number.to_string()));
        cells.push(row.waited.as_ref().map_or(0, |waited| waited.seconds).to_string());
        cells
    })
}
