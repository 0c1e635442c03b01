//! How long a bucket counts, and in how many cells.

use std::time::Duration;

use crate::scope::{Kind, SPEND_CAP, Scope};

/// The sliding window of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// What Meta counts over.
    pub(crate) span: Duration,
    /// How finely we count: a charge leaves with its cell.
    pub(crate) cell: Duration,
    /// How many cells are kept, the newest included.
    pub(crate) cells: u32,
}

impl Window {
    /// The window of a scope.
    ///
    /// `travel` is how long after its permit a call may still arrive at Meta: until `send_before`, and then for as
    /// long as a call may take. Permits are counted over the span and `travel`, so that no span at Meta sees more
    /// arrivals than the ceiling. One cell more than that is kept, because any stretch of k cells touches k + 1.
    pub(crate) fn of(scope: &Scope, travel: Duration) -> Self {
        let (span, cell) = span_and_cell(scope);
        let counted = (span + travel).as_millis().div_ceil(cell.as_millis().max(1));
        Self { span, cell, cells: u32::try_from(counted).unwrap_or(u32::MAX).saturating_add(1) }
    }

    /// Whether bulk work is spread over it: an hour is worth spreading, a second is not.
    pub(crate) fn is_paced(&self) -> bool {
        self.span >= Duration::from_hours(1)
    }
}

/// The hour of Meta's use cases and platform limits, the 300 seconds of the score, the second of mutations, the hour of
/// budget changes and the day of spend caps (Meta, "Rate limits" and "Marketing API: rate limiting").
fn span_and_cell(scope: &Scope) -> (Duration, Duration) {
    // A share leaves its window together with what it is a share of.
    if let Some((_, shared)) = scope.shared() {
        return span_and_cell(&shared);
    }
    let seconds = |span, cell| (Duration::from_secs(span), Duration::from_secs(cell));
    match scope.kind {
        Kind::AdAccount if scope.use_case.is_empty() => seconds(300, 5),
        Kind::Mutation => seconds(1, 1),
        Kind::BudgetChange if scope.use_case == SPEND_CAP => seconds(86_400, 1_440),
        Kind::App | Kind::User | Kind::AdAccount | Kind::Page | Kind::TenantShare | Kind::BudgetChange => {
            seconds(3_600, 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_without_travel_is_sixty_one_cells() {
        let window = Window::of(&Scope::of_app(1, ""), Duration::ZERO);
        assert_eq!((window.cells, window.cell), (61, Duration::from_secs(60)));
    }

    #[test]
    fn travel_is_rounded_up_to_a_cell() {
        let travel = Duration::from_secs(35);
        assert_eq!(Window::of(&Scope::of_app(1, ""), travel).cells, 62);
        assert_eq!(Window::of(&Scope::ad_account(1, "2", ""), travel).cells, 68);
        let mutation = Scope { kind: Kind::Mutation, ..Scope::ad_account(1, "2", "") };
        assert_eq!(Window::of(&mutation, travel).cells, 37);
    }

    #[test]
    fn a_share_is_counted_as_long_as_what_it_is_a_share_of() {
        for scope in [Scope::of_app(1, ""), Scope::ad_account(1, "2", ""), Scope::ad_account(1, "2", "ads_management")]
        {
            let window = |scope: &Scope| Window::of(scope, Duration::from_secs(35));
            assert_eq!(window(&scope.share("acme").unwrap()), window(&scope));
        }
    }

    #[test]
    fn a_spend_cap_is_counted_by_the_day() {
        let scope = Scope { kind: Kind::BudgetChange, ..Scope::ad_account(1, "2", SPEND_CAP) };
        assert_eq!(Window::of(&scope, Duration::ZERO).span, Duration::from_hours(24));
    }
}
