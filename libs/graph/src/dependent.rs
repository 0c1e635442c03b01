//! Calls that build on each other's answers within one batch (Meta, "Graph API: batch requests", dependencies).

use std::{collections::HashSet, fmt};

use serde_json::Value;

use crate::{
    batch::{self, Extra, ItemReply},
    call::Call,
    client::{Client, Outgoing},
    error::Error,
    many,
    meta_error::MetaError,
    on::On,
    outcome, passthrough,
    usage::{Headers, TRACE_ID},
};

/// Something that an earlier call of the batch answers with; as text it stands wherever a value may.
///
/// ```text
/// {result=creative:$.id}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    name: String,
    path: String,
}

impl Reference {
    /// What is at this JSON path of the answer to the call of this name: `$`, `.name`, `.*`, `[n]` and `[*]`, as Meta
    /// reads them. Several hits are joined with commas.
    pub fn to(name: &str, path: &str) -> Self {
        Self { name: name.to_owned(), path: path.to_owned() }
    }

    /// The references that stand in a text.
    fn all_in(text: &str) -> impl Iterator<Item = Option<Self>> + '_ {
        text.split("{result=").skip(1).map(|rest| {
            let (name, path) = rest.split_once('}')?.0.split_once(':')?;
            is_path(path).then(|| Self::to(name, path))
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{{result={}:{}}}", self.name, self.path)
    }
}

/// Is it of the part of JSON path that Meta reads?
fn is_path(path: &str) -> bool {
    let Some(mut rest) = path.strip_prefix('$') else { return false };
    while !rest.is_empty() {
        let is_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
        let after = if let Some(step) = rest.strip_prefix('.') {
            let word = step.trim_start_matches(is_word);
            if word.len() < step.len() { Some(word) } else { step.strip_prefix('*') }
        } else {
            rest.strip_prefix('[').and_then(|step| {
                let (index, after) = step.split_once(']')?;
                let is_index = index == "*" || (!index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()));
                is_index.then_some(after)
            })
        };
        match after {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// One call of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    call: Call<Value>,
    name: String,
    depends_on: String,
}

impl Item {
    /// A call that nothing builds on.
    pub fn new(call: Call<Value>) -> Self {
        Self { call, name: String::new(), depends_on: String::new() }
    }

    /// Under this name, by which later calls refer to it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Only once the call of this name has succeeded; a reference says the same.
    #[must_use]
    pub fn after(mut self, name: &str) -> Self {
        name.clone_into(&mut self.depends_on);
        self
    }
}

/// Why some calls are no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// None, or too many.
    #[error("a batch has 1 to {} calls", batch::ITEMS_MAX)]
    Size,
    /// A name that Meta would not read, or that stands twice.
    #[error("call {0} needs a name of its own: letters, digits, `-` and `_`")]
    Name(usize),
    /// A reference that cannot be read, or to no earlier call.
    #[error("call {0} refers to what no earlier call of the batch is named, or by a path that Meta does not read")]
    Reference(usize),
    /// A file cannot travel in a batch of this kind.
    #[error("call {0} carries a file, which has to be sent by itself")]
    File(usize),
}

/// Calls for one HTTP request, in an order in which each builds on earlier ones only.
#[derive(Debug, Clone)]
pub struct Batch(Vec<Item>);

impl Batch {
    /// These calls, if they fit together.
    ///
    /// # Errors
    /// The first thing that is wrong, with the place of the call.
    pub fn new(items: Vec<Item>) -> Result<Self, BatchError> {
        if !(1..=batch::ITEMS_MAX).contains(&items.len()) {
            return Err(BatchError::Size);
        }
        let mut names: HashSet<&str> = HashSet::new();
        for (place, item) in items.iter().enumerate() {
            let Item { call, name, depends_on } = item;
            if call.file.is_some() {
                return Err(BatchError::File(place));
            }
            let texts = call.fields.iter().map(|(_, value)| value.as_str()).chain([call.path.as_str()]);
            let known = |reference: Option<Reference>| reference.is_some_and(|it| names.contains(it.name.as_str()));
            let follows = depends_on.is_empty() || names.contains(depends_on.as_str());
            if !follows || !texts.flat_map(Reference::all_in).all(known) {
                return Err(BatchError::Reference(place));
            }
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if !plain || name.len() > 64 || (!name.is_empty() && !names.insert(name)) {
                return Err(BatchError::Name(place));
            }
        }
        Ok(Self(items))
    }
}

/// What came of one call of a batch.
#[derive(Debug, Clone)]
pub struct Replied {
    /// The HTTP status of the item.
    pub status: u16,
    /// The JSON, or Meta's words.
    pub result: Result<Value, Box<MetaError>>,
    /// Meta's trace id.
    pub trace_id: Option<String>,
}

impl Client {
    /// Sends a batch whose calls may build on each other; again only where all of it may be repeated. Links in the answers,
    /// which hold the token, are left out. `None` stands for a call that Meta did not finish, or
    /// whose dependency failed: whether it was executed is not known, so look before sending it again.
    ///
    /// # Errors
    /// As [`Client::send`], for the batch as a whole. `OutcomeUnknown` where one of its calls may not be repeated.
    pub async fn execute(&self, on: &On, batch: Batch) -> Result<Vec<Option<Replied>>, Error> {
        let (calls, extras): (Vec<Outgoing>, Vec<Extra>) = batch
            .0
            .into_iter()
            .map(|item| (Outgoing::from(item.call), Extra { name: item.name, depends_on: item.depends_on }))
            .unzip();
        let items: Vec<&Outgoing> = calls.iter().collect();
        let outer = batch::outer(&items, &extras);
        let delivered = self.deliver(on, &outer, None).await?;
        let replies: Vec<Option<ItemReply>> = outcome::read(&delivered.reply.body, &outer)?;
        self.told_of_items(on, &delivered, &replies, &items).await;
        let whole = delivered.reply.headers.value(TRACE_ID);
        let replied = |(reply, call): (Option<ItemReply>, &&Outgoing)| replied(on, call, &reply?, whole);
        let mut replied: Vec<_> = replies.into_iter().zip(&items).map(replied).collect();
        replied.resize_with(calls.len(), || None);
        Ok(replied)
    }
}

/// `None` too where a good answer cannot be read: what it made is not known.
fn replied(on: &On, call: &Outgoing, reply: &ItemReply, whole: Option<&str>) -> Option<Replied> {
    let result = match many::blamed(on, call, reply) {
        Some(error) => Err(Box::new(error)),
        None => Ok(passthrough::cleaned(serde_json::from_slice(reply.body()).ok()?)),
    };
    let trace_id = reply.headers().value(TRACE_ID).or(whole).map(str::to_owned);
    Some(Replied { status: reply.status(), result, trace_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Replay;

    fn read(path: &str) -> Item {
        Item::new(Call::get(path))
    }

    #[test]
    fn a_reference_is_to_an_earlier_call_and_by_a_path_that_meta_reads() {
        let ad = |reference: Reference| {
            let creative = Call::post("/act_1/adcreatives", Replay::Never);
            let ad = Call::post("/act_1/ads", Replay::Never)
                .json("creative", &serde_json::json!({ "id": reference.to_string() }));
            Batch::new(vec![Item::new(creative).named("creative"), Item::new(ad)]).map(drop)
        };
        for path in ["$", "$.id", "$.data.*.id", "$.data[0].id", "$.images[*].hash"] {
            assert_eq!(ad(Reference::to("creative", path)), Ok(()), "{path}");
        }
        for path in ["", "id", "$.", "$..id", "$.data[x]", "$.data[", "$[?(@.id)]"] {
            assert_eq!(ad(Reference::to("creative", path)), Err(BatchError::Reference(1)), "{path}");
        }
        assert_eq!(ad(Reference::to("other", "$.id")), Err(BatchError::Reference(1)));
    }

    #[test]
    fn nothing_builds_on_what_comes_later_or_on_itself() {
        let later = Batch::new(vec![read("/1").after("second"), read("/2").named("second")]);
        assert_eq!(later.map(drop), Err(BatchError::Reference(0)));
        let itself = Batch::new(vec![read("/{result=me:$.id}").named("me")]);
        assert_eq!(itself.map(drop), Err(BatchError::Reference(0)));
        assert!(Batch::new(vec![read("/1").named("first"), read("/2").after("first")]).is_ok());
    }

    #[test]
    fn names_are_plain_and_stand_once_and_fifty_is_the_most() {
        assert_eq!(Batch::new(vec![read("/1").named("a b")]).map(drop), Err(BatchError::Name(0)));
        let twice = vec![read("/1").named("a"), read("/2").named("a")];
        assert_eq!(Batch::new(twice).map(drop), Err(BatchError::Name(1)));
        assert_eq!(Batch::new(vec![read("/1"); 51]).map(drop), Err(BatchError::Size));
        assert_eq!(Batch::new(Vec::new()).map(drop), Err(BatchError::Size));
        assert!(Batch::new(vec![read("/1"); 50]).is_ok());
    }
}
