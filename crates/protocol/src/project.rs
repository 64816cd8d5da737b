//! Which server an event belongs to, by the project it happened in. The hook asks before it posts, the server
//! before it takes what lies in the spool: both must find the same one.

use std::path::Path;

use crate::instance::Instance;
use crate::names::DEFAULT_PORT;

/// The server whose project lies around the folder and deepest; of several for one project, the first.
pub fn innermost<'a, S>(
    servers: &'a [S],
    project: impl Fn(&S) -> Option<&str>,
    folder: &Path,
) -> Option<&'a S> {
    let depth = |server: &S| {
        let project = Path::new(project(server).filter(|project| !project.is_empty())?);
        folder.starts_with(project).then(|| project.components().count())
    };
    let around = servers.iter().filter(|server| depth(server).is_some());
    around.rev().max_by_key(|server| depth(server))
}

/// Which of the running servers takes a spooled event: the one of the innermost project around its folder,
/// else the one for every project (of several, the one on the default port, else the first). None leaves it
/// in the spool, until a server for every project runs.
pub fn taker<'a>(servers: &'a [Instance], folder: Option<&Path>) -> Option<&'a Instance> {
    let project = |server: &'a Instance| server.project.as_deref().filter(|project| !project.is_empty());
    let of_project = folder.and_then(|folder| innermost(servers, |s| s.project.as_deref(), folder));
    let for_all = || servers.iter().filter(|server| project(server).is_none());
    let on_default_port = || for_all().find(|server| server.port == DEFAULT_PORT);
    of_project.or_else(on_default_port).or_else(|| for_all().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server((port, project): &(u16, Option<&str>)) -> Instance {
        Instance {
            port: *port,
            url: format!("http://localhost:{port}"),
            pid: 1,
            server_id: format!("monitor-{port}"),
            version: "0.1.0".to_owned(),
            project: project.map(str::to_owned),
            status: "running".to_owned(),
        }
    }

    #[test]
    fn a_spooled_event_belongs_to_its_innermost_project_else_to_the_server_for_all() {
        type Servers = [(u16, Option<&'static str>)];
        let general: &Servers = &[(8700, None), (8765, None), (8770, Some("/home/dev"))];
        let nested: &Servers = &[(8770, Some("/home/dev")), (8771, Some("/home/dev/shop"))];
        let twins: &Servers = &[(8770, Some("/home/dev/")), (8771, Some("/home/dev"))];
        // servers, folder, port
        let cases: &[(&Servers, Option<&str>, Option<u16>)] = &[
            (&[], Some("/home/dev"), None),
            (&[(9000, None)], None, Some(9000)),
            (&[(9000, Some(""))], Some("/srv"), Some(9000)),
            (general, Some("/home/dev/shop"), Some(8770)),
            (general, Some("/home/developer"), Some(8765)),
            (general, None, Some(8765)),
            (&[(9000, None), (9001, None)], Some("/srv"), Some(9000)),
            (nested, Some("/home/dev/shop/src"), Some(8771)),
            (nested, Some("/home/dev/other"), Some(8770)),
            (nested, Some("/srv"), None),
            (nested, None, None),
            (twins, Some("/home/dev/x"), Some(8770)),
        ];
        for (servers, folder, expected) in cases {
            let instances: Vec<_> = servers.iter().map(server).collect();
            let found = taker(&instances, folder.map(Path::new)).map(|server| server.port);
            assert_eq!(found, *expected, "{folder:?} with {servers:?}");
        }
    }
}
