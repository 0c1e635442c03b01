//! Custom audiences and the people in them.

use serde::{Deserialize, Serialize};
use vocabulary::ids::{AdAccountId, AudienceId};

use crate::{
    answer::{Ack, Page, digits},
    call::{Call, Replay, UseCase},
};

/// The fields of the message that mirrors an audience, in Meta's words.
pub const FIELDS: &[&str] = &[
    "id",
    "account_id",
    "name",
    "description",
    "subtype",
    "customer_file_source",
    "approximate_count_lower_bound",
    "approximate_count_upper_bound",
    "operation_status",
    "delivery_status",
    "time_created",
    "time_updated",
    "time_content_updated",
];

/// The most rows that one call may carry (Meta, "Customer file custom audiences").
pub const ROWS_MAX: usize = 10_000;

/// What Meta says of an audience. Absent where it says nothing.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
pub struct Audience {
    /// Digits.
    #[serde(deserialize_with = "digits")]
    pub id: String,
    /// The ad account's digits, without `act_`.
    pub account_id: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// For people, and for our marker.
    pub description: Option<String>,
    /// Such as `CUSTOM`.
    pub subtype: Option<String>,
    /// Where the people's data comes from.
    pub customer_file_source: Option<String>,
    /// -1 where Meta does not say.
    pub approximate_count_lower_bound: Option<i64>,
    /// -1 where Meta does not say.
    pub approximate_count_upper_bound: Option<i64>,
    /// How the list stands.
    pub operation_status: Option<Status>,
    /// Whether ads can use it.
    pub delivery_status: Option<Status>,
    /// Unix seconds.
    pub time_created: Option<i64>,
    /// Unix seconds.
    pub time_updated: Option<i64>,
    /// Unix seconds.
    pub time_content_updated: Option<i64>,
    /// What has no field above.
    #[serde(flatten)]
    pub extra: std::collections::BTreeMap<String, serde_json::Value>,
}

/// A number of Meta's with its sentence.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
pub struct Status {
    /// Such as 200.
    pub code: i32,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A list of people whose identifiers are uploaded.
#[derive(Debug, Clone)]
pub struct NewList<'a> {
    /// For people.
    pub name: &'a str,
    /// With the marker in it by which it is found after a lost answer.
    pub description: &'a str,
    /// Meta's word; without one Meta refuses.
    pub customer_file_source: &'a str,
}

/// What a person is known by, in the order in which a schema names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// `f` or `m`.
    Gender,
    /// Year of birth.
    BirthYear,
    /// Month of birth.
    BirthMonth,
    /// Day of the month of birth.
    BirthDay,
    /// City.
    City,
    /// State or region.
    State,
    /// Postal code.
    Zip,
    /// Country.
    Country,
    /// The caller's own id. Meta does not ask for a hash here, and takes one.
    ExternalId,
}

impl Key {
    /// All, in order.
    pub const ALL: [Self; 13] = [
        Self::Email,
        Self::Phone,
        Self::FirstName,
        Self::LastName,
        Self::Gender,
        Self::BirthYear,
        Self::BirthMonth,
        Self::BirthDay,
        Self::City,
        Self::State,
        Self::Zip,
        Self::Country,
        Self::ExternalId,
    ];

    /// Meta's word in a schema.
    pub fn word(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::FirstName => "FN",
            Self::LastName => "LN",
            Self::Gender => "GEN",
            Self::BirthYear => "DOBY",
            Self::BirthMonth => "DOBM",
            Self::BirthDay => "DOBD",
            Self::City => "CT",
            Self::State => "ST",
            Self::Zip => "ZIP",
            Self::Country => "COUNTRY",
            Self::ExternalId => "EXTERN_ID",
        }
    }
}

/// People go in, or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// In.
    Add,
    /// Out.
    Remove,
}

/// Where a call stands in its upload session. A session is known by its number; the numbers of its batches begin at 1
/// and have no gaps (Meta, "Customer file custom audiences: upload sessions").
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Session {
    /// Chosen by us, positive, one per session and account.
    pub session_id: u64,
    /// From 1.
    pub batch_seq: u32,
    /// Nothing follows in this session.
    pub last_batch_flag: bool,
    /// Rows of the whole session.
    pub estimated_num_total: usize,
}

/// What Meta made of one batch of people.
#[derive(Debug, Clone, Deserialize)]
pub struct Received {
    /// Rows received. Absent where Meta does not say, which is no success.
    pub num_received: Option<i64>,
    /// Rows among them that cannot be used. The samples that Meta adds are not read: they hold values.
    #[serde(default)]
    pub num_invalid_entries: i64,
}

/// Makes a list. Never safe to repeat: audiences take no label, so the marker stands in the description. The answer
/// holds the fields.
pub fn create(account: AdAccountId, list: &NewList<'_>) -> Call<Audience> {
    Call::post(edge(account), Replay::Never)
        .field("subtype", "CUSTOM")
        .field("name", list.name)
        .field("description", list.description)
        .field("customer_file_source", list.customer_file_source)
        .fields(FIELDS)
        .use_case(UseCase::CustomAudience)
}

/// One, by id.
pub fn get(audience: AudienceId) -> Call<Audience> {
    Call::get(audience).fields(FIELDS).use_case(UseCase::CustomAudience)
}

/// All of an ad account, page by page. Also the look-up for a marker: Meta cannot search descriptions.
pub fn list(account: AdAccountId) -> Call<Page<Audience>> {
    Call::get(edge(account)).field("limit", 100).fields(FIELDS).use_case(UseCase::CustomAudience)
}

/// Removes one. Safe to repeat: the second time it is missing.
pub fn delete(audience: AudienceId) -> Call<Ack> {
    Call::delete(audience).use_case(UseCase::CustomAudience)
}

/// Sends people. Safe to repeat, with the same session and number: adding and removing are sets' operations.
///
/// `rows` is a JSON text: a list of rows as long as the schema, each a list of hashes, with an
/// empty string for what is not known. A text, because the caller writes thousands of rows into one buffer.
pub fn change_users(
    audience: AudienceId,
    change: Change,
    schema: &[Key],
    rows: &str,
    session: Session,
) -> Call<Received> {
    let path = format!("/{audience}/users");
    let call = match change {
        Change::Add => Call::post(path, Replay::Safe),
        Change::Remove => Call::delete(path),
    };
    let keys = schema.iter().map(|key| format!("\"{}\"", key.word())).collect::<Vec<_>>().join(",");
    call.field("payload", format_args!("{{\"schema\":[{keys}],\"data\":{rows}}}"))
        .json("session", &session)
        .use_case(UseCase::CustomAudience)
}

fn edge(account: AdAccountId) -> String {
    format!("/{}/customaudiences", account.act())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session { session_id: 9_778_993, batch_seq: 1, last_batch_flag: true, estimated_num_total: 2 }
    }

    #[test]
    fn a_list_is_made_with_its_source_and_never_twice() {
        let list =
            NewList { name: "Buyers", description: "of 2026 [adplane:7]", customer_file_source: "USER_PROVIDED_ONLY" };
        let call = create(AdAccountId::new(1), &list);
        let text = call.to_string();
        assert!(text.starts_with(
            "POST /act_1/customaudiences\nsubtype=CUSTOM\nname=Buyers\ndescription=of 2026 [adplane:7]\n\
             customer_file_source=USER_PROVIDED_ONLY\nfields=id,account_id,name,"
        ));
        assert_eq!(call.replay(), Replay::Never);
    }

    #[test]
    fn people_go_in_by_hashes_in_a_session() {
        let call =
            change_users(AudienceId::new(5), Change::Add, &[Key::Email, Key::FirstName], r#"[["aa",""]]"#, session());
        assert_eq!(
            call.to_string(),
            "POST /5/users\npayload={\"schema\":[\"EMAIL\",\"FN\"],\"data\":[[\"aa\",\"\"]]}\n\
             session={\"session_id\":9778993,\"batch_seq\":1,\"last_batch_flag\":true,\"estimated_num_total\":2}"
        );
        assert_eq!(call.replay(), Replay::Safe);
    }

    #[test]
    fn people_go_out_by_delete() {
        let call = change_users(AudienceId::new(5), Change::Remove, &[Key::Email], "[]", session());
        assert!(call.to_string().starts_with("DELETE /5/users\npayload="));
    }

    #[test]
    fn what_has_no_field_is_kept() {
        let audience: Audience = serde_json::from_str(
            r#"{"id":"2384","name":"Buyers","delivery_status":{"code":300,"description":"too small"},
                "approximate_count_lower_bound":-1,"time_created":1764000000,"retention_days":30}"#,
        )
        .unwrap();
        assert_eq!(audience.delivery_status.unwrap().code, 300);
        assert_eq!(audience.extra.get("retention_days"), Some(&serde_json::json!(30)));
    }

    #[test]
    fn an_answer_to_people_is_read() {
        let received: Received = serde_json::from_str(
            r#"{"audience_id":"5","session_id":"9","num_received":2,"num_invalid_entries":1,"invalid_entry_samples":{"x":"y"}}"#,
        )
        .unwrap();
        assert_eq!((received.num_received, received.num_invalid_entries), (Some(2), 1));
        let silent: Received = serde_json::from_str(r#"{"audience_id":"5"}"#).unwrap();
        assert_eq!(silent.num_received, None);
    }
}
