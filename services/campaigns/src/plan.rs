//! A plan: a tree of nodes, each of which becomes one object at Meta.

pub(crate) mod apply;
pub(crate) mod diff;
mod making;
mod nodes;
mod reserving;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod steps;

pub(crate) use nodes::{Ids, Node, nodes, pictures};
