//! The titles of sessions. Claude Code writes each again and again, in several kinds of lines of which the user's own
//! counts most; told is what changes.

use std::collections::HashMap;

/// Sessions whose titles are known. Of one that is forgotten the title may be told once more.
const SESSIONS_MAX: usize = 4096;

/// Who gave a title; the later counts more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Namer {
    /// A model, from what was said.
    Model,
    /// Whoever named the session as an agent.
    Agent,
    /// The user.
    User,
}

/// The titles of the sessions that are followed.
#[derive(Default)]
pub(super) struct Titles(HashMap<String, Title>);

struct Title {
    namer: Namer,
    text: String,
    changes: u64,
}

impl Titles {
    /// Takes a title that a line tells; gives the number of the change when it is one. Whoever reads the lines again
    /// from their beginning finds the same numbers.
    pub(super) fn take(&mut self, session: &str, namer: Namer, text: &str) -> Option<u64> {
        let Some(known) = self.0.get_mut(session) else {
            if self.0.len() >= SESSIONS_MAX {
                self.0.clear();
            }
            self.0.insert(session.to_owned(), Title { namer, text: text.to_owned(), changes: 0 });
            return Some(0);
        };
        if namer < known.namer {
            return None;
        }
        known.namer = namer;
        if known.text == text {
            return None;
        }
        text.clone_into(&mut known.text);
        known.changes += 1;
        Some(known.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_told_when_it_changes_and_the_user_s_own_stays() {
        let mut titles = Titles::default();
        let lines = [
            (Namer::Model, "Fix the tax bug", Some(0)),
            (Namer::Model, "Fix the tax bug", None),
            (Namer::Model, "Fix the tax", Some(1)),
            (Namer::User, "taxes", Some(2)),
            (Namer::User, "taxes", None),
            (Namer::Model, "Fix the tax bug", None),
            (Namer::Agent, "worker", None),
            (Namer::User, "Fix the tax", Some(3)),
            (Namer::User, "taxes", Some(4)),
        ];
        for (namer, text, told) in lines {
            assert_eq!(titles.take("s", namer, text), told, "{namer:?} {text}");
        }
        assert_eq!(titles.take("another", Namer::Model, "taxes"), Some(0));
    }
}
