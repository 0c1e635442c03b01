//! The sandbox over real sockets: one family of calls in each file.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod activities;
#[cfg(test)]
mod asking;
#[cfg(test)]
mod async_sets;
#[cfg(test)]
mod audiences;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod catalogs;
#[cfg(test)]
mod control;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod events;
#[cfg(test)]
mod export;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod insights;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod labels;
#[cfg(test)]
mod leads;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod media;
#[cfg(test)]
mod money;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod people;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod server;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod studies;
#[cfg(test)]
mod targeting;
#[cfg(test)]
mod transport;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod worlds;
