//! What we say in the caller's place, each time with a warning.

use proto::campaigns::v1::{AdSet, Status, TargetingAutomation};
use proto::common::v1::Warning;

/// Meta wants to be told whether it may go beyond the audience described. Who says nothing gets what they described.
pub(crate) fn ad_set(ad_set: &mut AdSet, path: &str, warnings: &mut Vec<Warning>) {
    let Some(targeting) = &mut ad_set.targeting else { return };
    let automation = targeting.targeting_automation.get_or_insert_default();
    if automation.advantage_audience.is_none() && automation.extra.is_empty() {
        *automation = TargetingAutomation { advantage_audience: Some(0), ..TargetingAutomation::default() };
        warnings.push(Warning {
            code: "ADVANTAGE_AUDIENCE_OFF".to_owned(),
            field: format!("{path}.targeting.targeting_automation.advantage_audience"),
            message: "not given, so sent as 0: Meta does not go beyond the audience described".to_owned(),
        });
    }
}

/// Everything is made PAUSED.
pub(crate) fn status(status: i32, path: &str, warnings: &mut Vec<Warning>) {
    if status != i32::from(Status::Unspecified) && status != i32::from(Status::Paused) {
        warnings.push(Warning {
            code: "CREATED_PAUSED".to_owned(),
            field: format!("{path}.status"),
            message: "everything is made PAUSED; activate it once you have looked at it".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use proto::campaigns::v1::Targeting;

    use super::*;

    #[test]
    fn an_audience_is_what_was_described_unless_the_caller_says_otherwise() {
        let mut warnings = Vec::new();
        let mut silent = AdSet { targeting: Some(Targeting::default()), ..AdSet::default() };
        ad_set(&mut silent, "ad_set", &mut warnings);
        assert_eq!(silent.targeting.unwrap().targeting_automation.unwrap().advantage_audience, Some(0));
        assert_eq!(warnings.len(), 1);
        let wide = TargetingAutomation { advantage_audience: Some(1), ..TargetingAutomation::default() };
        let targeting = Targeting { targeting_automation: Some(wide), ..Targeting::default() };
        let mut said = AdSet { targeting: Some(targeting), ..AdSet::default() };
        ad_set(&mut said, "ad_set", &mut warnings);
        assert_eq!(said.targeting.unwrap().targeting_automation.unwrap().advantage_audience, Some(1));
        assert_eq!(warnings.len(), 1);
    }
}
