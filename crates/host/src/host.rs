//! A server that runs in this process, with the lock and the runfile by which other processes find it.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use claude::Setup;
use client::token::TokenError;
use client::{Lock, Monitor, Owner, Supervised, Supervision, leftovers, runfiles};
use protocol::configuration::Place;
use protocol::paths::Home;
use protocol::runfile::Access;
use protocol::{Runfile, Timestamp};
use server::{Claim, Config, Ended, Listeners, Server, Stopped};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::hooks;
use crate::instances::Neighbours;
use crate::registration::Registration;

/// How long the start waits for the lock: whoever only looks at it holds it for an instant.
const LOCK_LIMIT: Duration = Duration::from_millis(300);

/// A serving server. Dropping it stops the server as well.
#[derive(Debug)]
pub struct Host {
    home: Home,
    runfile: watch::Receiver<Runfile>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<Stopped, server::Error>>,
}

/// Why no server was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another monitor of this user serves the port, or is about to.
    #[error("another monitor holds port {port}")]
    Locked {
        /// The port.
        port: u16,
    },
    /// Another program listens on the port.
    #[error("port {port} is already in use by {}", client::holder(owner.as_ref()))]
    PortTaken {
        /// The port.
        port: u16,
        /// The program, when the system tells.
        owner: Option<Owner>,
    },
    /// The system does not let this user have the port.
    #[error("permission denied on port {port}")]
    Forbidden {
        /// The port.
        port: u16,
    },
    /// This machine does not have the address, or no way to it.
    #[error(transparent)]
    NoAddress(server::Error),
    /// Others than this machine could reach it, and there is no token to tell them from its user.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Lock or runfile could not be written.
    #[error("could not write {}: {source}", path.display())]
    Files {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The server could not be made.
    #[error(transparent)]
    Server(server::Error),
}

impl Host {
    /// Starts a server on the configured host and port; returns when it serves. `config.database` and
    /// `config.spool` are chosen here. `project` makes it the server of that one project.
    ///
    /// # Errors
    /// When the port is not to be had, or the files cannot be written.
    pub async fn start(config: Config, home: Home, project: Option<String>) -> Result<Self, StartError> {
        let port = config.port;
        let lock = port_lock(&home, port)?;
        leftovers::clear(&home, port);
        let (database, database_lock) = database(&home, port)?;
        let database_lock = Arc::new(database_lock);
        // Whoever still has the configuration after the end must not keep the lock.
        let (above, held) = (home.clone(), Arc::downgrade(&database_lock));
        let mut config = Config {
            database,
            claim: Claim::new(move || {
                runfiles::make_folders(&above)?;
                held.upgrade().ok_or_else(|| io::Error::other("this server has ended"))?.renew()
            }),
            spool: Some(home.spool()),
            prices: Some(home.prices()),
            token_file: Some(home.token()),
            process_started_at: client::started_at(std::process::id()),
            ..config
        };
        if config.needs_token() {
            client::token::ensure(&home)?;
        }
        if !config.is_loopback() {
            config.allowed_hosts.extend(client::machine_names());
        }
        let plan = Plan { config, home, project, _database_lock: database_lock };
        let (server, registration) = plan.occupy(port, lock, Listeners::default()).await?;
        let (announce, runfile) = watch::channel(registration.runfile.clone());
        let (stop, stopped) = watch::channel(false);
        let home = plan.home.clone();
        let task = tokio::spawn(plan.serve(server, registration, stopped, announce));
        Ok(Self { home, runfile, stop, task })
    }

    /// What other processes read about it; another one after a restart.
    pub fn runfile(&self) -> Runfile {
        self.runfile.borrow().clone()
    }

    /// To talk to it. Blocking: not from an async task.
    pub fn monitor(&self) -> Monitor {
        Monitor::of(&self.home, &self.runfile())
    }

    /// Sees each move to another port, which a restart may bring.
    pub fn moves(&self) -> watch::Receiver<Runfile> {
        self.runfile.clone()
    }

    /// Serves until `shutdown` completes or somebody orders the server to stop, and returns when every client
    /// is gone.
    ///
    /// # Errors
    /// When the server failed.
    pub async fn serve_until(mut self, shutdown: impl Future<Output = ()>) -> Result<Stopped, server::Error> {
        tokio::select! {
            ended = &mut self.task => return flatten(ended),
            () = shutdown => {}
        }
        self.stop().await
    }

    /// Tells the clients, disconnects them, and gives the port free.
    ///
    /// # Errors
    /// When the server had failed.
    pub async fn stop(self) -> Result<Stopped, server::Error> {
        // The server may have ended by itself in this very moment.
        let _ = self.stop.send(true);
        flatten(self.task.await)
    }
}

/// What stays the same over restarts: everything but the port.
struct Plan {
    config: Config,
    home: Home,
    project: Option<String>,
    _database_lock: Arc<Lock>,
}

impl Plan {
    /// Serves until the stop, and again after each restart that somebody asked for.
    async fn serve(
        self,
        mut server: Server,
        mut registration: Registration,
        stop: watch::Receiver<bool>,
        announce: watch::Sender<Runfile>,
    ) -> Result<Stopped, server::Error> {
        loop {
            let mut stop = stop.clone();
            // A dropped sender means stop, too.
            let served = server.run(async move { drop(stop.wait_for(|stop| *stop).await) });
            let stopped = tokio::select! {
                stopped = served => stopped?,
                never = registration.keep() => match never {},
            };
            let Ended::Restart { port } = stopped.ended else {
                tracing::info!(clients = stopped.clients_disconnected, "stopped");
                return Ok(stopped);
            };
            (server, registration) =
                self.restart(port, stopped.next, registration).await.map_err(into_server_error)?;
            announce.send_replace(registration.runfile.clone());
        }
    }

    /// The next server: on the wanted port, or on the old one when that is not to be had.
    async fn restart(
        &self,
        port: u16,
        taken: Listeners,
        old: Registration,
    ) -> Result<(Server, Registration), StartError> {
        if port != old.runfile.port {
            match self.occupy_another(port, taken).await {
                Ok(occupied) => return Ok(occupied),
                Err(error) => tracing::warn!(%error, port, kept = old.runfile.port, "could not move"),
            }
        }
        let port = old.runfile.port;
        self.occupy(port, old.into_lock(), Listeners::default()).await
    }

    async fn occupy_another(
        &self,
        port: u16,
        taken: Listeners,
    ) -> Result<(Server, Registration), StartError> {
        let lock = port_lock(&self.home, port)?;
        self.occupy(port, lock, taken).await
    }

    /// Binds the port, unless it is taken for us already, and tells the user's other processes.
    async fn occupy(
        &self,
        port: u16,
        lock: Lock,
        taken: Listeners,
    ) -> Result<(Server, Registration), StartError> {
        // What a crashed server left is no longer true.
        runfiles::remove(&self.home, port);
        if Supervision::read(&self.home, port).is_some_and(|record| record.state == Supervised::GaveUp) {
            Supervision::remove(&self.home, port);
        }
        let mut config = Config { port, ..self.config.clone() };
        config.configuration.paths = self.paths(port);
        let server = match taken.port() {
            Some(_) => Server::bind_on(taken, config).await,
            None => Server::bind(config).await,
        };
        let server = server.map_err(start_error)?;
        let server = server.with_instances(Neighbours { home: self.home.clone() });
        let home = self.home.clone();
        let mut server = server.with_withdrawal(move || runfiles::remove(&home, port));
        if let Some(setup) = Setup::from_env(&self.home, &|name| std::env::var_os(name)) {
            // Without a project nothing more is known than what counts everywhere.
            let folder = PathBuf::from(self.project.clone().unwrap_or_else(|| "/".to_owned()));
            server = server.with_hooks(move |order| hooks::answer(&setup, &folder, order));
        }
        let runfile = self.runfile(&server, port);
        let registration = Registration::new(self.home.clone(), runfile, lock);
        registration.write().map_err(|source| StartError::Files { path: self.home.runfile(port), source })?;
        let runfile = &registration.runfile;
        tracing::info!(
            port,
            pid = runfile.pid,
            mode = runfile.mode,
            profile = self.config.profile,
            "serving"
        );
        Ok((server, registration))
    }

    /// The files of a server on that port.
    fn paths(&self, port: u16) -> Vec<Place> {
        let home = &self.home;
        let mut paths = vec![
            ("configuration", home.config()),
            ("store", self.config.database.clone()),
            ("spool", home.spool()),
            ("runfile", home.runfile(port)),
            ("prices", home.prices()),
        ];
        if self.config.mode == "background" {
            paths.push(("log", home.log(port)));
        }
        if self.config.needs_token() {
            paths.push(("token", home.token()));
        }
        let place =
            |(name, path): (&str, PathBuf)| Place { name: name.to_owned(), path: path.display().to_string() };
        paths.into_iter().map(place).collect()
    }

    fn runfile(&self, server: &Server, port: u16) -> Runfile {
        // A system that does not tell its processes' start times still tells now.
        let now = || Timestamp::from_system(SystemTime::now());
        Runfile {
            pid: std::process::id(),
            process_started_at: self.config.process_started_at.unwrap_or_else(now),
            process_start_ticks: start_ticks(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.config.host.clone(),
            port,
            addresses: server.addresses(),
            server_id: server.id().to_owned(),
            control_token: server.control_token().to_owned(),
            project: self.project.clone(),
            mode: self.config.mode.clone(),
            access: Access {
                token: self.config.needs_token(),
                tls_fingerprint: server.tls_fingerprint().map(str::to_owned),
            },
        }
    }
}

/// When this process started, as Linux counts it.
fn start_ticks() -> Option<u64> {
    protocol::runfile::start_ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn port_lock(home: &Home, port: u16) -> Result<Lock, StartError> {
    let locked = Lock::take_within(home, port, LOCK_LIMIT);
    let locked = locked.map_err(|source| StartError::Files { path: home.run(), source })?;
    locked.ok_or(StartError::Locked { port })
}

/// The store of a server on that port, and the lock that makes it the only one to write it: the user's one
/// store, whatever the port, so that history follows a change of port; for a second server beside the first
/// a store of its own, which its port then keeps.
fn database(home: &Home, port: u16) -> Result<(PathBuf, Lock), StartError> {
    let main = home.database();
    let own = home.monitor().join(format!("events-{port}.db"));
    let candidates = if own.exists() { vec![own] } else { vec![main, own] };
    for candidate in candidates {
        let path = candidate.with_extension("db.lock");
        let locked = Lock::try_take_file(&path).map_err(|source| StartError::Files { path, source })?;
        if let Some(lock) = locked {
            return Ok((candidate, lock));
        }
    }
    Err(StartError::Locked { port })
}

/// A restart that failed ends the server.
fn into_server_error(error: StartError) -> server::Error {
    match error {
        StartError::Server(error) | StartError::NoAddress(error) => error,
        other => server::Error::Serve(io::Error::other(other.to_string())),
    }
}

fn start_error(error: server::Error) -> StartError {
    let server::Error::Listen { source, port, .. } = &error else { return StartError::Server(error) };
    let port = *port;
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { port, owner: client::owner(port) },
        io::ErrorKind::PermissionDenied => StartError::Forbidden { port },
        io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable => StartError::NoAddress(error),
        _ => StartError::Server(error),
    }
}

fn flatten(
    ended: Result<Result<Stopped, server::Error>, tokio::task::JoinError>,
) -> Result<Stopped, server::Error> {
    ended.unwrap_or_else(|crash| Err(server::Error::Serve(io::Error::other(crash))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::{Probe, probe};

    fn free_port() -> u16 {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    }

    async fn found(home: &Home, port: u16) -> Probe {
        let home = home.clone();
        tokio::task::spawn_blocking(move || probe(&home, port)).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_started_host_is_found_as_ours_and_leaves_nothing_when_it_stops() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let port = free_port();
        let config = Config { port, ..Config::default() };
        let host =
            Host::start(config.clone(), home.clone(), Some("/home/dev/shop".to_owned())).await.unwrap();
        let Probe::Ours(running) = found(&home, port).await else { panic!("it serves") };
        assert_eq!(running.runfile, host.runfile());
        assert_eq!(running.runfile.project.as_deref(), Some("/home/dev/shop"));
        let second = Host::start(config.clone(), home.clone(), None).await.unwrap_err();
        assert!(matches!(second, StartError::Locked { .. }), "{second}");
        let same_port_elsewhere = Home::at(folder.path().join("elsewhere"));
        let taken = Host::start(config, same_port_elsewhere, None).await.unwrap_err();
        let StartError::PortTaken { owner: Some(owner), .. } = taken else { panic!("{taken}") };
        assert_eq!(owner.pid, std::process::id());
        host.stop().await.unwrap();
        assert!(matches!(found(&home, port).await, Probe::Free));
        assert!(!home.runfile(port).exists() && !Lock::is_held(&home, port));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_others_reach_has_a_token_and_is_found_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let config = Config { host: "0.0.0.0".to_owned(), port: free_port(), ..Config::default() };
        let port = config.port;
        let host = Host::start(config.clone(), home.clone(), None).await.unwrap();
        assert!(host.runfile().access.token && client::token::read(&home).unwrap().is_some());
        let Probe::Ours(running) = found(&home, port).await else { panic!("it serves") };
        assert_eq!(running.health.host, "0.0.0.0", "who has the runfile is told everything");
        let elsewhere = Home::at(folder.path().join("elsewhere"));
        let stranger = found(&elsewhere, port).await;
        assert!(matches!(stranger, Probe::Foreign { .. }), "others are not: {stranger:?}");
        host.stop().await.unwrap();
        std::fs::write(home.token(), "weak").unwrap();
        let refused = Host::start(config, home, None).await.unwrap_err();
        assert!(matches!(refused, StartError::Token(_)), "{refused}");
    }

    #[test]
    fn the_system_s_reason_decides_what_the_user_is_told() {
        let told = |kind: io::ErrorKind| {
            let address = "localhost:80".to_owned();
            start_error(server::Error::Listen { address, port: 80, source: kind.into() }).to_string()
        };
        assert_eq!(told(io::ErrorKind::PermissionDenied), "permission denied on port 80");
        assert!(told(io::ErrorKind::AddrInUse).starts_with("port 80 is already in use by "));
        assert!(told(io::ErrorKind::AddrNotAvailable).starts_with("could not listen on localhost:80: "));
        assert!(told(io::ErrorKind::NetworkDown).starts_with("could not listen on localhost:80: "));
        assert!(told(io::ErrorKind::NetworkUnreachable).starts_with("could not listen on localhost:80: "));
    }

    #[test]
    fn one_store_follows_the_user_and_a_second_server_gets_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        runfiles::make_folders(&home).unwrap();
        let (first, held) = database(&home, 9000).unwrap();
        assert_eq!(first, home.database(), "whatever the port");
        let (second, _held) = database(&home, 9001).unwrap();
        assert_ne!(second, first, "two servers never write one store");
        std::fs::write(&second, "").unwrap();
        drop(held);
        assert_eq!(database(&home, 9002).unwrap().0, home.database(), "history follows a change of port");
        let again = database(&home, 9001);
        assert!(
            matches!(again, Err(StartError::Locked { .. })),
            "its own store is the only one for this port"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_restart_serves_on_the_wanted_port_with_the_same_history() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (port, next) = (free_port(), free_port());
        let config = Config { port, ..Config::default() };
        let host = Host::start(config, home.clone(), None).await.unwrap();
        let Probe::Ours(before) = found(&home, port).await else { panic!("it serves") };
        let mut runfile = host.runfile.clone();
        let monitor = before.monitor();
        let token = before.runfile.control_token.clone();
        tokio::task::spawn_blocking(move || {
            monitor.post_event(r#"{"kind":"kept","payload":{}}"#).unwrap();
            monitor.restart(&token, next).unwrap();
        })
        .await
        .unwrap();
        runfile.wait_for(|runfile| runfile.port == next).await.unwrap();
        let Probe::Ours(after) = found(&home, next).await else { panic!("it serves on the other port") };
        assert_eq!(after.health.last_seq, protocol::Seq(1), "the history came along");
        assert!(matches!(found(&home, port).await, Probe::Free), "the old port is free");
        host.stop().await.unwrap();
    }
}
