//! What a call past a limit is told.

use super::{Bucket, UseCase};
use crate::error::Refusal;
use crate::state::Kind;

const TITLE: &str = "Ad Account Has Too Many API Calls";
const SUBCODE: i64 = 2_446_079;

/// The refusal of a limit that is full.
pub(super) fn of(bucket: Bucket) -> Refusal {
    match bucket {
        Bucket::UseCase(use_case, _) => too_many(use_case),
        Bucket::App => application(),
        Bucket::User(_) => Refusal::new(17, "(#17) User request limit reached").transient(true),
        Bucket::Page(_) => Refusal::new(32, "(#32) Page request limit reached").transient(true),
        Bucket::InsightsApp => {
            let advice = "There have been too many insights calls from this app, over all of its ad accounts.";
            application().subcode(1_504_022).shown("Too Many Insights Calls", advice)
        }
        Bucket::InsightsAccount(_) | Bucket::InsightsReach(_) => {
            let advice = "There have been too many insights calls for this ad account.";
            application().subcode(1_504_039).shown("Too Many Insights Calls", advice)
        }
        Bucket::Mutations(_) => {
            let advice = "Change fewer objects of this ad account in a second.";
            burst().subcode(5_044_001).shown("Too Many Changes", advice)
        }
        Bucket::Burst | Bucket::Free => burst().transient(true),
    }
}

/// The refusal of a score that is reached, with the one or the other of the codes that Meta documents.
pub(super) fn of_score(code: i64) -> Refusal {
    if code == 613 {
        let message = "(#613) There have been too many calls from this ad-account. Wait a bit and try again.";
        return Refusal::new(613, message).subcode(1_487_742).shown(TITLE, "Wait a bit and try again.");
    }
    Refusal::new(17, "(#17) User request limit reached").subcode(SUBCODE).shown(TITLE, "Wait a bit and try again.")
}

fn application() -> Refusal {
    Refusal::new(4, "(#4) Application request limit reached").http(403).transient(true)
}

fn burst() -> Refusal {
    Refusal::new(613, "(#613) Calls to this api have exceeded the rate limit.")
}

fn too_many(use_case: UseCase) -> Refusal {
    let code = use_case.code();
    let whose = match use_case.kind() {
        Kind::Page => "Page account",
        Kind::Instagram => "Instagram account",
        Kind::Catalog => "catalog",
        _ => "ad-account",
    };
    let page = use_case.word().replace('_', "-");
    let message = format!(
        "(#{code}) There have been too many calls to this {whose}. Wait a bit and try again. For more info, please \
         refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting#{page}."
    );
    let refusal = Refusal::new(code, message).subcode(SUBCODE);
    if use_case.kind() == Kind::AdAccount {
        return refusal.shown(TITLE, "There have been too many calls to this ad account.");
    }
    refusal.transient(false)
}
