//! Auth over a real socket, against a real PostgreSQL and the sandbox's Meta.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod events;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod jwks;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lagging;
#[cfg(test)]
mod lesser;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod meanwhile;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod meta_apps;
#[cfg(test)]
mod one_connection;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod subjects;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod thinning;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vault;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod words;
#[cfg(test)]
mod workloads;
#[cfg(test)]
mod world;
