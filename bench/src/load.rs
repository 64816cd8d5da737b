//! A load generator that costs far less than any server: one thread, requests rendered beforehand, one write
//! and one read for each. Its connections form a ring; each has one request under way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Longer than any answer may take; a server that hangs ends the bench.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Rounds of the ring before counting: connections are accepted and caches warm.
const WARM_UP: usize = 3;

/// How a load is put on a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections in the ring.
    pub connections: usize,
    /// Whether each request gets a connection of its own, as hooks do.
    pub reconnect: bool,
    /// How long.
    pub time: Duration,
}

/// What a server did under a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// Requests answered with success.
    pub requests: usize,
    /// How long it took.
    pub time: Duration,
}

/// Puts a load on a server of this machine. `requests` are sent in turn.
pub(crate) fn run(port: u16, load: Load, requests: &[Vec<u8>]) -> Result<Done> {
    let mut next = requests.iter().cycle();
    let mut send = |client: &mut Client| client.send(next.next().expect("there are requests"));
    let mut ring = (0..load.connections).map(|_| Client::connect(port)).collect::<Result<Vec<_>>>()?;
    for client in &mut ring {
        send(client)?;
    }
    let (mut start, mut count) = (Instant::now(), 0);
    for turn in 0.. {
        if turn == WARM_UP {
            (start, count) = (Instant::now(), 0);
        }
        for client in &mut ring {
            client.answer()?;
            count += 1;
            if load.reconnect {
                *client = Client::connect(port)?;
            }
            send(client)?;
        }
        if turn > WARM_UP && start.elapsed() >= load.time {
            break;
        }
    }
    let done = Done { requests: count, time: start.elapsed() };
    for client in &mut ring {
        client.answer()?;
    }
    Ok(done)
}

/// One HTTP/1.1 connection that is kept alive.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        // Closing resets: thousands of closed connections would else hold their ports for a minute.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        Ok(Self { stream, buffer: vec![0; 4096] })
    }

    /// How long an answer may take.
    pub(crate) fn set_patience(&self, patience: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// Reads one whole answer and returns its body; anything but 2xx is an error.
    pub(crate) fn answer(&mut self) -> Result<&[u8]> {
        let mut filled = 0;
        let (mut body, mut end) = (0, usize::MAX);
        while filled < end {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let length = self.stream.read(&mut self.buffer[filled..]).context("no answer")?;
            ensure!(length > 0, "the server closed the connection");
            filled += length;
            if end == usize::MAX
                && let Some(head) = find(&self.buffer[..filled], b"\r\n\r\n")
            {
                body = head + 4;
                end = body + content_length(&self.buffer[..head])?;
            }
        }
        let answer = &self.buffer[..filled];
        ensure!(answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(answer));
        Ok(&answer[body..])
    }
}

/// Renders a POST of a body, or a GET without one.
pub(crate) fn request(path: &str, body: Option<&str>) -> Vec<u8> {
    match body {
        Some(body) => format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n\
             {body}",
            body.len()
        ),
        None => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    }
    .into_bytes()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn content_length(head: &[u8]) -> Result<usize> {
    if head.starts_with(b"HTTP/1.1 204") {
        return Ok(0);
    }
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Ok(value.context("an answer without content-length")?.trim().parse()?)
}
