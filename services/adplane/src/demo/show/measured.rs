//! What was spent and sold.

use std::fmt::Write;

use proto::insights::v1::{Finality, Reconciliation, ReportMode, Row};
use vocabulary::{Currency, Money};

use super::head;
use crate::demo::measure::Measured;

/// The widest bar of the chart, in characters.
const BAR_WIDTH: i64 = 36;

/// Spend and purchases by day.
pub(crate) fn chart(measured: &Measured) -> String {
    let mut out = String::new();
    let report = &measured.report;
    head(&mut out, "Spend and purchases by day");
    let mut rows: Vec<&Row> = measured.rows.iter().collect();
    rows.sort_by(|left, right| left.date_start.cmp(&right.date_start));
    let most = rows.iter().map(|row| minor(row)).max().unwrap_or(0).max(1);
    let most_sold = rows.iter().map(|row| purchases(row)).max().unwrap_or(0).max(1);
    for row in rows {
        let (spent, sold) = (minor(row), purchases(row));
        let width = usize::try_from(spent * BAR_WIDTH / most).unwrap_or(0);
        let sold_width = usize::try_from(sold * 12 / most_sold).unwrap_or(0);
        let (bar, sold_bar) = ("█".repeat(width), "▪".repeat(sold_width));
        let bar_width = usize::try_from(BAR_WIDTH).unwrap_or(0);
        _ = writeln!(
            out,
            "  {}  {bar:<bar_width$} {:>13}  {sold_bar:<12} {sold:>4}",
            row.date_start,
            money(row.spend.as_ref())
        );
    }
    if measured.rows.is_empty() {
        _ = writeln!(out, "  The account delivered nothing in these days.");
    }
    if let Some(totals) = &report.totals {
        _ = writeln!(
            out,
            "  total {}, {} impressions, {} clicks",
            money(totals.spend.as_ref()),
            totals.impressions,
            totals.clicks
        );
    }
    let mode = if report.mode() == ReportMode::Async { "as an asynchronous report" } else { "in one answer" };
    let checked = match report.reconciliation() {
        Reconciliation::Matched => "equal to the account's own totals",
        Reconciliation::Differed => "DIFFERENT from the account's own totals",
        Reconciliation::NotComparable | Reconciliation::Unspecified => "not comparable with the account's totals",
    };
    let last =
        if report.finality() == Finality::Final { "final" } else { "provisional: Meta still counts for 28 days" };
    _ = writeln!(out, "  read {mode}, {checked}");
    _ = writeln!(out, "  {last}");
    out
}

fn minor(row: &Row) -> i64 {
    row.spend.as_ref().map_or(0, |spend| spend.minor_units)
}

fn purchases(row: &Row) -> i64 {
    let action = row.actions.iter().find(|action| action.action_type == "omni_purchase");
    let action = action.or_else(|| row.actions.iter().find(|action| action.action_type == "purchase"));
    action.and_then(|action| action.value.split('.').next()?.parse().ok()).unwrap_or(0)
}

fn money(amount: Option<&proto::common::v1::Money>) -> String {
    let Some(amount) = amount else { return String::new() };
    match amount.currency_code.parse::<Currency>() {
        Ok(currency) => Money::from_minor(amount.minor_units, currency).to_string(),
        Err(_) => format!("{} {}", amount.minor_units, amount.currency_code),
    }
}

#[cfg(test)]
mod tests {
    use proto::{
        common::v1::Money as Amount,
        insights::v1::{Action, Report},
    };

    use super::{super::tests::fits, *};

    #[test]
    fn the_chart_fits_and_says_how_far_it_can_be_trusted() {
        let spend = |minor_units| Some(Amount { currency_code: "USD".to_owned(), minor_units });
        let sold = Action { action_type: "purchase".to_owned(), value: "1234".to_owned(), ..Action::default() };
        let row = |day: &str, minor| Row {
            date_start: day.to_owned(),
            spend: spend(minor),
            actions: vec![sold.clone()],
            ..Row::default()
        };
        let rows = vec![row("2026-11-20", 123_456_789), row("2026-11-21", 1)];
        let mut report = Report::default();
        report.set_mode(ReportMode::Async);
        report.set_reconciliation(Reconciliation::NotComparable);
        let text = chart(&Measured { report, rows });
        fits(&text);
        assert!(text.contains("\n  provisional: Meta still counts for 28 days\n"), "{text}");
    }
}
