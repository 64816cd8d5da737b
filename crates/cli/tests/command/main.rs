//! The real executable, each test in a home and on ports of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod demo;
mod lifecycle;
mod single_instance;
mod supervision;
mod support;
