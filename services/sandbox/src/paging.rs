//! Pages of an edge: cursors, links and the count.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::params::{Params, as_text};

/// How many rows a page has where the caller names no limit.
const LIMIT_DEFAULT: usize = 25;
/// The most rows of a page that Meta's edges of ads objects give.
const LIMIT_MAX: usize = 1_000;

/// Where a page link leads: the address of the edge, and the token that it carries as Meta's do.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) address: String,
    pub(crate) token: String,
}

/// A page of rows, each with the key that its cursor holds.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) keys: Vec<u64>,
    pub(crate) has_next: bool,
    pub(crate) has_previous: bool,
    pub(crate) total: usize,
}

/// Where a page begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    After(u64),
    Before(u64),
}

/// Reads the cursors; fails with 2642 for one that is none of ours.
pub(crate) fn place(params: &Params) -> Result<Place, Refusal> {
    let cursor = |name: &str| params.text(name).filter(|cursor| !cursor.is_empty());
    match (cursor("after"), cursor("before")) {
        (Some(after), _) => open(&after).map(Place::After),
        (None, Some(before)) => open(&before).map(Place::Before),
        (None, None) => Ok(Place::Start),
    }
}

/// Cuts one page out of keys that stand in the order of the edge.
///
/// A cursor holds a key, not a place, so that rows that come and go before it do not move the page.
pub(crate) fn cut(keys: &[u64], params: &Params) -> Result<Page, Refusal> {
    let limit = limit(params)?;
    let total = keys.len();
    let at = |key: u64| keys.iter().position(|&other| other == key).ok_or_else(bad_cursor);
    let (from, to) = match place(params)? {
        Place::After(key) => {
            let after = at(key)? + 1;
            (after, total.min(after + limit))
        }
        Place::Before(key) => {
            let before = at(key)?;
            (before.saturating_sub(limit), before)
        }
        Place::Start => (0, total.min(limit)),
    };
    let page = keys.get(from..to).unwrap_or_default().to_vec();
    Ok(Page { keys: page, has_next: to < total, has_previous: from > 0, total })
}

/// The answer of an edge: `data`, `paging` where there are rows, and `summary` where it is asked for.
pub(crate) fn answer(page: &Page, rows: Vec<Value>, params: &Params, link: &Link) -> Value {
    let mut body = Map::from_iter([("data".to_owned(), Value::Array(rows))]);
    body.extend(members(page, params, link));
    Value::Object(body)
}

/// What stands beside `data` in the answer of an edge.
pub(crate) fn members(page: &Page, params: &Params, link: &Link) -> Map<String, Value> {
    let mut body = Map::new();
    if let (Some(first), Some(last)) = (page.keys.first(), page.keys.last()) {
        let (before, after) = (seal(*first), seal(*last));
        let mut paging = Map::new();
        if page.has_next {
            paging.insert("next".to_owned(), json!(href(params, link, "after", &after)));
        }
        if page.has_previous {
            paging.insert("previous".to_owned(), json!(href(params, link, "before", &before)));
        }
        paging.insert("cursors".to_owned(), json!({ "before": before, "after": after }));
        body.insert("paging".to_owned(), Value::Object(paging));
    }
    if wants_summary(params) {
        body.insert("summary".to_owned(), json!({ "total_count": page.total }));
    }
    body
}

/// How many rows a page may have; none where only the count of the edge is wanted.
pub(crate) fn limit(params: &Params) -> Result<usize, Refusal> {
    match params.integer("limit")? {
        Some(0) if wants_summary(params) => Ok(0),
        None => Ok(LIMIT_DEFAULT),
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|&limit| limit > 0)
            .map(|limit| limit.min(LIMIT_MAX))
            .ok_or_else(|| Refusal::invalid("Param limit must be a positive integer")),
    }
}

/// Whether the count of the whole edge is asked for.
pub(crate) fn wants_summary(params: &Params) -> bool {
    params.text("summary").is_some_and(|text| text == "1" || text.contains("true") || text.contains("total_count"))
}

/// The address of another page: all parameters of this one, and the cursor.
pub(crate) fn href(params: &Params, link: &Link, cursor: &str, value: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("access_token", &link.token);
    for (name, value) in params.iter().filter(|(name, _)| !matches!(name.as_str(), "after" | "before")) {
        query.append_pair(name, &as_text(value));
    }
    query.append_pair(cursor, value);
    format!("{}?{}", link.address, query.finish())
}

/// The cursor of a key.
pub(crate) fn seal(key: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("QVFI{key}"))
}

fn open(cursor: &str) -> Result<u64, Refusal> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("QVFI")?.parse().ok())
        .ok_or_else(bad_cursor)
}

/// The refusal of a cursor that leads nowhere.
pub(crate) fn bad_cursor() -> Refusal {
    Refusal::new(2642, "(#2642) Invalid cursors values")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link { address: "http://h/v26.0/act_1/ads".to_owned(), token: "TOK".to_owned() }
    }

    #[test]
    fn pages_follow_each_other_until_there_is_no_next() {
        let keys: Vec<u64> = (1..=5).rev().collect();
        let mut params = Params::from_form("limit=2&fields=id");
        let mut seen = Vec::new();
        loop {
            let page = cut(&keys, &params).unwrap();
            seen.extend(page.keys.clone());
            let body = answer(&page, Vec::new(), &params, &link());
            let Some(next) = body["paging"]["next"].as_str() else { break };
            assert!(next.contains("access_token=TOK") && next.contains("fields=id"), "{next}");
            params = Params::from_form(next.split_once('?').unwrap().1);
        }
        assert_eq!(seen, keys);
    }

    #[test]
    fn a_row_that_comes_before_the_cursor_moves_nothing() {
        let first = cut(&[3, 2, 1], &Params::from_form("limit=1")).unwrap();
        let after = seal(*first.keys.last().unwrap());
        let second = cut(&[4, 3, 2, 1], &Params::from_form(&format!("limit=1&after={after}"))).unwrap();
        assert_eq!(second.keys, [2]);
    }

    #[test]
    fn the_page_before_ends_where_this_one_began() {
        let before = seal(2);
        let page = cut(&[5, 4, 3, 2, 1], &Params::from_form(&format!("limit=2&before={before}"))).unwrap();
        assert_eq!(page.keys, [4, 3]);
        assert!(page.has_previous && page.has_next);
    }

    #[test]
    fn no_rows_are_wanted_only_with_their_count() {
        let page = cut(&[2, 1], &Params::from_form("limit=0&summary=true")).unwrap();
        assert_eq!((page.keys.len(), page.total), (0, 2));
        assert!(cut(&[2, 1], &Params::from_form("limit=0")).is_err());
    }

    #[test]
    fn an_unknown_cursor_is_refused() {
        assert_eq!(cut(&[1], &Params::from_form("after=zzz")).unwrap_err().code(), 2642);
    }
}
