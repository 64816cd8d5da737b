//! The claude-mpm-hook executable.
fn main() {}
