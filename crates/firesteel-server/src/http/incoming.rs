//! The body of a request on its way in: watched for stalls, and read to its end when nobody wanted it.
//!
//! A server that answers while the client still sends, and then closes, makes the client's system throw the answer
//! away; over HTTP/2, where a stream can be refused alone, some clients take that for a broken connection. So what
//! a handler left unread is read and dropped, within bounds, before the answer goes out. Only a client that asked
//! `Expect: 100-continue` and was never told to go on has sent nothing, and gets its answer at once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Version, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Bytes of an unwanted body that are read for courtesy.
const UNWANTED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Time spent on that courtesy.
const UNWANTED_TIME: Duration = Duration::from_secs(20);
/// Time without a byte after which the courtesy ends: the client is waiting for the answer.
const UNWANTED_IDLE: Duration = Duration::from_millis(1500);

/// A body that sends no byte for too long.
#[derive(Debug, thiserror::Error)]
#[error("no byte of the body arrived for {} s", .0.as_secs())]
pub(crate) struct Stalled(Duration);

/// Puts a watch on a body. The first half goes to the handler, the second stays with the edge.
pub(crate) fn watch(body: Body, idle: Duration) -> (Body, Unread) {
    let inner = Arc::new(Mutex::new(Inner { body, started: false, ended: false }));
    let watched = Watched { inner: inner.clone(), idle, deadline: None };
    (Body::new(watched), Unread { inner })
}

struct Inner {
    body: Body,
    started: bool,
    ended: bool,
}

impl Inner {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.started = true;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }
}

struct Watched {
    inner: Arc<Mutex<Inner>>,
    idle: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = this.inner.lock().unwrap_or_else(PoisonError::into_inner).poll_frame(cx);
        if polled.is_ready() {
            this.deadline = None;
            return polled;
        }
        let idle = this.idle;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(axum::Error::new(Stalled(idle)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
    }
}

/// What the handler leaves of a body.
pub(crate) struct Unread {
    inner: Arc<Mutex<Inner>>,
}

impl Unread {
    /// Reads and drops the rest, where an answer would be lost otherwise. Tells what that leaves of the connection.
    pub(crate) async fn discard(self, asked: Asked) -> After {
        {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if inner.ended || inner.body.is_end_stream() {
                return After::KeepOpen;
            }
            if asked == Asked::ToContinue && !inner.started {
                return After::Close;
            }
        }
        let mut body = Rest(self.inner);
        let end = Instant::now() + UNWANTED_TIME;
        let mut left = UNWANTED_BYTES_MAX;
        loop {
            let until = end.min(Instant::now() + UNWANTED_IDLE);
            match tokio::time::timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(less) => left = less,
                    None => return After::Close,
                },
                Ok(None) => return After::KeepOpen,
                _ => return After::Close,
            }
        }
    }
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It takes the next request.
    KeepOpen,
    /// A part of the body is still to come and nobody will read it. The client must be told, or its next request is
    /// lost.
    Close,
}

struct Rest(Arc<Mutex<Inner>>);

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_frame(cx)
    }
}

/// Whether the client sends its body unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It sends the body whatever happens.
    Nothing,
    /// It waits for `100 Continue` before it sends the body.
    ToContinue,
}

impl Asked {
    /// Reads the expectation off a request. Over HTTP/2 nobody answers it: the client goes on by itself after a
    /// second.
    pub(crate) fn of(version: Version, headers: &HeaderMap) -> Self {
        match headers.get(header::EXPECT) {
            Some(value) if version < Version::HTTP_2 && value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                Self::ToContinue
            }
            _ => Self::Nothing,
        }
    }
}
