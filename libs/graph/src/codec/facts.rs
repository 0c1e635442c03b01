//! What the options say of each field, looked up once per message.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, RwLock},
};

use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use proto::meta::v1::{Form, Write};

/// The map of what we do not know yet: Meta's key to JSON text.
pub(super) const EXTRA: &str = "extra";

/// One field and what Meta calls it.
pub(super) struct Fact {
    pub(super) field: FieldDescriptor,
    /// Meta's key when written.
    pub(super) word: String,
    /// Meta's key when read.
    pub(super) read_word: String,
    pub(super) form: Form,
    pub(super) write: Write,
    pub(super) clear: Option<String>,
}

/// All fields of one message.
pub(super) struct Facts {
    pub(super) fields: Vec<Fact>,
    by_read_word: HashMap<String, usize>,
}

impl Facts {
    pub(super) fn read_as(&self, word: &str) -> Option<&Fact> {
        self.by_read_word.get(word).and_then(|index| self.fields.get(*index))
    }
}

static KNOWN: LazyLock<RwLock<HashMap<String, Arc<Facts>>>> = LazyLock::new(RwLock::default);

/// The facts of a message; made at its first use.
pub(super) fn of(message: &MessageDescriptor) -> Arc<Facts> {
    let name = message.full_name();
    if let Some(facts) = KNOWN.read().ok().and_then(|known| known.get(name).cloned()) {
        return facts;
    }
    let facts = Arc::new(make(message));
    if let Ok(mut known) = KNOWN.write() {
        known.insert(name.to_owned(), Arc::clone(&facts));
    }
    facts
}

fn make(message: &MessageDescriptor) -> Facts {
    let options = Options::of(message);
    let fields: Vec<Fact> =
        message.fields().filter(|field| field.name() != EXTRA).map(|field| options.fact(field)).collect();
    // A field that names its word wins over one that merely has the name: our resource's `name` is not Meta's `name`.
    let mut by_read_word = HashMap::new();
    for (index, fact) in fields.iter().enumerate() {
        let explicit = fact.read_word != fact.field.name();
        if explicit || !by_read_word.contains_key(&fact.read_word) {
            by_read_word.insert(fact.read_word.clone(), index);
        }
    }
    Facts { fields, by_read_word }
}

/// The extensions of `adplane.meta.v1`, as this pool knows them.
struct Options {
    word: Option<ExtensionDescriptor>,
    read_word: Option<ExtensionDescriptor>,
    form: Option<ExtensionDescriptor>,
    write: Option<ExtensionDescriptor>,
    clear: Option<ExtensionDescriptor>,
}

impl Options {
    fn of(message: &MessageDescriptor) -> Self {
        let pool = message.parent_pool();
        let get = |name: &str| pool.get_extension_by_name(&format!("adplane.meta.v1.{name}"));
        Self {
            word: get("word"),
            read_word: get("read_word"),
            form: get("form"),
            write: get("write"),
            clear: get("clear"),
        }
    }

    fn fact(&self, field: FieldDescriptor) -> Fact {
        let word = text(&field, self.word.as_ref()).unwrap_or_else(|| field.name().to_owned());
        Fact {
            read_word: text(&field, self.read_word.as_ref()).unwrap_or_else(|| word.clone()),
            form: number(&field, self.form.as_ref()).and_then(|form| Form::try_from(form).ok()).unwrap_or_default(),
            write: number(&field, self.write.as_ref())
                .and_then(|write| Write::try_from(write).ok())
                .unwrap_or_default(),
            clear: text(&field, self.clear.as_ref()),
            word,
            field,
        }
    }
}

fn text(field: &FieldDescriptor, option: Option<&ExtensionDescriptor>) -> Option<String> {
    let options = field.options();
    let option = option.filter(|option| options.has_extension(option))?;
    options.get_extension(option).as_str().map(str::to_owned)
}

fn number(field: &FieldDescriptor, option: Option<&ExtensionDescriptor>) -> Option<i32> {
    let options = field.options();
    let option = option.filter(|option| options.has_extension(option))?;
    options.get_extension(option).as_enum_number()
}

/// Meta's word for an enum value: its option, or its name without the enum's prefix.
pub(super) fn enum_word(enumeration: &EnumDescriptor, value: &EnumValueDescriptor) -> String {
    let options = value.options();
    let option = enumeration.parent_pool().get_extension_by_name("adplane.meta.v1.value_word");
    if let Some(option) = option.filter(|option| options.has_extension(option))
        && let Value::String(word) = options.get_extension(&option).into_owned()
    {
        return word;
    }
    let prefix = screaming(enumeration.name());
    value.name().strip_prefix(&format!("{prefix}_")).unwrap_or(value.name()).to_owned()
}

/// The number of the value that Meta calls `word`; never the zero.
pub(super) fn enum_number(enumeration: &EnumDescriptor, word: &str) -> Option<i32> {
    enumeration
        .values()
        .find(|value| value.number() != 0 && enum_word(enumeration, value) == word)
        .map(|value| value.number())
}

/// `BidStrategy` as `BID_STRATEGY`, the prefix that buf asks of its values.
fn screaming(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// The full name of a well-known message that the codec writes as a plain value.
pub(super) fn is_timestamp(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp")
}
