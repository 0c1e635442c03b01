//! A log-in at Meta as a browser walks through it: our page, Meta's, our page. Whose consent it is, the browser proves.

use harness::Suite;
use proto::auth::v1::{BeginConnectionRequest, ConnectionKind, ListConnectionsRequest};
use reqwest::{Client, Response, StatusCode, header, redirect::Policy};
use url::Url;

/// A browser that keeps what it is told by hand, so that the test sees each step.
fn browser() -> Client {
    Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

/// What a browser would send back of a cookie that it was given.
fn kept(answer: &Response) -> String {
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite="), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn leads_to(answer: &Response) -> Url {
    answer.headers()[header::LOCATION].to_str().unwrap().parse().unwrap()
}

/// Begins a log-in; the address for the person, and its state.
async fn begun(suite: &Suite) -> (Url, String) {
    let request = BeginConnectionRequest { meta_app: "metaApps/1000000000000001".to_owned(), ..Default::default() };
    let begun = suite.client().unwrap().connections().begin_connection(request).await.unwrap().into_inner();
    (begun.authorization_url.parse().unwrap(), begun.state)
}

async fn people(suite: &Suite) -> usize {
    let listed = suite.client().unwrap().connections().list_connections(ListConnectionsRequest::default()).await;
    let connections = listed.unwrap().into_inner().connections;
    connections.iter().filter(|one| one.kind() == ConnectionKind::User).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_reads_who_asks_and_is_connected_in_the_browser_that_showed_it() {
    let suite = Suite::start().await.unwrap();
    let browser = browser();
    let (link, state) = begun(&suite).await;
    assert!(link.as_str().starts_with(&suite.gateway), "{link}");
    let first = browser.get(link.clone()).send().await.unwrap();
    let shown = kept(&first);
    let policy = first.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains(&format!("form-action 'self' {}", suite.sandbox.url)), "{policy}");
    let text = first.text().await.unwrap();
    assert!(text.contains("<b>Acme</b> (acme)") && text.contains("callers/") && text.contains(&state), "{text}");

    // Another site may press the button, but a browser does not send it our cookie.
    let pressed = async |cookie: &str| {
        let form = [("state", state.as_str())];
        browser.post(link.clone()).header(header::COOKIE, cookie).form(&form).send().await.unwrap()
    };
    let refused = pressed("").await;
    assert!(refused.status() == StatusCode::BAD_REQUEST && !refused.headers().contains_key(header::SET_COOKIE));
    let gone_on = pressed(&shown).await;
    assert_eq!(gone_on.status(), StatusCode::SEE_OTHER);
    let mine = kept(&gone_on);
    let dialog = leads_to(&gone_on);
    assert!(dialog.as_str().starts_with(&suite.sandbox.url), "{dialog}");

    // The person says yes. Whoever brings that without having gone on from our page finishes nothing, and uses nothing up.
    let back = leads_to(&browser.get(dialog).send().await.unwrap());
    for cookie in ["", &shown, "adplane_login_0123456789abcdef=0123456789abcdef"] {
        let refused = browser.get(back.clone()).header(header::COOKIE, cookie).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let text = refused.text().await.unwrap();
        assert!(text.contains("not begun in this browser"), "{text}");
    }
    assert_eq!(people(&suite).await, 0);
    let done = browser.get(back).header(header::COOKIE, &mine).send().await.unwrap();
    let text = done.text().await.unwrap();
    assert!(text.contains("<h1>Connected</h1>"), "{text}");
    assert_eq!(people(&suite).await, 1);
    // The link is used up, and says so.
    let text = browser.get(link).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("used already"), "{text}");
    suite.stop().await.unwrap();
}
