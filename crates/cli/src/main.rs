//! The claude-mpm-monitor executable: parse, run, exit code. Everything else is in the library.

#[cfg(feature = "profile")]
mod profile;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// An event is made by one thread and given back by another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
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
