//! The newest few of something.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// At most `MAX` values, oldest first; the oldest goes when another comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Recent<T, const MAX: usize>(VecDeque<T>);

impl<T, const MAX: usize> Default for Recent<T, MAX> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T, const MAX: usize> Recent<T, MAX> {
    pub(super) fn push(&mut self, value: T) {
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.0.iter_mut()
    }

    pub(super) fn newest_mut(&mut self) -> Option<&mut T> {
        self.0.back_mut()
    }
}

impl<T: Clone, const MAX: usize> Recent<T, MAX> {
    pub(super) fn to_vec(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}
