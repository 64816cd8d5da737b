//! Whoever takes a port that a monitor gave up: he answers as if he were the monitor, and keeps what he is told.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::PATIENCE;

/// How long to rest between two tries to have the port.
const POLL: Duration = Duration::from_millis(1);

/// How he ends his own last request, behind which nothing of the programs before can come.
const LAST: &str = "GET /last HTTP/1.1";

/// A program that listens at loopback addresses of a port.
pub struct Squatter {
    port: u16,
    addresses: Vec<IpAddr>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Squatter {
    /// Takes a port as soon as it is to be had, at both addresses.
    #[track_caller]
    pub fn on(port: u16) -> Self {
        Self::at(&[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], port)
    }

    /// Takes a port at these addresses as soon as it is to be had.
    #[track_caller]
    pub fn at(addresses: &[IpAddr], port: u16) -> Self {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let take = |address: &IpAddr| {
            let start = Instant::now();
            loop {
                match TcpListener::bind((*address, port)) {
                    Ok(listener) => return listener,
                    Err(error) => assert!(start.elapsed() < PATIENCE, "port {port} is not given up: {error}"),
                }
                thread::sleep(POLL);
            }
        };
        for listener in addresses.iter().map(take) {
            let told = told.clone();
            thread::spawn(move || {
                // One after the other: what comes last was told last.
                for stream in listener.incoming().map_while(Result::ok) {
                    if let Some(request) = answer(stream)
                        && !request.is_empty()
                    {
                        told.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                    }
                }
            });
        }
        Self { port, addresses: addresses.to_owned(), told }
    }

    /// Claims that all he was ever asked is who he is, and that nobody proved anything to him.
    #[track_caller]
    pub fn assert_told_nothing(&self, when: &str) {
        for request in self.everything() {
            let is_question = request.starts_with("GET /health HTTP/1.1\r\n");
            let proves = request.to_ascii_lowercase().contains("\r\nauthorization:");
            assert!(is_question && !proves, "{when}: he was told {request}");
        }
    }

    /// Claims that nobody as much as asked him anything.
    #[track_caller]
    pub fn assert_asked_nothing(&self, when: &str) {
        let told = self.everything();
        assert!(told.is_empty(), "{when}: he was told {told:?}");
    }

    /// All that came before now.
    fn everything(&self) -> Vec<String> {
        for address in &self.addresses {
            let mut last = TcpStream::connect((*address, self.port)).expect("he listens");
            last.write_all(format!("{LAST}\r\n\r\n").as_bytes()).expect("he reads");
            // He has taken it when he closes.
            let _ = last.read_to_end(&mut Vec::new());
        }
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|request| !request.starts_with(LAST)).cloned().collect()
    }
}

/// Reads one request, head and body, and answers it in a way that every program of ours would take.
fn answer(mut stream: TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (mut request, mut chunk) = (Vec::new(), [0; 8192]);
    while !is_whole(&request) {
        match stream.read(&mut chunk) {
            Ok(bytes @ 1..) => request.extend_from_slice(&chunk[..bytes]),
            _ => break,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let body = json!({
        "service": "claude-mpm-monitor", "status": "running", "version": "0.1.0", "server_id": "another",
        "store": "ok", "events": [], "has_more": false, "position": 0, "epoch": "another", "stored": 1,
        "duplicates": 0, "refused": [], "sessions": [], "path": "/", "clients": 0,
    });
    let body = body.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // Who only wanted to know whether he is there has gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
    Some(request)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}
