//! The small page that a person sees in the iframe.

use super::Picture;

/// The whole page. Everything that a caller wrote is escaped, and nothing is loaded from elsewhere.
pub(super) fn html(picture: &Picture) -> String {
    let part = |class: &str, text: &str| {
        if text.is_empty() { String::new() } else { format!("<div class=\"{class}\">{}</div>", escaped(text)) }
    };
    let cards: String = picture.cards.iter().map(|card| part("card", card)).collect();
    let media =
        if cards.is_empty() { part("media", &picture.media) } else { format!("<div class=\"cards\">{cards}</div>") };
    let button = part("button", &picture.button.replace('_', " "));
    [
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>Ad preview</title><style>",
        "body{margin:0;font:14px sans-serif;color:#1c1e21}.page{font-weight:bold;padding:8px 8px 0}",
        ".format{color:#65676b;font-size:11px;padding:0 8px 4px}.message{padding:4px 8px}",
        ".media,.card{background:#e4e6eb;min-height:120px;padding:8px;overflow-wrap:anywhere}",
        ".cards{display:flex;gap:4px;overflow-x:auto}.card{min-width:120px}",
        ".title{font-weight:bold;padding:8px}.link{color:#65676b;padding:0 8px}",
        ".button{display:inline-block;margin:8px;padding:6px 12px;background:#d8dadf;border-radius:4px}",
        "</style></head><body>",
        &part("page", &picture.page),
        &part("format", &picture.format),
        &part("message", &picture.message),
        &media,
        &part("title", &picture.title),
        &part("link", &picture.link),
        &button,
        "</body></html>",
    ]
    .concat()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_wrote_is_text_and_never_markup() {
        let picture = Picture { message: "<script>alert(\"1\")</script> & more".to_owned(), ..Picture::default() };
        let html = html(&picture);
        assert!(html.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; more"), "{html}");
        assert!(!html.contains("<script"));
    }
}
