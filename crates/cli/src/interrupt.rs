//! Ctrl-C for verbs that end well by it.

use std::thread;

/// Calls `then` once, on a thread of its own, when the user interrupts. A second Ctrl-C ends the process.
pub(crate) fn on_interrupt(then: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                then();
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(130); // what a shell shows for SIGINT
                }
            }
        });
    })?;
    Ok(())
}
