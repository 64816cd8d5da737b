//! Bodies of requests: read in one way, in one piece, up to a limit, and within the budget of what is unfinished.

use std::error::Error;

use axum::body::HttpBody;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::gate::budget::{Budget, GivenUp, Part};

/// What a client may send in all before it names the token: a hundred times what the way to it takes.
pub(crate) const OWING_BYTES_MAX: usize = 64 * 1024;

/// How bodies are read; clones share the budget.
#[derive(Clone)]
pub(crate) struct Bodies {
    pub(crate) budget: Budget,
    /// The largest body of those who need name no token any more.
    pub(crate) bytes_max: usize,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it is longer than its limit")]
    TooLarge,
    #[error(transparent)]
    GivenUp(#[from] GivenUp),
    #[error("{0}")]
    Broken(String),
}

/// A body that came whole, and what it holds of the budget as long as somebody needs it.
struct Whole {
    bytes: Vec<u8>,
    _part: Part,
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { budget: Budget::new(bytes_max), bytes_max }
    }

    /// Reads a body up to its limit.
    ///
    /// # Errors
    /// [`Unread`] when it is longer, does not come whole, or too much else is on its way.
    pub(crate) async fn read<B>(&self, body: B, bytes_max: usize) -> Result<Bytes, Unread>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut body = Limited::new(body, bytes_max);
        let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
        // Nearly every event comes in one piece, which need not be copied.
        let Some(second) = next(&mut body).await? else { return Ok(first) };
        let mut part = self.budget.part();
        let mut bytes = first.to_vec();
        drop(first);
        let mut more = second;
        loop {
            // Room for twice as much, but for no more than there can be, and not for what was only announced. In one piece,
            // because many small ones would cost more than they hold.
            let least = bytes.len() + more.len();
            let most = least.saturating_add(left(&body));
            if least > bytes.capacity() {
                let room = most.min(2 * least);
                part.hold(room)?;
                tokio::select! {
                    () = part.others_let_go() => {}
                    given_up = part.given_up() => return Err(given_up.into()),
                }
                bytes.reserve_exact(room - bytes.len());
            }
            bytes.extend_from_slice(&more);
            drop(more);
            let piece = tokio::select! {
                piece = next(&mut body) => piece?,
                given_up = part.given_up() => return Err(given_up.into()),
            };
            let Some(piece) = piece else { break };
            more = piece;
        }
        part.settle()?;
        Ok(Bytes::from_owner(Whole { bytes, _part: part }))
    }
}

/// How much of a body may still come.
fn left<B: HttpBody>(body: &B) -> usize {
    body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
}

/// The next bytes of a body; none at its end.
async fn next<B>(body: &mut Limited<B>) -> Result<Option<Bytes>, Unread>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => Unread::TooLarge,
            false => Unread::Broken(error.to_string()),
        })?;
        if let Ok(bytes) = frame.into_data()
            && !bytes.is_empty()
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
