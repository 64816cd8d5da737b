//! The real executable, each test in a home and on ports of its own.

mod demo;
mod lifecycle;
mod single_instance;
mod support;
