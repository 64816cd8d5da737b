//! Todos from every source: `TodoWrite` replaces the list of its agent, tasks are kept one by one.

use protocol::detail::{Todo, TodoStatus};
use protocol::ingest::facts::{Task, TaskStatus};
use protocol::session::Progress;
use protocol::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Step;

/// Entries remembered; real lists have a few dozen.
const TODOS_MAX: usize = 200;

/// Agents whose last replacement is remembered.
const LISTS_MAX: usize = 20;

/// The todos of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Todos {
    entries: Vec<Todo>,
    /// When each list was replaced: an older list must not come back.
    replaced: Vec<(Option<AgentId>, Timestamp)>,
}

impl Todos {
    /// The list of an agent as a whole.
    pub(super) fn replace(&mut self, step: &Step<'_>, todos: &[Todo]) {
        let lane = step.lane.cloned();
        match self.replaced.iter_mut().find(|(of, _)| *of == lane) {
            Some((_, at)) if *at > step.at => return,
            Some((_, at)) => *at = step.at,
            None => {
                if self.replaced.len() >= LISTS_MAX {
                    self.replaced.remove(0);
                }
                self.replaced.push((lane.clone(), step.at));
            }
        }
        self.entries.retain(|todo| todo.task_id.is_some() || todo.agent_id != lane);
        let room = TODOS_MAX.saturating_sub(self.entries.len());
        let listed = todos.iter().take(room);
        self.entries.extend(listed.map(|todo| Todo { agent_id: lane.clone(), ..todo.clone() }));
    }

    /// One task. Hooks and tool calls tell of it, in any order and each of it a part.
    pub(super) fn task(&mut self, task: &Task) {
        let Some(id) = &task.id else { return };
        if task.status == Some(TaskStatus::Deleted) {
            return self.entries.retain(|todo| todo.task_id.as_ref() != Some(id));
        }
        let place = self.entries.iter().position(|todo| todo.task_id.as_ref() == Some(id));
        let place = match place {
            Some(place) => place,
            None if self.entries.len() >= TODOS_MAX => return,
            None => {
                self.entries.push(new(id));
                self.entries.len() - 1
            }
        };
        let todo = &mut self.entries[place];
        if let Some(subject) = &task.subject {
            todo.text.clone_from(subject);
        }
        if let Some(TaskStatus::Listed(status)) = task.status {
            todo.status = status;
        }
        if task.active_form.is_some() {
            todo.active_form.clone_from(&task.active_form);
        }
        if task.owner.is_some() {
            todo.owner.clone_from(&task.owner);
        }
    }

    /// How far all lists together are.
    pub(super) fn progress(&self) -> Option<Progress> {
        if self.entries.is_empty() {
            return None;
        }
        let done = self.entries.iter().filter(|todo| todo.status == TodoStatus::Completed).count();
        let current = self.entries.iter().find(|todo| todo.status == TodoStatus::InProgress);
        Some(Progress {
            done: done as u64,
            total: self.entries.len() as u64,
            current: current.map(|todo| todo.active_form.clone().unwrap_or_else(|| todo.text.clone())),
        })
    }

    pub(super) fn to_vec(&self) -> Vec<Todo> {
        self.entries.clone()
    }
}

fn new(id: &str) -> Todo {
    Todo {
        task_id: Some(id.to_owned()),
        text: String::new(),
        status: TodoStatus::Pending,
        active_form: None,
        owner: None,
        agent_id: None,
    }
}
