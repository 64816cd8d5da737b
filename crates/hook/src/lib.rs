//! claude-mpm-hook as a library: reads one hook event from standard input and hands it to the monitor, or to
//! the spool when there is none. One process per event, so nothing here starts a runtime.

pub mod caller;
pub mod delivery;
pub mod discovery;
pub mod payload;
pub mod post;
pub mod route;
pub mod scan;
pub mod spool;
pub mod stdin;
mod wait;

use std::env;
use std::time::SystemTime;

use protocol::paths::Home;

use caller::Called;
use delivery::Delivery;
use route::Word;

/// Does all the work of one run. Never prints, never fails: what no server takes goes to the spool.
pub fn run() {
    let now = SystemTime::now();
    let called = Called::from_env(|name| env::var_os(name));
    let delivery = Delivery::new(stdin::read(), &called, now);
    let home = Home::from_env(|name| env::var_os(name));
    if !posted(&delivery, home.as_ref())
        && let Some(home) = home
    {
        spool::keep(&home, &delivery);
    }
}

fn posted(delivery: &Delivery, home: Option<&Home>) -> bool {
    let target = route::target(
        |name| env::var(name).ok(),
        || home.map(discovery::runfiles).unwrap_or_default(),
        || home.and_then(discovery::configured_port),
        delivery.cwd(),
    );
    let Some(target) = target else { return false };
    let token = match &target.word {
        Word::Server { wants_token: true } => home.and_then(discovery::token),
        Word::Token(given) => Some(given.clone()),
        Word::Server { wants_token: false } | Word::Host => None,
    };
    // Looked at once more when the connection is there: who lives then had the port when it was made.
    let is_its_own = |address| match target.word {
        Word::Server { .. } => {
            let living = home.map(discovery::runfiles).unwrap_or_default();
            living.iter().any(|server| server.listens_at(address))
        }
        Word::Token(_) | Word::Host => true,
    };
    post::post(&target, token.as_deref(), delivery, is_its_own).is_ok()
}
