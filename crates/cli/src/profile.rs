//! Where processor time goes, in a build for profiling (feature `profile`): what `CLAUDE_MPM_PPROF=FILE` names gets the
//! samples as `FILE.pb`, which pprof's tools read, and a flame graph as `FILE.svg`. Nothing of this is in what users
//! install.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pprof::protos::Message as _;
use pprof::{ProfilerGuard, ProfilerGuardBuilder};

/// Samples a second of processor time. No divisor of what programs do by the clock, so that nothing is always missed.
const FREQUENCY: i32 = 997;

/// Libraries from whose inside no stack can be read. The C library is not among them: system calls are half of what a
/// server does.
const LEFT_OUT: &[&str] = &["libgcc", "vdso"];

/// A profile under way.
pub(crate) struct Profile {
    file: PathBuf,
    guard: ProfilerGuard<'static>,
}

impl Profile {
    /// Starts one when the environment names a file for it.
    pub(crate) fn start() -> Result<Option<Self>> {
        let Some(file) = std::env::var_os("CLAUDE_MPM_PPROF") else { return Ok(None) };
        let builder = ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(LEFT_OUT);
        let guard = builder.build().context("could not start the profile")?;
        Ok(Some(Self { file: file.into(), guard }))
    }

    /// Ends it and writes both files.
    pub(crate) fn write(self) -> Result<()> {
        let report = self.guard.report().build().context("could not read the profile")?;
        let samples = report.pprof().context("could not encode the profile")?.encode_to_vec();
        write(&self.file.with_extension("pb"), &samples)?;
        let mut flames = Vec::new();
        report.flamegraph(&mut flames).context("could not draw the profile")?;
        write(&self.file.with_extension("svg"), &flames)
    }
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("could not write {}", path.display()))
}
