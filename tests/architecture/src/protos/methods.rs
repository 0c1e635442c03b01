use super::*;

/// Scopes that a caller's token can hold.
const SCOPES: [&str; 19] = [
    "audiences.read",
    "audiences.write",
    "audit.read",
    "auth.read",
    "auth.write",
    "campaigns.activate",
    "campaigns.read",
    "campaigns.write",
    "conversions.read",
    "conversions.write",
    "gateway.read",
    "graph.execute",
    "insights.read",
    "insights.write",
    "operations.read",
    "operations.write",
    "plans.read",
    "plans.write",
    "tenants.write",
];
const QUOTA_SCOPES: [&str; 2] = ["quota.read", "quota.write"];

/// Internal methods, by service and by name: all that only our own services may call.
const INTERNAL_SERVICES: [&str; 2] = ["CredentialService", "ChainService"];
const INTERNAL: [(&str, &str); 5] = [
    ("IngestWebhook", "the gateway's door for Meta calls it"),
    ("Acquire", "a tenant must not take quota by itself"),
    ("Settle", "a forged report would open or close an account"),
    ("Release", "a forged release would make room that is not there"),
    ("Reserve", "a tenant must not hold quota by itself"),
];

const OPEN: [(&str, &str); 5] = [
    ("Bootstrap", "the one-time code is the proof"),
    ("IssueToken", "the caller's secret is the proof"),
    ("ExchangeServiceToken", "the service's secret is the proof, and a service's first call has no token yet"),
    ("GetLogin", "the state is the proof: the browser that was sent to our page has no token"),
    ("CompleteConnection", "the single-use state is the proof: the browser that brings it has no token"),
];

/// Writes that need no `request_id`, or nothing to validate.
const WITHOUT_REQUEST_ID: [(&str, &str); 5] = [
    ("IssueToken", "stores nothing, so a repeat is harmless"),
    ("ExchangeServiceToken", "stores nothing, so a repeat is harmless"),
    ("AddMembers", "its parts carry a sequence number, which makes repeats safe"),
    ("AppendMembers", "its parts carry a sequence number, which makes repeats safe"),
    ("AppendUpload", "the offset makes repeats safe"),
];

const STREAMS: [(&str, &str); 8] = [
    ("WatchConnections", "changes as they come"),
    ("WatchOperation", "changes as they come"),
    ("WatchQuotas", "changes as they come"),
    ("WatchRevocations", "changes as they come"),
    ("ExportReport", "a file of any length"),
    ("ExportAuditEntries", "years of entries"),
    ("AddMembers", "millions of rows"),
    ("UploadImage", "a file"),
];

/// The unary twin of each client stream, for Connect and browsers.
const TWINS: [(&str, &str); 2] = [("AddMembers", "AppendMembers"), ("UploadImage", "AppendUpload")];

/// What `wrong` says of each method that it objects to.
fn assert_none(wrong: impl Fn(&Protos, &MethodDescriptor) -> Option<&'static str>) {
    let protos = Protos::read();
    let methods = protos.methods();
    let found =
        methods.iter().filter_map(|method| Some(format!("{}: {}", method.full_name(), wrong(&protos, method)?)));
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{found:#?}");
}

fn is_list(method: &MethodDescriptor) -> bool {
    method.name().starts_with("List")
}

#[test]
fn requests_and_responses_are_named_after_their_method() {
    assert_none(|_, method| {
        let is_own = |message: MessageDescriptor, end: &str| {
            message.name() == format!("{}{end}", method.name())
                && message.package_name() == method.parent_service().package_name()
        };
        let own = is_own(method.input(), "Request") && is_own(method.output(), "Response");
        (!own).then_some("has messages that are not its own")
    });
}

#[test]
fn every_method_has_a_scope_that_exists() {
    assert_none(|protos, method| {
        let scope = protos.scope(method);
        let known = SCOPES.iter().chain(&QUOTA_SCOPES).any(|known| *known == scope);
        (!known && scope != "internal" && scope != "open").then_some("has no scope that exists")
    });
}

#[test]
fn just_what_is_ours_alone_is_internal() {
    assert_none(|protos, method| {
        let service = method.parent_service();
        let expected = INTERNAL_SERVICES.contains(&service.name()) || is_any_of(method, &INTERNAL);
        (expected != protos.is_internal(method)).then_some("is internal and should not be, or the other way round")
    });
}

#[test]
fn just_what_brings_its_own_proof_is_open() {
    assert_none(|protos, method| {
        let is_open = protos.scope(method) == "open";
        (is_open != is_any_of(method, &OPEN)).then_some("is open and should not be, or the other way round")
    });
}

#[test]
fn reads_say_that_they_change_nothing() {
    assert_none(|_, method| {
        let verbs = ["Get", "List", "Watch", "Export", "Query", "Search", "Validate", "Diff"];
        let reads = verbs.iter().any(|verb| method.name().starts_with(verb));
        (reads && !reads_only(method)).then_some("lacks NO_SIDE_EFFECTS")
    });
}

#[test]
fn writes_can_be_repeated_and_rehearsed() {
    assert_none(|protos, method| {
        if reads_only(method) || protos.is_internal(method) || is_any_of(method, &WITHOUT_REQUEST_ID) {
            return None;
        }
        let message = method.input();
        // The first message of a client stream is its header.
        let header = message.fields().find_map(|field| field.kind().as_message().cloned());
        let request = header.filter(|_| method.is_client_streaming()).unwrap_or(message);
        let complete =
            has(&request, "request_id", &Kind::String, false) && has(&request, "validate_only", &Kind::Bool, false);
        (!complete).then_some("lacks request_id or validate_only")
    });
}

#[test]
fn lists_come_in_pages() {
    assert_none(|_, method| {
        let (request, response) = (method.input(), method.output());
        let has_rows = response.fields().any(|field| field.is_list());
        let complete = has(&request, "page_size", &Kind::Int32, false)
            && has(&request, "page_token", &Kind::String, false)
            && has(&response, "next_page_token", &Kind::String, false)
            && has_rows;
        (is_list(method) && !complete).then_some("lacks a field of pages")
    });
}

#[test]
fn updates_say_which_fields_they_mean() {
    assert_none(|_, method| {
        let mask = method.input().get_field_by_name("update_mask");
        let is_mask = mask
            .is_some_and(|mask| mask.kind().as_message().is_some_and(|m| m.full_name() == "google.protobuf.FieldMask"));
        (method.name().starts_with("Update") && !is_mask).then_some("lacks update_mask")
    });
}

#[test]
fn deletes_say_which_version_they_mean() {
    assert_none(|_, method| {
        let has_etag = has(&method.input(), "etag", &Kind::String, false);
        (method.name().starts_with("Delete") && !has_etag).then_some("lacks etag")
    });
}

#[test]
fn only_listed_methods_stream_and_uploads_have_a_twin() {
    assert_none(|_, method| {
        let streams = method.is_client_streaming() || method.is_server_streaming();
        (streams != is_any_of(method, &STREAMS)).then_some("streams and should not, or the other way round")
    });
    assert_none(|_, method| {
        let twin = TWINS.iter().find(|(stream, _)| *stream == method.name()).map(|(_, twin)| *twin);
        let has_twin = twin.is_some_and(|twin| method.parent_service().methods().any(|other| other.name() == twin));
        (method.is_client_streaming() && !has_twin).then_some("has no unary twin")
    });
}

/// Long work is named by the message that its result will be.
#[test]
fn long_work_says_what_it_results_in() {
    assert_none(|protos, method| {
        let first = method.output().fields().find(|field| field.number() == 1)?;
        let is_long = first.kind().as_message().is_some_and(|m| m.full_name() == "adplane.operations.v1.Operation");
        if !is_long || method.parent_service().name() == "OperationService" {
            return None;
        }
        let service = method.parent_service();
        let said = comment(&service.parent_file(), method.path());
        let words = said.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let exists =
            |word: &str| protos.pool.get_message_by_name(&format!("{}.{word}", service.package_name())).is_some();
        (!words.into_iter().any(exists)).then_some("does not name its result's message in its comment")
    });
}
