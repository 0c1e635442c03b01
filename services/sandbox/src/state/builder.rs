//! Fills a world, a call for each thing in it.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::small::{BUSINESS, DATASET, PAGE};
use super::{Change, Kind, Members, Object, Span, State, Status, day};

/// A world that is being made.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) state: &'a mut State,
    /// The moment from which the world is dated back.
    pub(super) now: Timestamp,
    /// When what is added next was made.
    pub(super) made: Timestamp,
    ids: u64,
}

/// An ad set, as far as worlds differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdSet<'a> {
    pub(super) name: &'a str,
    pub(super) status: Status,
    /// In minor units; none under a campaign with a budget.
    pub(super) daily_budget: Option<i64>,
    pub(super) goal: &'a str,
}

/// An ad, as far as worlds differ.
#[derive(Debug, Clone)]
pub(super) struct Ad<'a> {
    pub(super) name: &'a str,
    pub(super) status: Status,
    pub(super) creative: u64,
    pub(super) spans: Vec<Span>,
}

impl<'a> Builder<'a> {
    /// Gives ids from `ids` on.
    pub(super) fn new(state: &'a mut State, now: Timestamp, ids: u64) -> Self {
        Self { state, now, made: now, ids }
    }

    /// From now on everything was made so many days ago.
    pub(super) fn made_days_ago(&mut self, days: i64) {
        self.made = self.now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(self.now);
    }

    /// The day of an account, so many days before this one.
    pub(super) fn days_ago(&self, account: u64, days: i64) -> Date {
        let at = self.now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(self.now);
        day(self.state, account, at)
    }

    pub(super) fn next(&mut self, kind: Kind, account: u64) -> Object {
        let id = self.ids;
        self.ids += 1;
        Object::new(id, kind, account, self.made)
    }

    pub(super) fn put(&mut self, object: Object) -> u64 {
        let id = object.id;
        self.state.commit(Change::Put(Box::new(object)));
        id
    }

    /// Something that belongs to the business.
    pub(super) fn owned(&mut self, id: u64, kind: Kind, fields: Value) -> u64 {
        let mut object = Object::new(id, kind, 0, self.made).with(fields);
        object.owner = Some(BUSINESS);
        self.put(object)
    }

    /// An ad account of the business. `fields` beside its name, currency and zone.
    pub(super) fn account(&mut self, id: u64, [name, currency, zone]: [&str; 3], fields: Value) -> u64 {
        let mut account = Object::new(id, Kind::AdAccount, id, self.made).with(json!({
            "name": name,
            "currency": currency,
            "timezone_name": zone,
            "account_status": 1,
            "disable_reason": 0,
            "spend_cap": "0",
            "balance": "0",
            "tos_accepted": { "web_custom_audience_tos": 1, "custom_audience_tos": 1 },
        }));
        account.owner = Some(BUSINESS);
        self.put(account.with(fields))
    }

    /// A campaign. `fields` beside its name and objective.
    pub(super) fn campaign(
        &mut self,
        account: u64,
        [name, objective]: [&str; 2],
        status: Status,
        fields: Value,
    ) -> Object {
        let mut campaign = self.next(Kind::Campaign, account).with(json!({
            "name": name,
            "objective": objective,
            "buying_type": "AUCTION",
            "special_ad_categories": [],
            "is_adset_budget_sharing_enabled": false,
        }));
        campaign.status = status;
        let campaign = campaign.with(fields);
        self.put(campaign.clone());
        campaign
    }

    pub(super) fn ad_set(&mut self, campaign: &Object, row: AdSet<'_>) -> Object {
        let mut ad_set = self.next(Kind::AdSet, campaign.account).with(ad_set_fields(&row));
        ad_set.status = row.status;
        ad_set.campaign = Some(campaign.id);
        self.put(ad_set.clone());
        ad_set
    }

    /// A creative that shows a link under a page. The same content twice is one creative only if the caller sees to it.
    pub(super) fn creative(&mut self, account: u64, name: &str, content: &str) -> u64 {
        let creative = self.next(Kind::Creative, account).with(json!({
            "name": name,
            "_content": content,
            "object_type": "SHARE",
            "actor_id": PAGE.to_string(),
            "object_story_spec": {
                "page_id": PAGE.to_string(),
                "link_data": { "link": "https://shop.example/", "message": name, "name": name },
            },
        }));
        self.put(creative)
    }

    /// An ad that is not kept yet, so that more can be said of it.
    pub(super) fn ad(&mut self, ad_set: &Object, row: Ad<'_>) -> Object {
        let mut ad = self.next(Kind::Ad, ad_set.account).with(json!({ "name": row.name }));
        ad.status = row.status;
        ad.campaign = ad_set.campaign;
        ad.ad_set = Some(ad_set.id);
        ad.creative = Some(row.creative);
        ad.spans = row.spans;
        ad
    }

    /// An audience of a customer's list, already filled.
    pub(super) fn audience(&mut self, account: u64, name: &str, subtype: &str, people: u64) -> u64 {
        let mut audience = self.next(Kind::Audience, account).with(json!({ "name": name, "subtype": subtype }));
        if subtype == "CUSTOM" {
            audience = audience.with(json!({ "customer_file_source": "USER_PROVIDED_ONLY" }));
        }
        let id = self.put(audience);
        if people > 0 {
            let digests = (0..people).map(|person| super::sealed(&format!("{id}:{person}"))).collect();
            self.state.commit(Change::Members(Members {
                audience: id,
                at: self.made,
                remove: false,
                replace: false,
                people: digests,
                received: people,
                invalid: 0,
                batch: None,
            }));
        }
        id
    }
}

fn ad_set_fields(row: &AdSet<'_>) -> Value {
    let mut fields = json!({
        "name": row.name,
        "billing_event": "IMPRESSIONS",
        "optimization_goal": row.goal,
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "destination_type": "UNDEFINED",
        "attribution_spec": [
            { "event_type": "CLICK_THROUGH", "window_days": 7 },
            { "event_type": "VIEW_THROUGH", "window_days": 1 },
        ],
        "targeting": {
            "age_min": 18,
            "age_max": 65,
            "geo_locations": { "countries": ["US"], "location_types": ["home", "recent"] },
            "targeting_automation": { "advantage_audience": 0 },
        },
    });
    let Value::Object(map) = &mut fields else { return fields };
    if let Some(budget) = row.daily_budget {
        map.insert("daily_budget".to_owned(), json!(budget.to_string()));
    } else {
        map.remove("bid_strategy");
    }
    let promoted = match row.goal {
        "OFFSITE_CONVERSIONS" => json!({ "pixel_id": DATASET.to_string(), "custom_event_type": "PURCHASE" }),
        "LEAD_GENERATION" | "PAGE_LIKES" | "THRUPLAY" | "REACH" => json!({ "page_id": PAGE.to_string() }),
        _ => return fields,
    };
    map.insert("promoted_object".to_owned(), promoted);
    fields
}
