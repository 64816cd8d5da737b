//! Any bytes as a configuration file, and any values for its keys: settings, or an error that names the file and what is
//! wrong. `FUZZ_CASES` sets how many are tried.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use host::{Flags, Settings};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use protocol::paths::Home;
use serde_json::{Value, json};

const CASES: u32 = 300;

fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// The names of all keys that there are.
fn keys() -> Vec<String> {
    Settings::default().all().into_iter().map(|setting| setting.name.to_owned()).collect()
}

/// Values that people write, and that nobody should.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..100_000_u32).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        select(vec![
            "",
            "auto",
            "on",
            "true",
            "8765",
            "-1",
            "1e999",
            "0.0.0.0",
            "::1",
            "localhost",
            "/tmp",
            "../x",
            "DEBUG"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(".{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// A file with values for some keys, whole or damaged.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let settings = btree_map(select(keys()), any_value(), 0..6);
    let splinters: Vec<&[u8]> =
        vec![b"", b"{", b"}", b"[[[[", b"//", b"/*", b"\"", b",", b"\xFF", b"\0", b"\xEF\xBB\xBF", b"\n"];
    let damage = vec((any::<Index>(), 0..10_usize, select(splinters)), 0..3);
    let damaged = (settings, damage).prop_map(|(settings, damages)| {
        let mut bytes = serde_json::to_vec_pretty(&settings).unwrap();
        for (at, length, splinter) in damages {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, splinter.iter().copied());
        }
        bytes
    });
    prop_oneof![6 => damaged, 1 => vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_file_gives_settings_or_an_error_that_names_it(bytes in any_file()) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let path = home.config();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        match Settings::load(&Flags::default(), |_| None, &home) {
            Ok(settings) => prop_assert!(settings.config.port > 0),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains(path.to_str().unwrap()), "{}", text);
                prop_assert!(text.len() > path.as_os_str().len() + 5, "{}", text);
            }
        }
    }
}

#[test]
fn a_file_that_is_nested_without_end_is_refused_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    for deep in ["[", "{\"a\":", "{\"a\":["] {
        std::fs::write(home.config(), format!("{{\"port\": {}", deep.repeat(200_000))).unwrap();
        let error = Settings::load(&Flags::default(), |_| None, &home).unwrap_err().to_string();
        assert!(error.contains("socketio_config.json"), "{error}");
    }
}
