//! Where the messages of a WebSocket end, seen from below the libraries that read them: what of a message is there or was
//! announced is memory that they hold.

/// The longest head of a frame: two bytes, the length, the mask.
const HEAD_BYTES_MAX: usize = 14;

/// Follows the frames of one client.
#[derive(Default)]
pub(super) struct Frames {
    /// The head of the next frame, as far as it came.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// What of the frame's payload is to come.
    left: u64,
    /// The payload of the frame, if it is a part of a message.
    part: u64,
    /// Whether the message ends with the frame.
    is_last: bool,
    /// The parts of the message before the frame.
    message: u64,
}

impl Frames {
    /// Goes on with what came.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[here..];
                self.left -= here as u64;
            } else {
                self.head[self.head_bytes] = *first;
                self.head_bytes += 1;
                bytes = rest;
                let Some(length) = self.length() else { continue };
                self.begin(length);
            }
            if self.left == 0 {
                self.message = if self.is_last { 0 } else { self.message.saturating_add(self.part) };
                self.part = 0;
            }
        }
    }

    /// What a message that is not whole takes: what its frame announces, for which room is made at once, and the parts before
    /// it, which are kept in something that doubles when it is full.
    pub(super) fn unfinished(&self) -> u64 {
        self.message.saturating_mul(2).saturating_add(self.part)
    }

    /// The length of the frame's payload, when its head is there.
    fn length(&self) -> Option<u64> {
        let head = &self.head[..self.head_bytes];
        let second = *head.get(1)?;
        let (long, mask) = (usize::from(second & 0x7f), usize::from(second >> 7) * 4);
        let (length, long) = match long {
            126 => (u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?)), 2),
            127 => (u64::from_be_bytes(head.get(2..10)?.try_into().ok()?), 8),
            short => (short as u64, 0),
        };
        (head.len() == 2 + long + mask).then_some(length)
    }

    fn begin(&mut self, length: u64) {
        self.head_bytes = 0;
        self.left = length;
        let is_control = self.head[0] & 0x08 != 0;
        if !is_control {
            self.part = length;
            self.is_last = self.head[0] & 0x80 != 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a client, with as much of its payload as was sent.
    fn frame(first: u8, length: u64, sent: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match u16::try_from(length) {
            Ok(short @ ..126) => bytes.push(0x80 | short as u8),
            Ok(long) => {
                bytes.push(0x80 | 126);
                bytes.extend(long.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend([0xff; 4]);
        bytes.extend(vec![0xff; sent]);
        bytes
    }

    #[test]
    fn what_is_unfinished_is_the_parts_of_a_message_twice_and_what_its_frame_announces() {
        let many = 1 << 62;
        let cases: &[(&[&[u8]], u64)] = &[
            (&[], 0),
            (&[&frame(0x81, 5, 5)], 0),
            (&[&frame(0x82, 0, 0), &frame(0x81, 300, 300), &frame(0x81, 70_000, 70_000)], 0),
            (&[&frame(0x81, 5, 0)], 5),
            (&[&frame(0x81, 70_000, 69_999)], 70_000),
            (&[&frame(0x01, 300, 300)], 600),
            (&[&frame(0x01, 300, 300), &frame(0x00, 10, 10), &frame(0x00, 40, 1)], 660),
            (&[&frame(0x01, 300, 300), &frame(0x89, 125, 125), &frame(0x8a, 7, 3)], 600),
            (&[&frame(0x01, 300, 300), &frame(0x89, 0, 0), &frame(0x80, 10, 10)], 0),
            (&[&frame(0x01, 0, 0), &frame(0x02, many, 9)], many),
            (&[&frame(0x89, 125, 125), &frame(0x88, 2, 2), &frame(0x81, 5, 5)[..3]], 0),
        ];
        for (at, (sent, expected)) in cases.iter().enumerate() {
            let sent = sent.concat();
            for size in [1, 2, 7, 1000, usize::MAX] {
                let mut frames = Frames::default();
                sent.chunks(size.min(sent.len().max(1))).for_each(|bytes| frames.follow(bytes));
                assert_eq!(frames.unfinished(), *expected, "case {at} in pieces of {size}");
            }
        }
    }
}
