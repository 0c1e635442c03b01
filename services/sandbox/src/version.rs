//! Versions in the path: `/v26.0/...`.

use crate::error::Refusal;

/// The newest version that exists.
const NEWEST: Version = Version(26);
/// The oldest Marketing API version still answered. Meta ends one about every year; the SDKs in use send v22 or later.
const OLDEST: Version = Version(22);

/// A version of the Graph API. Minor numbers have been 0 since 2013.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u16);

impl Version {
    pub(crate) fn newest() -> Self {
        NEWEST
    }

    /// As it stands in paths and in the header `facebook-api-version`.
    pub(crate) fn word(self) -> String {
        format!("v{}.0", self.0)
    }

    /// Splits the version from a path; a path without one gets the oldest that is alive, as at Meta.
    pub(crate) fn split(path: &str) -> (Self, Vec<String>) {
        let mut parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let Some(version) = parts.first().and_then(|part| parsed(part)) else {
            return (OLDEST, parts);
        };
        parts.remove(0);
        (version, parts)
    }

    /// Fails for a version that ended (2635) or never was (2500).
    pub(crate) fn check(self) -> Result<(), Refusal> {
        if self < OLDEST {
            let message = format!(
                "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest version: {}.",
                NEWEST.word()
            );
            return Err(Refusal::new(2635, message));
        }
        if self > NEWEST {
            return Err(Refusal::new(2500, format!("Unknown path components: /{}", self.word())));
        }
        Ok(())
    }
}

fn parsed(part: &str) -> Option<Version> {
    let (major, minor) = part.strip_prefix('v')?.split_once('.')?;
    minor.parse::<u16>().ok()?;
    major.parse().ok().map(Version)
}

fn decoded(part: &str) -> String {
    // `+` is a plus in a path, so only percent escapes are undone.
    let kept = part.replace('+', "%2B");
    url::form_urlencoded::parse(kept.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_before_between_and_after_do_not_matter() {
        for path in ["/v26.0/act_1/campaigns", "/v26.0//act_1/campaigns/", "v26.0/act_1//campaigns"] {
            let (version, parts) = Version::split(path);
            assert_eq!(version, Version(26));
            assert_eq!(parts, ["act_1", "campaigns"]);
        }
    }

    #[test]
    fn a_path_without_version_gets_the_oldest_alive() {
        assert_eq!(Version::split("/me").0, OLDEST);
    }

    #[test]
    fn ended_and_unknown_versions_are_refused() {
        assert_eq!(Version(18).check().unwrap_err().code(), 2635);
        assert_eq!(Version(99).check().unwrap_err().code(), 2500);
        assert!(Version(24).check().is_ok());
    }
}
