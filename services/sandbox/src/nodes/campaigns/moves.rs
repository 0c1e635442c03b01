//! `adset_budgets` and `adset_bid_amounts`: one call that moves budgets between a campaign and its ad sets.

use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::loose;
use crate::nodes::{budgets, write};
use crate::params::{Params, as_integer, as_text};
use crate::route::Call;
use crate::state::{Kind, Object, State, settle_delivery};

/// What the ad sets of a campaign are to have, each as it would stand.
#[derive(Debug, Default)]
pub(super) struct Moves(Vec<Object>);

impl Moves {
    /// Reads both parameters. Fails for an ad set of another campaign, a budget below the minimum, or an ad set that
    /// would be left without any budget.
    pub(super) fn read(
        state: &State,
        call: &Call,
        campaign: &Object,
        given: &Map<String, Value>,
    ) -> Result<Self, Refusal> {
        let mut moved: Vec<Object> = Vec::new();
        for (name, fields) in [
            ("adset_budgets", ["daily_budget", "lifetime_budget"].as_slice()),
            ("adset_bid_amounts", ["bid_amount"].as_slice()),
        ] {
            for (id, item) in items(&call.params, name)? {
                let mut ad_set = match moved.iter().position(|ad_set| ad_set.id == id) {
                    Some(at) => moved.swap_remove(at),
                    None => child(state, campaign, id, name)?,
                };
                for field in fields {
                    if let Some(value) = item.get(*field) {
                        set(&mut ad_set, field, value, name)?;
                    }
                }
                if fields.iter().any(|field| field.ends_with("_budget") && item.get(*field).is_some()) {
                    let most = state.settings.limits.ad_set_budget_changes_an_hour;
                    budgets::note_change(&mut ad_set, most, call.now)?;
                }
                budgets::check(&state.settings, &ad_set.fields, state.currency(campaign.account))?;
                moved.push(ad_set);
            }
        }
        let moves = Self(moved);
        if call.params.has("adset_budgets") || (budgets::any(&campaign.fields) && !keeps_own(campaign, given)) {
            moves.level(state, campaign, given)?;
        }
        Ok(moves)
    }

    /// Whether ad sets get budgets, so that the campaign loses its own.
    pub(super) fn bring_down(&self) -> bool {
        self.0.iter().any(|ad_set| budgets::any(&ad_set.fields))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the ad sets as they are to stand.
    pub(super) fn make(self, state: &mut State, call: &Call) {
        for mut ad_set in self.0 {
            let id = ad_set.id;
            ad_set.updated = call.now;
            write::keep(state, ad_set);
            settle_delivery(state, id, call.now);
        }
    }

    /// Afterwards every ad set has a budget, or the campaign has one and none of them does.
    fn level(&self, state: &State, campaign: &Object, given: &Map<String, Value>) -> Result<(), Refusal> {
        let alive = state.children(campaign.id, Kind::AdSet).filter_map(|id| state.object(id));
        let all: Vec<bool> = alive
            .filter(|ad_set| !ad_set.status.is_gone())
            .map(|ad_set| self.0.iter().find(|moved| moved.id == ad_set.id).unwrap_or(ad_set))
            .map(|ad_set| budgets::any(&ad_set.fields))
            .collect();
        let above = keeps_own(campaign, given) && (budgets::any(given) || !self.bring_down());
        if all.iter().all(|has| *has != above) {
            return Ok(());
        }
        let advice = "Afterwards either the campaign has a budget, or each of its ad sets.";
        Err(Refusal::rule(1_885_621, "Budget on the wrong level", advice, &["adset_budgets"]))
    }
}

/// Whether the campaign has a budget of its own after what is given; a 0 takes one away.
pub(super) fn keeps_own(campaign: &Object, given: &Map<String, Value>) -> bool {
    let stays = |name: &str| budgets::given(&campaign.fields, name).is_some() && !given.contains_key(name);
    budgets::any(given) || stays("daily_budget") || stays("lifetime_budget")
}

/// A list of objects with an `adset_id`, or for bids an object of amounts by id.
fn items(params: &Params, name: &str) -> Result<Vec<(u64, Value)>, Refusal> {
    let must = || Refusal::invalid(format!("Param {name} must be a list of {{adset_id, ..}}")).blame(&[name]);
    match params.json(name)? {
        None => Ok(Vec::new()),
        Some(Value::Object(map)) => map
            .into_iter()
            .map(|(id, amount)| Ok((id.parse().map_err(|_| must())?, json!({ "bid_amount": amount }))))
            .collect(),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| {
                let item = item.as_str().and_then(loose::parse).unwrap_or(item);
                let id = item.get("adset_id").and_then(write::id_of).ok_or_else(must)?;
                Ok((id, item))
            })
            .collect(),
        Some(_) => Err(must()),
    }
}

fn child(state: &State, campaign: &Object, id: u64, name: &str) -> Result<Object, Refusal> {
    let own = state.of_kind(id, Kind::AdSet).filter(|ad_set| ad_set.campaign == Some(campaign.id));
    own.cloned().ok_or_else(|| Refusal::invalid(format!("The ad set {id} is not in this campaign")).blame(&[name]))
}

fn set(ad_set: &mut Object, field: &str, value: &Value, name: &str) -> Result<(), Refusal> {
    let Some(amount) = as_integer(value).filter(|amount| *amount >= 0) else {
        let text = format!("{field} must be a non-negative integer, not {}", as_text(value));
        return Err(Refusal::invalid(text).blame(&[name, field]));
    };
    let other = if field == "daily_budget" { "lifetime_budget" } else { "daily_budget" };
    if amount == 0 {
        ad_set.fields.remove(field);
    } else if field == "bid_amount" {
        ad_set.fields.insert(field.to_owned(), json!(amount));
    } else {
        ad_set.fields.remove(other);
        ad_set.fields.insert(field.to_owned(), json!(amount.to_string()));
    }
    Ok(())
}
