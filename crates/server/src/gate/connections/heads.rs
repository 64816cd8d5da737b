//! Where the head of a request ends that may lead to a WebSocket. Its client has to wait for the answer; what comes before
//! it all the same is held back until then, so that the bytes of a WebSocket are never taken for those of a request.

use memchr::memchr;

/// Follows the requests of one connection.
#[derive(Default)]
pub(super) struct Heads {
    place: Place,
    /// What came behind the head of a `GET`, before its answer.
    early: Vec<u8>,
}

/// Where in a request the bytes that came last are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Before it, where line breaks are allowed.
    #[default]
    Start,
    /// In the head of a `GET`, which alone may lead to a WebSocket.
    Get {
        /// Whether there is nothing in the line so far.
        is_blank: bool,
    },
    /// Behind it.
    Behind,
    /// Anywhere in any other.
    Other,
}

impl Heads {
    /// The request was answered: what comes now is the next one.
    pub(super) fn begin(&mut self) {
        self.place = Place::Start;
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Whatever comes belongs to what came.
    pub(super) fn pass_on(&mut self) {
        self.place = Place::Other;
    }

    /// Keeps what came too early.
    pub(super) fn hold_back(&mut self, bytes: &[u8]) {
        self.early.extend_from_slice(bytes);
    }

    /// What came too early, up to so many bytes.
    pub(super) fn early(&mut self, bytes_max: usize) -> impl Iterator<Item = u8> {
        let count = bytes_max.min(self.early.len());
        self.early.drain(..count)
    }

    pub(super) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Goes on with what came; answers how much of it is up to the end of a head, or belongs together anyhow.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        if self.place == Place::Start {
            at = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
            match bytes.get(at) {
                None => {}
                Some(b'G') => self.place = Place::Get { is_blank: false },
                Some(_) => self.place = Place::Other,
            }
        }
        let Place::Get { mut is_blank } = self.place else { return bytes.len() };
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + length];
            at += length + 1;
            if is_blank && is_empty(line) {
                self.place = Place::Behind;
                return at;
            }
            is_blank = true;
        }
        self.place = Place::Get { is_blank: is_blank && is_empty(&bytes[at..]) };
        bytes.len()
    }
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"" | b"\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /ws HTTP/1.1\r\nhost: a\r\n\r\n";

    #[test]
    fn the_head_of_a_get_ends_with_its_empty_line_however_it_comes() {
        let bare = "GET /\nhost:a\n\n";
        for (head, behind) in [
            (GET, "\u{81}\u{85}"),
            (bare, "\r\n\r\n"),
            (&format!("\r\n\r\n{GET}"), "GET / HTTP/1.1\r\n\r\n"),
            (GET, ""),
        ] {
            let sent = format!("{head}{behind}");
            for size in 1..=sent.len() {
                let mut heads = Heads::default();
                let mut passed = 0;
                for bytes in sent.as_bytes().chunks(size) {
                    if heads.place() != Place::Behind {
                        passed += heads.follow(bytes);
                    }
                }
                assert_eq!((passed, heads.place()), (head.len(), Place::Behind), "{sent:?} by {size}");
            }
        }
    }

    #[test]
    fn nothing_of_any_other_request_is_held_back() {
        let post = "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n";
        let mut heads = Heads::default();
        assert_eq!((heads.follow(post.as_bytes()), heads.place()), (post.len(), Place::Other));
        heads.begin();
        assert_eq!((heads.follow(b"GET / HTTP/1.1"), heads.place()), (14, Place::Get { is_blank: false }));
    }
}
