//! A stream and an answer that count as long as they exist. What lies on top of the stream, whichever library it is, holds
//! little for its client: nothing more is read while what is written is not taken, and what has not come whole is within the
//! budget.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::frames::Frames;
use super::heads::{Heads, Place};
use super::{Busy, Cut, Held};
use crate::gate::audit::Audit;
use crate::gate::bodies::OWING_BYTES_MAX;
use crate::gate::budget::{Budget, Part};

/// How long the other end may take nothing of what is written to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Of an answer.
    pub answer: Duration,
    /// Of a live connection, whose viewer may rest for a while.
    pub live: Duration,
}

/// What all streams of a server share.
pub(crate) struct Bounds {
    pub patience: Patience,
    pub budget: Budget,
    /// The largest message of a WebSocket; who reads one that is larger refuses it, with the reason.
    pub message_bytes_max: usize,
    pub audit: Audit,
}

/// A stream of a counted connection; also after it became a WebSocket's.
pub(crate) struct Counted<S> {
    stream: S,
    held: Held,
    address: IpAddr,
    bounds: Arc<Bounds>,
    /// Present while what is written waits.
    stall: Option<Pin<Box<Sleep>>>,
    /// Who wants to read when it does not wait any more.
    reader: Option<Waker>,
    heads: Heads,
    frames: Frames,
    /// Requests of which the heads came.
    asked: u64,
    /// Bytes of the head that is coming, or of all that a WebSocket's client sent while it owes the token.
    bytes: usize,
    /// What it holds unfinished.
    part: Part,
    /// Nothing is read any more.
    is_cut: bool,
    /// And nothing written: its client took nothing.
    is_broken: bool,
}

/// Can be ended with all that waits to be sent.
pub(crate) trait Abort {
    /// From now on its end is the end: the system keeps nothing for a client that does not read.
    fn abort(&self);
}

impl Abort for TcpStream {
    fn abort(&self) {
        // Without it the system tries on for a while.
        let _ = self.set_zero_linger();
    }
}

impl Abort for TlsStream<TcpStream> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

impl<S: Abort> Counted<S> {
    pub(crate) fn new(stream: S, held: Held, address: IpAddr, bounds: Arc<Bounds>) -> Self {
        let part = bounds.budget.part();
        Self {
            stream,
            held,
            address,
            bounds,
            stall: None,
            reader: None,
            heads: Heads::default(),
            frames: Frames::default(),
            asked: 0,
            bytes: 0,
            part,
            is_cut: false,
            is_broken: false,
        }
    }

    /// Ends the connection from our side.
    fn cut(&mut self, why: Cut) -> io::Error {
        if !std::mem::replace(&mut self.is_cut, true) {
            self.held.note_cut();
            self.bounds.audit.refused(why.code(), self.address, "a connection");
        }
        self.part.release();
        // Who takes nothing cannot be told.
        if self.stall.take().is_some() {
            self.is_broken = true;
            self.stream.abort();
        }
        io::Error::other(why)
    }

    /// What came of a write, which fails when it has waited for too long.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stall.take().is_some()
                && let Some(reader) = self.reader.take()
            {
                reader.wake();
            }
            return written;
        }
        let Patience { answer, live } = self.bounds.patience;
        let patience = if self.held.is_upgraded() { live } else { answer };
        ready!(self.stall.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(self.cut(Cut::Stuck)))
    }

    /// Whether more may be read. A library that answers by itself, as WebSockets are to answer each ping, would keep every
    /// answer that is not taken.
    fn may_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.part.watch(cx).is_err() {
            return Poll::Ready(Err(self.cut(Cut::GivenUp)));
        }
        if self.held.is_upgraded() && self.held.watch_eviction(cx) {
            return Poll::Ready(Err(self.cut(Cut::Evicted)));
        }
        if self.stall.is_none() {
            let is_full = self.held.is_upgraded() && self.held.is_full(cx);
            return if is_full { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
        self.reader = Some(cx.waker().clone());
        self.in_time(cx, Poll::Pending)
    }

    /// Notes what came of a WebSocket.
    fn note_frames(&mut self, came: &[u8]) -> Result<(), Cut> {
        self.frames.follow(came);
        let unfinished = usize::try_from(self.frames.unfinished()).unwrap_or(usize::MAX);
        if self.held.owes() {
            self.bytes = self.bytes.saturating_add(came.len());
            if self.bytes.max(unfinished) > OWING_BYTES_MAX {
                return Err(Cut::Owing);
            }
        }
        // A message that is over the limit is refused by who reads it, with the reason.
        let held = self.part.hold(unfinished.min(2 * self.bounds.message_bytes_max));
        let settled = if unfinished == 0 { self.part.settle() } else { Ok(()) };
        held.and(settled).map_err(|_| Cut::GivenUp)
    }

    /// Notes what came of requests; answers how much of it may be seen now.
    fn note_requests(&mut self, came: &[u8]) -> Result<usize, Cut> {
        let seen = self.heads.follow(came);
        self.heads.hold_back(&came[seen..]);
        self.held.note_place(self.heads.place());
        if !self.held.is_busy() {
            self.bytes = self.bytes.saturating_add(came.len());
            self.part.hold(self.bytes).map_err(|_| Cut::GivenUp)?;
        }
        Ok(seen)
    }

    /// What comes belongs to the next request when the one before was answered.
    fn turn_to_next(&mut self) {
        let asked = self.held.asked();
        if self.held.is_upgraded() {
            if asked != self.asked {
                self.asked = asked;
                self.bytes = 0;
            }
            if self.frames.unfinished() == 0 {
                self.part.release();
            }
        } else if asked != self.asked && !self.held.is_busy() {
            self.asked = asked;
            self.bytes = 0;
            self.part.release();
            self.heads.begin();
        } else if asked == self.asked && self.heads.place() == Place::Behind {
            // Who reads it does not take that for its end.
            self.heads.pass_on();
        }
    }

    /// Whether the next bytes have to wait for the answer.
    fn is_early(&self) -> bool {
        !self.held.is_upgraded() && self.heads.place() == Place::Behind
    }
}

impl<S: AsyncRead + Abort + Unpin> Counted<S> {
    /// Reads what came too early before, or from the stream.
    fn poll_source(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.heads.has_early() {
            let room = buf.remaining();
            self.heads.early(room).for_each(|byte| buf.put_slice(&[byte]));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.held.note_received(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Abort + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.may_read(cx))?;
        this.turn_to_next();
        if this.is_early() && this.heads.has_early() {
            self.held.waits_for_answer(cx);
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(this.poll_source(cx, buf))?;
        let came = &buf.filled()[before..];
        if this.held.is_upgraded() {
            return Poll::Ready(this.note_frames(came).map_err(|why| this.cut(why)));
        }
        if this.is_early() && !came.is_empty() {
            this.heads.hold_back(came);
            buf.set_filled(before);
            this.held.waits_for_answer(cx);
            return Poll::Pending;
        }
        match this.note_requests(came) {
            Ok(seen) => buf.set_filled(before + seen),
            Err(why) => return Poll::Ready(Err(this.cut(why))),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Abort + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.held.note_sent(&written);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.held.note_sent(&written);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, shut)
    }
}

/// A body whose connection is at work until it was sent.
pub(super) struct Sending {
    body: Body,
    _busy: Busy,
}

impl Sending {
    pub(super) fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
