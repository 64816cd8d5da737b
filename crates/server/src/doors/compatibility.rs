//! Which clients this server understands: the reference's matrix, compared as versions and not as texts.

use std::cmp::Ordering;

use serde_json::{Value, json};

/// The version of python-socketio whose wire behaviour the namespace `/` has.
const SOCKETIO_VERSION: &str = "5.11.0";

const FEATURES: &[&str] = &[
    "persistent_server",
    "version_compatibility",
    "process_isolation",
    "health_monitoring",
    "event_namespacing",
];

/// Whether a client of that version is understood by a server that wants at least `min`. An unknown version is,
/// with a warning.
pub(crate) fn is_compatible(client: &str, min: &str) -> bool {
    let (client, min) = (parse(client), parse(min));
    client.is_none_or(|client| min.is_none_or(|min| client.cmp(&min) != Ordering::Less))
}

/// The answer of `POST /compatibility`, of `connection_ack` and of `compatibility_warning`.
pub(crate) fn answer(client: &str, min: &str) -> Value {
    let compatible = is_compatible(client, min);
    let mut warnings = Vec::new();
    if parse(client).is_none() {
        warnings.push(format!("client version {client:?} is unknown; assuming that it is compatible"));
    } else if !compatible {
        warnings.push(format!("client version {client} is older than {min}; some events may be missing"));
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
pub(crate) fn version_info(server_id: &str, min: &str) -> Value {
    let supported = format!(">={min}");
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "server_version": version,
        "server_id": server_id,
        "socketio_version": SOCKETIO_VERSION,
        "compatibility_matrix": {
            version: {
                "claude_mpm_versions": [supported],
                "min_python": "3.8",
                "socketio_min": SOCKETIO_VERSION,
                "features": FEATURES,
            },
        },
        "supported_client_versions": [supported],
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
            assert!(is_compatible(client, "0.7.0"), "{client:?}");
        }
        for client in ["0.6.9", "0.6", "0.0.1", "v0.6.9-beta"] {
            assert!(!is_compatible(client, "0.7.0"), "{client:?}");
        }
    }
}
