//! Stands between the real program and the C library, as `LD_PRELOAD` allows: writes to the event store, the clocks and the
//! network do what the test's control file says. SQLite itself and all of the product's code run as they are shipped.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "it takes the place of functions of the C library")]

mod control;

use std::ffi::{CStr, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use control::Word;

/// How much is copied at once.
const COPY_BYTES: usize = 64 * 1024;

/// The control file in memory; none when the program was started without one.
fn words() -> Option<&'static [AtomicU64; control::WORDS]> {
    static WORDS: OnceLock<Option<&'static [AtomicU64; control::WORDS]>> = OnceLock::new();
    *WORDS.get_or_init(|| {
        let path = std::env::var_os(control::VARIABLE)?;
        let file = File::options().read(true).write(true).open(path).ok()?;
        let bytes = size_of::<[AtomicU64; control::WORDS]>();
        if file.metadata().ok()?.len() < bytes as u64 {
            return None;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a mapping of a whole file, which stays for as long as the program runs.
        let place = unsafe { libc::mmap(null_mut(), bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        // SAFETY: the mapping is aligned to a page, as long as the array, and every value is a number.
        (place != libc::MAP_FAILED).then(|| unsafe { &*place.cast() })
    })
}

fn word(word: Word) -> u64 {
    words().map_or(0, |words| words[word as usize].load(Ordering::Relaxed))
}

fn count(word: Word) -> u64 {
    words().map_or(0, |words| words[word as usize].fetch_add(1, Ordering::Relaxed))
}

/// A file of the event store, if it is one. The descriptor stays the program's: SQLite's locks end when any descriptor of
/// the file is closed, so none is opened here.
struct Stored {
    path: PathBuf,
    file: ManuallyDrop<File>,
    kind: u64,
}

impl Stored {
    fn of(descriptor: c_int) -> Option<Self> {
        words()?;
        let path = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
        let kind = match path.extension()?.to_str()? {
            "db" => control::DATABASE,
            "db-wal" => control::LOG,
            _ => return None,
        };
        // SAFETY: the descriptor is open, for the caller uses it, and is not closed here.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        Some(Self { path, file, kind })
    }

    /// Whether this call is one of those that the test wants in trouble.
    fn is_in_trouble(&self) -> bool {
        let one_in = word(Word::OneIn);
        if one_in == 0 || word(Word::Files) & self.kind == 0 {
            return false;
        }
        let is_hit = scatter(count(Word::Calls)).is_multiple_of(one_in);
        if is_hit {
            count(Word::Troubled);
        }
        is_hit
    }

    /// Copies what is in the file now, whole or not at all.
    fn keep_synced(&self) -> io::Result<()> {
        let with = |ending: &str| {
            let mut name = self.path.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        let being_made = with(".syncing");
        let copy = File::create(&being_made)?;
        let (mut chunk, mut at) = (vec![0; COPY_BYTES], 0);
        loop {
            let bytes = self.file.read_at(&mut chunk, at)?;
            if bytes == 0 {
                return std::fs::rename(being_made, with(control::SYNCED));
            }
            copy.write_all_at(&chunk[..bytes], at)?;
            at += bytes as u64;
        }
    }
}

/// A number that looks random and is the same for the same call of a run (splitmix64).
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn pause(delay: Word) {
    let micros = word(delay);
    if micros > 0 {
        std::thread::sleep(Duration::from_micros(micros));
    }
}

fn wait_while_held() {
    if word(Word::Held) != 0 {
        count(Word::Troubled);
    }
    while word(Word::Held) != 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Fails as the system would, with this error.
fn fail(error: u64) {
    // SAFETY: the place of this thread's error is always valid.
    unsafe { *libc::__errno_location() = error as c_int };
}

/// A function of the C library by its name, behind this library.
macro_rules! real {
    ($name:literal as $kind:ty) => {{
        static REAL: OnceLock<usize> = OnceLock::new();
        let address = *REAL.get_or_init(|| behind($name));
        // SAFETY: the C library's function of that name has that type.
        unsafe { std::mem::transmute::<usize, $kind>(address) }
    }};
}

fn behind(name: &'static CStr) -> usize {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!address.is_null(), "the C library has no {name:?}");
    address as usize
}

type Pwrite = unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize;
type Fsync = unsafe extern "C" fn(c_int) -> c_int;
type Ftruncate = unsafe extern "C" fn(c_int, i64) -> c_int;
type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
type Bind = unsafe extern "C" fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
type Gettimeofday = unsafe extern "C" fn(*mut libc::timeval, *mut c_void) -> c_int;

/// `pwrite` for files of any size, as SQLite calls it.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(descriptor: c_int, bytes: *const c_void, length: usize, at: i64) -> isize {
    let real = real!(c"pwrite64" as Pwrite);
    // SAFETY: the caller's own arguments, and at most as many bytes.
    let write = |length| unsafe { real(descriptor, bytes, length, at) };
    let Some(file) = Stored::of(descriptor) else { return write(length) };
    pause(Word::WriteDelay);
    wait_while_held();
    if !file.is_in_trouble() {
        return write(length);
    }
    let error = word(Word::WriteError);
    let written = if word(Word::HalfWrites) != 0 { write(length.div_ceil(2)) } else { 0 };
    match error {
        0 if written == 0 => write(length),
        0 => written,
        error => {
            fail(error);
            -1
        }
    }
}

/// Sets the length of a file of any size.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(descriptor: c_int, length: i64) -> c_int {
    let error = word(Word::WriteError);
    if error != 0 && Stored::of(descriptor).is_some_and(|file| file.is_in_trouble()) {
        fail(error);
        return -1;
    }
    let real = real!(c"ftruncate64" as Ftruncate);
    // SAFETY: the caller's own arguments.
    unsafe { real(descriptor, length) }
}

/// Waits until a file is on the disk.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(descriptor: c_int) -> c_int {
    sync(descriptor, real!(c"fsync" as Fsync))
}

/// Waits until what a file holds is on the disk.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    sync(descriptor, real!(c"fdatasync" as Fsync))
}

fn sync(descriptor: c_int, real: Fsync) -> c_int {
    // SAFETY: the caller's own argument.
    let real = || unsafe { real(descriptor) };
    let Some(file) = Stored::of(descriptor) else { return real() };
    pause(Word::SyncDelay);
    let error = word(Word::SyncError);
    if error != 0 && file.is_in_trouble() {
        fail(error);
        return -1;
    }
    let done = real();
    if done == 0 && word(Word::KeepSynced) != 0 && file.keep_synced().is_err() {
        fail(libc::EIO as u64);
        return -1;
    }
    done
}

/// Gives a socket its address.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bind(
    descriptor: c_int,
    address: *const libc::sockaddr,
    length: libc::socklen_t,
) -> c_int {
    // SAFETY: the caller's own argument, which begins with its family.
    let family = unsafe { (*address).sa_family };
    if c_int::from(family) == libc::AF_INET6 && word(Word::NoIpv6) != 0 {
        fail(libc::EADDRNOTAVAIL as u64);
        return -1;
    }
    let real = real!(c"bind" as Bind);
    // SAFETY: the caller's own arguments.
    unsafe { real(descriptor, address, length) }
}

/// A time in seconds and parts of a second, of which a millisecond has so many, as far off as the test wants.
fn set_off(offset: Word, seconds: i64, parts: i64, parts_of_ms: i64) -> (i64, i64) {
    let offset_ms = word(offset).cast_signed();
    let (parts, second) = (parts + offset_ms.rem_euclid(1000) * parts_of_ms, 1000 * parts_of_ms);
    (seconds + offset_ms.div_euclid(1000) + parts / second, parts % second)
}

/// The time, as far off as the test wants.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let real = real!(c"clock_gettime" as ClockGettime);
    // SAFETY: the caller's own arguments.
    let done = unsafe { real(clock, time) };
    let offset = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(Word::ClockOffset),
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME => Some(Word::Passed),
        _ => None,
    };
    if done == 0
        && let Some(offset) = offset
    {
        // SAFETY: the C library has just written there.
        let time = unsafe { &mut *time };
        (time.tv_sec, time.tv_nsec) = set_off(offset, time.tv_sec, time.tv_nsec, 1_000_000);
    }
    done
}

/// The time of the day, as far off as the test wants.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, zone: *mut c_void) -> c_int {
    let real = real!(c"gettimeofday" as Gettimeofday);
    // SAFETY: the caller's own arguments.
    let done = unsafe { real(time, zone) };
    if done == 0 && !time.is_null() {
        // SAFETY: the C library has just written there.
        let time = unsafe { &mut *time };
        (time.tv_sec, time.tv_usec) = set_off(Word::ClockOffset, time.tv_sec, time.tv_usec, 1000);
    }
    done
}
