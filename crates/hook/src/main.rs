//! The claude-mpm-hook executable: no arguments, no output, exit code 0 whatever happens.
#![cfg_attr(windows, windows_subsystem = "windows")] // no console window flashes up

fn main() {
    // Claude Code shows whatever a hook prints and notices whatever it returns, so a defect of ours stays
    // silent too.
    std::panic::set_hook(Box::new(|_| std::process::exit(0)));
    hook::run();
}
