//! What a person reads before Meta's log-in, who asks and for whom; and what one reads who comes back from it: what happened,
//! and what to do next.
//!
//! Nothing of the address is repeated, since whoever wrote it may be a stranger. What exactly went wrong stands in
//! auth's log and, where a program completed the log-in, in its answer.

use axum::http::StatusCode;
use proto::{
    auth::v1::{Connection, ConnectionState, Login},
    common::v1::ErrorReason,
};
use rpc::{Fault, Upstream};
use tonic::Code;

use super::page::plain;

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

/// Who asks, and for whom.
pub(super) fn asked(login: &Login) -> Words {
    let tenant = named(&login.tenant_display_name, login.tenant.trim_start_matches("tenants/"));
    let began_by = named(&login.began_by_display_name, &login.began_by);
    let text = format!(
        "{tenant} asks for access to your ad accounts at Meta, through Adplane. The link was made by {began_by}.</p>\
         <p>Whatever you allow on the next page is given to {tenant}. Go on only if you know them and expected this; \
         else close this page, and nothing happens."
    );
    words(StatusCode::OK, "Connect your ad accounts?", text)
}

/// The button was pressed without the page.
pub(super) fn without_cookie() -> Words {
    let text = "Your browser did not keep what this page needs for ten minutes: a cookie. Open the link again, in a window \
                that keeps cookies, and go on from there.";
    words(StatusCode::BAD_REQUEST, "Open the link again", text)
}

/// Consent came from a browser that never saw our page.
pub(super) fn of_another_browser() -> Words {
    let text = "This log-in was not begun in this browser, so nothing was connected: else your consent could go to somebody \
                whom you do not know. If you expected to connect, open the link that you were given, in this browser, and \
                go on from there. If somebody sent you straight to Meta, tell whoever runs Adplane.";
    words(StatusCode::BAD_REQUEST, "Nothing was connected", text)
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
    let missing: Vec<String> = connection.missing_scopes.iter().map(|scope| plain_word(scope)).collect();
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
        ErrorReason::MetaPermissionMissing => {
            bad("This log-in allows less than the one before", lesser(told("permission")))
        }
        ErrorReason::MetaRefusedCredential => bad("Meta refused the log-in", meta_refused(told("cause"))),
        _ if is_passing(upstream.code()) => busy(),
        _ => bad("This log-in did not work", AGAIN.to_owned()),
    }
}

/// What was connected before may do more, and stays.
fn lesser(lacks: &str) -> String {
    let lacks: Vec<String> = lacks.split(',').map(plain_word).filter(|word| !word.is_empty()).collect();
    let what = if lacks.is_empty() { String::new() } else { format!(" You left out: {}.", lacks.join(", ")) };
    format!("What was connected before works as it did.{what} To renew it, connect again and leave every box ticked.")
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

/// Somebody's name for people, with the one that is theirs alone.
fn named(display_name: &str, id: &str) -> String {
    let id = plain(id);
    if display_name.trim().is_empty() {
        format!("<b>{id}</b>")
    } else {
        format!("<b>{}</b> ({id})", plain(display_name))
    }
}

/// A word of Meta's, with nothing that a page would take for its own.
fn plain_word(word: &str) -> String {
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
    fn a_lesser_log_in_is_told_what_it_lacks() {
        assert!(
            lesser("ads_management,<b>").contains("You left out: ads_management, b."),
            "{}",
            lesser("ads_management,<b>")
        );
        assert!(lesser("").starts_with("What was connected before works as it did. To renew"), "{}", lesser(""));
    }

    #[test]
    fn a_person_reads_who_asks_and_names_are_no_html() {
        let login = Login {
            tenant: "tenants/acme".to_owned(),
            tenant_display_name: "Acme <script>".to_owned(),
            began_by: "callers/1".to_owned(),
            ..Login::default()
        };
        let text = asked(&login).text;
        assert!(text.contains("<b>Acme &lt;script&gt;</b> (acme)") && text.contains("<b>callers/1</b>"), "{text}");
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
