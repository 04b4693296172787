//! Connections: accepting them, TLS, HTTP/1.1 and 2 on them, and ending them.
//!
//! One loop accepts while there is room; each connection is a task of its own that speaks until it is done, breaks,
//! runs into a deadline, or is told to stop. Which HTTP a client speaks is agreed during the TLS handshake; without
//! TLS it is 1.1. Stopping is: accept no more, let requests under way answer, close; what has not ended by then is
//! cut.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::http::{AppState, Limits, router};

/// Bytes in flight on one HTTP/2 stream, and on all of a connection. The default of 64 KiB makes uploads crawl.
const HTTP2_WINDOW: u32 = 4 * 1024 * 1024;
/// A head of this size must be allowed: the library refuses a smaller bound.
const HEAD_BYTES_LEAST: usize = 8 * 1024;
/// How often, and for how long, a silent HTTP/2 connection is asked whether it is alive.
const HTTP2_PING: Duration = Duration::from_secs(30);
/// Rest after an accept that failed for want of resources.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Returns a TLS configuration for [`serve`]: TLS 1.2 and 1.3, HTTP/2 and 1.1.
///
/// Fails when the key does not belong to the first certificate of the chain.
pub fn tls_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves the API on a listener until `stop` is cancelled, then lets what is under way answer, within
/// `limits.drain`, and returns.
///
/// Without `tls` the listener must be on loopback; the caller sees to that.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    mut app: AppState,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    app.stop = stop.clone();
    let server = Server {
        limits: app.settings.limits.clone(),
        changes: app.changes.clone(),
        router: router::router(app),
        tls: tls.map(TlsAcceptor::from),
        stop,
        cut: CancellationToken::new(),
    };
    info!("listening on {address}");
    server.run(listener).await;
    info!("stopped listening on {address}");
    Ok(())
}

/// What is known of the connection a request came on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Whether it is encrypted.
    pub(crate) tls: bool,
}

impl Link {
    /// Returns the link of a request; one that came on no connection, in a test, counts as local.
    pub(crate) fn of(request: &Request) -> Self {
        let local = Self { peer: (IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into(), tls: false };
        request.extensions().get().copied().unwrap_or(local)
    }
}

#[derive(Clone)]
struct Server {
    limits: Limits,
    router: Router,
    tls: Option<TlsAcceptor>,
    changes: TaskTracker,
    /// Ends politely.
    stop: CancellationToken,
    /// Ends at once.
    cut: CancellationToken,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let connections = TaskTracker::new();
        let room = Arc::new(Semaphore::new(self.limits.connections_max));
        loop {
            let next = async {
                let place = room.clone().acquire_owned().await.expect("nobody closes this semaphore");
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let server = self.clone();
                    connections.spawn(async move {
                        server.connection(stream, peer).await;
                        drop(place);
                    });
                }
                Err(broken) if of_one_connection(&broken) => {}
                Err(broken) => {
                    warn!(error = %broken, "no connection can be accepted for now: {broken}");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
        drop(listener);
        connections.close();
        self.changes.close();
        let ended = async {
            connections.wait().await;
            self.changes.wait().await;
        };
        if timeout(self.limits.drain, ended).await.is_err() {
            let left = connections.len();
            warn!(left, "{left} connections did not end in time and are cut");
            self.cut.cancel();
            connections.wait().await;
        }
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        let cut = self.cut.clone();
        let spoken = async {
            // Without this, uploads over HTTP/2 take five times as long.
            stream.set_nodelay(true)?;
            let stream = Paced::new(stream, self.limits.write_idle);
            let Some(acceptor) = &self.tls else {
                return self.speak(stream, Link { peer, tls: false }, Http::One).await;
            };
            let stream = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                shaken = timeout(self.limits.handshake, acceptor.accept(stream)) => shaken??,
            };
            let http = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Http::Two,
                _ => Http::One,
            };
            self.speak(stream, Link { peer, tls: true }, http).await
        };
        let spoken: Result<(), Broken> = tokio::select! {
            biased;
            () = cut.cancelled() => return,
            spoken = spoken => spoken,
        };
        if let Err(broken) = spoken {
            debug!(%peer, error = %broken, "a connection from {peer} broke: {broken}");
        }
    }

    async fn speak<T>(&self, stream: T, link: Link, http: Http) -> Result<(), Broken>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(link);
            let answer = router.clone().oneshot(request.map(Body::new));
            async move { Ok::<Response, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let builder = self.builder(http);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = self.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }

    fn builder(&self, http: Http) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes_max.max(HEAD_BYTES_LEAST))
            .max_headers(limits.headers_max);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(HTTP2_WINDOW)
            .initial_connection_window_size(HTTP2_WINDOW)
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING);
        // Said outright, since finding out from the first bytes would wait for them without a deadline.
        match http {
            Http::One => builder.http1_only(),
            Http::Two => builder.http2_only(),
        }
    }
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy)]
enum Http {
    One,
    Two,
}

/// Tells a client that went away while it was waiting from a server that is out of something.
fn of_one_connection(broken: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(broken.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A stream that breaks when the other end takes nothing for too long.
struct Paced<T> {
    stream: T,
    idle: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T> Paced<T> {
    fn new(stream: T, idle: Duration) -> Self {
        Self { stream, idle, deadline: None }
    }

    fn paced<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let idle = self.idle;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.paced(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.paced(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.paced(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.paced(cx, shut)
    }
}

#[cfg(test)]
mod tests;
