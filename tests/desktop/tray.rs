//! What the tray shows and what a click on it does, seen from outside.

use desktop_e2e::{App, TrayHost};

#[test]
fn the_app_serves_and_shows_it_in_the_tray_until_it_is_quit() {
    let mut app = App::new();
    let host = TrayHost::start(app.bus());
    app.start(&[]);
    let tray = host.tray();
    let health = app.wait_for_server(app.port());
    assert_eq!(health["mode"], "desktop");
    tray.wait_for_status("serving", |status| status == format!("Running on localhost:{}", app.port()));
    println!("{:#?} {}", tray.labels(), tray.icon());
    tray.click("Quit");
    assert!(app.wait_for_end().success());
    app.wait_for_silence(app.port());
}
