//! `port`: a monitor on exactly that port; restarted when it is there already.

use client::Probe;

use crate::Exit;
use crate::args::{Listen, Port, PortChoice, Restart, Start};
use crate::context::Context;
use crate::{restart, start};

pub(crate) fn run(port: &Port, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if port.json {
        context.terminal.speak_json();
    }
    if let Probe::Ours(running) = client::probe(&context.home, port.port) {
        let restart =
            Restart { port: Some(port.port), host: port.host.clone(), dashboard_port: None, json: port.json };
        return restart::restart(&running.runfile, &restart, context);
    }
    let listen =
        Listen { port: Some(PortChoice::Exact(port.port)), host: port.host.clone(), ..Listen::default() };
    let start = Start { listen, reclaim: port.reclaim, ..Start::default() };
    start::run(&start, context)
}
