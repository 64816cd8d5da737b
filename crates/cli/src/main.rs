//! The claude-mpm-monitor executable: parse, run, exit code. Everything else is in the library.

#[cfg(feature = "profile")]
mod profile;

use std::ffi::c_long;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// An event is made by one thread and given back by another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`, to which the bindings give no name.
const PURGE_DELAY: mi_option_t = 15;

/// How long memory that nobody needs is kept, in ms. For the second that the allocator would keep it, a flood of events
/// comes back to it all the time: none would go back to the system.
const PURGE_DELAY_MS: c_long = 100;

#[expect(unsafe_code, reason = "there is no other way to set the allocator's options")]
fn set_purge_delay() {
    // SAFETY: it stores a number, before any other thread runs.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) }
}

fn main() -> ExitCode {
    set_purge_delay();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let live = out.is_terminal();
    let mut terminal = cli::Terminal::new(&mut out, &mut err);
    terminal.live = live;
    terminal.columns = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let var = |name: &str| std::env::var_os(name);
    #[cfg(feature = "profile")]
    let profile = profile::Profile::start().expect("a profile can be started");
    let exit = cli::run(std::env::args_os(), &var, &mut terminal);
    #[cfg(feature = "profile")]
    if let Some(profile) = profile {
        profile.write().expect("a profile can be written");
    }
    ExitCode::from(exit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "there is no other way to read the allocator's options")]
    fn the_option_that_is_set_is_the_purge_delay() {
        // SAFETY: it reads a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1000, "the allocator's own; no other option has that value");
        set_purge_delay();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
