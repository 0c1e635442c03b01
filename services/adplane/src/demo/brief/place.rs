//! From a field of the plan back to the line of the brief that it came from.

use anyhow::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    super::mistake::{Mistake, Mistakes},
    Ad, AdSet, Brief, Campaign,
};

/// A key of the brief and where its value begins.
type Place = (&'static str, usize);

impl Brief {
    /// What the service found wrong with the plan, as mistakes of the brief. Another failure stays as it is.
    pub(crate) fn refused(&self, status: Status) -> Error {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        if status.code() != Code::InvalidArgument || violations.is_empty() {
            return status.into();
        }
        let mut mistakes = Vec::new();
        for mistake in violations.iter().map(|violation| self.mistake(&violation.field, &violation.description)) {
            // An ad and its creative are one thing in the brief.
            if !mistakes.contains(&mistake) {
                mistakes.push(mistake);
            }
        }
        Mistakes(mistakes).into()
    }

    /// The budget has a shape or a size that the account's currency does not know.
    pub(crate) fn wrong_budget(&self, reason: impl Into<String>) -> Mistakes {
        let at = self.campaign.daily_budget.span().start;
        Mistakes(vec![self.source.mistake(at, "daily_budget", reason)])
    }

    /// At the key of the brief that became `field` of the plan; else at the thing's name, or at the file as a whole,
    /// with the field itself.
    fn mistake(&self, field: &str, description: &str) -> Mistake {
        let whole = || Mistake::of(&self.source.file, format!("{field}: {description}"));
        let Some(path) = field.strip_prefix("plan.") else { return whole() };
        let (node, rest) = path.split_once('.').unwrap_or((path, ""));
        let (list, index) = node.split_once('[').unwrap_or((node, ""));
        let index: Option<usize> = index.trim_end_matches(']').parse().ok();
        let (place, name) = match (list, index) {
            ("campaign", _) => (self.campaign.place(rest), self.campaign.name.span().start),
            ("ad_sets", Some(index)) => match self.ad_sets.get(index) {
                Some(set) => (set.place(rest), set.name.span().start),
                None => return whole(),
            },
            ("creatives" | "ads", Some(index)) => match self.ads().nth(index) {
                Some((_, _, ad)) => (ad.place(rest), ad.name.span().start),
                None => return whole(),
            },
            _ => return whole(),
        };
        match place {
            Some((key, at)) => self.source.mistake(at, key, description),
            None => self.source.mistake(name, "name", format!("{field}: {description}")),
        }
    }
}

impl Campaign {
    fn place(&self, field: &str) -> Option<Place> {
        match field.split('[').next()? {
            "name" => Some(("name", self.name.span().start)),
            "objective" => Some(("objective", self.objective.span().start)),
            "daily_budget" => Some(("daily_budget", self.daily_budget.span().start)),
            "special_ad_categories" => {
                self.special_ad_categories.as_ref().map(|words| ("special_ad_categories", words.span().start))
            }
            _ => None,
        }
    }
}

impl AdSet {
    fn place(&self, field: &str) -> Option<Place> {
        let field = field.strip_prefix("targeting.").unwrap_or(field);
        match field {
            "name" => Some(("name", self.name.span().start)),
            "age_min" => Some(("age_min", self.age_min.span().start)),
            "age_max" => Some(("age_max", self.age_max.span().start)),
            "optimization_goal" => Some(("optimization_goal", self.optimization_goal.span().start)),
            "promoted_object.custom_event_type" => Some(("event", self.event.span().start)),
            _ if field.starts_with("geo_locations") => Some(("countries", self.countries.span().start)),
            _ => None,
        }
    }
}

impl Ad {
    /// Of the ad and of its creative alike: no field of theirs that comes from the brief has the same name.
    fn place(&self, field: &str) -> Option<Place> {
        match field.strip_prefix("object_story_spec.link_data.") {
            None if field == "name" => Some(("name", self.name.span().start)),
            None => None,
            Some("link") => Some(("link", self.link.span().start)),
            Some("message") => Some(("text", self.text.span().start)),
            Some("name") => Some(("headline", self.headline.span().start)),
            Some("image_hash") => Some(("picture", self.picture.span().start)),
            Some(rest) if rest.starts_with("call_to_action") => {
                Some(("call_to_action", self.call_to_action.span().start))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::{super::tests::changed, *};

    #[test]
    fn what_the_service_refuses_is_told_at_the_line_it_came_from() {
        let brief = changed("days = 30", "days = 30").unwrap();
        let mut details = ErrorDetails::new();
        for field in [
            "plan.campaign.daily_budget",
            "plan.campaign.special_ad_categories[0]",
            "plan.ad_sets[1].targeting.geo_locations.countries[0]",
            "plan.ad_sets[0].promoted_object.custom_event_type",
            "plan.ad_sets[0].dsa_payor",
            "plan.creatives[1].object_story_spec.link_data.message",
            "plan.creatives[2].name",
            "plan.ads[2].name",
            "plan.ads",
        ] {
            details.add_bad_request_violation(field, "is wrong");
        }
        let refused = brief.refused(Status::with_error_details(Code::InvalidArgument, "nine", details)).to_string();
        for told in [
            "line 8, daily_budget: is wrong",
            "line 9, special_ad_categories: is wrong",
            "line 41, countries: is wrong",
            "line 21, event: is wrong",
            "line 16, name: plan.ad_sets[0].dsa_payor: is wrong",
            "line 35, text: is wrong",
            "line 48, name: is wrong",
            "brief.toml: plan.ads: is wrong",
        ] {
            assert_eq!(refused.matches(told).count(), 1, "{told}\n{refused}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a status as a server would send it")]
    fn another_failure_stays_as_it_is() {
        let brief = changed("days = 30", "days = 30").unwrap();
        let error = brief.refused(Status::new(Code::Unavailable, "away"));
        assert_eq!(error.downcast_ref::<Status>().map(Status::code), Some(Code::Unavailable));
    }
}
