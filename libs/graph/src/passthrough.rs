//! Calls that our callers put together: which of Meta's edges they reach, and with which parameters.
//!
//! A list of what is allowed, because a token may often do more than its tenant may: it sees other accounts of the same
//! business. So a call stays within one ad account: it begins there or at an object that is known to belong to it, goes
//! one edge further at most, and `fields` are expanded only along the same kind of edges. What may be changed does no harm
//! if it is done twice and moves no money.

use std::collections::BTreeMap;

use serde_json::Value;
use vocabulary::ids::AdAccountId;

use crate::call::{Call, Replay, UseCase, Verb};

/// Edges of an ad account that may be read, with the counter that pays.
const OF_ACCOUNT: [(&str, UseCase); 24] = [
    ("activities", UseCase::AdsManagement),
    ("adcreatives", UseCase::AdsManagement),
    ("adimages", UseCase::AdsManagement),
    ("adlabels", UseCase::AdsManagement),
    ("ads", UseCase::AdsManagement),
    ("adsets", UseCase::AdsManagement),
    ("advideos", UseCase::AdsManagement),
    ("broadtargetingcategories", UseCase::AdsManagement),
    ("campaigns", UseCase::AdsManagement),
    ("customaudiences", UseCase::CustomAudience),
    ("delivery_estimate", UseCase::AdsManagement),
    ("generatepreviews", UseCase::AdsManagement),
    ("insights", UseCase::AdsInsights),
    ("max_bid", UseCase::AdsManagement),
    ("minimum_budgets", UseCase::AdsManagement),
    ("adrules_library", UseCase::AdsManagement),
    ("reachestimate", UseCase::AdsManagement),
    ("recommendations", UseCase::AdsManagement),
    ("saved_audiences", UseCase::CustomAudience),
    ("targetingbrowse", UseCase::AdsManagement),
    ("targetingsearch", UseCase::AdsManagement),
    ("targetingsentencelines", UseCase::AdsManagement),
    ("targetingsuggestions", UseCase::AdsManagement),
    ("targetingvalidation", UseCase::AdsManagement),
];

/// Edges of a campaign, ad set, ad or creative.
const OF_OBJECT: [(&str, UseCase); 11] = [
    ("activities", UseCase::AdsManagement),
    ("adcreatives", UseCase::AdsManagement),
    ("adlabels", UseCase::AdsManagement),
    ("ads", UseCase::AdsManagement),
    ("adsets", UseCase::AdsManagement),
    ("copies", UseCase::AdsManagement),
    ("delivery_estimate", UseCase::AdsManagement),
    ("insights", UseCase::AdsInsights),
    ("previews", UseCase::AdsManagement),
    ("recommendations", UseCase::AdsManagement),
    ("targetingsentencelines", UseCase::AdsManagement),
];

/// Edges on which something may be made. A label of the same name is the same label (Meta, "Ad labels").
const WRITABLE: [&str; 1] = ["adlabels"];

/// What may be expanded with fields of its own: it stays in the account.
const EXPANDABLE: [&str; 12] = [
    "activities",
    "adcreatives",
    "adlabels",
    "ads",
    "adset",
    "adsets",
    "campaign",
    "campaigns",
    "copies",
    "creative",
    "insights",
    "recommendations",
];

/// Parameters that say who calls, or how: ours to set.
const OURS: [&str; 11] = [
    "access_token",
    "appsecret_proof",
    "batch",
    "callback",
    "id",
    "ids",
    "include_headers",
    "method",
    "redirect",
    "suppress_http_code",
    "version",
];

const PATH_LETTERS_MAX: usize = 300;
const PARAMS_MAX: usize = 50;
const PARAM_LETTERS_MAX: usize = 20_000;

/// Where a call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the ad account itself.
    Account,
    /// At this object: whoever sends the call has to know that it belongs to the account.
    Object(u64),
    /// At what an earlier call of the same batch answers.
    Answer,
}

/// Why a call is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {words}")]
pub struct Refused {
    /// `path`, or `params.NAME`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub words: String,
}

/// The call, and where it begins.
///
/// # Errors
/// [`Refused`] with the first thing that is not allowed.
pub fn call(
    account: AdAccountId,
    verb: Verb,
    path: &str,
    params: &BTreeMap<String, String>,
) -> Result<(Call<Value>, Start), Refused> {
    let (start, edge) = place(account, path)?;
    let use_case = allowed(start, verb, edge)?;
    check(params)?;
    let call = match verb {
        Verb::Get => Call::get(path),
        // What may be made may be made twice.
        Verb::Post | Verb::Delete => Call::post(path, Replay::Safe),
    };
    let call = call.use_case(use_case);
    Ok((params.iter().fold(call, |call, (name, value)| call.field(name.clone(), value)), start))
}

fn refused(field: impl Into<String>, words: impl Into<String>) -> Refused {
    Refused { field: field.into(), words: words.into() }
}

fn place(account: AdAccountId, path: &str) -> Result<(Start, Option<&str>), Refused> {
    let wrong = |words: &str| refused("path", words);
    if path.is_empty() || path.len() > PATH_LETTERS_MAX {
        return Err(wrong("must have 1 to 300 characters"));
    }
    // The only part that may hold a slash, a dot or a bracket.
    let (first, rest) = match path.strip_prefix('{') {
        Some(reference) => reference.split_once('}').ok_or_else(|| wrong("has a reference without an end"))?,
        None => {
            path.split_once('/').map_or((path, ""), |(first, _)| (first, path.get(first.len()..).unwrap_or_default()))
        }
    };
    let start = if path.starts_with('{') {
        Start::Answer
    } else if first == account.act() {
        Start::Account
    } else if let Ok(id) = first.parse::<u64>()
        && first.bytes().all(|byte| byte.is_ascii_digit())
    {
        Start::Object(id)
    } else {
        let words = format!("must begin with {}, with the id of an object in it, or with a reference", account.act());
        return Err(refused("path", words));
    };
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Ok((start, None)),
        Some(edge) if !edge.is_empty() && edge.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            Ok((start, Some(edge)))
        }
        _ => Err(wrong("must be an id and at most one edge, without version and parameters")),
    }
}

fn allowed(start: Start, verb: Verb, edge: Option<&str>) -> Result<UseCase, Refused> {
    let edges: &[(&str, UseCase)] = if start == Start::Account { &OF_ACCOUNT } else { &OF_OBJECT };
    let names = |names: Vec<&str>| names.join(", ");
    match (verb, edge) {
        (Verb::Get, None) => Ok(UseCase::AdsManagement),
        (Verb::Get, Some(edge)) => {
            let found = edges.iter().find(|(name, _)| *name == edge).map(|(_, use_case)| *use_case);
            found.ok_or_else(|| {
                let all = names(edges.iter().map(|(name, _)| *name).collect());
                refused("path", format!("has the edge `{edge}`, which may not be read here; these may: {all}"))
            })
        }
        (Verb::Post, Some(edge)) if WRITABLE.contains(&edge) => Ok(UseCase::AdsManagement),
        (Verb::Post | Verb::Delete, _) => {
            let all = names(WRITABLE.to_vec());
            let words = format!("may not be changed this way: what changes more than {all} has a method of its own");
            Err(refused("path", words))
        }
    }
}

fn check(params: &BTreeMap<String, String>) -> Result<(), Refused> {
    if params.len() > PARAMS_MAX {
        return Err(refused("params", "must be at most 50"));
    }
    for (name, value) in params {
        let field = format!("params.{name}");
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_word) {
            return Err(refused(field, "must be named by lower-case letters, digits and `_`"));
        }
        if OURS.contains(&name.as_str()) {
            return Err(refused(field, "says who calls or how, which is not the caller's to say: leave it out"));
        }
        if value.len() > PARAM_LETTERS_MAX {
            return Err(refused(field, "must have at most 20,000 characters"));
        }
        if matches!(name.as_str(), "fields" | "summary")
            && let Some(word) = leaves(value)
        {
            let all = EXPANDABLE.join(", ");
            let words = format!("expands `{word}`, which may lead out of the account; these may be expanded: {all}");
            return Err(refused(field, words));
        }
    }
    Ok(())
}

/// The first word that is expanded, by `{` or by a modifier such as `.limit(5)`, and must not be.
fn leaves(fields: &str) -> Option<&str> {
    let (mut begins, mut depth) = (0, 0_u32);
    let mut is_modifier = false;
    for (place, letter) in fields.char_indices() {
        match letter {
            // Values of modifiers say nothing about fields.
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '{' | '.' if !is_modifier => {
                let word = fields.get(begins..place).unwrap_or_default().trim();
                if !EXPANDABLE.contains(&word) {
                    return Some(word);
                }
                (is_modifier, begins) = (letter == '.', place + 1);
            }
            ',' | '{' | '}' => (is_modifier, begins) = (false, place + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AdAccountId {
        "act_7".parse().unwrap()
    }

    fn get(path: &str, params: &[(&str, &str)]) -> Result<(Call<Value>, Start), Refused> {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        call(account(), Verb::Get, path, &params)
    }

    #[test]
    fn calls_within_the_account_go_as_they_are() {
        let fields = "name,campaigns.limit(5){id,adsets{id}},insights.date_preset(last_7d){spend}";
        let (call, start) = get("act_7/ads", &[("fields", fields), ("limit", "2")]).unwrap();
        assert_eq!((call.to_string(), start), (format!("GET /act_7/ads\nfields={fields}\nlimit=2"), Start::Account));
        assert_eq!(get("12/insights", &[]).unwrap().1, Start::Object(12));
        assert_eq!(get("12", &[]).unwrap().1, Start::Object(12));
        assert_eq!(get("{result=first:$.data[0].id}/ads", &[]).unwrap().1, Start::Answer);
    }

    #[test]
    fn nothing_leads_out_of_the_account() {
        for path in [
            "",
            "/",
            "act_8/ads",
            "me/adaccounts",
            "v26.0/act_7/ads",
            "act_7/ads/12",
            "act_7/ads?limit=1",
            "act_7/users",
            "act_7/",
            "12/leads",
            "+12/ads",
            "12/",
            "{result=first",
            "{result=a:$.id}/owned_ad_accounts",
            "act_7//ads",
            "act_7/../8",
            "debug_token",
            "7/adaccounts",
        ] {
            assert_eq!(get(path, &[]).unwrap_err().field, "path", "{path}");
        }
        for (name, value) in [
            ("access_token", "x"),
            ("ids", "act_8"),
            ("method", "DELETE"),
            ("fields", "business{owned_ad_accounts}"),
            ("fields", "name,business.limit(1)"),
            ("fields", "campaigns{account{business}}"),
            ("Fields", "id"),
            ("fields", "insights{spend},owner{id}"),
            ("fields", "ads.limit(2),users{id}"),
            ("fields", "ads. limit(1).x{y{z}}"),
        ] {
            assert_eq!(get("act_7", &[(name, value)]).unwrap_err().field, format!("params.{name}"), "{value}");
        }
    }

    #[test]
    fn only_labels_may_be_made() {
        let made = |path| call(account(), Verb::Post, path, &BTreeMap::new());
        assert!(made("act_7/adlabels").is_ok_and(|(call, _)| call.replay() == Replay::Safe));
        assert!(made("12/adlabels").is_ok());
        for path in ["act_7/campaigns", "12", "12/copies", "act_7"] {
            assert_eq!(made(path).unwrap_err().field, "path", "{path}");
        }
        assert!(call(account(), Verb::Delete, "12", &BTreeMap::new()).is_err());
    }
}
