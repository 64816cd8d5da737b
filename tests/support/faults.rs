//! The trouble that a test makes for a running monitor: a disk that fails or is slow, a clock that jumps, a network
//! without IPv6.

#[path = "../faults/src/control.rs"]
mod control;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use control::Word;
use tempfile::NamedTempFile;

use crate::{PATIENCE, program};

/// Which files of the event store are in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// The database file.
    Database,
    /// SQLite's log of changes.
    Log,
    /// Both.
    Both,
}

/// Why the system does not do what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// The device has an error.
    Io = 5,
    /// There is no room.
    NoSpace = 28,
}

/// What happens to the monitors that are started with it; nothing at first.
pub struct Faults {
    control: NamedTempFile,
}

impl Faults {
    /// No trouble yet.
    pub fn none() -> Self {
        let control = NamedTempFile::new().expect("a temporary file can be made");
        control.as_file().set_len(8 * control::WORDS as u64).expect("a file can be made longer");
        Self { control }
    }

    /// One in so many writes fails.
    pub fn fail_writes(&self, files: Files, error: Errno, one_in: u64) {
        self.set(Word::WriteError, error as u64);
        self.begin(files, one_in);
    }

    /// One in so many writes brings only the first half of its bytes to the file, and fails when there is an error to
    /// fail with; otherwise it says how far it came.
    pub fn cut_writes(&self, files: Files, error: Option<Errno>, one_in: u64) {
        self.set(Word::HalfWrites, 1);
        self.set(Word::WriteError, error.map_or(0, |error| error as u64));
        self.begin(files, one_in);
    }

    /// Every sync fails.
    pub fn fail_syncs(&self, files: Files) {
        self.set(Word::SyncError, Errno::Io as u64);
        self.begin(files, 1);
    }

    /// Each write and each sync takes so much longer.
    pub fn slow_down(&self, delay: Duration) {
        let micros = delay.as_micros() as u64;
        self.set(Word::WriteDelay, micros);
        self.set(Word::SyncDelay, micros);
    }

    /// Each write waits until the disk is well again.
    pub fn hold_writes(&self) {
        self.set(Word::Held, 1);
    }

    /// No address of IPv6 can be had, as where it is switched off.
    pub fn switch_off_ipv6(&self) {
        self.set(Word::NoIpv6, 1);
    }

    /// The clock of the day goes so many seconds ahead of the real one; behind it when negative.
    pub fn set_clock(&self, seconds: i64) {
        self.set(Word::ClockOffset, (1000 * seconds).cast_unsigned());
    }

    /// So many seconds more have passed since the program started, by the clock that only goes forward.
    pub fn let_pass(&self, seconds: u64) {
        self.set(Word::Passed, 1000 * seconds);
    }

    /// Keeps beside each file what of it survives a loss of power.
    pub fn keep_synced(&self) {
        self.set(Word::KeepSynced, 1);
    }

    /// The disk is well again; the clock stays as it is.
    pub fn heal(&self) {
        self.begin(Files::Both, 0);
        let troubles = [Word::WriteError, Word::HalfWrites, Word::SyncError];
        for word in troubles.into_iter().chain([Word::WriteDelay, Word::SyncDelay, Word::Held]) {
            self.set(word, 0);
        }
    }

    /// How many calls were in trouble so far.
    pub fn met(&self) -> u64 {
        let mut bytes = [0; 8];
        let at = 8 * Word::Troubled as u64;
        self.control.as_file().read_exact_at(&mut bytes, at).expect("it is as long as that");
        u64::from_ne_bytes(bytes)
    }

    /// Waits until so many more calls were in trouble.
    #[track_caller]
    pub fn wait_for(&self, more: u64) {
        self.wait_until(self.met() + more);
    }

    /// Waits until so many calls were in trouble altogether.
    #[track_caller]
    pub fn wait_until(&self, total: u64) {
        let start = Instant::now();
        while self.met() < total {
            assert!(
                start.elapsed() < PATIENCE,
                "the monitor met too little trouble: {} of {total}",
                self.met()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What the monitor's environment must hold.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", program("libfaults.so").into()),
            (control::VARIABLE, self.control.path().as_os_str().to_owned()),
        ]
    }

    fn begin(&self, files: Files, one_in: u64) {
        let files = match files {
            Files::Database => control::DATABASE,
            Files::Log => control::LOG,
            Files::Both => control::DATABASE + control::LOG,
        };
        self.set(Word::Files, files);
        self.set(Word::OneIn, one_in);
    }

    fn set(&self, word: Word, value: u64) {
        let bytes = value.to_ne_bytes();
        self.control.as_file().write_all_at(&bytes, 8 * word as u64).expect("it is ours");
    }
}

/// What a loss of power leaves of a file of a crashed monitor: what was synced of it, and of what came later those blocks
/// that `reached` the disk, by their number.
pub fn lose_power(path: &Path, mut reached: impl FnMut(usize) -> bool) {
    const BLOCK_BYTES: usize = 4096;
    let synced = PathBuf::from(format!("{}{}", path.display(), control::SYNCED));
    let mut left = fs::read(&synced).unwrap_or_default();
    let written = fs::read(path).unwrap_or_default();
    for (number, block) in written.chunks(BLOCK_BYTES).enumerate() {
        let from = number * BLOCK_BYTES;
        if reached(number) {
            left.resize(left.len().max(from + block.len()), 0);
            left[from..from + block.len()].copy_from_slice(block);
        }
    }
    for file in [path, &synced] {
        fs::write(file, &left).expect("it is ours");
    }
}
