//! The program as people and scripts run it: real processes, real signals, real exit codes.

#![cfg(test)]

mod collector;
mod demo;
mod dev;
mod dumps;
mod quota;
mod refusals;
mod sandbox;
