//! What a person reads who comes back from Meta's log-in: what happened, and what to do next.
//!
//! Nothing of the address is repeated, since whoever wrote it may be a stranger. What exactly went wrong stands in
//! auth's log and, where a program completed the log-in, in its answer.

use axum::http::StatusCode;
use proto::{
    auth::v1::{Connection, ConnectionState},
    common::v1::ErrorReason,
};
use rpc::{Fault, Upstream};
use tonic::Code;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    /// As HTML.
    pub(super) text: String,
}

/// What to do next, nearly always.
const AGAIN: &str = "Go back to where you began and connect again.";

/// The person said no at Meta.
pub(super) fn denied() -> Words {
    let text = "You did not give the permission at Meta, so Adplane can reach none of your ad accounts. You can close this \
                page. If it was a mistake, go back to where you began and connect again.";
    words(StatusCode::OK, "Nothing was connected", text)
}

/// There is no log-in in the address.
pub(super) fn opened_by_hand() -> Words {
    words(StatusCode::BAD_REQUEST, "This page was opened without a log-in", AGAIN)
}

/// There is a connection, which may still lack something.
pub(super) fn completed(connection: &Connection) -> Words {
    if connection.state() == ConnectionState::Active {
        let text = "Adplane can now use the ad accounts that you chose. You can close this page.";
        return words(StatusCode::OK, "Connected", text);
    }
    let missing: Vec<String> = connection.missing_scopes.iter().map(|scope| plain(scope)).collect();
    let what = if missing.is_empty() {
        "Meta says that the permission does not work.".to_owned()
    } else {
        format!("You left out what Adplane needs: {}.", missing.join(", "))
    };
    words(
        StatusCode::OK,
        "Connected, but not enough",
        format!("{what} Until it is given, nothing can be done. {AGAIN}"),
    )
}

/// There is none now.
pub(super) fn busy() -> Words {
    let text = "Adplane or Meta is busy. Connect again in a few minutes.";
    words(StatusCode::SERVICE_UNAVAILABLE, "This did not work just now", text)
}

/// There may be one soon.
pub(super) fn slow() -> Words {
    let text = "Look in a few minutes whether you are connected. If not, go back to where you began and connect again.";
    words(StatusCode::GATEWAY_TIMEOUT, "This takes longer than it should", text)
}

/// There is none, for a reason that auth names.
pub(super) fn refused(upstream: &Upstream) -> Words {
    let metadata = upstream.metadata();
    let told = |key: &str| metadata.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value.as_str());
    let bad = |title, text: String| words(StatusCode::BAD_REQUEST, title, text);
    match upstream.reason() {
        ErrorReason::WrongState if told("state") == "USED" => bad(
            "This log-in was used already",
            format!(
                "Each one works once. If this page said \u{201c}Connected\u{201d} before, all is well. Else: {AGAIN}"
            ),
        ),
        ErrorReason::WrongState if told("state") == "EXPIRED" => {
            bad("This log-in took too long", format!("It has to be finished within ten minutes. {AGAIN}"))
        }
        ErrorReason::WrongState => bad(
            "Connecting is not possible now",
            "Your company's access to Adplane is suspended. Ask whoever runs it.".to_owned(),
        ),
        ErrorReason::NotFound => bad("Nobody here began this log-in", AGAIN.to_owned()),
        ErrorReason::MetaRefusedCredential => bad("Meta refused the log-in", meta_refused(told("cause"))),
        _ if is_passing(upstream.code()) => busy(),
        _ => bad("This log-in did not work", AGAIN.to_owned()),
    }
}

fn meta_refused(cause: &str) -> String {
    match cause {
        "app_secret_wrong" | "app_unknown" | "redirect_mismatch" => {
            "Adplane's app is not set up as Meta expects it. This is not your mistake: tell whoever runs Adplane."
                .to_owned()
        }
        "code_used" | "code_expired" => format!("Its code works once and for ten minutes only. {AGAIN}"),
        _ => AGAIN.to_owned(),
    }
}

/// Where it is not known whether Meta took the code, the code is spent; another log-in brings another one.
fn is_passing(code: Code) -> bool {
    use Code::{DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown};
    matches!(code, Unavailable | DeadlineExceeded | ResourceExhausted | Internal | Unknown)
}

/// A word of Meta's, with nothing that a page would take for its own.
fn plain(word: &str) -> String {
    word.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.')).take(64).collect()
}

fn words(status: StatusCode, title: &'static str, text: impl Into<String>) -> Words {
    Words { status, title, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(state: ConnectionState, missing: &[&str]) -> Connection {
        Connection {
            state: state.into(),
            missing_scopes: missing.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Connection::default()
        }
    }

    #[test]
    fn a_connection_that_lacks_something_is_not_called_connected() {
        assert_eq!(completed(&connection(ConnectionState::Active, &[])).title, "Connected");
        let words = completed(&connection(ConnectionState::NeedsConsent, &["ads_read", "<b>x"]));
        assert_eq!(words.title, "Connected, but not enough");
        assert!(words.text.contains("ads_read, bx."), "{}", words.text);
    }

    #[test]
    fn each_failure_says_what_to_do_next() {
        for cause in ["app_secret_wrong", "app_unknown", "redirect_mismatch"] {
            assert!(meta_refused(cause).contains("not your mistake"), "{cause}");
        }
        for cause in ["code_used", "code_expired", "token_invalid"] {
            assert!(meta_refused(cause).ends_with(AGAIN), "{cause}");
        }
    }
}
