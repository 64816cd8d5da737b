//! Posts one body over HTTP/1.1 and reads no more of the answer than its status, all within a hard limit. A name that
//! turns out to lead to this machine is not connected to, unless somebody knows who listens there.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use protocol::Address;
use protocol::names::EVENTS;
use rustix::event::{PollFd, PollFlags};

use crate::delivery::Delivery;
use crate::route::{Target, Word};
use crate::wait::{time_left, wait_for};

/// A server on this machine accepts in microseconds; Claude waits for nothing longer than this.
const CONNECT_LIMIT: Duration = Duration::from_millis(50);

/// Name lookup, connecting, sending and the answer together. Whatever takes longer goes to the spool.
const TOTAL_LIMIT: Duration = Duration::from_millis(200);

/// `HTTP/1.1 204`: all that is read of an answer.
const STATUS_BYTES: usize = 12;

/// Posts the delivery, if the address is still that of whoever is meant when the connection is made. Success means that
/// the server has stored it; after any error it may have, and the same id makes a second delivery harmless.
pub fn post(
    target: &Target,
    token: Option<&str>,
    delivery: &Delivery,
    is_its_own: impl FnOnce(SocketAddr) -> bool,
) -> io::Result<()> {
    let deadline = Instant::now() + TOTAL_LIMIT;
    let address = address(&target.address, deadline)?;
    if target.word == Word::Host && is_of_this_machine(address) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "nobody knows who listens there"));
    }
    let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT.min(time_left(deadline)?))?;
    if !is_its_own(address) {
        return Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "another program may have that address",
        ));
    }
    stream.set_nodelay(true)?; // or the end of a long body waits for an acknowledgement
    stream.set_nonblocking(true)?; // so that every wait is ours, with the time that is left

    let head = head(target, token, delivery.length());
    let [envelope, payload, end] = delivery.parts();
    send(&stream, [head.as_bytes(), envelope, payload, end], deadline)?;
    match status(&stream, deadline)? {
        [b'2', _, _] => Ok(()),
        refused => Err(io::Error::other(String::from_utf8_lossy(&refused).into_owned())),
    }
}

fn head(target: &Target, token: Option<&str>, length: usize) -> String {
    let Address { path, authority, .. } = &target.address;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST {path}{EVENTS} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n{authorization}\r\n"
    )
}

fn send(mut stream: &TcpStream, parts: [&[u8]; 4], deadline: Instant) -> io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match stream.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => IoSlice::advance_slices(&mut left, sent),
            Err(error) => wait_after(error, stream, PollFlags::OUT, deadline)?,
        }
        time_left(deadline)?; // a server that takes a little at a time never makes us wait
    }
    Ok(())
}

/// The three digits of the answer's status.
fn status(mut stream: &TcpStream, deadline: Instant) -> io::Result<[u8; 3]> {
    let mut line = [0; STATUS_BYTES];
    let mut filled = 0;
    while filled < STATUS_BYTES {
        match stream.read(&mut line[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => filled += length,
            Err(error) => wait_after(error, stream, PollFlags::IN, deadline)?,
        }
        time_left(deadline)?;
    }
    match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', status @ ..] => Ok(status),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn wait_after(error: io::Error, stream: &TcpStream, event: PollFlags, deadline: Instant) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock => wait_for(PollFd::new(stream, event), deadline),
        io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// Whether programs of this machine listen there: only then a socket can have that address.
fn is_of_this_machine(mut address: SocketAddr) -> bool {
    address.set_port(0);
    match UdpSocket::bind(address) {
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
        Ok(_) => true,
    }
}

fn address(Address { host, port, .. }: &Address, deadline: Instant) -> io::Result<SocketAddr> {
    let port = *port;
    if host.eq_ignore_ascii_case("localhost") {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    match host.parse::<IpAddr>() {
        Ok(ip) => Ok((ip, port).into()),
        Err(_) => look_up(host.clone(), port, deadline),
    }
}

/// Asks the system for a name's address. It may take many seconds and cannot be interrupted, so a thread waits
/// for it, which dies with the process. Only for names, hence never for a server on this machine.
fn look_up(host: String, port: u16, deadline: Instant) -> io::Result<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().ok().and_then(|mut found| found.next());
        sender.send(found)
    })?;
    match receiver.recv_timeout(time_left(deadline)?) {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(io::ErrorKind::HostUnreachable.into()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::caller::Called;
    use crate::payload::Facts;
    use crate::stdin::Input;

    /// Posts to a server that does this with its one connection.
    fn post_to(serve: impl FnOnce(TcpStream) + Send + 'static) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0));
        let target =
            Target { address: Address::at("127.0.0.1", port), word: Word::Server { wants_token: false } };
        let input = Input::Json { bytes: b"{}".to_vec(), facts: Facts { cwd: None } };
        let posted =
            post(&target, Some("secret"), &Delivery::new(input, &Called::default(), UNIX_EPOCH), |_| true);
        server.join().unwrap();
        posted
    }

    fn answer(text: &'static str) -> impl FnOnce(TcpStream) + Send + 'static {
        move |mut stream| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn only_a_2xx_is_a_success() {
        let cases = [
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", true),
            ("HTTP/1.1 100 Continue\r\n\r\n", false),
            ("HTTP/1.1 301 Moved\r\n\r\n", false),
            ("HTTP/1.1 413 Too Large\r\n\r\n", false),
            ("HTTP/1.1 500 Oh\r\n\r\n", false),
            ("POST /api/ev HTTP/1.1\r\n", false),
            ("HTTP/1.1 2", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(post_to(answer(text)).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_request_is_complete_and_carries_the_token() {
        let (sender, receiver) = mpsc::channel();
        let posted = post_to(move |mut stream| {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            sender.send(String::from_utf8_lossy(&request[..length]).into_owned()).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        assert!(posted.is_ok());
        let request = receiver.recv().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /api/events HTTP/1.1\r\nHost: localhost:"), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        assert!(head.contains("\r\nAuthorization: Bearer secret"), "{head}");
        assert!(body.ends_with(r#""payload":{}}"#), "{body}");
    }

    #[test]
    fn a_server_that_trickles_its_answer_is_given_up() {
        let posted = post_to(|mut stream| {
            // Each byte comes well within the limit, all of them do not.
            for byte in b"HTTP/1.1 204 No Content" {
                thread::sleep(TOTAL_LIMIT / 8);
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        });
        assert_eq!(posted.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_address_needs_no_lookup() {
        let deadline = Instant::now() + TOTAL_LIMIT;
        for (host, expected) in [
            ("127.0.0.1", "127.0.0.1:7"),
            ("localhost", "127.0.0.1:7"),
            ("LOCALHOST", "127.0.0.1:7"),
            ("::1", "[::1]:7"),
        ] {
            assert_eq!(address(&Address::at(host, 7), deadline).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn an_address_of_this_machine_is_known_whatever_name_led_to_it() {
        for here in ["127.0.0.1:9", "127.0.9.9:9", "[::1]:9", "0.0.0.0:9", "[::]:9", "[::ffff:127.0.0.1]:9"] {
            assert!(is_of_this_machine(here.parse().unwrap()), "{here}");
        }
        for elsewhere in ["192.0.2.7:9", "[2001:db8::7]:9"] {
            assert!(!is_of_this_machine(elsewhere.parse().unwrap()), "{elsewhere}");
        }
    }
}
