//! `open` and `completions`.

use std::fs;

use crate::support::{Desk, wait_for};
use crate::tail::fill;

#[test]
fn open_names_the_dashboard_and_the_session_in_it() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    let url = format!("http://localhost:{}", desk.port);
    let told = |flags: &str| desk.run(&format!("open {flags}")).out;
    assert_eq!(told(""), format!("Open {url} in your browser to view the dashboard.\n"));
    let session = format!("Open {url}/#/?session=beta-2 in your browser to view the dashboard.\n");
    assert_eq!(told(&format!("--session beta --port {}", desk.port)), session);
    assert!(told("--session a%&b").contains("session=a%25%26b "), "an id cannot break the address");
    assert_eq!(desk.run("open --port 9").code, Some(3));
}

#[cfg(target_os = "linux")]
#[test]
fn open_opens_the_browser_where_there_is_a_display() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let (_server, _) = desk.serve("", desk.port);
    let (program, opened) = (desk.path("xdg-open"), desk.path("opened"));
    fs::write(
        &program,
        format!("#!/bin/sh\necho \"$1\" > '{0}.new' && mv '{0}.new' '{0}'\n", opened.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", desk.path("").display(), std::env::var("PATH").unwrap());
    let ran = desk.command("open").env("DISPLAY", ":7").env("PATH", path).output().unwrap();
    let url = format!("http://localhost:{}", desk.port);
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("Opening browser to {url}\n"));
    assert_eq!(wait_for(|| fs::read_to_string(&opened).ok()).as_deref(), Some(format!("{url}\n").as_str()));
}

#[test]
fn completions_are_for_the_named_shell() {
    let desk = Desk::new();
    let begins = [
        ("bash", "_claude__mpm__monitor() {"),
        ("zsh", "#compdef claude-mpm-monitor"),
        ("fish", "complete -c claude-mpm-monitor"),
        ("powershell", "Register-ArgumentCompleter"),
    ];
    for (shell, sign) in begins {
        let ran = desk.run(&format!("completions {shell}"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains(sign) && ran.out.contains("no-follow"), "{shell}: {}", ran.out);
    }
    assert_eq!(desk.run("completions tcsh").code, Some(2));
}
