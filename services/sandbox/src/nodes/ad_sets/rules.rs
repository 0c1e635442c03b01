//! The rules of an ad set, over its fields as they would stand. Only what a call touches is asked again, so that a
//! rule which came later keeps nobody from pausing or renaming what is there.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::schedule;
use crate::error::Refusal;
use crate::nodes::{audiences, budgets, goals, targeting};
use crate::params::{as_integer, as_text};
use crate::route::Call;
use crate::spec;
use crate::state::{Object, State};
use crate::version::Version;

/// From this version on placements may be opted out of softly (Meta, "Changelog v24.0").
const SOFT_OPT_OUT_SINCE: Version = Version(24);
/// What may be set only where the campaign has the budget.
const SHARES: &[&str] =
    &["daily_min_spend_target", "daily_spend_cap", "lifetime_min_spend_target", "lifetime_spend_cap"];

/// An ad set as it would stand, and what of it the call touches.
pub(super) struct Draft<'a> {
    pub(super) state: &'a State,
    pub(super) call: &'a Call,
    pub(super) campaign: &'a Object,
    pub(super) fields: Map<String, Value>,
    /// Names of the fields that the call gives.
    pub(super) touched: Vec<String>,
    /// When the ad set was made; now for a new one.
    pub(super) created: Timestamp,
}

impl Draft<'_> {
    /// Checks all rules, and gives the fields with what Meta adds.
    pub(super) fn settled(mut self) -> Result<Map<String, Value>, Refusal> {
        if self.call.version < SOFT_OPT_OUT_SINCE {
            self.fields.remove("placement_soft_opt_out");
        }
        self.money()?;
        self.times()?;
        self.bid()?;
        if self.touches(&["optimization_goal", "billing_event", "destination_type", "promoted_object"]) {
            goals::check(self.state, self.campaign.text("objective"), &self.fields)?;
            goals::of_catalogue(self.campaign, self.fields.get("promoted_object"))?;
        }
        if self.touches(&["attribution_spec", "optimization_goal"]) {
            self.attribution()?;
        }
        schedule::check(&self)?;
        self.extras()?;
        if self.touches(&["targeting"])
            && let Some(wanted) = self.fields.get("targeting")
        {
            let Self { state, call, campaign, .. } = &self;
            let ground = targeting::Ground { state, version: call.version, now: call.now, campaign };
            audiences::may_target(state, wanted)?;
            let settled = targeting::settled(ground, wanted)?;
            self.fields.insert("targeting".to_owned(), settled);
        }
        if self.touches(&["targeting", "dsa_beneficiary", "dsa_payor"])
            && let Some(account) = self.state.object(self.campaign.account)
        {
            targeting::transparency(account, &self.fields)?;
        }
        Ok(self.fields)
    }

    pub(super) fn touches(&self, names: &[&str]) -> bool {
        self.touched.iter().any(|name| names.contains(&name.as_str()))
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the money that is spent here has an end: a lifetime budget on either level.
    pub(super) fn is_lifetime(&self) -> bool {
        [&self.fields, &self.campaign.fields]
            .into_iter()
            .any(|fields| budgets::given(fields, "lifetime_budget").is_some())
    }

    /// The strategy of the level that has the budget. A bid without one has meant a cap since before there were any.
    pub(super) fn strategy(&self) -> &str {
        let own = self.text("bid_strategy");
        match (own.is_empty(), self.campaign.text("bid_strategy")) {
            (false, _) => own,
            (true, "") if self.bid_amount().is_some() => "LOWEST_COST_WITH_BID_CAP",
            (true, "") => "LOWEST_COST_WITHOUT_CAP",
            (true, above) => above,
        }
    }

    fn bid_amount(&self) -> Option<i64> {
        self.fields.get("bid_amount").and_then(Value::as_i64).filter(|amount| *amount != 0)
    }

    fn money(&self) -> Result<(), Refusal> {
        budgets::check(&self.state.settings, &self.fields, self.state.currency(self.campaign.account))?;
        let above = budgets::any(&self.campaign.fields);
        if above && budgets::any(&self.fields) {
            let advice = "The campaign has a budget, so its ad sets cannot have their own.";
            return Err(Refusal::rule(1_885_621, "Budget on two levels", advice, &["daily_budget"]));
        }
        let share = SHARES.iter().find(|name| budgets::given(&self.fields, name).is_some());
        if let (Some(name), false) = (share, above) {
            let text = format!("{name} needs a budget on the campaign");
            return Err(Refusal::invalid(text).blame(&[name]));
        }
        Ok(())
    }

    pub(super) fn moment(&self, name: &str) -> Option<Timestamp> {
        self.fields.get(name).and_then(Value::as_str).and_then(spec::kept_time)
    }

    fn times(&self) -> Result<(), Refusal> {
        let end = self.moment("end_time");
        let start = self.moment("start_time").unwrap_or(self.created);
        if let Some(end) = end.filter(|_| self.touches(&["end_time"])) {
            if end <= self.call.now {
                let advice = "The end of an ad set must be in the future.";
                return Err(Refusal::rule(1_487_033, "End time in the past", advice, &["end_time"]));
            }
            if end <= start {
                return Err(Refusal::invalid("The end_time must be after the start_time").blame(&["end_time"]));
            }
        }
        if !self.is_lifetime() || !self.touches(&["lifetime_budget", "start_time", "end_time", "campaign_id"]) {
            return Ok(());
        }
        let above = || self.campaign.fields.get("stop_time").and_then(Value::as_str).and_then(spec::kept_time);
        let Some(end) = end.or_else(above) else {
            return Err(Refusal::invalid("A lifetime budget needs an end_time").blame(&["end_time"]));
        };
        let begin = start.max(self.created);
        let hours = self.state.settings.lifetime_hours_min;
        if end.duration_since(begin) < SignedDuration::from_hours(hours) {
            let text = format!("An ad set with a lifetime budget must run for at least {hours} hours");
            return Err(Refusal::invalid(text).blame(&["end_time"]));
        }
        self.lifetime_minimum(end.duration_since(begin))
    }

    fn lifetime_minimum(&self, time: SignedDuration) -> Result<(), Refusal> {
        let currency = self.state.currency(self.campaign.account);
        let least = budgets::minimum_lifetime(&self.state.settings, currency, time);
        match budgets::given(&self.fields, "lifetime_budget") {
            Some(minor) if minor < least => Err(budgets::too_low("lifetime_budget", least, currency)),
            _ => Ok(()),
        }
    }

    fn bid(&self) -> Result<(), Refusal> {
        let own = self.text("bid_strategy");
        let above = self.campaign.text("bid_strategy");
        if !own.is_empty() && !above.is_empty() && own != above && self.touches(&["bid_strategy"]) {
            let text = format!("The campaign has the budget, so its strategy {above} is that of its ad sets");
            return Err(Refusal::invalid(text).blame(&["bid_strategy"]));
        }
        if !self.touches(&["bid_strategy", "bid_amount", "bid_constraints", "daily_budget"]) && !self.touched_at_birth()
        {
            return Ok(());
        }
        let amount = self.bid_amount();
        match self.strategy() {
            "LOWEST_COST_WITH_BID_CAP" | "COST_CAP" if amount.is_none() => {
                let advice = format!("The bid strategy {} needs a bid amount.", self.strategy());
                Err(Refusal::rule(1_815_857, "Bid amount required", advice, &["bid_amount"]))
            }
            "LOWEST_COST_WITHOUT_CAP" if amount.is_some() => {
                let text = "A bid_amount cannot be set with the strategy LOWEST_COST_WITHOUT_CAP";
                Err(Refusal::invalid(text).blame(&["bid_amount"]))
            }
            "LOWEST_COST_WITH_MIN_ROAS" => self.roas_floor(),
            _ => amount.map_or(Ok(()), |amount| self.bid_bounds(amount)),
        }
    }

    fn touched_at_birth(&self) -> bool {
        self.touches(&["campaign_id"])
    }

    /// Ten thousandths of the return that is wanted.
    fn roas_floor(&self) -> Result<(), Refusal> {
        let floor = self.fields.get("bid_constraints").and_then(|it| it.get("roas_average_floor")).and_then(as_integer);
        if floor.is_some_and(|floor| (100..=10_000_000).contains(&floor)) {
            return Ok(());
        }
        let text =
            "The strategy LOWEST_COST_WITH_MIN_ROAS needs roas_average_floor in bid_constraints, from 100 to 10000000";
        Err(Refusal::invalid(text).blame(&["bid_constraints"]))
    }

    fn bid_bounds(&self, amount: i64) -> Result<(), Refusal> {
        // Impressions are bid for by the thousand.
        let by_thousand = matches!(self.text("optimization_goal"), "IMPRESSIONS" | "REACH");
        let least = if by_thousand { 2 } else { 1 };
        if amount < least {
            return Err(Refusal::invalid(format!("A bid_amount must be at least {least}")).blame(&["bid_amount"]));
        }
        let capped = self.strategy() == "LOWEST_COST_WITH_BID_CAP" && !by_thousand;
        match budgets::given(&self.fields, "daily_budget") {
            Some(budget) if capped && budget < amount.saturating_mul(5) => {
                let currency = self.state.currency(self.campaign.account);
                Err(budgets::too_low("daily_budget", amount.saturating_mul(5), currency))
            }
            _ => Ok(()),
        }
    }

    /// Windows are those of a set: one day of clicks, and for conversions also seven, views and engaged views.
    fn attribution(&self) -> Result<(), Refusal> {
        let Some(Value::Array(windows)) = self.fields.get("attribution_spec") else { return Ok(()) };
        let wrong = |text: String| Err(Refusal::invalid(text).blame(&["attribution_spec"]));
        let incremental = self.fields.get("is_incremental_attribution_enabled").is_some_and(|value| *value == true);
        if incremental && self.touches(&["attribution_spec"]) {
            return wrong("Incremental attribution takes no attribution_spec".to_owned());
        }
        if !self.touches(&["attribution_spec"]) {
            return Ok(());
        }
        let goal = self.text("optimization_goal");
        let wide = goals::counts_conversions(goal);
        let mut seen = Vec::new();
        for window in windows {
            let event = window.get("event_type").map(as_text).unwrap_or_default();
            let days = window.get("window_days").and_then(as_integer).unwrap_or_default();
            let fits = match event.as_str() {
                "CLICK_THROUGH" => days == 1 || (wide && days == 7),
                "VIEW_THROUGH" | "ENGAGED_VIDEO_VIEW" => wide && days == 1,
                _ => false,
            };
            if !fits || seen.contains(&event) {
                return wrong(format!("The window of {days} days of {event} is not available for the goal {goal}"));
            }
            seen.push(event);
        }
        if seen.iter().any(|event| event == "CLICK_THROUGH") {
            Ok(())
        } else {
            wrong("An attribution_spec needs a window of clicks".to_owned())
        }
    }

    fn extras(&self) -> Result<(), Refusal> {
        let objective = self.campaign.text("objective");
        if self.touches(&["placement_soft_opt_out"])
            && self.fields.contains_key("placement_soft_opt_out")
            && !matches!(objective, "OUTCOME_SALES" | "OUTCOME_LEADS")
        {
            let text = "placement_soft_opt_out is for campaigns of OUTCOME_SALES and OUTCOME_LEADS";
            return Err(Refusal::invalid(text).blame(&["placement_soft_opt_out"]));
        }
        if self.touches(&["regional_regulated_categories"]) {
            self.regions()?;
        }
        if !self.touches(&["frequency_control_specs"]) {
            return Ok(());
        }
        let specs = self.fields.get("frequency_control_specs").and_then(Value::as_array);
        let allowed = self.text("optimization_goal") == "REACH" || self.campaign.text("buying_type") == "RESERVED";
        for spec in specs.into_iter().flatten() {
            let number =
                |name: &str| spec.get(name).and_then(as_integer).is_some_and(|number| (1..=90).contains(&number));
            let event = spec.get("event").is_some_and(|event| event == "IMPRESSIONS");
            if !allowed || !event || !number("interval_days") || !number("max_frequency") {
                let text = "frequency_control_specs needs the goal REACH or a reservation, the event IMPRESSIONS, and \
                            interval_days and max_frequency from 1 to 90";
                return Err(Refusal::invalid(text).blame(&["frequency_control_specs"]));
            }
        }
        Ok(())
    }

    /// Categories by Meta's numbers, or by the names of its pages; who benefits and pays must be said with them.
    fn regions(&self) -> Result<(), Refusal> {
        let categories = self.fields.get("regional_regulated_categories").and_then(Value::as_array);
        for word in categories.into_iter().flatten().map(as_text) {
            let by_number = word.parse::<u32>().is_ok_and(|number| number <= 27 && number != 23);
            let by_name = word.ends_with("_FINSERV") || word.ends_with("_UNIVERSAL");
            if !by_number && !by_name {
                let text = format!("{word} is none of the regional_regulated_categories");
                return Err(Refusal::invalid(text).blame(&["regional_regulated_categories"]));
            }
        }
        let any = categories.is_some_and(|categories| !categories.is_empty());
        let named = self.fields.get("regional_regulation_identities").and_then(Value::as_object);
        if any && named.is_none_or(Map::is_empty) {
            let text = "regional_regulated_categories needs regional_regulation_identities";
            return Err(Refusal::invalid(text).blame(&["regional_regulation_identities"]));
        }
        Ok(())
    }
}
