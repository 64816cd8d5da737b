//! What the app finds out by looking: the latest look counts, however long an earlier one takes. A test program of its
//! own, since every app looks at the same ports.

use std::io::Read;
use std::net::{TcpListener, TcpStream};

use desktop_e2e::{App, eventually};

/// The connection of whoever asks at that port who is there.
fn question(listener: &TcpListener) -> TcpStream {
    loop {
        let (mut connection, _) = listener.accept().expect("somebody looks at the port");
        // Who only tries whether anybody listens leaves at once.
        if connection.read(&mut [0; 1]).is_ok_and(|read| read > 0) {
            return connection;
        }
    }
}

#[test]
fn a_slow_look_does_not_bring_back_what_was_before_it() {
    let (app, _host, tray) = App::serving();
    let first = app.wait_for_server(app.port());
    let mut ports = protocol::names::PORT_RANGE;
    let listener = ports
        .find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .expect("a free port among those of the menu");
    tray.click("Restart server");
    app.wait_for_another(app.port(), &first["server_id"]);
    let unanswered = question(&listener);
    drop(listener);

    tray.click("Until resumed");
    tray.wait_for_status("the pause", |status| status.contains("capture paused"));
    // The earlier look ends only now. What it saw of the server was before the pause.
    drop(unanswered);
    for is_on in [false, true, false, true] {
        tray.click("Notifications");
        eventually("the mark", || tray.find("Notifications").filter(|entry| entry.checked == Some(is_on)));
        assert!(tray.status().contains("capture paused"), "{}", tray.status());
    }
}
