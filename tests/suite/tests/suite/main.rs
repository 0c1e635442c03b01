//! The whole suite over real sockets, as its callers see it: every call goes through the gateway.
//!
//! Each test has a suite of its own, so that it may turn the sandbox, count its requests and look into its database.

#![cfg(test)]

mod audit;
mod changes;
mod door;
mod ended;
mod graph_calls;
mod logins;
mod lost_answers;
mod main_job;
mod pages;
mod refusals;
mod repeats;
mod roles;
mod secrets;
mod tenants;
mod work;
