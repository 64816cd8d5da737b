//! Asks the kernel who owns one TCP socket of this machine: one message there and one back, whatever else runs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `SOCK_DIAG_BY_FAMILY`: the question and the answer.
const BY_FAMILY: u16 = 20;

/// `NLMSG_ERROR`: no such socket, for one.
const FAILED: u16 = 2;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

/// Any state of a connection.
const EVERY_STATE: u32 = u32::MAX;

/// The header of every message: length, type, flags, sequence, sender.
const HEADER_BYTES: usize = 16;

/// A question: family, protocol, two bytes, states, and the socket's identity.
const QUESTION_BYTES: usize = 8 + 48;

/// Where an answer has the owner and the inode, after its header.
const OWNER_AT: usize = 64;
const INODE_AT: usize = 68;

/// More than any answer about one socket.
const ANSWER_BYTES: usize = 1024;

/// A line to the kernel. One question is on it at a time.
pub(super) struct Kernel {
    socket: Mutex<OwnedFd>,
}

impl Kernel {
    /// Opens the line and tries it on a connection of our own.
    ///
    /// # Errors
    /// When this kernel, or a sandbox around us, does not answer such questions.
    pub(super) fn open() -> io::Result<Self> {
        let kind = (AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC);
        let socket = socket_with(kind.0, kind.1, kind.2, Some(SOCK_DIAG))?;
        let kernel = Self { socket: Mutex::new(socket) };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = TcpStream::connect(listener.local_addr()?)?;
        let owner = kernel.owner(own.local_addr()?, own.peer_addr()?)?;
        if owner == Some(rustix::process::geteuid().as_raw()) {
            return Ok(kernel);
        }
        Err(io::Error::other("the kernel names another owner of our own connection"))
    }

    /// The user that has the socket at `address` which is connected to `other`; `None` when nobody has it open any
    /// more: what is then left of it is the kernel's.
    pub(super) fn owner(&self, address: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
        let question = question(address, other);
        let mut answer = [0; ANSWER_BYTES];
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        sendto(&*socket, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        // The kernel has answered before it comes back from there.
        let (length, _) = recv(&*socket, &mut answer[..], RecvFlags::DONTWAIT)?;
        drop(socket);
        let answer = &answer[..length.min(ANSWER_BYTES)];
        let malformed = || io::Error::other("an answer that makes no sense");
        match number(answer, 4).ok_or_else(malformed)? as u16 {
            BY_FAMILY => {
                let body = &answer[HEADER_BYTES..];
                let (owner, inode) = (number(body, OWNER_AT), number(body, INODE_AT));
                Ok(owner.zip(inode).filter(|(_, inode)| *inode != 0).map(|(owner, _)| owner))
            }
            FAILED => Ok(None),
            _ => Err(malformed()),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn question(address: SocketAddr, other: SocketAddr) -> [u8; HEADER_BYTES + QUESTION_BYTES] {
    const TCP: u8 = 6;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut message = Message { bytes: [0; HEADER_BYTES + QUESTION_BYTES], at: 0 };
    message.put(&u32::try_from(HEADER_BYTES + QUESTION_BYTES).unwrap_or_default().to_ne_bytes());
    message.put(&BY_FAMILY.to_ne_bytes());
    message.put(&REQUEST.to_ne_bytes());
    message.put(&[0; 8]); // sequence and sender
    message.put(&[family.as_raw() as u8, TCP, 0, 0]);
    message.put(&EVERY_STATE.to_ne_bytes());
    message.put(&address.port().to_be_bytes());
    message.put(&other.port().to_be_bytes());
    message.put(&octets(address.ip()));
    message.put(&octets(other.ip()));
    message.put(&[0; 4]); // any interface
    message.put(&[0xff; 8]); // no cookie
    message.bytes
}

struct Message<const BYTES: usize> {
    bytes: [u8; BYTES],
    at: usize,
}

impl<const BYTES: usize> Message<BYTES> {
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}

/// An address in the sixteen bytes that the message has for one.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            octets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn the_kernel_names_the_owner_of_a_connection_while_it_is_open() {
        let kernel = Kernel::open().expect("this kernel answers");
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (client_at, server_at) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let (server, _) = listener.accept().unwrap();
            let own = Some(rustix::process::geteuid().as_raw());
            assert_eq!(kernel.owner(client_at, server_at).unwrap(), own, "{address}");
            drop(client);
            assert_eq!(kernel.owner(client_at, server_at).unwrap(), None, "it is nobody's now");
            drop(server);
        }
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        assert_eq!(kernel.owner(nobody, nobody).unwrap(), None);
    }
}
