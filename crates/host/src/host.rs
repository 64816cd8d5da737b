//! A server that runs in this process, with the lock and the runfile by which other processes find it.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use client::{Lock, Owner, runfiles};
use protocol::instance::Instance;
use protocol::paths::Home;
use protocol::{Runfile, Timestamp, names};
use server::{Config, Server, Stopped};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long the start waits for the lock: whoever only looks at it holds it for an instant.
const LOCK_LIMIT: Duration = Duration::from_millis(300);

/// A serving server. Dropping it stops the server as well.
#[derive(Debug)]
pub struct Host {
    runfile: Runfile,
    stop: oneshot::Sender<()>,
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
    /// Others than this machine could reach it, and it could not tell them from its user.
    #[error(
        "listening on {host}, a non-loopback address, needs the access token, which this version does not offer yet"
    )]
    NeedsToken {
        /// The address that was asked for.
        host: String,
    },
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
    pub async fn start(mut config: Config, home: Home, project: Option<String>) -> Result<Self, StartError> {
        let port = config.port;
        if !is_loopback(&config.host) {
            return Err(StartError::NeedsToken { host: config.host });
        }
        let locked = Lock::take_within(&home, port, LOCK_LIMIT);
        let locked = locked.map_err(|source| StartError::Files { path: home.run(), source })?;
        let lock = locked.ok_or(StartError::Locked { port })?;
        // What a crashed server left is no longer true.
        runfiles::remove(&home, port);
        config.database = database(&home, port);
        config.spool = Some(home.spool());
        let (host, mode) = (config.host.clone(), config.mode.clone());
        let server = Server::bind(config).await.map_err(|error| start_error(error, port))?;
        let known = home.clone();
        let server = server.with_instances(move || instances(&known));
        let runfile = runfile(&server, port, host, mode, project);
        runfiles::write(&home, &runfile)
            .map_err(|source| StartError::Files { path: home.runfile(port), source })?;
        let registration = Registration { home, port, _lock: lock };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let _registration = registration;
            // A dropped sender means stop, too.
            server.run(async { drop(stopped.await) }).await
        });
        tracing::info!(port, pid = runfile.pid, mode = runfile.mode, "serving");
        Ok(Self { runfile, stop, task })
    }

    /// What other processes read about it.
    pub fn runfile(&self) -> &Runfile {
        &self.runfile
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
        let _ = self.stop.send(());
        flatten(self.task.await)
    }
}

/// Runfile and lock of a port, given back in this order when serving ends in whatever way.
#[derive(Debug)]
struct Registration {
    home: Home,
    port: u16,
    _lock: Lock,
}

impl Drop for Registration {
    fn drop(&mut self) {
        runfiles::remove(&self.home, self.port);
    }
}

/// Two servers never write one store: the default port has `events.db`, every other port its own.
fn database(home: &Home, port: u16) -> PathBuf {
    match port {
        names::DEFAULT_PORT => home.database(),
        port => home.monitor().join(format!("events-{port}.db")),
    }
}

/// This user's servers, by their runfiles; a runfile whose lock nobody holds is left over from a crash.
fn instances(home: &Home) -> Vec<Instance> {
    let alive = runfiles::list(home).into_iter().filter(|runfile| Lock::is_held(home, runfile.port));
    let instance = |runfile: Runfile| Instance {
        url: client::url(&runfile.host, runfile.port),
        port: runfile.port,
        pid: runfile.pid,
        server_id: runfile.server_id,
        version: runfile.version,
        project: runfile.project,
        status: "running".to_owned(),
    };
    alive.map(instance).collect()
}

/// Whether only this machine can reach a server on that host. A name other than `localhost` may mean any
/// address.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn runfile(server: &Server, port: u16, host: String, mode: String, project: Option<String>) -> Runfile {
    let pid = std::process::id();
    // A system that does not tell its processes' start times still tells now.
    let process_started_at =
        client::started_at(pid).unwrap_or_else(|| Timestamp::from_system(SystemTime::now()));
    Runfile {
        pid,
        process_started_at,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host,
        port,
        server_id: server.id().to_owned(),
        control_token: server.control_token().to_owned(),
        project,
        mode,
    }
}

fn start_error(error: server::Error, port: u16) -> StartError {
    let server::Error::Listen { source, .. } = &error else { return StartError::Server(error) };
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { port, owner: client::owner(port) },
        io::ErrorKind::PermissionDenied => StartError::Forbidden { port },
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
        assert_eq!(&running.runfile, host.runfile());
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

    #[tokio::test]
    async fn an_address_that_others_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for host in ["0.0.0.0", "::", "192.168.1.5", "box.lan"] {
            let config = Config { host: host.to_owned(), port: free_port(), ..Config::default() };
            let error = Host::start(config, Home::at(folder.path()), None).await.unwrap_err();
            assert!(matches!(error, StartError::NeedsToken { .. }), "{host}: {error}");
        }
        assert!(is_loopback("localhost") && is_loopback("127.0.0.1") && is_loopback("::1"));
    }

    #[test]
    fn the_system_s_reason_decides_what_the_user_is_told() {
        let told = |kind: io::ErrorKind| {
            let listen = server::Error::Listen { address: "localhost:80".to_owned(), source: kind.into() };
            start_error(listen, 80).to_string()
        };
        assert_eq!(told(io::ErrorKind::PermissionDenied), "permission denied on port 80");
        assert!(told(io::ErrorKind::AddrInUse).starts_with("port 80 is already in use by "));
        assert!(told(io::ErrorKind::AddrNotAvailable).starts_with("could not listen on localhost:80: "));
    }

    #[test]
    fn servers_of_different_ports_write_different_stores() {
        let home = Home::at("/h");
        assert_eq!(database(&home, 8765), home.database());
        assert_ne!(database(&home, 8766), database(&home, 8767));
        assert_ne!(database(&home, 8766), home.database());
    }
}
