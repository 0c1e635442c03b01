//! Calls that our callers put together: which of Meta's edges they reach, and with which parameters.
//!
//! A list of what is allowed, because a token may often do more than its tenant may: it sees other accounts of the same
//! business. So a call stays within one ad account: it begins there or at an object that is known to belong to it, goes
//! one edge further at most, and `fields` are expanded only along the same kind of edges. What may be changed does no harm
//! if it is done twice and moves no money.
//!
//! What Meta fills in by itself could be any text that somebody gave a campaign as its name, and with it another path or
//! another parameter. So a reference stands only at the beginning of a path, leads only to the id of a row that an earlier
//! call of the batch listed, and nothing is changed through one.
//!
//! Known limit: a word in `fields` that Meta gives a meaning which leads out of the account, and that is not in our list of
//! those yet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vocabulary::ids::AdAccountId;

use crate::call::{Call, Replay, UseCase, Verb};
use crate::meta_error::without_tokens;

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

/// Edges whose rows are objects of the account, each with its own `id`.
const LISTS: [&str; 5] = ["adcreatives", "ads", "adsets", "campaigns", "copies"];

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

/// How what is expanded may be narrowed.
const MODIFIERS: [&str; 9] = [
    "action_breakdowns",
    "breakdowns",
    "date_preset",
    "effective_status",
    "level",
    "limit",
    "time_increment",
    "time_range",
    "time_ranges",
];

/// Words in `fields` that name people, tokens, or things which do not belong to the account.
const LEAVING: [&str; 26] = [
    "access_token",
    "account",
    "advertisable_applications",
    "agencies",
    "applications",
    "assigned_partners",
    "assigned_users",
    "business",
    "businesses",
    "businessprojects",
    "connected_instagram_accounts",
    "connected_instagram_accounts_with_iabp",
    "customaudiencestos",
    "from",
    "instagram_accounts",
    "leads",
    "onbehalf_requests",
    "owner",
    "owner_business",
    "page",
    "page_access_token",
    "pages",
    "promote_pages",
    "subscribed_apps",
    "user",
    "users",
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
    /// At a row that an earlier call of the same batch listed.
    Answer,
}

/// A call that may go.
#[derive(Debug)]
pub struct Passed {
    /// The call.
    pub call: Call<Value>,
    /// Where it begins.
    pub start: Start,
    /// Whether its rows are objects of the account, so that later calls may begin at them.
    pub lists: bool,
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

/// The call. `listing` are the names of the earlier calls of the batch that list objects of the account.
///
/// # Errors
/// [`Refused`] with the first thing that is not allowed.
pub fn call(
    account: AdAccountId,
    verb: Verb,
    path: &str,
    params: &BTreeMap<String, String>,
    listing: &BTreeSet<String>,
) -> Result<Passed, Refused> {
    let (start, edge) = place(account, path, listing)?;
    let use_case = allowed(start, verb, edge)?;
    check(params)?;
    let call = match verb {
        Verb::Get => Call::get(path),
        // What may be made may be made twice.
        Verb::Post | Verb::Delete => Call::post(path, Replay::Safe),
    };
    let call = params.iter().fold(call.use_case(use_case), |call, (name, value)| call.field(name.clone(), value));
    let lists = verb == Verb::Get && edge.is_some_and(|edge| LISTS.contains(&edge));
    Ok(Passed { call, start, lists })
}

/// Meta's answer as it may leave us: links to other pages hold the token, and the cursors beside them say the same.
pub(crate) fn cleaned(answer: Value) -> Value {
    match answer {
        Value::Object(members) => {
            let kept =
                members.into_iter().filter(|(name, _)| !matches!(name.as_str(), "access_token" | "appsecret_proof"));
            let cleaned = kept.map(|(name, value)| match value {
                Value::Object(mut paging) if name == "paging" => {
                    paging.retain(|name, _| name == "cursors");
                    (name, cleaned(Value::Object(paging)))
                }
                value => (name, cleaned(value)),
            });
            Value::Object(cleaned.collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(cleaned).collect()),
        Value::String(text) if text.contains("access_token=") || text.contains("appsecret_proof=") => {
            Value::String("[link with a token]".to_owned())
        }
        Value::String(text) => Value::String(without_tokens(&text)),
        other => other,
    }
}

fn refused(field: impl Into<String>, words: impl Into<String>) -> Refused {
    Refused { field: field.into(), words: words.into() }
}

fn place<'a>(
    account: AdAccountId,
    path: &'a str,
    listing: &BTreeSet<String>,
) -> Result<(Start, Option<&'a str>), Refused> {
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
        if !row_of(first).is_some_and(|name| listing.contains(name)) {
            let words = "may begin with a reference only of the form {result=NAME:$.data[0].id}, to an earlier call that \
                         lists campaigns, adsets, ads, adcreatives or copies";
            return Err(wrong(words));
        }
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

/// The call to whose rows a reference leads, if it leads to the id of one.
fn row_of(reference: &str) -> Option<&str> {
    let (name, path) = reference.strip_prefix("result=")?.split_once(':')?;
    let row = path.strip_prefix("$.data[")?.strip_suffix("].id")?;
    (!row.is_empty() && row.len() <= 4 && row.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
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
        (Verb::Post, Some(edge)) if WRITABLE.contains(&edge) && start != Start::Answer => Ok(UseCase::AdsManagement),
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
        if value.contains("{result") {
            return Err(refused(field, "holds a reference, which may only stand at the beginning of a path"));
        }
        if matches!(name.as_str(), "fields" | "summary") {
            within(value).map_err(|words| refused(field, words))?;
        }
    }
    Ok(())
}

/// Meta's language of fields, as much of it as stays in the account: words, `{` fields of what a word leads to `}`, and
/// modifiers such as `.limit(5)` whose values hold no brackets of the same kind. Says what is wrong with the first that does
/// not.
fn within(fields: &str) -> Result<(), String> {
    let (mut rest, mut depth) = (fields, 0_u32);
    while !rest.is_empty() {
        let word = head(rest);
        rest = rest.get(word.len()..).unwrap_or_default();
        if LEAVING.contains(&word) {
            return Err(format!("asks for `{word}`, which does not belong to the account alone"));
        }
        let is_expanded = rest.starts_with(['.', '{']);
        if is_expanded && !EXPANDABLE.contains(&word) {
            let all = EXPANDABLE.join(", ");
            return Err(format!("expands `{word}`, which may lead out of the account; these may be expanded: {all}"));
        }
        while let Some(modifier) = rest.strip_prefix('.') {
            let name = head(modifier);
            let value = modifier.get(name.len()..).and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
            match value {
                Some((value, after)) if MODIFIERS.contains(&name) && !value.contains('(') => rest = after,
                _ => return Err(format!("narrows `{word}` by what is not one of {}", MODIFIERS.join(", "))),
            }
        }
        // What ends a word. `{` goes down, `}` up again, as often as it went down.
        let mut letters = rest.chars();
        match letters.next() {
            None => break,
            Some('{') if is_expanded => depth += 1,
            Some('}') if depth > 0 => depth -= 1,
            Some(',') => {}
            Some(letter) => {
                return Err(format!("holds `{letter}` where a field, `,` or a bracket that fits is wanted"));
            }
        }
        rest = letters.as_str();
    }
    if depth > 0 { Err("has a `{` without its `}`".to_owned()) } else { Ok(()) }
}

/// The word at the beginning; may be empty.
fn head(text: &str) -> &str {
    let ends = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len());
    text.get(..ends).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account() -> AdAccountId {
        "act_7".parse().unwrap()
    }

    fn listing() -> BTreeSet<String> {
        ["first".to_owned()].into()
    }

    fn get(path: &str, params: &[(&str, &str)]) -> Result<Passed, Refused> {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        call(account(), Verb::Get, path, &params, &listing())
    }

    #[test]
    fn calls_within_the_account_go_as_they_are() {
        let fields = "name,campaigns.limit(5){id,adsets{id}},insights.date_preset(last_7d).level(ad){spend},adlabels";
        let passed = get("act_7/ads", &[("fields", fields), ("limit", "2")]).unwrap();
        let told = (passed.call.to_string(), passed.start, passed.lists);
        assert_eq!(told, (format!("GET /act_7/ads\nfields={fields}\nlimit=2"), Start::Account, true));
        let insights = get("12/insights", &[]).unwrap();
        assert_eq!((insights.start, insights.lists), (Start::Object(12), false));
        assert_eq!(get("12", &[]).unwrap().start, Start::Object(12));
        assert_eq!(get("{result=first:$.data[0].id}/ads", &[]).unwrap().start, Start::Answer);
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
            "act_7//ads",
            "act_7/../8",
            "debug_token",
            "7/adaccounts",
            "{result=first",
            "{result=first:$.data[0].id}/owned_ad_accounts",
            "{result=first:$.data[0].name}/ads",
            "{result=other:$.data[0].id}/ads",
            "{result=first:$.data[0].object_story_spec.page_id}",
            "{result=first:$.data[*].id}/ads",
            "{first:$.data[0].id}/ads",
            "{result=first:$.id}",
            "{}/ads",
        ] {
            assert_eq!(get(path, &[]).unwrap_err().field, "path", "{path}");
        }
    }

    #[test]
    fn no_parameter_leads_out_of_the_account() {
        for (name, value) in [
            ("access_token", "x"),
            ("ids", "act_8"),
            ("method", "DELETE"),
            ("Fields", "id"),
            ("limit", "{result=first:$.data[0].name}"),
            ("fields", "business{owned_ad_accounts}"),
            ("fields", "name,business.limit(1)"),
            ("fields", "campaigns{account{business}}"),
            ("fields", "insights{spend},owner{id}"),
            ("fields", "ads.limit(2),users{id}"),
            ("fields", "leads"),
            ("fields", "name, assigned_users"),
            ("fields", "name.as(id)"),
            ("fields", "campaigns.as(id){name}"),
            ("fields", "insights.filtering([{\"value\":\"(\"}]){spend},business{owned_ad_accounts{name}}"),
            ("fields", "campaigns.limit({result=first:$.data[0].name}){id}"),
            ("fields", "campaigns{id}}"),
            ("fields", "campaigns{id"),
            ("fields", "campaigns.limit(1)(2){id}"),
            ("summary", "total_count,users"),
        ] {
            assert_eq!(get("act_7", &[(name, value)]).unwrap_err().field, format!("params.{name}"), "{value}");
        }
    }

    #[test]
    fn only_labels_may_be_made_and_not_through_a_reference() {
        let made = |path| call(account(), Verb::Post, path, &BTreeMap::new(), &listing());
        assert!(made("act_7/adlabels").is_ok_and(|passed| passed.call.replay() == Replay::Safe && !passed.lists));
        assert!(made("12/adlabels").is_ok());
        for path in ["act_7/campaigns", "12", "12/copies", "act_7", "{result=first:$.data[0].id}/adlabels"] {
            assert_eq!(made(path).unwrap_err().field, "path", "{path}");
        }
        assert!(call(account(), Verb::Delete, "12", &BTreeMap::new(), &listing()).is_err());
    }

    #[test]
    fn an_answer_leaves_without_tokens() {
        let token = format!("EAA{}", "x".repeat(30));
        let link = format!("https://graph.example/v1/act_7/ads?access_token={token}&after=b");
        let answer = json!({
            "data": [{ "id": "1", "ads": { "data": [], "paging": { "cursors": { "after": "c" }, "next": link } } }],
            "paging": { "cursors": { "after": "b" }, "next": link, "previous": link },
            "access_token": token,
            "elsewhere": link,
            "text": format!("said {token}"),
        });
        let expected = json!({
            "data": [{ "id": "1", "ads": { "data": [], "paging": { "cursors": { "after": "c" } } } }],
            "paging": { "cursors": { "after": "b" } },
            "elsewhere": "[link with a token]",
            "text": "said [token]",
        });
        assert_eq!(cleaned(answer), expected);
    }
}
