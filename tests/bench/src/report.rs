//! Results for people and for programs.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::figure::Figure;

/// One figure as it stands in a file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    /// In hundredths: 250 is two and a half times the baseline.
    ratio_hundredths: Option<u64>,
    reached: Option<bool>,
}

/// Prints a table.
pub(crate) fn table(figures: &[Figure]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:34} {:>26} {:>10} {:>7} {:>10}  {:13} unit", "", "figure", "baseline", "ratio", "goal", "")?;
    for figure in figures {
        let spread = figure.measured.map_or_else(
            || "not measured".to_owned(),
            |spread| format!("{} ({}-{})", spread.median, spread.min, spread.max),
        );
        let baseline = figure.baseline.map_or_else(String::new, |spread| spread.median.to_string());
        let ratio = figure.ratio().map_or_else(String::new, |ratio| format!("{}.{:02}", ratio / 100, ratio % 100));
        let (name, goal, verdict, unit) = (figure.name, figure.goal.words(), figure.verdict(), figure.unit);
        writeln!(out, "{name:34} {spread:>26} {baseline:>10} {ratio:>7} {goal:>10}  {verdict:13} {unit}")?;
    }
    Ok(())
}

/// Says why a line is missing.
pub(crate) fn left_out(what: &str, why: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{what} is left out: {why}")?)
}

/// Writes `target/bench/SUITE.json`.
pub(crate) fn file(suite: &str, figures: &[Figure]) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    std::fs::create_dir_all(&folder)?;
    let lines: Vec<Line> = figures
        .iter()
        .map(|figure| Line { figure, ratio_hundredths: figure.ratio(), reached: figure.reached() })
        .collect();
    let text = serde_json::to_string_pretty(&serde_json::json!({ "suite": suite, "figures": lines }))?;
    Ok(std::fs::write(folder.join(format!("{suite}.json")), text + "\n")?)
}

/// Says why nothing could be measured.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    // Where even this cannot be written, the exit code still tells.
    drop(writeln!(std::io::stderr(), "{error:#}"));
    ExitCode::FAILURE
}
