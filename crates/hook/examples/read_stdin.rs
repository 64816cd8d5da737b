//! The least that any hook does: a process that reads standard input and leaves. The bench's baseline.

use std::io::Read;

fn main() -> std::io::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
