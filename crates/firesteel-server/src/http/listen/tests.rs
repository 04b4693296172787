//! The accept loop over real sockets and TLS: slow, broken and oversized requests, and the end of a server.

use std::time::Instant;

use axum::extract::Request;
use axum::routing::{get, post};
use http_body_util::{BodyExt, Full};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::http::tests::{BASIC, app, edge_of};

/// A server on loopback with short deadlines, and how to reach it.
struct Running {
    address: SocketAddr,
    roots: Arc<RootCertStore>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

fn limits() -> Limits {
    Limits {
        handshake: Duration::from_millis(300),
        head: Duration::from_millis(300),
        drain: Duration::from_secs(5),
        ..Limits::default()
    }
}

impl Running {
    async fn start(limits: Limits, routes: Router) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let tls = tls_config(vec![cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let mut running = Self::plain(limits, routes, Some(TlsAcceptor::from(Arc::new(tls)))).await;
        running.roots = Arc::new(roots);
        running
    }

    async fn plain(limits: Limits, routes: Router, tls: Option<TlsAcceptor>) -> Self {
        let app = app();
        let stop = CancellationToken::new();
        let server = Server {
            limits,
            router: edge_of(&app, routes),
            tls,
            changes: app.changes.clone(),
            stop: stop.clone(),
            cut: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ended = tokio::spawn(server.run(listener));
        Self { address, roots: Arc::new(RootCertStore::empty()), stop, ended }
    }

    async fn tls(&self, alpn: &[&[u8]], version: &'static rustls::SupportedProtocolVersion) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    async fn http1(&self) -> TlsStream<TcpStream> {
        self.tls(&[b"http/1.1"], &rustls::version::TLS13).await
    }
}

/// Routes that need no engine: one that echoes the length of a body, one that never answers.
fn routes() -> Router {
    let length = async |body: bytes::Bytes| axum::Json(body.len());
    Router::new()
        .route("/length", post(length).layer(axum::extract::DefaultBodyLimit::disable()))
        .route("/version", get(async |request: Request| axum::Json(format!("{:?}", request.version()))))
        .route("/never", get(async || std::future::pending::<()>().await))
}

/// Writes a request and reads until the other end closes.
async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(stream: &mut T, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(stream).await
}

async fn rest<T: AsyncRead + Unpin>(stream: &mut T) -> String {
    let mut answer = Vec::new();
    // A close without a farewell is an error to TLS; what was read before it counts.
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server keeps the connection open");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer with a `content-length` and leaves the connection open.
async fn answer<T: AsyncRead + Unpin>(stream: &mut T) -> String {
    let mut text = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        text.push(char::from(byte[0]));
        if let Some(head) = text.strip_suffix("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ").map(|length| length.parse::<usize>().unwrap()));
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            return text + &String::from_utf8(body).unwrap();
        }
    }
}

#[tokio::test]
async fn both_versions_of_http_and_of_tls_are_spoken() {
    let server = Running::start(limits(), routes()).await;
    let request = format!("GET /version HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\nconnection: close\r\n\r\n");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for alpn in [&[b"http/1.1".as_slice()][..], &[]] {
            let mut stream = server.tls(alpn, version).await;
            let answer = exchange(&mut stream, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with("\"HTTP/1.1\""), "{answer}");
        }
        let stream = server.tls(&[b"h2", b"http/1.1"], version).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        for (method, path, body, status, expected) in [
            ("GET", "/version", "", 200, "\"HTTP/2.0\""),
            ("POST", "/length", "12345", 200, "5"),
            ("GET", "/.well-known/databricks-config", "", 404, ""),
        ] {
            let request = hyper::Request::builder()
                .method(method)
                .uri(format!("https://localhost:1{path}"))
                .header("authorization", BASIC)
                .body(Full::new(bytes::Bytes::from(body)))
                .unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expected);
        }
        drop(client);
        connection.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn plain_http_is_spoken_where_it_is_asked_for() {
    let server = Running::plain(limits(), routes(), None).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("POST /length HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\ncontent-length: 3\r\n\r\nabc");
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.ends_with("\r\n\r\n3"));
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends_its_body() {
    let server = Running::start(limits(), routes()).await;
    let mut stream = server.http1().await;
    let head = |more: &str| {
        format!("POST /length HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9000000\r\n{more}\r\n")
    };
    let started = Instant::now();
    let refused = exchange(&mut stream, &head("")).await;
    assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{refused}");
    assert!(refused.contains("www-authenticate: Basic realm=\"firesteel\"\r\n"), "{refused}");
    assert!(refused.contains("connection: close\r\n"), "{refused}");
    assert!(!refused.contains("100 Continue"), "{refused}");
    assert!(started.elapsed() < Duration::from_secs(1));

    let mut stream = server.http1().await;
    stream.write_all(head(&format!("authorization: {BASIC}\r\n")).as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&vec![b'x'; 9_000_000]).await.unwrap();
    assert!(answer(&mut stream).await.ends_with("\r\n\r\n9000000"));
}

#[tokio::test]
async fn a_client_that_sends_its_body_unasked_still_gets_the_challenge() {
    let server = Running::start(limits(), routes()).await;
    let mut stream = server.http1().await;
    let head = |more: &str| format!("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n{more}\r\n");
    for (more, status) in [(String::new(), "401"), (format!("authorization: {BASIC}\r\n"), "200")] {
        stream.write_all(head(&more).as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 9_000_000]).await.unwrap();
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn over_http_2_too_the_challenge_comes_after_the_body() {
    let server = Running::start(limits(), routes()).await;
    let stream = server.tls(&[b"h2"], &rustls::version::TLS13).await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // More than the window: without reading, the client could not send it all.
    let body = bytes::Bytes::from(vec![b'x'; 9_000_000]);
    let (sent, told) = tokio::sync::oneshot::channel();
    let mut sent = Some(sent);
    let chunks = futures_util::stream::iter([Ok::<_, Infallible>(hyper::body::Frame::data(body))]);
    let end = futures_util::stream::poll_fn(move |_| {
        sent.take().map(|sent| sent.send(()));
        Poll::Ready(None)
    });
    let body = http_body_util::StreamBody::new(futures_util::StreamExt::chain(chunks, end));
    let request = hyper::Request::post("https://localhost/length").body(body).unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    told.await.unwrap();
}

#[tokio::test]
async fn slow_and_oversized_heads_end_the_connection_and_nothing_else() {
    let server = Running::start(limits(), routes()).await;
    let mut other = server.http1().await;

    let mut slow = server.http1().await;
    let started = Instant::now();
    let dripping = async {
        for byte in b"GET /version HTTP/1.1\r\nhost: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            slow.flush().await.ok();
            sleep(Duration::from_millis(20)).await;
        }
        rest(&mut slow).await
    };
    let answer = dripping.await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(5));

    for lines in [format!("x: {}\r\n", "y".repeat(300_000)), "x: y\r\n".repeat(101)] {
        let mut large = server.http1().await;
        // The server may have hung up before the last byte was written.
        let request = format!("GET /version HTTP/1.1\r\n{lines}\r\n");
        large.write_all(request.as_bytes()).await.ok();
        let refused = rest(&mut large).await;
        assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    }
    for nonsense in ["\r\n\r\n\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut broken = server.http1().await;
        let refused = exchange(&mut broken, nonsense).await;
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 400 "), "{refused}");
    }
    // Neither silence nor plain text takes the place of a handshake for long.
    for opening in ["", "GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(opening.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("HTTP"), "{answer}");
    }
    // The one opened first has been idle for longer than a head may take.
    assert_eq!(rest(&mut other).await, "");
    let mut stream = server.http1().await;
    stream
        .write_all(format!("GET /version HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(super::tests::answer(&mut stream).await.ends_with("\"HTTP/1.1\""));
}

#[tokio::test]
async fn a_handler_ends_when_its_caller_hangs_up() {
    struct Told(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).ok();
        }
    }
    let (entered, mut inside) = tokio::sync::mpsc::channel(1);
    let wait = get(async move || {
        let (tell, told) = tokio::sync::oneshot::channel();
        let guard = Told(Some(tell));
        entered.send(told).await.unwrap();
        std::future::pending::<()>().await;
        drop(guard);
    });
    let server = Running::start(limits(), Router::new().route("/wait", wait)).await;
    let mut stream = server.http1().await;
    let request = format!("GET /wait HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let told = inside.recv().await.unwrap();
    drop(stream);
    timeout(Duration::from_secs(5), told).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_number_of_connections_is_bounded_and_a_freed_place_is_taken() {
    let limits = Limits { connections_max: 1, head: Duration::from_secs(5), ..limits() };
    let server = Running::plain(limits, routes(), None).await;
    let request = format!("GET /version HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\n\r\n");
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(request.as_bytes()).await.unwrap();
    answer(&mut first).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(request.as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(200), answer(&mut second)).await.is_err());
    drop(first);
    assert!(timeout(Duration::from_secs(5), answer(&mut second)).await.is_ok());
}

#[tokio::test]
async fn stopping_lets_answers_out_closes_idle_connections_and_cuts_the_rest() {
    let (entered, mut inside) = tokio::sync::mpsc::channel(2);
    let (go, wait) = tokio::sync::watch::channel(false);
    let slow = get(async move || {
        entered.send(()).await.unwrap();
        wait.clone().wait_for(|go| *go).await.unwrap();
        axum::Json("done")
    });
    let limits = Limits { drain: Duration::from_millis(500), head: Duration::from_secs(60), ..limits() };
    let server = Running::start(limits, routes().route("/slow", slow)).await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\n\r\n");
    let mut idle = server.http1().await;
    idle.write_all(request("/version").as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let (mut slow, mut never) = (server.http1().await, server.http1().await);
    slow.write_all(request("/slow").as_bytes()).await.unwrap();
    inside.recv().await.unwrap();
    never.write_all(request("/never").as_bytes()).await.unwrap();

    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    go.send(true).unwrap();
    assert!(rest(&mut slow).await.ends_with("\"done\""));
    assert_eq!(rest(&mut never).await, "");
    timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let large = get(async || axum::Json("x".repeat(64 * 1024 * 1024)));
    let limits = Limits { write_idle: Duration::from_millis(300), ..limits() };
    let server = Running::plain(limits, Router::new().route("/large", large), None).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /large HTTP/1.1\r\nhost: x\r\nauthorization: {BASIC}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    // Told to stop, the server ends as soon as it has given the connection up, long before the drain is over.
    sleep(Duration::from_millis(600)).await;
    let started = Instant::now();
    server.stop.cancel();
    server.ended.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
}
