//! From what a world is made.

use std::io;

use serde_json::Value;

use super::file::{self, Plan};
use crate::journal::Origin;
use crate::options::World;

/// What a world is made from; the seed, the clock and this give everything in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Small,
    Large,
    /// What a person wrote down, checked.
    Written(Box<Plan>),
}

/// The word of a written world in the journal.
const WRITTEN: &str = "file";

impl Source {
    /// Reads what was asked for. A file comes with its content, so that the world can be made again without it. Fails
    /// where the file cannot be read, or with all of its faults at once.
    pub(crate) fn read(world: &World) -> io::Result<(Self, Option<Value>)> {
        match world {
            World::Small => Ok((Self::Small, None)),
            World::Large => Ok((Self::Large, None)),
            World::File(path) => {
                let value = file::parse(path)?;
                Ok((Self::Written(Box::new(plan(&value, &path.display().to_string())?)), Some(value)))
            }
        }
    }

    /// The source that a journal was begun with.
    pub(crate) fn of(origin: &Origin) -> io::Result<Self> {
        match (origin.world.as_str(), &origin.file) {
            (WRITTEN, Some(value)) => Ok(Self::Written(Box::new(plan(value, "the journal's world")?))),
            ("large", _) => Ok(Self::Large),
            ("small", _) => Ok(Self::Small),
            (other, _) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("no world is called {other:?}"))),
        }
    }

    /// As the journal names it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Written(_) => WRITTEN,
        }
    }
}

fn plan(value: &Value, name: &str) -> io::Result<Plan> {
    Plan::read(value).map_err(|faults| {
        let text = format!("{name} is no world:\n  {}", faults.join("\n  "));
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}
