//! What the shape of the tree promises, as tests: who may import whom, where SQL and Meta's words may stand, and what
//! every proto has in common. A failure lists everything that breaks the rule.

#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod protos;
#[cfg(test)]
mod sources;
