//! What tests of several modules need.

use proptest::test_runner::Config;

/// How many cases of each property are tried: what `FUZZ_CASES` says, if it says anything.
pub(crate) fn cases() -> Option<u32> {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok())
}

/// Tries so many cases of a property. What fails is printed, not kept in a file.
pub(crate) fn trying(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
