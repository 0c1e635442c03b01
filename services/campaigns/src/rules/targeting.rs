//! What a targeting must hold (Meta, "Basic targeting", "Special ad category").

use proto::campaigns::v1::{GeoLocations, Targeting};

use super::Findings;

/// Checks a targeting. `restricted` is for campaigns of housing, employment and finance.
pub(super) fn check(targeting: &Targeting, path: &str, restricted: bool, findings: &mut Findings) {
    let placed = targeting.geo_locations.as_ref().is_some_and(has_place);
    findings.check(placed, &format!("{path}.geo_locations"), "needs a place at least, such as a country", "REQUIRED");
    for (index, country) in targeting.geo_locations.iter().flat_map(|geo| &geo.countries).enumerate() {
        let code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let field = format!("{path}.geo_locations.countries[{index}]");
        findings.check(code, &field, "must be two capitals such as US", "NO_COUNTRY");
    }
    ages(targeting, path, findings);
    for (index, gender) in targeting.genders.iter().enumerate() {
        let known = matches!(gender, 1 | 2);
        findings.check(known, &format!("{path}.genders[{index}]"), "must be 1 (men) or 2 (women)", "UNKNOWN_WORD");
    }
    if let Some(advantage) =
        targeting.targeting_automation.as_ref().and_then(|automation| automation.advantage_audience)
    {
        let field = format!("{path}.targeting_automation.advantage_audience");
        findings.check(matches!(advantage, 0 | 1), &field, "must be 0 or 1", "UNKNOWN_WORD");
    }
    limits(targeting, path, findings);
    if restricted {
        category(targeting, path, findings);
    }
}

/// Does it name any place?
fn has_place(geo: &GeoLocations) -> bool {
    !(geo.countries.is_empty()
        && geo.country_groups.is_empty()
        && geo.regions.is_empty()
        && geo.cities.is_empty()
        && geo.zips.is_empty()
        && geo.custom_locations.is_empty()
        && geo.geo_markets.is_empty()
        && geo.extra.is_empty())
}

fn ages(targeting: &Targeting, path: &str, findings: &mut Findings) {
    for (age, field) in [(targeting.age_min, "age_min"), (targeting.age_max, "age_max")] {
        let known = age.is_none_or(|age| (13..=65).contains(&age));
        findings.check(
            known,
            &format!("{path}.{field}"),
            "must be 13 to 65, where 65 is 65 and older",
            "AGE_OUT_OF_RANGE",
        );
    }
    if let (Some(min), Some(max)) = (targeting.age_min, targeting.age_max) {
        findings.check(min <= max, &format!("{path}.age_max"), "must not be below age_min", "AGE_OUT_OF_RANGE");
    }
}

fn limits(targeting: &Targeting, path: &str, findings: &mut Findings) {
    let lists = [
        ("flexible_spec", targeting.flexible_spec.len(), 25),
        ("custom_audiences", targeting.custom_audiences.len(), 500),
        ("excluded_custom_audiences", targeting.excluded_custom_audiences.len(), 500),
        ("publisher_platforms", targeting.publisher_platforms.len(), 10),
        ("locales", targeting.locales.len(), 50),
        ("extra", targeting.extra.len(), 100),
    ];
    for (field, count, most) in lists {
        findings.at_most(count, most, &format!("{path}.{field}"));
    }
    if let Some(geo) = &targeting.geo_locations {
        findings.at_most(geo.countries.len(), 250, &format!("{path}.geo_locations.countries"));
        findings.at_most(geo.cities.len(), 250, &format!("{path}.geo_locations.cities"));
        findings.at_most(geo.zips.len(), 50_000, &format!("{path}.geo_locations.zips"));
    }
}

/// Housing, employment and finance may not choose by age, gender or postal code.
fn category(targeting: &Targeting, path: &str, findings: &mut Findings) {
    let because = "is not allowed in the campaign's special ad category";
    findings.check(targeting.genders.is_empty(), &format!("{path}.genders"), because, "SPECIAL_AD_CATEGORY");
    let whole = targeting.age_min.is_none_or(|age| age == 18) && targeting.age_max.is_none_or(|age| age == 65);
    findings.check(
        whole,
        &format!("{path}.age_min"),
        "must be 18 to 65 in this special ad category",
        "SPECIAL_AD_CATEGORY",
    );
    let zips = targeting.geo_locations.as_ref().is_some_and(|geo| !geo.zips.is_empty());
    findings.check(!zips, &format!("{path}.geo_locations.zips"), because, "SPECIAL_AD_CATEGORY");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Targeting {
        let geo = GeoLocations { countries: vec!["US".to_owned()], ..GeoLocations::default() };
        Targeting { geo_locations: Some(geo), ..Targeting::default() }
    }

    fn told(targeting: &Targeting, restricted: bool) -> Vec<(String, &'static str)> {
        let mut findings = Findings::default();
        check(targeting, "t", restricted, &mut findings);
        findings.told()
    }

    #[test]
    fn a_place_is_required() {
        assert_eq!(told(&Targeting::default(), false), [("t.geo_locations".to_owned(), "REQUIRED")]);
        assert_eq!(told(&good(), false), []);
    }

    #[test]
    fn ages_lie_between_13_and_65() {
        let table = [(Some(12), None, "t.age_min"), (None, Some(66), "t.age_max"), (Some(40), Some(30), "t.age_max")];
        for (age_min, age_max, field) in table {
            let targeting = Targeting { age_min, age_max, ..good() };
            assert_eq!(told(&targeting, false), [(field.to_owned(), "AGE_OUT_OF_RANGE")]);
        }
    }

    #[test]
    fn housing_may_not_choose_by_gender_or_age() {
        let targeting = Targeting { genders: vec![1], age_min: Some(25), ..good() };
        assert_eq!(told(&targeting, false), []);
        let rules = told(&targeting, true);
        assert_eq!(rules.len(), 2);
        assert!(rules.iter().all(|(_, rule)| *rule == "SPECIAL_AD_CATEGORY"));
    }
}
