//! The claude-mpm-monitor executable.
fn main() {}
