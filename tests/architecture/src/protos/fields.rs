use super::*;

/// Tokens that say where to go on, and open nothing.
const CURSORS: [&str; 4] = ["page_token", "next_page_token", "resume_token", "freshness_token"];

/// Parts of a name that mean a secret.
const SECRET: [&str; 6] =
    ["secret", "password", "appsecret_proof", "private_key", "authorization_code", "one_time_code"];

/// Names that mean a person.
const PERSON: [&str; 18] = [
    "email",
    "emails",
    "phone",
    "phones",
    "first_name",
    "last_name",
    "date_of_birth",
    "gender",
    "city",
    "state",
    "zip",
    "country",
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "identifier",
];

/// Messages about a person: only there are `city` and the like a person's.
fn is_about_a_person(message: &MessageDescriptor) -> bool {
    ["Person", "Member", "UserData", "Identifiers"].iter().any(|word| message.name().contains(word))
}

fn must_be_redacted(field: &FieldDescriptor) -> bool {
    let (name, kind) = (field.name(), field.kind());
    if !matches!(kind, Kind::String | Kind::Bytes) || CURSORS.contains(&name) || name.ends_with("_id_token") {
        return false;
    }
    let is_token = name == "token" || name.ends_with("_token");
    let is_secret = SECRET.iter().any(|word| name.contains(word));
    let always = ["email", "emails", "phone", "phones", "client_ip_address"];
    let is_person = always.contains(&name) || (PERSON.contains(&name) && is_about_a_person(field.parent_message()));
    is_token || is_secret || is_person
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| *value == Value::Bool(true))
}

/// "At most 100", "1 to 100", or an exact "32 bytes".
fn states_a_maximum(comment: &str) -> bool {
    let comment = comment.to_lowercase();
    let words: Vec<&str> = comment.split_whitespace().collect();
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let is_range = |w: &[&str]| matches!(w, [from, "to", to] if is_number(from) && is_number(to));
    let is_exact = |w: &[&str]| matches!(w, [number, unit] if is_number(number) && unit.starts_with("bytes"));
    comment.contains("at most") || words.windows(3).any(is_range) || words.windows(2).any(is_exact)
}

fn names(fields: impl Iterator<Item = FieldDescriptor>) -> Vec<String> {
    fields.map(|field| field.full_name().to_owned()).collect()
}

#[test]
fn secrets_and_people_are_not_printed() {
    let wrong = |field: &FieldDescriptor| must_be_redacted(field) && !is_redacted(field);
    let wrong = names(Protos::read().fields().into_iter().filter(wrong));
    assert!(wrong.is_empty(), "fields without debug_redact: {wrong:#?}");
}

#[test]
fn every_repeated_field_says_how_many_it_takes() {
    let says = |field: &FieldDescriptor| states_a_maximum(&comment(&field.parent_file(), field.path()));
    let is_many = |field: &FieldDescriptor| field.is_list() || field.is_map() || field.kind() == Kind::Bytes;
    let wrong = names(Protos::read().fields().into_iter().filter(|field| is_many(field) && !says(field)));
    assert!(wrong.is_empty(), "fields whose comment states no maximum, such as `At most 100.`: {wrong:#?}");
}

#[test]
fn a_message_prints_without_its_secrets() {
    let secret = proto::auth::v1::ServiceSecret { service: "campaigns".to_owned(), secret: "hunter2".to_owned() };
    let printed = format!("{secret:?}");
    assert_eq!(printed, r#"ServiceSecret { service: "campaigns", secret: <redacted> }"#);
}

#[test]
fn every_message_with_a_secret_has_its_own_debug() {
    let generated = Protos::read().fields().into_iter().filter(is_redacted).count();
    assert!(generated >= 20, "{generated} redacted fields");
}
