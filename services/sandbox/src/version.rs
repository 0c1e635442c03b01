//! Versions in the path: `/v26.0/...`, and which of them are still answered.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Refusal;
use crate::state::Settings;

/// A version of the Graph API. Minor numbers have been 0 since 2015.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u16);

/// How a call is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    /// The version that answers, which may be a later one than was asked for.
    pub(crate) version: Version,
    /// For the header `X-Ad-Api-Version-Warning`.
    pub(crate) warning: Option<String>,
}

impl Version {
    /// As it stands in paths and in the header `facebook-api-version`.
    pub(crate) fn word(self) -> String {
        self.to_string()
    }

    /// Splits the version, where there is one, from a path.
    pub(crate) fn split(path: &str) -> (Option<Self>, Vec<String>) {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let version = parts.next_if(|part| parsed(part).is_some()).and_then(parsed);
        (version, parts.map(decoded).collect())
    }

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Served {
    /// Which version answers a call to `path`; one without a version gets the oldest, as at Meta.
    ///
    /// Versions of the Marketing API end after about a year; then a call is answered by the oldest that lives, unless
    /// the app or the edge is set against it (2635). Logins and server events live as long as the Graph API, whose
    /// ended versions are always answered by the oldest that lives (Meta, "Versioning").
    pub(crate) fn of(asked: Option<Version>, path: &[String], settings: &Settings) -> Result<Self, Refusal> {
        let of_graph = lives_with_graph(path);
        let oldest = if of_graph { settings.oldest_graph_version } else { settings.oldest_version };
        let version = asked.unwrap_or(oldest);
        if version > settings.newest_version {
            return Err(Refusal::new(2500, format!("Unknown path components: /{version}")));
        }
        if version >= oldest {
            let in_grace = !of_graph && settings.versions_in_grace.contains(&version);
            let warning = in_grace.then(|| {
                format!("The call will be auto-upgraded to {} as {version} will be deprecated.", version.next())
            });
            return Ok(Self { version, warning });
        }
        if of_graph {
            return Ok(Self { version: oldest, warning: None });
        }
        let changed = path.last().is_some_and(|edge| settings.edges_not_upgraded.contains(edge));
        if changed || !settings.auto_upgrade {
            return Err(ended(settings.newest_version));
        }
        let warning = format!("The call has been auto-upgraded to {oldest} as {version} has been deprecated.");
        Ok(Self { version: oldest, warning: Some(warning) })
    }
}

/// The refusal of a version that is no more.
pub(crate) fn ended(newest: Version) -> Refusal {
    let message = format!(
        "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest version: {newest}."
    );
    Refusal::new(2635, message)
}

/// Whether a path belongs to the Graph API proper, whose versions live at least two years.
fn lives_with_graph(path: &[String]) -> bool {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        parts.as_slice(),
        ["oauth" | "dialog" | "debug_token", ..]
            | ["me"]
            | [_, "permissions", ..]
            | [_, "events" | "subscriptions"]
            | ["me", "accounts"]
    )
}

fn parsed(part: &str) -> Option<Version> {
    let (major, minor) = part.strip_prefix('v')?.split_once('.')?;
    minor.parse::<u16>().ok()?;
    major.parse().ok().map(Version)
}

fn decoded(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    // `+` is a plus in a path, so only percent escapes are undone.
    let kept = part.replace('+', "%2B");
    url::form_urlencoded::parse(kept.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.0", self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parsed(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no version such as v26.0")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(asked: &str, settings: &Settings) -> Result<Served, Refusal> {
        let (version, path) = Version::split(asked);
        Served::of(version, &path, settings)
    }

    #[test]
    fn slashes_before_between_and_after_do_not_matter() {
        for path in ["/v26.0/act_1/campaigns", "/v26.0//act_1/campaigns/", "v26.0/act_1//campaigns"] {
            let (version, parts) = Version::split(path);
            assert_eq!(version, Some(Version(26)));
            assert_eq!(parts, ["act_1", "campaigns"]);
        }
        assert_eq!(Version::split("/a%2Bb+c").1, ["a+b+c"]);
    }

    #[test]
    fn a_path_without_version_gets_the_oldest_alive() {
        let settings = Settings::default();
        assert_eq!(served("/act_1", &settings).unwrap().version, settings.oldest_version);
        assert_eq!(served("/me", &settings).unwrap().version, settings.oldest_graph_version);
        assert_eq!(served("/7/events", &settings).unwrap().version, settings.oldest_graph_version);
    }

    #[test]
    fn an_ended_version_is_answered_by_the_oldest_alive_with_a_warning() {
        let settings = Settings { oldest_version: Version(25), ..Settings::default() };
        let it = served("/v22.0/act_1/ads", &settings).unwrap();
        assert_eq!(it.version, Version(25));
        let warning = "The call has been auto-upgraded to v25.0 as v22.0 has been deprecated.";
        assert_eq!(it.warning.as_deref(), Some(warning));
        let never = served("/v99.0/act_1/ads", &settings).unwrap_err();
        assert_eq!(never.code(), 2500);
    }

    #[test]
    fn an_ended_version_is_refused_where_the_app_or_the_edge_is_not_upgraded() {
        let off = Settings { auto_upgrade: false, ..Settings::default() };
        assert_eq!(served("/v18.0/act_1/ads", &off).unwrap_err().code(), 2635);
        let changed = Settings { edges_not_upgraded: vec!["adsets".to_owned()], ..Settings::default() };
        assert_eq!(served("/v18.0/act_1/adsets", &changed).unwrap_err().code(), 2635);
        assert!(served("/v18.0/act_1/ads", &changed).is_ok());
    }

    #[test]
    fn server_events_and_logins_live_as_long_as_the_graph_api() {
        let off = Settings { auto_upgrade: false, ..Settings::default() };
        assert_eq!(served("/v21.0/7/events", &off).unwrap(), Served { version: Version(21), warning: None });
        for path in ["me", "me/permissions", "7/permissions/ads_read", "7/subscriptions"] {
            assert_eq!(served(&format!("/v21.0/{path}"), &off).unwrap().version, Version(21), "{path}");
        }
        assert_eq!(served("/v21.0/me/adaccounts", &off).unwrap_err().code(), 2635);
        assert_eq!(served("/v18.0/oauth/access_token", &off).unwrap().version, off.oldest_graph_version);
    }

    #[test]
    fn a_version_in_its_grace_is_answered_with_a_warning() {
        let settings = Settings { versions_in_grace: vec![Version(24)], ..Settings::default() };
        let it = served("/v24.0/act_1", &settings).unwrap();
        assert_eq!(it.version, Version(24));
        assert!(it.warning.unwrap().contains("v24.0 will be deprecated"));
    }

    #[test]
    fn settings_write_versions_as_paths_do() {
        assert_eq!(serde_json::to_string(&Version(26)).unwrap(), "\"v26.0\"");
        assert_eq!(serde_json::from_str::<Version>("\"v9.0\"").unwrap(), Version(9));
        assert!(serde_json::from_str::<Version>("\"26\"").is_err());
    }
}
