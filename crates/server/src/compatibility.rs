//! Which clients this server understands: the reference's matrix, compared as versions and not as texts.

use std::cmp::Ordering;

use serde_json::{Value, json};

/// Clients older than this get a warning; nobody is refused.
const CLIENT_VERSION_MIN: [u64; 3] = [0, 7, 0];

/// The version of python-socketio whose wire behaviour the namespace `/` has.
const SOCKETIO_VERSION: &str = "5.11.0";

const FEATURES: &[&str] = &[
    "persistent_server",
    "version_compatibility",
    "process_isolation",
    "health_monitoring",
    "event_namespacing",
];

/// Whether a client of that version is understood. An unknown version is, with a warning.
pub(crate) fn is_compatible(client: &str) -> bool {
    parse(client).is_none_or(|version| version.cmp(&CLIENT_VERSION_MIN) != Ordering::Less)
}

/// The answer of `POST /compatibility`, of `connection_ack` and of `compatibility_warning`.
pub(crate) fn answer(client: &str) -> Value {
    let compatible = is_compatible(client);
    let mut warnings = Vec::new();
    if parse(client).is_none() {
        warnings.push(format!("client version {client:?} is unknown; assuming that it is compatible"));
    } else if !compatible {
        warnings.push(format!("client version {client} is older than 0.7.0; some events may be missing"));
    }
    json!({
        "compatible": compatible,
        "server_version": env!("CARGO_PKG_VERSION"),
        "client_version": client,
        "warnings": warnings,
        "supported_features": FEATURES,
        "requirements": { "min_python": "3.8", "socketio_min": SOCKETIO_VERSION },
    })
}

/// The answer of `/version` and of `get_version`.
pub(crate) fn version_info(server_id: &str) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "server_version": version,
        "server_id": server_id,
        "socketio_version": SOCKETIO_VERSION,
        "compatibility_matrix": {
            version: {
                "claude_mpm_versions": [">=0.7.0"],
                "min_python": "3.8",
                "socketio_min": SOCKETIO_VERSION,
                "features": FEATURES,
            },
        },
        "supported_client_versions": [">=0.7.0"],
        "features": FEATURES,
    })
}

/// The first three numbers of a version; missing ones are 0, what follows is not compared.
fn parse(version: &str) -> Option<[u64; 3]> {
    let release = version.trim().trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(release.split('.')) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_versions() {
        for client in ["0.7.0", "0.7", "0.10.0", "0.100", "6.5.83", "v1.0.0-rc1", "unknown", ""] {
            assert!(is_compatible(client), "{client:?}");
        }
        for client in ["0.6.9", "0.6", "0.0.1", "v0.6.9-beta"] {
            assert!(!is_compatible(client), "{client:?}");
        }
    }
}
