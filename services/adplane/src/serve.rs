//! `adplane serve SERVICE`: one service of the suite, as production runs it.

use std::path::PathBuf;

use anyhow::Result;
use runtime::{
    Process,
    settings::{self, Check},
    telemetry::{self, TelemetrySettings},
};
use serde::de::DeserializeOwned;

/// Which service, and its settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The service
    service: Service,
    /// Settings in TOML; ADPLANE_<SERVICE>__<SECTION>__<KEY> overrides them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Lists everything wrong with the settings, and does nothing else
    #[arg(long)]
    check_config: bool,
    /// Stops when standard input ends, so that it never outlives the process that started it
    #[arg(long)]
    stop_with_parent: bool,
}

/// The services of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Service {
    /// The one public door
    Gateway,
    /// Tenants, tokens, the vault
    Auth,
    /// The quota of every ad account
    Ratelimit,
    /// Campaigns, ad sets, ads, creatives, plans
    Campaigns,
    /// Reports
    Insights,
    /// Audiences and their members
    Audiences,
    /// Conversion events
    Conversions,
}

impl Service {
    /// In the order in which they are best started.
    pub(crate) const ALL: [Self; 7] = [
        Self::Auth,
        Self::Ratelimit,
        Self::Campaigns,
        Self::Insights,
        Self::Audiences,
        Self::Conversions,
        Self::Gateway,
    ];

    /// Its name on the command line, in settings, logs and the chart.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Auth => "auth",
            Self::Ratelimit => "ratelimit",
            Self::Campaigns => "campaigns",
            Self::Insights => "insights",
            Self::Audiences => "audiences",
            Self::Conversions => "conversions",
        }
    }
}

/// Runs it until it is asked to stop.
pub(crate) async fn run(options: Options) -> Result<()> {
    match options.service {
        Service::Gateway => start(options, |s: &gateway::Settings| &s.telemetry, gateway::serve).await,
        Service::Auth => start(options, |s: &auth::Settings| &s.telemetry, auth::serve).await,
        Service::Ratelimit => start(options, |s: &ratelimit::Settings| &s.telemetry, ratelimit::serve).await,
        Service::Campaigns => start(options, |s: &campaigns::Settings| &s.telemetry, campaigns::serve).await,
        Service::Insights => start(options, |s: &insights::Settings| &s.telemetry, insights::serve).await,
        Service::Audiences => start(options, |s: &audiences::Settings| &s.telemetry, audiences::serve).await,
        Service::Conversions => start(options, |s: &conversions::Settings| &s.telemetry, conversions::serve).await,
    }
}

async fn start<S, F>(
    options: Options,
    telemetry: impl Fn(&S) -> &TelemetrySettings,
    serve: impl FnOnce(S, Process) -> F,
) -> Result<()>
where
    S: DeserializeOwned + Default + Check,
    F: Future<Output = Result<()>>,
{
    let service = options.service.name();
    let settings: S = settings::load(service, options.config.as_deref())?;
    if options.check_config {
        return Ok(());
    }
    let _telemetry = telemetry::init(service, telemetry(&settings));
    telemetry::started(options.config.as_deref());
    let process = if options.stop_with_parent { Process::with_parent_pipe() } else { Process::new() };
    serve(settings, process).await
}
