//! The arguments of a client's emit, exactly as they were written; an emit without any is fine.

use std::convert::Infallible;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use socketioxide::adapter::Adapter;
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::Socket;

/// What follows the event's name in an emit.
pub(super) struct Args(Vec<Box<RawValue>>);

impl Args {
    /// The first argument; JSON `null` when there is none.
    pub(super) fn first(&self) -> &RawValue {
        self.0.first().map_or(RawValue::NULL, |first| first)
    }

    /// The first argument in a known shape, its default when there is none.
    ///
    /// # Errors
    /// When it has another shape.
    pub(super) fn strict<T: DeserializeOwned + Default>(&self) -> serde_json::Result<T> {
        match self.first().get() {
            "null" => Ok(T::default()),
            given => serde_json::from_str(given),
        }
    }

    /// The first argument in a known shape; its default when it has another.
    pub(super) fn parsed<T: DeserializeOwned + Default>(&self) -> T {
        serde_json::from_str(self.first().get()).unwrap_or_default()
    }
}

impl<A: Adapter> FromMessageParts<A> for Args {
    type Error = Infallible;

    fn from_message_parts(
        _: &Arc<Socket<A>>,
        message: &mut Value,
        _: &Option<i64>,
    ) -> Result<Self, Infallible> {
        let Value::Str(text, _) = message else { return Ok(Self(Vec::new())) };
        let mut all: Vec<Box<RawValue>> = serde_json::from_str(text.as_str()).unwrap_or_default();
        if !all.is_empty() {
            all.remove(0);
        }
        Ok(Self(all))
    }
}
