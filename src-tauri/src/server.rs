//! The server that the app shows: its own in this process, or one of this user's that serves already. One task
//! owns it and carries out orders one after the other; everybody else sees a [`View`].

mod crashes;

use std::future::pending;
use std::time::{Duration, Instant};

use client::{Lock, Probe, Running};
use host::{Flags, Host, Settings, StartError};
use protocol::Runfile;
use protocol::paths::Home;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use crashes::{Crashes, Next};

/// How long a monitor that is just starting may take until it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How often a monitor that moves is looked for.
const POLL: Duration = Duration::from_millis(50);

/// What the user sees of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    pub(crate) serving: Serving,
    /// Why the last order was not carried out.
    pub(crate) refused: Option<String>,
}

/// Who serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Serving {
    /// Not known yet.
    #[default]
    Starting,
    /// This process.
    Here(Runfile),
    /// Another process of this user.
    Elsewhere(Runfile),
    /// Another desktop app of this user, which could not be told of this start.
    AnotherApp(Runfile),
    /// Nobody, as somebody ordered.
    Stopped { port: u16 },
    /// Nobody, against the user's will.
    Failed { port: u16, reason: String, retry_in: Option<Duration> },
}

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Serve, on the port that served last.
    Start,
    Stop,
    Restart,
    /// Serve on this port.
    Port(u16),
    /// The monitor elsewhere answers no more: find out what became of it.
    Lost,
}

/// Gives orders. The server stops when it is dropped, or rather when [`Server::end`] returns.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    orders: mpsc::UnboundedSender<Message>,
    view: watch::Receiver<View>,
}

enum Message {
    Order(Order),
    End(oneshot::Sender<()>),
}

impl Serving {
    /// Who can be asked.
    pub(crate) fn runfile(&self) -> Option<&Runfile> {
        match self {
            Self::Here(runfile) | Self::Elsewhere(runfile) => Some(runfile),
            _ => None,
        }
    }
}

impl Server {
    /// Starts serving on that port, else on the configured one. A runtime must be at hand.
    pub(crate) fn start(home: Home, port: Option<u16>) -> Self {
        let (orders, messages) = mpsc::unbounded_channel();
        let (publish, view) = watch::channel(View::default());
        let task = Task { home, port, messages, publish, engine: Engine::Off, crashes: Crashes::default() };
        tokio::spawn(task.run());
        Self { orders, view }
    }

    /// What the user sees, now and from now on.
    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Gives an order; what comes of it is seen.
    pub(crate) fn order(&self, order: Order) {
        // It has ended only when the app has.
        let _ = self.orders.send(Message::Order(order));
    }

    /// Stops the server if it is this process's, and returns when it has.
    pub(crate) async fn end(&self) {
        let (done, ended) = oneshot::channel();
        if self.orders.send(Message::End(done)).is_ok() {
            // Either it says so, or it is gone.
            let _ = ended.await;
        }
    }
}

struct Task {
    home: Home,
    /// The port that the user wants; none means the configured one.
    port: Option<u16>,
    messages: mpsc::UnboundedReceiver<Message>,
    publish: watch::Sender<View>,
    engine: Engine,
    crashes: Crashes,
}

/// What this task waits for.
enum Engine {
    /// Nothing.
    Off,
    /// A server in this process.
    Here {
        stop: oneshot::Sender<()>,
        ended: JoinHandle<Result<(), String>>,
        runfile: watch::Receiver<Runfile>,
    },
    /// The time of the next try.
    Resting(tokio::time::Instant),
}

/// What happened by itself.
enum Happened {
    Moved(Box<Runfile>),
    Ended(Result<(), String>),
    Rested,
}

impl Engine {
    async fn next(&mut self) -> Happened {
        match self {
            Self::Off => pending().await,
            Self::Resting(until) => {
                tokio::time::sleep_until(*until).await;
                Happened::Rested
            }
            Self::Here { ended, runfile, .. } => tokio::select! {
                Ok(()) = runfile.changed() => Happened::Moved(Box::new(runfile.borrow_and_update().clone())),
                ended = ended => Happened::Ended(ended.unwrap_or_else(|crash| Err(crash.to_string()))),
            },
        }
    }
}

impl Task {
    async fn run(mut self) {
        self.serve().await;
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(Message::Order(order)) => self.obey(order).await,
                    Some(Message::End(done)) => {
                        self.stop_here().await;
                        // Whoever asked may be gone.
                        let _ = done.send(());
                        return;
                    }
                    None => return self.stop_here().await,
                },
                happened = self.engine.next() => self.learn(happened).await,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        let serving = self.publish.borrow().serving.clone();
        self.publish.send_if_modified(|view| view.refused.take().is_some());
        match (order, serving) {
            (Order::Start, Serving::Here(_) | Serving::Elsewhere(_)) => {}
            (Order::Start | Order::Restart, _) if serving_nobody(&self.publish) => self.serve_again().await,
            (Order::Port(port), _) if serving_nobody(&self.publish) => {
                self.port = Some(port);
                self.serve_again().await;
            }
            (Order::Restart, Serving::Here(runfile) | Serving::Elsewhere(runfile)) => {
                let port = runfile.port;
                self.restart(runfile, port).await;
            }
            (Order::Port(port), Serving::Here(runfile) | Serving::Elsewhere(runfile)) => {
                if runfile.port != port {
                    self.restart(runfile, port).await;
                }
            }
            (Order::Stop, Serving::Here(runfile)) => {
                self.stop_here().await;
                self.show(Serving::Stopped { port: runfile.port });
            }
            (Order::Stop, Serving::Elsewhere(runfile)) => self.stop_elsewhere(runfile).await,
            (Order::Stop, Serving::Failed { port, .. }) => {
                self.engine = Engine::Off;
                self.show(Serving::Stopped { port });
            }
            (Order::Lost, Serving::Elsewhere(runfile)) => self.find_again(runfile).await,
            (Order::Start | Order::Stop | Order::Restart | Order::Port(_) | Order::Lost, _) => {}
        }
    }

    async fn learn(&mut self, happened: Happened) {
        match happened {
            Happened::Moved(runfile) => {
                self.port = Some(runfile.port);
                self.crashes.started(Instant::now());
                self.show(Serving::Here(*runfile));
            }
            Happened::Ended(Ok(())) => {
                let port = self.last_port();
                self.engine = Engine::Off;
                self.show(Serving::Stopped { port });
            }
            Happened::Ended(Err(reason)) => self.crashed(reason),
            Happened::Rested => self.serve().await,
        }
    }

    /// Serves because the user wants it: what failed before does not count.
    async fn serve_again(&mut self) {
        self.crashes = Crashes::default();
        self.serve().await;
    }

    /// Serves in this process, or finds who serves already.
    async fn serve(&mut self) {
        self.engine = Engine::Off;
        let flags = Flags { port: self.port, ..Flags::default() };
        let settings = match Settings::load(&flags, |name| std::env::var_os(name), &self.home) {
            Ok(settings) => settings,
            Err(error) => {
                let port = self.last_port();
                return self.show(Serving::Failed { port, reason: error.to_string(), retry_in: None });
            }
        };
        settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let port = settings.config.port;
        let mut config = settings.config;
        config.mode = protocol::runfile::DESKTOP.to_owned();
        config.working_directory = std::env::current_dir().unwrap_or_default();
        match Host::start(config, self.home.clone(), None).await {
            Ok(host) => self.host(host),
            Err(StartError::Locked { .. } | StartError::PortTaken { .. }) => {
                let serving = self.found(port).await;
                self.show(serving);
            }
            // After a crash the reason may go away; a start that never worked has one that stays.
            Err(error) if self.crashes.is_empty() => {
                self.show(Serving::Failed { port, reason: error.to_string(), retry_in: None });
            }
            Err(error) => self.crashed(error.to_string()),
        }
    }

    fn host(&mut self, host: Host) {
        let (stop, stopped) = oneshot::channel::<()>();
        let runfile = host.moves();
        let current = host.runfile();
        self.port = Some(current.port);
        self.crashes.started(Instant::now());
        let serve = async move {
            let shutdown = async { drop(stopped.await) };
            host.serve_until(shutdown).await.map(drop).map_err(|error| error.to_string())
        };
        self.engine = Engine::Here { stop, ended: tokio::spawn(serve), runfile };
        self.show(Serving::Here(current));
    }

    /// Who has the port that could not be had.
    async fn found(&self, port: u16) -> Serving {
        let failed = |reason: String| Serving::Failed { port, reason, retry_in: None };
        let home = self.home.clone();
        let look = move || match client::wait_for_ours(&home, port, ANSWER_LIMIT) {
            Some(ours) => (Probe::Ours(ours), true),
            None => (client::probe(&home, port), Lock::is_held(&home, port)),
        };
        let Ok((probe, is_locked)) = spawn_blocking(look).await else {
            return failed("could not look who has it".to_owned());
        };
        match probe {
            Probe::Ours(running) if is_another_app(&running) => Serving::AnotherApp(running.runfile),
            Probe::Ours(running) => Serving::Elsewhere(running.runfile),
            Probe::Stray(stray) => failed(format!(
                "port {port} is served by a monitor of yours that has lost its home (pid {})",
                stray.process.pid
            )),
            Probe::Legacy(client::Legacy { version, pid, .. }) => failed(format!(
                "port {port} is served by claude-mpm's Python monitor{}{}",
                version.map(|version| format!(" {version}")).unwrap_or_default(),
                pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(),
            )),
            Probe::Foreign { .. } if is_locked => {
                failed(format!("a monitor of yours holds port {port} and does not answer"))
            }
            Probe::Foreign { owner } => {
                failed(format!("port {port} is already in use by {}", client::holder(owner.as_ref())))
            }
            Probe::Free => failed(format!("who had port {port} has just left it")),
        }
    }

    /// Starts the server again, on that port. Its own rules decide: a port that is not to be had is refused.
    async fn restart(&mut self, runfile: Runfile, port: u16) {
        let monitor = client::Monitor::of(&self.home, &runfile);
        let token = runfile.control_token.clone();
        let ordered = spawn_blocking(move || monitor.restart(&token, port)).await;
        let refused = match ordered {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.why_refused(port, &error).await),
            Err(crash) => Some(crash.to_string()),
        };
        match refused {
            Some(reason) => {
                tracing::warn!(port, %reason, "could not restart");
                self.publish.send_modify(|view| view.refused = Some(reason));
            }
            // A server in this process says itself where it is.
            None if matches!(self.engine, Engine::Here { .. }) => {}
            None => {
                let before = Some(runfile.server_id);
                let found = self.wait_elsewhere(vec![port, runfile.port], before).await;
                self.show(found.map_or(Serving::Stopped { port }, Serving::Elsewhere));
            }
        }
    }

    /// The reason in the words of this app: who has the port, and that the old one is kept.
    async fn why_refused(&self, port: u16, error: &client::Error) -> String {
        let home = self.home.clone();
        let probe = spawn_blocking(move || client::probe(&home, port)).await;
        match probe {
            Ok(Probe::Foreign { owner }) => {
                format!("Port {port} is in use by {}", client::holder(owner.as_ref()))
            }
            Ok(Probe::Ours(_) | Probe::Stray(_)) => {
                format!("Port {port} is served by another monitor of yours")
            }
            Ok(Probe::Legacy(_)) => format!("Port {port} is served by claude-mpm's Python monitor"),
            Ok(Probe::Free) | Err(_) => error.to_string(),
        }
    }

    async fn stop_elsewhere(&mut self, runfile: Runfile) {
        let (home, port) = (self.home.clone(), runfile.port);
        match spawn_blocking(move || client::stop(&home, port, false)).await {
            Ok(Ok(_) | Err(client::StopError::NotRunning { .. })) => self.show(Serving::Stopped { port }),
            Ok(Err(error)) => self.publish.send_modify(|view| view.refused = Some(error.to_string())),
            Err(crash) => self.publish.send_modify(|view| view.refused = Some(crash.to_string())),
        }
    }

    async fn stop_here(&mut self) {
        if let Engine::Here { stop, ended, .. } = std::mem::replace(&mut self.engine, Engine::Off) {
            // It may have ended by itself.
            let _ = stop.send(());
            if let Ok(Err(error)) = ended.await {
                tracing::error!(%error, "the server failed while it stopped");
            }
        }
    }

    /// The monitor elsewhere answers no more: it restarts, was stopped, or crashed.
    async fn find_again(&mut self, before: Runfile) {
        let port = before.port;
        if let Some(found) = self.wait_elsewhere(vec![port], None).await {
            return self.show(Serving::Elsewhere(found));
        }
        // Who leaves in order takes the runfile away. After a crash this app takes the port over.
        let is_crash = client::runfiles::read(&self.home, port).is_some_and(|left| left.pid == before.pid);
        self.port = Some(port);
        if is_crash {
            tracing::warn!(port, pid = before.pid, "the monitor crashed; serving in its place");
            self.serve_again().await;
        } else {
            self.show(Serving::Stopped { port });
        }
    }

    /// The monitor that serves one of these ports, as soon as it is another run than `before`; none when nobody is
    /// about to serve there any more.
    async fn wait_elsewhere(&self, ports: Vec<u16>, before: Option<String>) -> Option<Runfile> {
        let started = Instant::now();
        while started.elapsed() < ANSWER_LIMIT {
            for &port in &ports {
                let home = self.home.clone();
                let probe = spawn_blocking(move || client::probe(&home, port)).await;
                if let Ok(Probe::Ours(running)) = probe
                    && before.as_ref() != Some(&running.runfile.server_id)
                {
                    return Some(running.runfile);
                }
            }
            if !ports.iter().any(|port| Lock::is_held(&self.home, *port)) {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
        None
    }

    /// Rests and tries again, or gives up.
    fn crashed(&mut self, reason: String) {
        let port = self.last_port();
        let now = Instant::now();
        let (retry_in, reason) = match self.crashes.crashed(now) {
            Next::RetryIn(rest) => (Some(rest), reason),
            Next::GiveUp { crashes } => (None, format!("it failed {crashes} times in a row: {reason}")),
        };
        self.engine = retry_in.map_or(Engine::Off, |rest| Engine::Resting((now + rest).into()));
        self.show(Serving::Failed { port, reason, retry_in });
    }

    fn last_port(&self) -> u16 {
        self.port.unwrap_or(protocol::names::DEFAULT_PORT)
    }

    fn show(&self, serving: Serving) {
        if let Serving::Failed { port, reason, retry_in } = &serving {
            tracing::error!(port, %reason, ?retry_in, "the server is not running");
        }
        self.publish.send_modify(|view| view.serving = serving);
    }
}

fn serving_nobody(view: &watch::Sender<View>) -> bool {
    matches!(view.borrow().serving, Serving::Stopped { .. } | Serving::Failed { .. })
}

fn is_another_app(running: &Running) -> bool {
    running.runfile.is_in_desktop_app() && running.runfile.pid != std::process::id()
}
