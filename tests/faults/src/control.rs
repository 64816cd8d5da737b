//! What a test tells the library while the program runs, and what it tells the test: numbers of 64 bits in one file,
//! each at its place. The test writes the file, the library has it in its memory.

/// The database file, in [`Word::Files`].
pub(crate) const DATABASE: u64 = 1;

/// SQLite's log of changes, in [`Word::Files`].
pub(crate) const LOG: u64 = 2;

/// A number, by its place in the file. All are 0 at first: no trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Word {
    /// Which files are in trouble: [`DATABASE`], [`LOG`], or their sum.
    Files,
    /// One in so many writes, cuts of length and syncs is in trouble; 1 is all of them, 0 none.
    OneIn,
    /// What a write in trouble fails with, as the system numbers errors; 0 lets it succeed.
    WriteError,
    /// Whether a write in trouble brings its first half to the file, whether it then fails or says so.
    HalfWrites,
    /// What a sync in trouble fails with; 0 lets it succeed.
    SyncError,
    /// How much longer each write takes, in microseconds.
    WriteDelay,
    /// How much longer each sync takes, in microseconds.
    SyncDelay,
    /// Whether writes wait until this is 0 again.
    Held,
    /// How far the clock of the day is ahead, in milliseconds; negative is behind.
    ClockOffset,
    /// How far the clock that only goes forward is ahead, in milliseconds.
    Passed,
    /// Whether to keep, beside each file, what of it a loss of power cannot take any more.
    KeepSynced,
    /// Whether no address of IPv6 can be had, as where it is switched off.
    NoIpv6,
    /// How many calls were in trouble or held; the library counts.
    Troubled,
    /// How many calls were looked at; the library counts.
    Calls,
}

/// How many numbers there are.
pub(crate) const WORDS: usize = Word::Calls as usize + 1;

/// The variable that names the file.
pub(crate) const VARIABLE: &str = "FAULTS_CONTROL";

/// What the copy of a file is called that holds what was synced: the file's name and this.
pub(crate) const SYNCED: &str = ".synced";
