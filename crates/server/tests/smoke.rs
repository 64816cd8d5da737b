//! A server bound in process answers on its real port.

use server::{Config, Ended, Server};

#[tokio::test]
async fn a_bound_server_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { port: 0, database: folder.path().join("events.db"), ..Config::default() };
    let server = Server::bind(config).await.expect("the server binds");
    let port = server.port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(server.run(async { drop(stopped.await) }));
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    assert!(stream.is_ok(), "the port answers");
    drop(stop);
    let stopped = run.await.expect("the run does not panic").expect("the run ends well");
    assert_eq!((stopped.clients_disconnected, stopped.ended), (0, Ended::Caller));
}
