//! The faults that are known: `known-faults.txt`, one a line as `SCENARIO / MOMENT / PATH: what is wrong`. What it names
//! must be wrong; when it is not any more, its scenario fails until the line is struck off, so the list only shrinks.

const LIST: &str = include_str!("../known-faults.txt");

/// One known fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) scenario: &'static str,
    pub(crate) moment: &'static str,
    /// The place that is wrong, with all below it.
    pub(crate) path: &'static str,
}

impl Fault {
    /// Whether a difference is this fault.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// Those of a scenario.
pub(crate) fn of(scenario: &str) -> Vec<Fault> {
    all().filter(|fault| fault.scenario == scenario).collect()
}

fn all() -> impl Iterator<Item = Fault> {
    LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let fault = || {
            let (place, _reason) = line.split_once(": ")?;
            let mut parts = place.split(" / ");
            let fault = Fault { scenario: parts.next()?, moment: parts.next()?, path: parts.next()? };
            parts.next().is_none().then_some(fault)
        };
        fault().unwrap_or_else(|| panic!("known-faults.txt: not `SCENARIO / MOMENT / PATH: why`: {line}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_covers_its_place_and_what_is_below() {
        let fault = Fault { scenario: "s", moment: "m", path: "status" };
        assert!(fault.covers("status") && fault.covers("status.state") && fault.covers("status[0]"));
        assert!(!fault.covers("status_line") && !fault.covers("title"));
    }

    #[test]
    fn every_known_fault_names_a_scenario_that_there_is() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).unwrap();
        let tests: String =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        for fault in all() {
            let name = format!("\"{}\"", fault.scenario);
            assert!(tests.contains(&name), "there is no scenario {name}: strike off {fault:?}");
        }
    }
}
