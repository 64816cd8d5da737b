//! The desktop app: a server in the background, its state in the tray, its dashboard in a window. This file only
//! puts the parts together.
#![cfg_attr(windows, windows_subsystem = "windows")]

mod app;
mod args;
mod controller;
mod desktop;
mod display;
mod first;
mod hooks;
mod log;
mod menu;
mod notices;
mod page;
mod ports;
mod preferences;
mod server;
mod sessions;
mod stream;
mod tray;
mod window;

use std::process::ExitCode;

use clap::Parser;
use protocol::paths::Home;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let Some(home) = Home::from_env(|name| std::env::var_os(name)) else {
        eprintln!("Error: could not find your home folder");
        eprintln!("Suggestion: set HOME or CLAUDE_MPM_HOME");
        return ExitCode::FAILURE;
    };
    let turn = first::turn(&home);
    if first::is_taken_over() {
        return ExitCode::SUCCESS;
    }
    if !display::is_there() {
        drop(turn);
        return display::serve_without(&args);
    }
    log::start(&home);
    match app::run(args, home, turn) {
        Ok(exit) => exit,
        Err(error) => {
            tracing::error!("{error:#}");
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
