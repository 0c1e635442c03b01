//! A page as a browser gets it: nothing of it is fetched, kept, framed, or passed on.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use url::Url;

use super::words::Words;

/// Words, and no way on.
pub(super) fn page(words: &Words) -> Response {
    rendered(words, "", "form-action 'none'")
}

/// Words with a button that leads, with this state, from `path` to an address at `to`.
pub(super) fn page_with_button(words: &Words, button: &str, (path, state): (&str, &str), to: &Url) -> Response {
    let form = format!(
        "<form method=\"post\" action=\"{path}\"><input type=\"hidden\" name=\"state\" value=\"{}\">\
         <button style=\"font:inherit;padding:.5rem 1rem\">{}</button></form>",
        plain(state),
        plain(button)
    );
    // A browser holds a form's redirects to this too.
    rendered(words, &form, &format!("form-action 'self' {}", to.origin().ascii_serialization()))
}

fn rendered(Words { status, title, text }: &Words, more: &str, form_action: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <body style=\"font:1.1rem/1.5 system-ui;max-width:32rem;margin:15vh auto;padding:0 1rem\">\
         <h1>{title}</h1><p>{text}</p>{more}</body></html>"
    );
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; {form_action}"
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (*status, headers, html).into_response()
}

/// A text of somebody's as HTML, which it cannot break out of.
pub(super) fn plain(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // A text must not turn round what stands beside it.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
            letter => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_breaks_out_of_nothing() {
        assert_eq!(plain("<b a='\"'>&\u{202e}x\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;x");
        assert_eq!(plain("Käse & Söhne"), "Käse &amp; Söhne");
    }
}
