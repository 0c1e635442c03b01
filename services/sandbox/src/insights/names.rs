//! Ids, names and settings of the objects behind a row.

use super::character::attribution_setting;
use super::columns::Named;
use super::query::Query;
use crate::state::{Kind, Object, State, day};

/// The value of a field; `None` where the object has none. Above its level a row has no names.
pub(super) fn text(state: &State, query: &Query, object: u64, named: Named) -> Option<String> {
    let account = state.object(query.account)?;
    let object = state.object(object);
    let up = |kind: Kind| {
        let object = object?;
        let id = match kind {
            _ if kind == object.kind => Some(object.id),
            Kind::Campaign => object.campaign,
            Kind::AdSet => object.ad_set,
            _ => None,
        };
        id.and_then(|id| state.object(id))
    };
    let id = |object: &Object| object.id.to_string();
    let title = |object: &Object| object.name().to_owned();
    let word = |object: Option<&Object>, name: &str| object.map(|object| object.text(name).to_owned());
    let found = match named {
        Named::AccountId => Some(id(account)),
        Named::AccountName => Some(title(account)),
        Named::AccountCurrency => word(Some(account), "currency"),
        Named::CampaignId => up(Kind::Campaign).map(id),
        Named::CampaignName => up(Kind::Campaign).map(title),
        Named::AdSetId => up(Kind::AdSet).map(id),
        Named::AdSetName => up(Kind::AdSet).map(title),
        Named::AdId => up(Kind::Ad).map(id),
        Named::AdName => up(Kind::Ad).map(title),
        Named::Objective => word(up(Kind::Campaign), "objective"),
        Named::BuyingType => word(up(Kind::Campaign), "buying_type"),
        Named::OptimizationGoal => word(up(Kind::AdSet), "optimization_goal"),
        Named::AttributionSetting => up(Kind::AdSet).map(attribution_setting),
        Named::CreatedTime => object.map(|object| day(state, query.account, object.created).to_string()),
        Named::UpdatedTime => object.map(|object| day(state, query.account, object.updated).to_string()),
        Named::AdSetStart => word(up(Kind::AdSet), "start_time"),
        Named::AdSetEnd => word(up(Kind::AdSet), "end_time"),
    };
    found.filter(|text| !text.is_empty())
}
