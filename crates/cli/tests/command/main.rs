//! The real executable, each test in a home and on ports of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dashboard;
mod demo;
mod diagnose;
mod examples;
#[cfg(unix)]
mod files;
mod flags;
#[cfg(unix)]
mod hooks;
mod json;
#[cfg(target_os = "linux")]
mod leftovers;
mod legacy;
mod lifecycle;
mod logs;
mod open;
mod ports;
mod programs;
mod restart;
#[cfg(unix)]
mod run;
#[cfg(target_os = "linux")]
mod service;
mod settings;
mod single_instance;
#[cfg(target_os = "linux")]
mod stray;
mod supervision;
mod support;
mod tail;
mod transfer;
mod trouble;
