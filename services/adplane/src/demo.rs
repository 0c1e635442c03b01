//! `adplane demo`: the main job, seen from outside: launch a campaign, fill an audience, send conversions, measure.
//!
//! It is a client like any other: all it does goes through the gateway. Files are read and checked whole before
//! anything is sent.

mod audience;
mod brief;
mod events;
mod failed;
mod launch;
mod made;
mod measure;
mod mistake;
mod orders;
mod people;
mod show;
mod step;
mod table;

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};
use client::Client;
use jiff::Timestamp;
use proto::{
    auth::v1::{AssetKind, ListAssetsRequest},
    campaigns::v1::GetAdAccountRequest,
    operations::v1::{Operation, operation::Outcome},
};
use runtime::Process;
use vocabulary::clock::{Clock, SystemClock};

pub(crate) use self::{failed::OperationFailed, mistake::Mistakes};
use self::{
    made::Made,
    step::{Step, Took},
};
use crate::dev;

/// What to launch, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to launch
    #[arg(long, value_name = "FILE", default_value = "deploy/demo/brief.toml")]
    brief: PathBuf,
    /// Who has bought: customer_no,email,phone,first_name,last_name,gender,date_of_birth,city,state,zip,country
    #[arg(long, value_name = "FILE", default_value = "deploy/demo/customers.csv")]
    customers: PathBuf,
    /// What they bought: order_id,customer_no,ordered_on,units,value,currency
    #[arg(long, value_name = "FILE", default_value = "deploy/demo/orders.csv")]
    orders: PathBuf,
    /// Moves all orders by the same number of days, so that the newest is today
    #[arg(long)]
    shift_orders: bool,
    /// A running gateway, such as http://127.0.0.1:7400; without it a stack is started for the demo
    #[arg(long, value_name = "URL", requires = "token")]
    gateway: Option<String>,
    /// The token for that gateway
    #[arg(long, value_name = "JWT", env = "ADPLANE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Keeps the stack up after the results, until Ctrl-C
    #[arg(long, conflicts_with = "gateway")]
    stay: bool,
    #[command(flatten)]
    stack: dev::Options,
}

/// Where the demo works.
pub(crate) struct Target {
    pub(crate) client: Client,
    account: String,
    /// `datasets/2`.
    pub(crate) dataset: String,
    pub(crate) page_id: String,
    pub(crate) currency: String,
    /// Does it outlive the demo, so that a person can go on with what is half made?
    pub(crate) lasts: bool,
}

impl Target {
    /// `adAccounts/act_1`.
    pub(crate) fn account(&self) -> String {
        self.account.clone()
    }

    /// Meta's id of the dataset.
    pub(crate) fn dataset_id(&self) -> String {
        self.dataset.trim_start_matches("datasets/").to_owned()
    }
}

/// Runs the demo; with `stay` it returns when somebody asks the stack to stop.
pub(crate) async fn run(options: Options) -> Result<()> {
    let step = Step::begin("read the files");
    let (brief, pictures) = brief::read(&options.brief)?;
    let people = people::read(&options.customers)?;
    let mut orders = orders::read(&options.orders)?;
    let now = SystemClock.now();
    if options.shift_orders {
        orders::shift(&mut orders, now.to_zoned(jiff::tz::TimeZone::UTC).date());
    }
    let read = format!("{} ads, {} customers, {} orders", pictures.len(), people.members.len(), orders.len());
    let mut times = vec![step.done(&read)];

    let process = Process::new();
    let (address, token, stack) = match (options.gateway, options.token) {
        (Some(gateway), Some(token)) => (gateway, token, None),
        _ => {
            let step = Step::begin("start the stack");
            let stack = dev::Stack::start(options.stack, process.clone()).await?;
            times.push(step.done(&format!("gateway {}", stack.ready.gateway)));
            (stack.ready.gateway.clone(), stack.ready.token.clone(), Some(stack))
        }
    };
    let lasts = stack.is_none();
    let job = Box::pin(perform(&address, &token, lasts, brief, pictures, &people, &orders, now, times));
    let result = process.stop.run_until_cancelled(job).await.unwrap_or_else(|| Err(dev::Interrupted.into()));
    if let Some(mut stack) = stack {
        if options.stay && result.is_ok() {
            note(&format!("\nThe stack stays up until Ctrl-C. Its ready line:\n{}", stack.ready.line()));
            stack.wait().await;
        }
        stack.stop().await;
    }
    result
}

#[expect(clippy::too_many_arguments, reason = "the inputs of the one job, read once")]
async fn perform(
    address: &str,
    token: &str,
    lasts: bool,
    brief: brief::Brief,
    pictures: Vec<brief::Picture>,
    people: &people::People,
    orders: &[orders::Order],
    now: Timestamp,
    mut times: Vec<Took>,
) -> Result<()> {
    let target = find_target(address, token, lasts).await.context("looking for an ad account to work on")?;

    let step = Step::begin("check the brief");
    launch::check(&target, &brief).await?;
    times.push(step.done(&format!("{} takes it", target.account)));

    let mut made = Made::default();
    let done = Box::pin(work(&target, &brief, pictures, people, orders, now, &mut times, &mut made)).await;
    done.map_err(|error| made.tell(error))?;
    print(&show::times(&times))
}

#[expect(clippy::too_many_arguments, reason = "the inputs of the one job, and what is to be told of it")]
async fn work(
    target: &Target,
    brief: &brief::Brief,
    pictures: Vec<brief::Picture>,
    people: &people::People,
    orders: &[orders::Order],
    now: Timestamp,
    times: &mut Vec<Took>,
    made: &mut Made,
) -> Result<()> {
    let step = Step::begin("upload the pictures");
    let hashes = launch::upload(target, pictures, &step, made).await?;
    times.push(step.done(&format!("{} at Meta", hashes.len())));

    let step = Step::begin("propose the plan");
    let (plan, diff) = launch::propose(target, brief, &hashes).await?;
    times.push(step.done(&format!("{} fields to set", diff.changes.len())));
    print(&show::diff(&plan, &diff))?;

    let step = Step::begin("apply the plan");
    let launched = launch::apply(target, &plan, &step, made).await?;
    times.push(step.done(&format!("{} things made, all PAUSED", launched.result.created.len())));

    let step = Step::begin("fill the audience");
    let audience = audience::create(target, &brief.audience).await?;
    made.add(&audience.resource_name);
    let filled = audience::fill(target, audience, people, &step).await?;
    times.push(step.done(&format!("{} people in {} sessions", filled.result.received, filled.result.sessions.len())));

    let step = Step::begin("send the conversions");
    let sent = events::send(target, orders::events(orders, people, now), &step).await?;
    made.add(format!("{} conversion events, delivered or under way", sent.accepted));
    times.push(step.done(&format!("{} accepted", sent.accepted)));

    let step = Step::begin("deliver the conversions");
    let sent = events::deliver(target, sent, &step).await?;
    times.push(step.done(&format!("{} delivered", sent.stats.delivered)));

    let step = Step::begin("measure");
    let measured = measure::report(target, now, *brief.report.days.get_ref(), &step).await?;
    times.push(step.done(&format!("{} rows", measured.rows.len())));

    print(&show::tree(&launched))?;
    print(&show::audience(&filled))?;
    print(&show::events(&sent))?;
    print(&show::chart(&measured))?;
    print(&show::quotas(&measure::quotas(target).await?))
}

/// The first ad account that the caller's tenant can use, with a dataset and a page.
async fn find_target(address: &str, token: &str, lasts: bool) -> Result<Target> {
    let client = Client::connect(address, token)?;
    let account = format!("adAccounts/act_{}", asset(&client, AssetKind::AdAccount).await?);
    let request = GetAdAccountRequest { name: account.clone(), ..GetAdAccountRequest::default() };
    let account = client.ad_accounts().get_ad_account(request).await?.into_inner().ad_account.unwrap_or_default();
    let dataset = asset(&client, AssetKind::Dataset).await?;
    let page = asset(&client, AssetKind::Page).await?;
    Ok(Target {
        account: account.resource_name,
        dataset: format!("datasets/{dataset}"),
        page_id: page,
        currency: account.currency.unwrap_or_default(),
        lasts,
        client,
    })
}

async fn asset(client: &Client, kind: AssetKind) -> Result<String> {
    let request = ListAssetsRequest { kind: kind.into(), page_size: 1, page_token: String::new() };
    let assets = client.connections().list_assets(request).await?.into_inner().assets;
    let words = || kind.as_str_name().trim_start_matches("ASSET_KIND_").to_lowercase().replace('_', " ");
    let asset = assets.into_iter().next().with_context(|| format!("this tenant has no {}", words()))?;
    Ok(asset.meta_id)
}

/// The bytes of what an operation ended with.
pub(crate) fn result(operation: &Operation) -> Option<Vec<u8>> {
    match &operation.outcome {
        Some(Outcome::Result(any)) => Some(any.value.clone()),
        _ => None,
    }
}

/// Results go to stdout, whole blocks at a time.
fn print(text: &str) -> Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Remarks on the way go to stderr; nobody minds if they cannot be written.
fn note(text: &str) {
    _ = writeln!(std::io::stderr(), "{text}");
}
