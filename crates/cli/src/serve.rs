//! A server in this process until a signal, an order to stop, or its failure.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use client::Probe;
use host::{Hangup, Host, LogFormat, LogLevel, Settings, Signals, StartError};
use protocol::Runfile;
use protocol::paths::Home;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};

use crate::context::Context;

/// How long work that cannot be interrupted may keep an ended server from leaving.
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// Where a server answers.
pub(crate) enum Place<'a> {
    /// At its start.
    First(&'a Runfile),
    /// After a restart on another port.
    Moved(&'a Runfile),
}

/// Serves in this process, for that project only if one is named. `tell` is called when the server answers, and
/// again when it has moved. Returns who has the port when another program was quicker, and `None` after serving.
pub(crate) fn serve(
    mut settings: Settings,
    project: Option<String>,
    context: &mut Context<'_, '_>,
    mut tell: impl FnMut(Place<'_>, &mut Context<'_, '_>),
) -> anyhow::Result<Option<Probe>> {
    let port = settings.config.port;
    let hangup = if is_supervised(&settings) { Hangup::IsIgnored } else { Hangup::Ends };
    start_log(&settings, &context.home)?;
    settings.load_certificate(&context.home)?;
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    let served = runtime.block_on(async {
        // Before the port is taken: whoever sees us serve may stop us right away.
        let (first, second) = signals(hangup).context("could not listen for signals")?;
        let host = match Host::start(settings.config, context.home.clone(), project).await {
            Ok(host) => host,
            Err(error) => return taken(error, port, context).map(Some),
        };
        tell(Place::First(&host.runfile()), context);
        let mut moves = host.moves();
        let (mut served, mut second) = (pin!(host.serve_until(first)), pin!(second));
        loop {
            tokio::select! {
                ended = &mut served => break drop(ended?),
                () = &mut second => break,
                Ok(()) = moves.changed() => tell(Place::Moved(&moves.borrow_and_update()), context),
            }
        }
        Ok(None)
    });
    // After a second signal connections may still be open: they are dropped, and with them the runfile.
    runtime.shutdown_timeout(DROP_LIMIT);
    served
}

/// Whether a supervisor started this server, away from any terminal.
fn is_supervised(settings: &Settings) -> bool {
    settings.config.mode == "background"
}

/// Who has the port, when that is why the start failed.
fn taken(error: StartError, port: u16, context: &Context<'_, '_>) -> anyhow::Result<Probe> {
    match error {
        StartError::PortTaken { port: taken, owner } if taken == port => Ok(Probe::Foreign { owner }),
        StartError::Locked { .. } => {
            let ours = client::wait_for_ours(&context.home, port, context.start_limit()?);
            Ok(ours.map_or_else(|| client::probe(&context.home, port), Probe::Ours))
        }
        other => Err(other.into()),
    }
}

/// The log goes to standard error, in the foreground only what may be wrong, and to a file when the user wants
/// one. That of a supervised server goes to the supervisor, who writes the file.
fn start_log(settings: &Settings, home: &Home) -> anyhow::Result<()> {
    let supervised = is_supervised(settings);
    let level = match settings.log_level {
        Some(LogLevel::Debug) => "debug",
        Some(LogLevel::Info) => "info",
        Some(LogLevel::Error) => "error",
        None if supervised => "info",
        Some(LogLevel::Warn) | None => "warn",
    };
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_ansi(false);
    // When nobody reads the log any more, there is nowhere to say so.
    let log = log.log_internal_errors(false);
    let writer = if settings.log_to_file && !supervised {
        let port = settings.config.port;
        let file = settings.open_log(home, port);
        let file = file
            .with_context(|| format!("could not open the log {}", settings.log_path(home, port).display()))?;
        BoxMakeWriter::new(io::stderr.and(Mutex::new(file)))
    } else {
        BoxMakeWriter::new(io::stderr)
    };
    let log = log.with_writer(writer);
    // A second server in one process, as in tests, keeps the first one's log.
    let _ = match settings.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Two futures: the first signal to stop, and the second, which means at once.
pub(crate) fn signals(hangup: Hangup) -> io::Result<(impl Future<Output = ()>, impl Future<Output = ()>)> {
    let mut signals = Signals::new(hangup)?;
    let (first, first_came) = oneshot::channel::<()>();
    let (second, second_came) = oneshot::channel::<()>();
    tokio::spawn(async move {
        for told in [first, second] {
            signals.next().await;
            // Nobody listens any more when the server has ended by itself.
            let _ = told.send(());
        }
    });
    Ok((came(first_came), came(second_came)))
}

/// Completes when the signal came, and never because the listener went away.
async fn came(signal: oneshot::Receiver<()>) {
    if signal.await.is_err() {
        std::future::pending::<()>().await;
    }
}
