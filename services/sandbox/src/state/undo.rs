//! A call that is refused changes nothing: what it committed on its way to the refusal is taken back.

use super::State;

/// Where the world stood when a call began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    remembered: u64,
    pending: usize,
    committed: u64,
    serial: u64,
    ids: usize,
    touched: usize,
    notices: usize,
    woken: usize,
}

impl State {
    /// Where the world stands now.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            remembered: self.history.remembered(),
            pending: self.pending.as_ref().map_or(0, Vec::len),
            committed: self.committed,
            serial: self.serial,
            ids: self.history.committed_ids(),
            touched: self.touched.len(),
            notices: self.notices.len(),
            woken: self.woken.len(),
        }
    }

    /// Makes the world what it was at the mark: its objects, what was told of them, and the journal. Tokens, members and
    /// events are committed last in their calls, so nothing of theirs is left behind by a refusal.
    pub(crate) fn undo(&mut self, mark: Mark) {
        if self.committed == mark.committed {
            return;
        }
        self.take_back(mark.remembered);
        self.activities.forget_since(mark.serial);
        if let Some(pending) = self.pending.as_mut() {
            pending.truncate(mark.pending);
        }
        self.history.forget_ids(mark.ids);
        self.touched.truncate(mark.touched);
        self.notices.truncate(mark.notices);
        self.woken.truncate(mark.woken);
        self.committed = mark.committed;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ACCOUNTS, Activity, Actor, Change, Kind, Object, Source};
    use super::*;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    #[test]
    fn what_was_made_and_changed_since_the_mark_is_as_it_was() {
        let now: Timestamp = "2026-11-15T20:30:00Z".parse().unwrap();
        let mut state = State::new(&Source::Small, 1, now);
        state.keep_changes();
        state.begin(now);
        let old = state.all(Kind::Campaign).next().and_then(|id| state.object(id)).cloned().unwrap();
        state.commit(Change::Put(Box::new(old.clone().with(json!({ "name": "kept" })))));
        let (mark, lines) = (state.mark(), state.pending.clone());
        for name in ["once", "twice"] {
            state.commit(Change::Put(Box::new(old.clone().with(json!({ "name": name })))));
        }
        let id = state.fresh_id();
        state.commit(Change::Put(Box::new(Object::new(id, Kind::Campaign, ACCOUNTS[0], now))));
        state.commit(Change::Activity(Box::new(Activity {
            account: ACCOUNTS[0],
            at: now,
            event: "create_campaign".to_owned(),
            object: id,
            object_name: String::new(),
            actor: Actor::default(),
            extra: Value::Null,
        })));
        let told = state.activities(ACCOUNTS[0]).count();
        state.undo(mark);
        assert_eq!(state.object(old.id).unwrap().name(), "kept");
        assert!(state.object(id).is_none() && state.children(ACCOUNTS[0], Kind::Campaign).all(|other| other != id));
        assert_eq!(state.pending, lines);
        assert_eq!(state.activities(ACCOUNTS[0]).count(), told - 1);
        assert_eq!(state.take_committed_ids(), [old.id]);
        assert_eq!(state.committed(), 1);
    }
}
