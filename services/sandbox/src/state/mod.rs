//! The world: everything that Meta would know, in memory, changed only by [`State::commit`].

mod activity;
mod apps;
mod builder;
mod change;
mod delivery;
mod file;
mod history;
mod index;
mod large;
mod limits;
mod media;
mod object;
mod people;
mod remembered;
mod settings;
mod showcase;
mod small;
mod source;
mod status;
mod tally;
mod undo;
mod uses;
mod zone;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeBounds;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::insights::Sums;
use crate::webhooks::{Notice, Touch};

pub(crate) use activity::{Activity, Actor};
pub(crate) use change::{Batch, Change, Code, Device, Event, Grant, Holder, Members};
pub(crate) use delivery::settle as settle_delivery;
pub(crate) use history::Past;
pub(crate) use limits::Ceilings;
pub(crate) use media::{KEPT_BYTES_MAX, Media};
pub(crate) use object::{Kind, Object, Span, Status};
pub(crate) use people::{Session, Sessions};
pub(crate) use settings::{Dialog, Settings};
pub(crate) use small::{
    ACCOUNTS, APP, APP_NAME, APP_SECRET, DATASET, INSTAGRAM, PAGE, SCOPES, SYSTEM_USER_TOKEN, USER,
};
pub(crate) use source::Source;
pub(crate) use status::{Verdict, effective, is_delivering};
pub(crate) use zone::{day, iso, local, zone};

use index::Index;
use remembered::Remembered;
use tally::Tallies;

/// Where ids of new objects start: 18 digits, above those of the worlds.
const FIRST_ID: u64 = 120_210_000_000_000_000;

/// The world and its indexes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    /// Counts the changes, so that what is made up never repeats.
    serial: u64,
    next_id: u64,
    objects: BTreeMap<u64, Object>,
    index: Index,
    /// The time zone of each ad account.
    zones: HashMap<u64, TimeZone>,
    tallies: Tallies,
    remembered: Remembered,
    tokens: HashMap<String, Arc<Grant>>,
    codes: HashMap<String, Code>,
    pub(crate) media: Media,
    activities: activity::Activities,
    /// Who does what is done now.
    pub(crate) actor: Actor,
    /// Asynchronous sets that nobody works off yet.
    woken: Vec<u64>,
    uses: uses::Uses,
    members: HashMap<u64, HashSet<String>>,
    /// The people of a replacement that is not complete.
    replacing: HashMap<u64, HashSet<String>>,
    sessions: HashMap<u64, Sessions>,
    events: BTreeMap<u64, Vec<Event>>,
    seen: HashMap<(u64, String, String), Timestamp>,
    /// How often a thing that takes its time was asked for; forgotten at a restart, which only means a longer wait.
    polls: HashMap<u64, u32>,
    /// The lines of the journal that are not yet written; none are kept without a journal.
    pending: Option<Vec<u8>>,
    committed: u64,
    /// Sums of insights, which follow from the objects and are made again where they are missing.
    pub(crate) sums: Sums,
    /// Objects that were put, and what is to be told, since the webhooks last looked.
    touched: Vec<(u64, Touch)>,
    notices: Vec<Notice>,
    history: history::History,
}

impl State {
    /// The world as it is before anybody touched it.
    pub(crate) fn new(source: &Source, seed: u64, now: Timestamp) -> Self {
        let mut state = Self {
            seed,
            settings: Settings::default(),
            serial: 0,
            next_id: FIRST_ID,
            objects: BTreeMap::new(),
            index: Index::default(),
            zones: HashMap::new(),
            tallies: Tallies::default(),
            remembered: Remembered::default(),
            tokens: HashMap::new(),
            codes: HashMap::new(),
            media: Media::default(),
            activities: activity::Activities::default(),
            actor: Actor::default(),
            woken: Vec::new(),
            uses: uses::Uses::default(),
            members: HashMap::new(),
            replacing: HashMap::new(),
            sessions: HashMap::new(),
            events: BTreeMap::new(),
            seen: HashMap::new(),
            polls: HashMap::new(),
            pending: None,
            committed: 0,
            sums: Sums::default(),
            touched: Vec::new(),
            notices: Vec::new(),
            history: history::History::default(),
        };
        // Meta's times are whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        match source {
            Source::Small => small::fill(&mut state, now),
            Source::Large => small::around(&mut state, now, |state, now| {
                small::campaigns(state, now);
                large::fill(state, now);
            }),
            Source::Written(plan) => small::around(&mut state, now, |state, now| file::fill(state, plan, now)),
        }
        apps::fill(&mut state, now);
        state.committed = 0;
        state.touched.clear();
        state.take_committed_ids();
        state
    }

    /// From now on every change is also written down for the journal.
    pub(crate) fn keep_changes(&mut self) {
        self.pending.get_or_insert_default();
    }

    /// The journal lines since the last call.
    pub(crate) fn take_pending(&mut self) -> Vec<u8> {
        self.pending.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The objects that were put since the last call.
    pub(crate) fn take_touched(&mut self) -> Vec<(u64, Touch)> {
        std::mem::take(&mut self.touched)
    }

    /// Has something told to subscribers that follows from no object.
    pub(crate) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// What is to be told since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// How many changes were committed by callers.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// Makes a change, for good.
    pub(crate) fn commit(&mut self, change: Change) {
        if let Some(pending) = self.pending.as_mut() {
            match serde_json::to_writer(&mut *pending, &change) {
                Ok(()) => pending.push(b'\n'),
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "change not journalled"),
            }
        }
        if let Change::Put(object) = &change {
            let touch = if self.objects.contains_key(&object.id) { Touch::Changed } else { Touch::Made };
            self.touched.push((object.id, touch));
        }
        self.history.note(&change);
        self.apply(change);
        self.committed += 1;
    }

    /// Makes a change that the journal already holds.
    pub(crate) fn apply(&mut self, change: Change) {
        self.serial += 1;
        match change {
            Change::Put(object) => self.put(*object),
            Change::Token { digest, grant } => {
                self.tokens.insert(digest, Arc::new(grant));
            }
            Change::Code { digest, code } => {
                self.codes.insert(digest, code);
            }
            Change::CodeUsed { digest } => {
                if let Some(code) = self.codes.get_mut(&digest) {
                    code.used = true;
                }
            }
            Change::Media { key, at, bytes } => match STANDARD.decode(&bytes) {
                Ok(bytes) => self.media.put(key, at, &bytes),
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "media not readable"),
            },
            Change::Activity(activity) => self.activities.push(self.serial, *activity),
            Change::Members(members) => self.take_members(members),
            Change::Events { dataset, events } => {
                for event in &events {
                    if let (true, Some(id)) = (event.effective, &event.event_id) {
                        self.seen.insert((dataset, event.event_name.clone(), id.clone()), event.received);
                    }
                }
                self.events.entry(dataset).or_default().extend(events);
            }
        }
    }

    fn put(&mut self, object: Object) {
        self.next_id = self.next_id.max(object.id.saturating_add(1));
        self.sums.see(self.objects.get(&object.id), &object);
        if object.kind == Kind::Creative {
            self.uses.note(self.objects.get(&object.id), &object);
        }
        if object.kind == Kind::AdAccount {
            self.zones.insert(object.id, zone::named(&object));
        }
        self.index.put(self.objects.get(&object.id), &object);
        let below = self.index.children(object.id, Kind::Ad).into_iter().flatten();
        self.tallies.touch(&object, below);
        let id = object.id;
        let before = self.objects.insert(id, object);
        self.history.remember(id, before);
    }

    /// Makes it as if an object had never been.
    fn remove(&mut self, id: u64) {
        let Some(old) = self.objects.remove(&id) else { return };
        if old.kind == Kind::Creative {
            let mut gone = old.clone();
            gone.status = Status::Deleted;
            self.uses.note(Some(&old), &gone);
        }
        self.index.remove(&old);
        let below = self.index.children(id, Kind::Ad).into_iter().flatten();
        self.tallies.touch(&old, below);
    }

    pub(crate) fn object(&self, id: u64) -> Option<&Object> {
        self.objects.get(&id)
    }

    /// The object, if it is of that kind.
    pub(crate) fn of_kind(&self, id: u64, kind: Kind) -> Option<&Object> {
        self.objects.get(&id).filter(|object| object.kind == kind)
    }

    pub(crate) fn apps(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::App).filter_map(|id| self.objects.get(&id))
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// The ids of one kind, oldest first.
    pub(crate) fn all(&self, kind: Kind) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.all_in(kind, ..)
    }

    /// Those of them that lie in a range.
    pub(crate) fn all_in(&self, kind: Kind, range: impl RangeBounds<u64>) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.index.kind(kind).map(|ids| ids.range(range).copied()).into_iter().flatten()
    }

    /// The ids of one kind below a parent, oldest first.
    pub(crate) fn children(&self, parent: u64, kind: Kind) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.children_in(parent, kind, ..)
    }

    /// Those of them that lie in a range.
    pub(crate) fn children_in(
        &self,
        parent: u64,
        kind: Kind,
        range: impl RangeBounds<u64>,
    ) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.index.children(parent, kind).map(|ids| ids.range(range).copied()).into_iter().flatten()
    }

    /// How many objects of an account have that status of their own.
    pub(crate) fn with_status(&self, account: u64, kind: Kind, status: Status) -> u64 {
        self.index.with_status(account, kind, status)
    }

    pub(crate) fn child_count(&self, parent: u64, kind: Kind) -> usize {
        self.index.children(parent, kind).map_or(0, std::collections::BTreeSet::len)
    }

    pub(crate) fn image(&self, account: u64, hash: &str) -> Option<&Object> {
        self.index.image(account, hash).and_then(|id| self.objects.get(&id))
    }

    /// What was done in an account, oldest first, each with its number.
    pub(crate) fn activities(&self, account: u64) -> impl DoubleEndedIterator<Item = &(u64, Activity)> {
        self.activities.of(account)
    }

    /// Has an asynchronous set worked off from now on.
    pub(crate) fn wake(&mut self, set: u64) {
        self.woken.push(set);
    }

    /// The sets that were woken since the last call.
    pub(crate) fn take_woken(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.woken)
    }

    /// The creatives that show an image.
    pub(crate) fn users_of_image(&self, account: u64, hash: &str) -> impl Iterator<Item = u64> + '_ {
        self.uses.of(account, hash)
    }

    /// A creative of the account with the same content.
    pub(crate) fn same_creative(&self, account: u64, content: &str) -> Option<u64> {
        self.index.creative(account, content)
    }

    pub(crate) fn token(&self, digest: &str) -> Option<&Arc<Grant>> {
        self.tokens.get(digest)
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = (&String, &Grant)> {
        self.tokens.iter().map(|(digest, grant)| (digest, &**grant))
    }

    pub(crate) fn code(&self, digest: &str) -> Option<&Code> {
        self.codes.get(digest)
    }

    pub(crate) fn events(&self, dataset: u64) -> &[Event] {
        self.events.get(&dataset).map(Vec::as_slice).unwrap_or_default()
    }

    /// When an event of that name and id last counted.
    pub(crate) fn event_seen(&self, dataset: u64, name: &str, id: &str) -> Option<Timestamp> {
        self.seen.get(&(dataset, name.to_owned(), id.to_owned())).copied()
    }

    /// Counts one look at a thing that takes its time, and says how many there were before.
    pub(crate) fn poll(&mut self, id: u64) -> u32 {
        let polls = self.polls.entry(id).or_default();
        let before = *polls;
        *polls = polls.saturating_add(1);
        before
    }

    /// How often it was looked at.
    pub(crate) fn polls(&self, id: u64) -> u32 {
        self.polls.get(&id).copied().unwrap_or_default()
    }

    /// An id that nothing has.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        id
    }

    /// A word that nobody guesses by accident, and that no other change gets.
    pub(crate) fn fresh_secret(&self, purpose: &str) -> String {
        let text = format!("{}:{}:{purpose}", self.seed, self.serial);
        hex::encode(digest(&SHA256, text.as_bytes()))
    }

    pub(crate) fn currency(&self, account: u64) -> &str {
        self.object(account).map(|object| object.text("currency")).unwrap_or_default()
    }

    /// Ads that deliver now; they raise the limits.
    pub(crate) fn active_ads(&self, account: u64, now: Timestamp) -> u64 {
        self.tallies.active(self, account, now)
    }

    pub(crate) fn active_audiences(&self, account: u64) -> u64 {
        [Status::Active, Status::Paused]
            .map(|status| self.with_status(account, Kind::Audience, status))
            .into_iter()
            .sum()
    }
}

/// The digest under which a secret is kept.
pub(crate) fn sealed(secret: &str) -> String {
    hex::encode(digest(&SHA256, secret.as_bytes()))
}

/// An id as it stands in answers; ad accounts with their prefix.
pub(crate) fn shown_id(object: &Object) -> Value {
    match object.kind {
        Kind::AdAccount => Value::String(format!("act_{}", object.id)),
        Kind::Image => Value::String(format!("{}:{}", object.account, object.text("hash"))),
        _ => Value::String(object.id.to_string()),
    }
}
