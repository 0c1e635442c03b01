//! The objects behind an edge, walked only as far as a page needs: an account may have a hundred thousand ads.

use std::ops::Bound;

use crate::error::Refusal;
use crate::filter::Filter;
use crate::paging::{self, Page, Place};
use crate::params::Params;
use crate::render::View;
use crate::state::{Kind, Object, State};

/// The objects behind an edge, in its order.
#[derive(Debug)]
pub(crate) enum Ids {
    /// Those of one kind below a parent, newest first.
    Below { parent: u64, kind: Kind },
    /// All of one kind, oldest first.
    All(Kind),
    /// Others, as they stand.
    Listed(Vec<u64>),
}

impl From<Vec<u64>> for Ids {
    fn from(ids: Vec<u64>) -> Self {
        Self::Listed(ids)
    }
}

type Walk<'a> = Box<dyn Iterator<Item = u64> + 'a>;

impl Ids {
    /// The same from the other end, where the caller asks for the other of the two orders.
    pub(crate) fn in_order(&self, state: &State, params: &Params) -> Option<Self> {
        let is_newest_first = !matches!(self, Self::All(_));
        let turn = match params.text("order")?.as_str() {
            "chronological" => is_newest_first,
            "reverse_chronological" => !is_newest_first,
            _ => false,
        };
        turn.then(|| {
            let mut ids: Vec<u64> = self.walk(state).collect();
            ids.reverse();
            Self::Listed(ids)
        })
    }

    pub(crate) fn walk<'a>(&'a self, state: &'a State) -> Walk<'a> {
        match self {
            Self::Below { parent, kind } => Box::new(state.children(*parent, *kind).rev()),
            Self::All(kind) => Box::new(state.all(*kind)),
            Self::Listed(ids) => Box::new(ids.iter().copied()),
        }
    }

    /// The kind of its objects, where they are all of one.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Below { kind, .. } | Self::All(kind) => Some(*kind),
            Self::Listed(_) => None,
        }
    }

    /// Fails for a key that never was on this edge.
    fn knows(&self, state: &State, key: u64) -> Result<(), Refusal> {
        let was = |object: &Object| match self {
            Self::Below { parent, kind } => object.kind == *kind && object.parents().any(|other| other == *parent),
            Self::All(kind) => object.kind == *kind,
            Self::Listed(ids) => ids.contains(&object.id),
        };
        if state.object(key).is_some_and(was) { Ok(()) } else { Err(paging::bad_cursor()) }
    }

    /// What follows a key. A key that has gone since still has its place, unless the edge was listed.
    fn after<'a>(&'a self, state: &'a State, key: u64) -> Result<Walk<'a>, Refusal> {
        Ok(match self {
            Self::Below { parent, kind } => Box::new(state.children_in(*parent, *kind, ..key).rev()),
            Self::All(kind) => Box::new(state.all_in(*kind, above(key))),
            Self::Listed(ids) => Box::new(ids.iter().skip(place(ids, key)? + 1).copied()),
        })
    }

    /// What comes before a key, the nearest first.
    fn before<'a>(&'a self, state: &'a State, key: u64) -> Result<Walk<'a>, Refusal> {
        Ok(match self {
            Self::Below { parent, kind } => Box::new(state.children_in(*parent, *kind, above(key))),
            Self::All(kind) => Box::new(state.all_in(*kind, ..key).rev()),
            Self::Listed(ids) => Box::new(ids.iter().take(place(ids, key)?).rev().copied()),
        })
    }
}

fn above(key: u64) -> (Bound<u64>, Bound<u64>) {
    (Bound::Excluded(key), Bound::Unbounded)
}

fn place(ids: &[u64], key: u64) -> Result<usize, Refusal> {
    ids.iter().position(|&id| id == key).ok_or_else(paging::bad_cursor)
}

/// Cuts one page out of an edge. The total is counted only where the caller asks for it.
pub(crate) fn page(view: &View<'_>, ids: &Ids, filter: &Filter, params: &Params) -> Result<Page, Refusal> {
    let state = view.state;
    let limit = paging::limit(params)?;
    if let Some(kind) = ids.kind() {
        filter.fits(kind)?;
    }
    let cut = |walk: Walk<'_>, limit: usize| wanted(view, filter, walk, limit);
    let (keys, has_next, has_previous) = match paging::place(params)? {
        Place::Start => {
            let (keys, more) = cut(ids.walk(state), limit)?;
            (keys, more, false)
        }
        Place::After(key) => {
            ids.knows(state, key)?;
            let (keys, more) = cut(ids.after(state, key)?, limit)?;
            let before = match keys.first() {
                Some(&first) => !cut(ids.before(state, first)?, 1)?.0.is_empty(),
                None => false,
            };
            (keys, more, before)
        }
        Place::Before(key) => {
            ids.knows(state, key)?;
            let (mut keys, more) = cut(ids.before(state, key)?, limit)?;
            keys.reverse();
            let after = match keys.last() {
                Some(&last) => !cut(ids.after(state, last)?, 1)?.0.is_empty(),
                None => false,
            };
            (keys, after, more)
        }
    };
    let total = if paging::wants_summary(params) { total(view, ids, filter)? } else { 0 };
    Ok(Page { keys, has_next, has_previous, total })
}

/// Up to `limit` keys that the filter wants, and whether there are more.
fn wanted(view: &View<'_>, filter: &Filter, walk: Walk<'_>, limit: usize) -> Result<(Vec<u64>, bool), Refusal> {
    let mut keys = Vec::new();
    for id in walk {
        if wants(view, filter, id)? {
            if keys.len() == limit {
                return Ok((keys, true));
            }
            keys.push(id);
        }
    }
    Ok((keys, false))
}

fn wants(view: &View<'_>, filter: &Filter, id: u64) -> Result<bool, Refusal> {
    view.state.object(id).map_or(Ok(false), |object| filter.wants(view.state, object, view.now))
}

fn total(view: &View<'_>, ids: &Ids, filter: &Filter) -> Result<usize, Refusal> {
    if let (Ids::Below { parent, kind }, true) = (ids, filter.is_default())
        && let Some(account) = view.state.object(*parent).map(|object| object.account).filter(|&account| account != 0)
    {
        let count = || ids.walk(view.state).filter(|&id| wants(view, filter, id).unwrap_or(false)).count();
        return Ok(view.state.total(account, (*parent, *kind), count));
    }
    let mut total = 0;
    for id in ids.walk(view.state) {
        total += usize::from(wants(view, filter, id)?);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Change, Source, Status};
    use crate::version::Version;
    use jiff::Timestamp;

    fn now() -> Timestamp {
        "2026-11-15T20:30:00Z".parse().unwrap()
    }

    fn cut(state: &State, ids: &Ids, query: &str) -> Page {
        let view =
            View { state, now: now(), version: Version(26), base: "http://h", token: "TOK", thumbnail: (None, None) };
        let params = Params::from_form(query);
        page(&view, ids, &Filter::of(&params).unwrap(), &params).unwrap()
    }

    fn ads() -> Ids {
        Ids::Below { parent: ACCOUNTS[0], kind: Kind::Ad }
    }

    #[test]
    fn the_pages_of_every_order_join_and_lead_back() {
        let state = State::new(&Source::Small, 1, now());
        let listed = Ids::Listed(ads().walk(&state).collect());
        for ids in [ads(), listed, Ids::All(Kind::Ad)] {
            let all: Vec<u64> = ids.walk(&state).collect();
            let first = cut(&state, &ids, "limit=4");
            assert!(first.has_next && !first.has_previous);
            let after = paging::seal(*first.keys.last().unwrap());
            let second = cut(&state, &ids, &format!("limit=4&after={after}"));
            assert!(!second.has_next && second.has_previous);
            assert_eq!([first.keys.clone(), second.keys.clone()].concat(), all);
            let before = paging::seal(second.keys[0]);
            let back = cut(&state, &ids, &format!("limit=4&before={before}"));
            assert_eq!((back.keys, back.has_next, back.has_previous), (first.keys, true, false));
        }
    }

    #[test]
    fn a_total_that_is_remembered_follows_every_change() {
        let mut state = State::new(&Source::Small, 1, now());
        assert_eq!(cut(&state, &ads(), "limit=1&summary=true").total, 6);
        let id = ads().walk(&state).next().unwrap();
        let mut ad = state.object(id).cloned().unwrap();
        ad.status = Status::Archived;
        state.commit(Change::Put(Box::new(ad)));
        assert_eq!(cut(&state, &ads(), "limit=1&summary=true").total, 5);
        assert_eq!(cut(&state, &ads(), "summary=true&effective_status=[\"ARCHIVED\"]").total, 1);
    }

    #[test]
    fn a_cursor_of_another_edge_leads_nowhere() {
        let state = State::new(&Source::Small, 1, now());
        let campaign = state.children(ACCOUNTS[0], Kind::Campaign).next().unwrap();
        let view = View {
            state: &state,
            now: now(),
            version: Version(26),
            base: "http://h",
            token: "TOK",
            thumbnail: (None, None),
        };
        for (ids, key) in [(ads(), campaign), (ads(), 7), (Ids::All(Kind::Ad), campaign)] {
            for name in ["after", "before"] {
                let params = Params::from_form(&format!("{name}={}", paging::seal(key)));
                let refusal = page(&view, &ids, &Filter::of(&params).unwrap(), &params).unwrap_err();
                assert_eq!(refusal.code(), 2642);
            }
        }
    }

    #[test]
    fn a_cursor_keeps_its_place_when_its_row_goes() {
        let mut state = State::new(&Source::Small, 1, now());
        let first = cut(&state, &ads(), "limit=2");
        let cursor = paging::seal(first.keys[1]);
        let mut ad = state.object(first.keys[1]).cloned().unwrap();
        ad.status = Status::Deleted;
        state.commit(Change::Put(Box::new(ad)));
        let all: Vec<u64> = ads().walk(&state).collect();
        assert_eq!(cut(&state, &ads(), &format!("limit=2&after={cursor}")).keys, all[2..4]);
    }
}
