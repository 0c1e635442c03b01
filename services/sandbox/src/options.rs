//! What the sandbox is told at its start.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How to start a sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it answers. Port 0 takes a free one (then use [`crate::serve_on`], which lets you see it).
    pub listen: SocketAddr,
    /// Where its HTTPS proxy answers. Default: there is none.
    pub proxy: Option<SocketAddr>,
    /// Where the certificate of the proxy's authority is written. Default: in the data folder, else a temporary file.
    pub proxy_ca: Option<PathBuf>,
    /// The world that exists at the first start.
    pub world: World,
    /// The seed of every number that is made up.
    pub seed: u64,
    /// The access tier of the app, which decides its rate limits.
    pub tier: Tier,
    /// The time at the start, from which the clock runs on. Default: the machine's.
    pub clock: Option<Timestamp>,
    /// Where the world is kept between runs. Default: in memory only.
    pub data: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7480)),
            proxy: None,
            proxy_ca: None,
            world: World::Small,
            seed: 1,
            tier: Tier::Standard,
            clock: None,
            data: None,
        }
    }
}

/// The worlds that can be asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum World {
    /// One app, one business, three ad accounts; the first with campaigns and 90 days of delivery.
    Small,
    /// World small, and 3,000 ad accounts, of which one (`act_1000000001000`) holds 100,000 ads.
    Large,
    /// What a TOML or JSON file says. It is read at the first start only: a data folder keeps its content.
    File(PathBuf),
}

/// The access tier of an app, as `ads_api_access_tier` in Meta's usage headers names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Limited access: hundreds of calls an hour.
    Development,
    /// Full access: hundreds of thousands of calls an hour.
    Standard,
}

impl Tier {
    /// Meta's word for the tier.
    pub fn word(self) -> &'static str {
        match self {
            Self::Development => "development_access",
            Self::Standard => "standard_access",
        }
    }
}

/// A word that names no world or tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of: {known}")]
pub struct ParseError {
    given: String,
    known: &'static str,
}

impl FromStr for World {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "small" => Ok(Self::Small),
            "large" => Ok(Self::Large),
            _ if Path::new(text).extension().is_some_and(|ending| ending == "toml" || ending == "json") => {
                Ok(Self::File(PathBuf::from(text)))
            }
            _ => Err(ParseError { given: text.to_owned(), known: "small, large, the path of a .toml or .json file" }),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small => f.write_str("small"),
            Self::Large => f.write_str("large"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl FromStr for Tier {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "development" => Ok(Self::Development),
            "standard" => Ok(Self::Standard),
            _ => Err(ParseError { given: text.to_owned(), known: "development, standard" }),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Standard => "standard",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_and_tiers_are_read_back_as_they_are_written() {
        for world in [World::Small, World::Large, World::File("worlds/shop.toml".into())] {
            assert_eq!(world.to_string().parse(), Ok(world));
        }
        for tier in [Tier::Development, Tier::Standard] {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
    }

    #[test]
    fn an_unknown_world_is_refused_with_the_known_ones() {
        let error = "huge".parse::<World>().unwrap_err();
        assert_eq!(error.to_string(), "\"huge\" is none of: small, large, the path of a .toml or .json file");
    }
}
