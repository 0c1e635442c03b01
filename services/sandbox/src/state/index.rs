//! The indexes over the objects: kept at every change, so that no read walks the world.

use std::collections::{BTreeSet, HashMap};

use super::{Kind, Object, Status};

/// Where objects are found by what they belong to, what they are, and what they hold.
#[derive(Debug, Default)]
pub(super) struct Index {
    children: HashMap<(u64, Kind), BTreeSet<u64>>,
    kinds: HashMap<Kind, BTreeSet<u64>>,
    images: HashMap<(u64, String), u64>,
    creatives: HashMap<(u64, String), u64>,
    statuses: HashMap<(u64, Kind, Status), u64>,
    versions: HashMap<u64, u64>,
}

impl Index {
    /// Takes in an object that is about to stand in the place of `old`.
    pub(super) fn put(&mut self, old: Option<&Object>, object: &Object) {
        if let Some(old) = old {
            self.forget(old, object);
        }
        for parent in object.parents() {
            self.children.entry((parent, object.kind)).or_default().insert(object.id);
        }
        self.kinds.entry(object.kind).or_default().insert(object.id);
        *self.statuses.entry((object.account, object.kind, object.status)).or_default() += 1;
        *self.versions.entry(object.account).or_default() += 1;
        let content = |name: &str| (object.account, object.text(name).to_owned());
        match object.kind {
            Kind::Image => {
                self.images.insert(content("hash"), object.id);
            }
            Kind::Creative if object.status != Status::Deleted => {
                self.creatives.insert(content("_content"), object.id);
            }
            Kind::Creative => {
                self.creatives.remove(&content("_content"));
            }
            _ => {}
        }
    }

    /// Takes an object out as if it had never been.
    pub(super) fn remove(&mut self, old: &Object) {
        for parent in old.parents() {
            if let Some(children) = self.children.get_mut(&(parent, old.kind)) {
                children.remove(&old.id);
            }
        }
        if let Some(ids) = self.kinds.get_mut(&old.kind) {
            ids.remove(&old.id);
        }
        if let Some(count) = self.statuses.get_mut(&(old.account, old.kind, old.status)) {
            *count = count.saturating_sub(1);
        }
        *self.versions.entry(old.account).or_default() += 1;
        let content = |name: &str| (old.account, old.text(name).to_owned());
        match old.kind {
            Kind::Image => drop(self.images.remove(&content("hash"))),
            Kind::Creative => drop(self.creatives.remove(&content("_content"))),
            _ => {}
        }
    }

    fn forget(&mut self, old: &Object, object: &Object) {
        if old.parents().ne(object.parents()) {
            for parent in old.parents() {
                if let Some(children) = self.children.get_mut(&(parent, old.kind)) {
                    children.remove(&old.id);
                }
            }
        }
        if let Some(count) = self.statuses.get_mut(&(old.account, old.kind, old.status)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The ids of one kind below a parent.
    pub(super) fn children(&self, parent: u64, kind: Kind) -> Option<&BTreeSet<u64>> {
        self.children.get(&(parent, kind))
    }

    /// All ids of one kind.
    pub(super) fn kind(&self, kind: Kind) -> Option<&BTreeSet<u64>> {
        self.kinds.get(&kind)
    }

    pub(super) fn image(&self, account: u64, hash: &str) -> Option<u64> {
        self.images.get(&(account, hash.to_owned())).copied()
    }

    pub(super) fn creative(&self, account: u64, content: &str) -> Option<u64> {
        self.creatives.get(&(account, content.to_owned())).copied()
    }

    /// How many objects of an account have that status of their own.
    pub(super) fn with_status(&self, account: u64, kind: Kind, status: Status) -> u64 {
        self.statuses.get(&(account, kind, status)).copied().unwrap_or_default()
    }

    /// Grows with every change of an object of the account.
    pub(super) fn version(&self, account: u64) -> u64 {
        self.versions.get(&account).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    fn ad(ad_set: u64) -> Object {
        let mut ad = Object::new(9, Kind::Ad, 1, Timestamp::UNIX_EPOCH).with(json!({ "name": "A" }));
        ad.ad_set = Some(ad_set);
        ad
    }

    #[test]
    fn an_object_is_found_only_where_it_stands_now() {
        let mut index = Index::default();
        index.put(None, &ad(5));
        index.put(Some(&ad(5)), &ad(6));
        assert!(index.children(5, Kind::Ad).is_none_or(BTreeSet::is_empty));
        assert_eq!(index.children(6, Kind::Ad), Some(&BTreeSet::from([9])));
        assert_eq!(index.kind(Kind::Ad), Some(&BTreeSet::from([9])));
    }

    #[test]
    fn what_is_removed_is_found_nowhere() {
        let mut index = Index::default();
        index.put(None, &ad(5));
        index.remove(&ad(5));
        assert!(index.children(5, Kind::Ad).is_none_or(BTreeSet::is_empty));
        assert!(index.kind(Kind::Ad).is_none_or(BTreeSet::is_empty));
        assert_eq!(index.with_status(1, Kind::Ad, Status::Active), 0);
        assert_eq!(index.version(1), 2, "what is remembered of before no longer holds");
    }

    #[test]
    fn statuses_are_counted_as_they_change() {
        let mut index = Index::default();
        let mut paused = ad(5);
        paused.status = Status::Paused;
        index.put(None, &ad(5));
        index.put(Some(&ad(5)), &paused);
        assert_eq!(index.with_status(1, Kind::Ad, Status::Active), 0);
        assert_eq!(index.with_status(1, Kind::Ad, Status::Paused), 1);
        assert_eq!(index.version(1), 2);
    }
}
