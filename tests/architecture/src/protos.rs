//! What every proto has in common, beyond what `buf lint` checks. Exceptions are listed, each with its reason.

use prost_reflect::{
    Cardinality, DescriptorPool, ExtensionDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, Value,
};

mod fields;
mod methods;

struct Protos {
    pool: DescriptorPool,
    scope: ExtensionDescriptor,
}

impl Protos {
    fn read() -> Self {
        let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap();
        let scope = pool.get_extension_by_name("adplane.common.v1.scope").unwrap();
        Self { pool, scope }
    }

    fn methods(&self) -> Vec<MethodDescriptor> {
        self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
    }

    fn messages(&self) -> Vec<MessageDescriptor> {
        let ours =
            |message: &MessageDescriptor| message.package_name().starts_with("adplane.") && !message.is_map_entry();
        self.pool.all_messages().filter(ours).collect()
    }

    fn fields(&self) -> Vec<FieldDescriptor> {
        self.messages().iter().flat_map(|message| message.fields().collect::<Vec<_>>()).collect()
    }

    /// The word of the option, empty where there is none.
    fn scope(&self, method: &MethodDescriptor) -> String {
        method.options().get_extension(&self.scope).as_str().unwrap_or_default().to_owned()
    }

    fn is_internal(&self, method: &MethodDescriptor) -> bool {
        self.scope(method) == "internal"
    }
}

/// Whether a list of exceptions, each with its reason, names this method.
fn is_any_of(method: &MethodDescriptor, list: &[(&str, &str)]) -> bool {
    list.iter().any(|(name, _)| *name == method.name())
}

/// NO_SIDE_EFFECTS.
fn reads_only(method: &MethodDescriptor) -> bool {
    let level = method.options().get_field_by_name("idempotency_level").map(std::borrow::Cow::into_owned);
    level == Some(Value::EnumNumber(1))
}

fn has(message: &MessageDescriptor, field: &str, kind: &Kind, repeated: bool) -> bool {
    message
        .get_field_by_name(field)
        .is_some_and(|field| field.kind() == *kind && (field.cardinality() == Cardinality::Repeated) == repeated)
}

/// The comment before the thing at this path, from the source info that the compiler kept.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let found = locations.iter().find(|location| location.path == path);
    found.map(|location| location.leading_comments().to_owned()).unwrap_or_default()
}

#[test]
fn the_descriptors_hold_comments_and_options() {
    let protos = Protos::read();
    assert!(protos.methods().len() >= 50, "{} methods", protos.methods().len());
    let field = protos.pool.get_message_by_name("adplane.common.v1.Money").unwrap().get_field_by_name("minor_units");
    let field = field.unwrap();
    assert!(comment(&field.parent_file(), field.path()).contains("Not negative"));
}
