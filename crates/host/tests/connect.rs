//! A program gets the monitor that runs, or serves one itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;
use std::path::Path;

use host::{Config, ConnectError, Connected, DeploymentMode, Settings};
use protocol::paths::Home;

#[tokio::test(flavor = "multi_thread")]
async fn auto_serves_where_nothing_runs_and_connects_where_something_does() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let settings = |deployment_mode| {
        let config = Config { host: "127.0.0.1".to_owned(), port, ..Config::default() };
        let mut settings = Settings::default();
        (settings.deployment_mode, settings.config) = (deployment_mode, config);
        settings
    };
    let open = async |mode| Connected::open(&settings(mode), &home, Path::new("/work")).await;
    for mode in [DeploymentMode::Client, DeploymentMode::Standalone] {
        assert!(matches!(open(mode).await, Err(ConnectError::NoneRuns)), "{mode:?}");
    }
    let mut unasked = settings(DeploymentMode::Auto);
    unasked.auto_start = false;
    let none = Connected::open(&unasked, &home, Path::new("/work")).await;
    assert!(matches!(none, Err(ConnectError::NoneRuns)), "auto_start is off");
    let first = open(DeploymentMode::Auto).await.unwrap();
    assert!(matches!(first, Connected::Embedded(_)));
    for mode in [DeploymentMode::Auto, DeploymentMode::Client] {
        let Connected::Client(found) = open(mode).await.unwrap() else { panic!("{mode:?} connects") };
        assert_eq!(found.health.port, port);
    }
    let second = open(DeploymentMode::Embedded).await.unwrap_err();
    assert!(matches!(second, ConnectError::Start(_)), "only serves, and the port is taken: {second}");
    let monitor = first.monitor();
    let warned = tokio::task::spawn_blocking(move || {
        ["6.5.83", "unknown", "0.6.9"].map(|version| monitor.compatibility(version).unwrap())
    });
    let [supported, unknown, old] = warned.await.unwrap();
    assert!(supported.compatible && supported.warnings.is_empty());
    assert!(unknown.compatible && unknown.warnings.len() == 1, "accepted with a warning");
    assert!(!old.compatible && old.warnings.len() == 1);
}
