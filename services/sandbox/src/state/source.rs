//! From what a world is made.

use crate::options::World;

/// What a world is made from; the seed, the clock and this give everything in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Small,
}

impl Source {
    pub(crate) fn of(world: World) -> Self {
        match world {
            World::Small => Self::Small,
        }
    }
}
