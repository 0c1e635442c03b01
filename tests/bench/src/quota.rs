//! Ratelimit: what a decision costs, what a replica holds in memory, how fair waiting is, how soon everybody stops.

mod bare;
mod closing;
mod costs;
mod fairness;
mod limitador;
mod load;
mod memory;
mod replica;

use anyhow::bail;
use serde_json::Value;

use crate::figure::Figure;

/// Never reached: the path that admits is the dear one.
const CEILING: u32 = 1_000_000;

/// All figures of ratelimit.
pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let mut figures = costs::run()?;
    figures.extend(memory::run()?);
    figures.extend(closing::run()?);
    figures.extend(fairness::run()?);
    Ok(figures)
}

/// The servers that it needs.
pub(crate) async fn serve(kind: &str, told: &Value) -> anyhow::Result<()> {
    match kind {
        "quota-stores" => replica::stores().await,
        "quota" => replica::quota(told).await,
        "quota-script" => bare::script().await,
        "quota-gcra" => bare::gcra().await,
        "quota-increment" => bare::increment().await,
        "quota-limitador" => limitador::serve(told).await,
        "quota-echo" => bare::echo().await,
        "quota-stack" => bare::behind_the_stack().await,
        _ => bail!("there is no server {kind:?}"),
    }
}
