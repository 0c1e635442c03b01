//! What a user agent tells: roughly, as a dataset's statistics show it.

use crate::state::Device;

const SYSTEMS: &[(&str, &str, &str)] = &[
    ("iPad", "iOS", "tablet"),
    ("iPhone", "iOS", "mobile_iphone"),
    ("Android", "Android", "mobile_android_phone"),
    ("Windows", "Windows", "desktop"),
    ("Mac OS X", "Mac OS X", "desktop"),
    ("Linux", "Linux", "desktop"),
];
/// Those that name others come first.
const BROWSERS: &[(&str, &str)] = &[
    ("FBAV", "Facebook App"),
    ("Instagram", "Instagram App"),
    ("Edg/", "Edge"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

pub(super) fn of(agent: &str) -> Device {
    let system = SYSTEMS.iter().find(|(mark, _, _)| agent.contains(mark));
    let (system, kind) = system.map_or(("Other", "other"), |(_, system, kind)| (*system, *kind));
    let browser = BROWSERS.iter().find(|(mark, _)| agent.contains(mark)).map_or("Other", |(_, browser)| *browser);
    Device { kind: kind.to_owned(), system: system.to_owned(), browser: browser.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_systems_are_known_by_their_marks() {
        let iphone =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Safari/604.1";
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0";
        for (agent, kind, system, browser) in [
            (iphone, "mobile_iphone", "iOS", "Safari"),
            (edge, "desktop", "Windows", "Edge"),
            ("curl/8.0", "other", "Other", "Other"),
        ] {
            let device = of(agent);
            assert_eq!(
                (device.kind.as_str(), device.system.as_str(), device.browser.as_str()),
                (kind, system, browser)
            );
        }
    }
}
