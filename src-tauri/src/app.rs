//! The toolkit's side of the app: plugins, the main loop, and everything that it tells the controller.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use client::Lock;
use host::{Hangup, Signals};
use protocol::paths::Home;
use tauri::http::{Response, header};
use tauri::{RunEvent, WindowEvent};
use tauri_plugin_window_state::StateFlags;
use tokio::sync::mpsc;

use crate::args::Args;
use crate::controller::{Controller, Event};
use crate::menu::TrayView;
use crate::{page, window};

/// Own pages load nothing and run nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Runs until the app is quit.
pub(crate) fn run(args: Args, home: Home, turn: Option<Lock>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    tauri::async_runtime::set(runtime.handle().clone());
    let _entered = runtime.enter();

    let (events, inbox) = mpsc::unbounded_channel();
    let view = Arc::new(Mutex::new(TrayView::default()));
    let (told, shown, closed) = (events.clone(), view.clone(), events.clone());
    let state = tauri_plugin_window_state::Builder::new()
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
        .with_filename(home.monitor().join("window.json").to_string_lossy())
        .with_denylist(&["about"])
        .build();
    let app = tauri::Builder::default()
        // First, so that a second start ends before it does anything.
        .plugin(tauri_plugin_single_instance::init(move |_, args, _| {
            // When nobody listens any more, the app is about to end.
            let _ = told.send(Event::SecondStart(Args::of_second_start(&args)));
        }))
        .plugin(tauri_plugin_autostart::Builder::new().arg("--hidden").build())
        .plugin(state)
        .register_uri_scheme_protocol(page::SCHEME, move |_, request| {
            let view = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let html = page::html(request.uri().path(), &view).into_bytes();
            let response = Response::builder()
                .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
                .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
                .body(html);
            response.expect("constant headers are valid")
        })
        .on_window_event(move |window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event
                && window::is_main(window.label())
            {
                api.prevent_close();
                // As above.
                let _ = closed.send(Event::CloseRequested);
            }
        })
        .build(tauri::generate_context!())
        .context("could not start the app")?;
    // From now on others can tell of themselves.
    drop(turn);

    tell_of_signals(&events).context("could not listen for signals")?;
    let controller = Controller::new(app.handle(), args, home, view, events.clone());
    tokio::spawn(controller.run(inbox));
    let code = app.run_return(move |_, event| match event {
        // Without a window the app lives on in the tray.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        #[cfg(target_os = "macos")]
        RunEvent::Opened { urls } => {
            let _ = events.send(Event::Opened(urls));
        }
        _ => {}
    });
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Whoever ends the app from outside gets the same clean end as its user.
fn tell_of_signals(events: &mpsc::UnboundedSender<Event>) -> std::io::Result<()> {
    let (mut signals, events) = (Signals::new(Hangup::Ends)?, events.clone());
    tokio::spawn(async move {
        loop {
            signals.next().await;
            if events.send(Event::Quit).is_err() {
                break;
            }
        }
    });
    Ok(())
}
