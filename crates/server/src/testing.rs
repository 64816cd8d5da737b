//! What tests of several modules need.

/// How many cases of each property are tried: what `FUZZ_CASES` says, if it says anything.
pub(crate) fn cases() -> Option<u32> {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok())
}
