//! `Debug` for messages with secrets in them: fields that say `debug_redact = true` print as `<redacted>`.
//!
//! prost derives a `Debug` that prints everything. A message with a redacted field loses that one and gets the one
//! written here. What prost calls "skip" covers all that is nested in the message, so those get one too.

use std::collections::BTreeMap;
use std::fmt::Write;

use heck::{ToSnakeCase, ToUpperCamelCase};
use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor, OneofDescriptor, Value,
};

/// The outermost messages that must not be printed as they are.
pub struct Secrets {
    messages: Vec<MessageDescriptor>,
}

impl Secrets {
    pub fn find(pool: &DescriptorPool) -> Self {
        let with_secrets: Vec<_> =
            pool.all_messages().filter(|message| message.fields().any(|f| is_redacted(&f))).collect();
        let is_inside_another = |message: &MessageDescriptor| {
            std::iter::successors(message.parent_message(), MessageDescriptor::parent_message)
                .any(|parent| with_secrets.contains(&parent))
        };
        let messages = with_secrets.iter().filter(|message| !is_inside_another(message)).cloned().collect();
        Self { messages }
    }

    /// Their names as prost's builder wants them.
    pub fn paths(&self) -> Vec<String> {
        self.messages.iter().map(|message| format!(".{}", message.full_name())).collect()
    }

    /// Rust code by package.
    pub fn debug_impls(&self) -> BTreeMap<String, String> {
        let mut code = BTreeMap::new();
        for message in &self.messages {
            write_message(code.entry(message.package_name().to_owned()).or_default(), message);
        }
        code
    }
}

/// Read through reflection, because prost-types does not know the option.
fn is_redacted(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| *value == Value::Bool(true))
}

fn write_message(code: &mut String, message: &MessageDescriptor) {
    let mut body = String::new();
    for field in message.fields().filter(|field| real_oneof(field).is_none()) {
        write_field(&mut body, field.name(), is_redacted(&field));
    }
    let oneofs: Vec<_> = message.oneofs().filter(|oneof| !oneof.is_synthetic()).collect();
    for oneof in &oneofs {
        write_field(&mut body, oneof.name(), false);
    }
    write_impl(code, &path_of_message(message), &format!("f.debug_struct({:?}){body}.finish()", message.name()));
    oneofs.iter().for_each(|oneof| write_oneof(code, oneof));
    message.child_messages().filter(|child| !child.is_map_entry()).for_each(|child| write_message(code, &child));
    message.child_enums().for_each(|child| write_enum(code, &child));
}

fn write_field(body: &mut String, name: &str, redacted: bool) {
    let value =
        if redacted { "&format_args!(\"<redacted>\")".to_owned() } else { format!("&self.{}", field_name(name)) };
    write!(body, ".field({name:?}, {value})").expect("a String takes every write");
}

fn write_oneof(code: &mut String, oneof: &OneofDescriptor) {
    let mut arms = String::new();
    for field in oneof.fields() {
        let name = field.name().to_upper_camel_case();
        let (binding, value) =
            if is_redacted(&field) { ("_", "&format_args!(\"<redacted>\")") } else { ("value", "value") };
        write!(arms, "Self::{name}({binding}) => f.debug_tuple({name:?}).field({value}).finish(),")
            .expect("a String takes every write");
    }
    let parent = oneof.parent_message();
    let path = format!("{}::{}", module_of_children(parent), oneof.name().to_upper_camel_case());
    write_impl(code, &path, &format!("match self {{ {arms} }}"));
}

fn write_enum(code: &mut String, child: &EnumDescriptor) {
    let parent = child.parent_message().expect("only nested enums come here");
    let path = format!("{}::{}", module_of_children(&parent), child.name().to_upper_camel_case());
    write_impl(code, &path, "f.write_str(self.as_str_name())");
}

fn write_impl(code: &mut String, path: &str, body: &str) {
    write!(
        code,
        "impl ::core::fmt::Debug for {path} {{\n    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        {body}\n    }}\n}}\n"
    )
    .expect("a String takes every write");
}

fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

fn path_of_message(message: &MessageDescriptor) -> String {
    let name = message.name().to_upper_camel_case();
    match message.parent_message() {
        Some(parent) => format!("{}::{name}", module_of_children(&parent)),
        None => name,
    }
}

/// prost puts what is nested in a message into a module of the message's name.
fn module_of_children(message: &MessageDescriptor) -> String {
    let name = message.name().to_snake_case();
    match message.parent_message() {
        Some(parent) => format!("{}::{name}", module_of_children(&parent)),
        None => name,
    }
}

/// The keywords that occur as field names; another one shows as an error of the compiler in the generated file.
fn field_name(name: &str) -> String {
    match name {
        "type" | "match" | "ref" | "use" | "in" | "for" | "where" | "as" | "move" | "final" | "override" => {
            format!("r#{name}")
        }
        _ => name.to_owned(),
    }
}
