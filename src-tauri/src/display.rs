//! Whether there is a display, and what the app does without one: it serves.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use crate::args::Args;

/// Whether windows can be shown. Asked before anything of the toolkit is used: without a display that ends
/// the process.
#[cfg(target_os = "linux")]
pub(crate) fn is_there() -> bool {
    gtk::init().is_ok()
}

/// Whether windows can be shown.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_there() -> bool {
    true
}

/// Serves as `claude-mpm-monitor start --foreground` does.
pub(crate) fn serve_without(args: &Args) -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut line: Vec<OsString> = ["claude-mpm-monitor", "start", "--foreground"].map(OsString::from).into();
    if let Some(port) = args.port {
        line.extend(["--port".into(), port.to_string().into()]);
    }
    eprintln!("There is no display: serving without window and tray.");
    let var = |name: &str| std::env::var_os(name);
    ExitCode::from(cli::run(line, &var, &mut cli::Terminal::new(&mut out, &mut err)) as u8)
}
