//! What an ad must hold (Meta, "Ad": create).

use proto::campaigns::v1::Ad;

use super::{Findings, name};

/// Checks an ad that is to be made.
pub(crate) fn create(ad: &Ad, path: &str, findings: &mut Findings) {
    name(ad.name.as_deref(), path, findings);
    let ad_set = ad.adset_id.as_deref().unwrap_or_default();
    findings.check(!ad_set.is_empty(), &format!("{path}.adset_id"), "is required", "REQUIRED");
    let creative = ad.creative.as_ref().and_then(|creative| creative.creative_id.as_deref()).unwrap_or_default();
    findings.check(!creative.is_empty(), &format!("{path}.creative.creative_id"), "is required", "REQUIRED");
    findings.at_most(ad.extra.len(), 100, &format!("{path}.extra"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ad_needs_a_name_a_place_and_something_to_show() {
        let mut findings = Findings::default();
        create(&Ad::default(), "ad", &mut findings);
        let fields: Vec<_> = findings.told().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["ad.name", "ad.adset_id", "ad.creative.creative_id"]);
    }
}
