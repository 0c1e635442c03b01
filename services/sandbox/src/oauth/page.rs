//! The dialog as a person sees it: what is asked for, and two buttons.

use super::dialog::Question;
use crate::state::APP_NAME;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;background:#f0f2f5;color:#1c1e21;margin:0}\
    main{max-width:28rem;margin:8vh auto;background:#fff;border-radius:12px;padding:2rem;box-shadow:0 2px 12px #0002}\
    h1{font-size:1.3rem;margin:0 0 1rem}label{display:block;margin:.4rem 0}\
    button{font:inherit;padding:.6rem 1.2rem;border-radius:8px;border:0;margin:1.2rem .5rem 0 0;cursor:pointer}\
    .yes{background:#0866ff;color:#fff}.no{background:#e4e6eb}p{color:#65676b}";

/// The page that asks.
pub(crate) fn question(question: &Question) -> String {
    let hidden: Vec<String> = question.hidden.iter().map(|(name, value)| kept(name, value)).collect();
    let boxes: Vec<String> = question.scopes.iter().map(|scope| tick(scope)).collect();
    let (hidden, boxes) = (hidden.concat(), boxes.concat());
    let name = safe(APP_NAME);
    page(&format!(
        "<h1>{name} wants to reach your ad accounts</h1><form method=\"get\">{hidden}{boxes}\
         <button class=\"yes\" name=\"sandbox_decision\" value=\"grant\">Continue as Sam Sandbox</button>\
         <button class=\"no\" name=\"sandbox_decision\" value=\"deny\">Not now</button></form>\
         <p>This is a sandbox. Nothing here reaches Meta.</p>"
    ))
}

/// The page that says what is wrong.
pub(crate) fn refusal(words: &str) -> String {
    page(&format!("<h1>This login cannot go on</h1><p>{}</p>", safe(words)))
}

fn kept(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", safe(name), safe(value))
}

/// Everybody is asked for the public profile, and nobody can keep it.
fn tick(scope: &str) -> String {
    let fixed = if scope == "public_profile" { " disabled" } else { "" };
    let scope = safe(scope);
    format!(
        "<label><input type=\"checkbox\" name=\"sandbox_scope[]\" value=\"{scope}\" checked{fixed}> {scope}</label>"
    )
}

fn page(inside: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Log in</title><style>{STYLE}</style>\
         </head><body><main>{inside}</main></body></html>"
    )
}

fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_app_sends_cannot_break_out_of_the_page() {
        let hidden = vec![("state".to_owned(), "\"><script>".to_owned())];
        let html = question(&Question { scopes: vec!["ads_read".to_owned()], hidden });
        assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;\""));
        assert!(html.contains("value=\"ads_read\" checked>"));
    }
}
