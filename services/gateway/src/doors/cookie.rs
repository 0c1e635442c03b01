//! The cookie that ties a log-in to one browser.
//!
//! The state of a log-in travels in addresses, so whoever begins one can send Meta's dialog to somebody else, whose consent
//! would then become the sender's. Therefore a browser keeps, under a name of that state's, how far its person came:
//!
//! | the cookie is | set by | sent |
//! | --- | --- | --- |
//! | `shown` | our page, which names the tenant | with its own button only (SameSite=Strict), so no other site can press it |
//! | the state | that button | also by Meta's redirect (SameSite=Lax) |
//!
//! The callback finishes what has the second. It says nothing that the state does not, so nothing is kept of it here, and
//! any replica reads it. What that does not stop: somebody who reads whom they give their consent to, and gives it.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};

/// As long as a log-in lives.
const SECONDS: u32 = 600;
/// Auth's states have 43 letters. Others never began here.
const LETTERS: std::ops::RangeInclusive<usize> = 32..=128;
/// So many letters of the state make its cookie's name: two log-ins in one browser have one each.
const NAMED_BY: usize = 16;
const SHOWN: &str = "shown";

/// A state that can have been auth's.
#[derive(Clone, Copy)]
pub(super) struct State<'a>(&'a str);

impl<'a> State<'a> {
    /// `None` for what was never one, so that nothing else gets into a header or a page.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (LETTERS.contains(&text.len()) && text.bytes().all(is_letter)).then_some(Self(text))
    }

    /// Whether this browser has shown our page for it.
    pub(super) fn is_shown(self, headers: &HeaderMap) -> bool {
        self.kept(headers).any(|value| value == SHOWN || value == self.0)
    }

    /// Whether the person went on to Meta from our page in this browser.
    pub(super) fn is_of_this_browser(self, headers: &HeaderMap) -> bool {
        self.kept(headers).any(|value| value == self.0)
    }

    /// Keeps that our page is shown.
    pub(super) fn shown(self, is_https: bool) -> Option<HeaderValue> {
        self.cookie(SHOWN, "Strict", is_https)
    }

    /// Keeps that the person goes on.
    pub(super) fn goes_on(self, is_https: bool) -> Option<HeaderValue> {
        self.cookie(self.0, "Lax", is_https)
    }

    fn cookie(self, value: &str, same_site: &str, is_https: bool) -> Option<HeaderValue> {
        let secure = if is_https { "; Secure" } else { "" };
        let name = self.name();
        let text = format!("{name}={value}; Path=/oauth; Max-Age={SECONDS}; HttpOnly; SameSite={same_site}{secure}");
        HeaderValue::from_str(&text).ok()
    }

    /// What this browser keeps for the state. HTTP/2 may bring several headers.
    fn kept(self, headers: &HeaderMap) -> impl Iterator<Item = &str> {
        let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let name = self.name();
        pairs.filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    fn name(self) -> String {
        format!("adplane_login_{}", self.0.get(..NAMED_BY).unwrap_or_default())
    }
}

impl fmt::Display for State<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "Zm9vYmFyYmF6-Zm9vYmFyYmF6_Zm9vYmFyYmF6Zm9v";

    /// A browser that keeps these.
    fn browser(kept: &[Option<HeaderValue>]) -> HeaderMap {
        let pair = |cookie: &Option<HeaderValue>| {
            let text = cookie.as_ref().unwrap().to_str().unwrap().to_owned();
            text.split(';').next().unwrap().to_owned()
        };
        let mut headers = HeaderMap::new();
        let pairs: Vec<String> = kept.iter().map(pair).collect();
        headers.append(header::COOKIE, "theme=dark; other=1".parse().unwrap());
        headers.append(header::COOKIE, pairs.join("; ").parse().unwrap());
        headers
    }

    #[test]
    fn only_a_browser_that_went_on_from_our_page_finishes_and_only_this_log_in() {
        let state = State::read(STATE).unwrap();
        let other = STATE.replace("6Zm9v", "6Zm9w");
        let other = State::read(&other).unwrap();
        let (nobody, shown, gone_on) =
            (HeaderMap::new(), browser(&[state.shown(true)]), browser(&[other.shown(false), state.goes_on(false)]));
        assert!(!state.is_shown(&nobody) && !state.is_of_this_browser(&nobody));
        assert!(state.is_shown(&shown) && !state.is_of_this_browser(&shown));
        assert!(state.is_shown(&gone_on) && state.is_of_this_browser(&gone_on));
        assert!(!other.is_of_this_browser(&gone_on), "the name is not all that counts");
    }

    #[test]
    fn the_cookie_is_out_of_reach_for_scripts_other_sites_and_plain_http() {
        let state = State::read(STATE).unwrap();
        let text = |cookie: Option<HeaderValue>| cookie.unwrap().to_str().unwrap().to_owned();
        for part in ["; HttpOnly", "; Path=/oauth", "; Max-Age=600"] {
            assert!(text(state.shown(true)).contains(part) && text(state.goes_on(true)).contains(part), "{part}");
        }
        assert!(
            text(state.shown(true)).contains("SameSite=Strict") && text(state.goes_on(true)).contains("SameSite=Lax")
        );
        assert!(text(state.goes_on(true)).ends_with("; Secure") && !text(state.goes_on(false)).contains("Secure"));
    }

    #[test]
    fn what_was_never_a_state_is_none() {
        for text in ["", "short", &"a".repeat(129), &format!("{STATE};"), &format!("{STATE}\r\n"), &format!("{STATE}<")]
        {
            assert!(State::read(text).is_none(), "{text:?}");
        }
    }
}
