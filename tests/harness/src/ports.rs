//! Ports for programs that cannot choose one themselves.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result};

/// The highest port of a stack above its base.
const SPAN: u16 = 91;
/// Below those that the system gives to whoever does not mind, and above those of stacks.
const SINGLE: std::ops::Range<u16> = 26_000..32_000;

/// A base whose ports are all free, and which no other test of this process was given.
pub fn port_base() -> Result<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let bases = (0..150).map(|_| 10_000 + (first(100) + NEXT.fetch_add(1, Ordering::Relaxed)) % 150 * 100);
    let free = |base: &u16| (*base..base + SPAN).all(is_free);
    bases.into_iter().find(free).map(|base| base.to_string()).context("no free ports")
}

/// A port that is free, and which no other test of this process was given. Whoever listens there has to try another one
/// where somebody was faster.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = SINGLE.end - SINGLE.start;
    let ports = (0..span).map(|_| SINGLE.start + (first(60) * 100 + NEXT.fetch_add(1, Ordering::Relaxed)) % span);
    ports.into_iter().find(|port| is_free(*port)).context("no free port")
}

/// Where this process begins to look, so that two that run at once seldom meet.
fn first(count: u32) -> u16 {
    u16::try_from(std::process::id() % count).unwrap_or_default()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
