//! The command line as people and scripts use it, against a suite in this process: real programs, real exit codes, real
//! output. Each command in the runbooks is among them.

#![cfg(test)]

mod audit;
mod connections;
mod keys;
mod quota;
mod runbooks;
mod terminal;
