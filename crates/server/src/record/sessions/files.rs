//! The files that tools worked on.

use protocol::detail::{FileUse, TouchedFile};
use serde::{Deserialize, Serialize};

use super::Step;

/// Files remembered; those touched longest ago are forgotten first.
const FILES_MAX: usize = 100;

/// Files, the newest touch last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Files(Vec<TouchedFile>);

impl Files {
    pub(super) fn touch(&mut self, step: &Step<'_>, path: &str, how: FileUse) {
        let place = self.0.iter().rposition(|file| file.path == path);
        let mut file = match place {
            Some(place) => self.0.remove(place),
            None => TouchedFile {
                path: path.to_owned(),
                reads: 0,
                writes: 0,
                edits: 0,
                last: how,
                last_at: step.at,
                last_seq: step.row.seq,
                agent_id: None,
            },
        };
        *match how {
            FileUse::Read => &mut file.reads,
            FileUse::Write => &mut file.writes,
            FileUse::Edit => &mut file.edits,
        } += 1;
        file.last = how;
        file.last_at = step.at;
        file.last_seq = step.row.seq;
        file.agent_id = step.lane.cloned();
        if self.0.len() >= FILES_MAX {
            self.0.remove(0);
        }
        self.0.push(file);
    }

    pub(super) fn to_vec(&self) -> Vec<TouchedFile> {
        self.0.clone()
    }
}
