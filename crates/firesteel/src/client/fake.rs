//! A server that tests script: it keeps what it was asked and answers as a closure says.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::api::Api;
use super::config::{Auth, Connection, Trust};
use crate::setup::Secret;

/// One request.
pub(super) struct Ask {
    /// Method, path and query.
    pub(super) line: String,
    /// The body as text.
    pub(super) body: String,
}

/// What to answer.
pub(super) enum Reply {
    /// A status and a body.
    Json(u16, String),
    /// Nothing: the connection ends.
    HangUp,
    /// Nothing: the connection stays.
    Silence,
}

impl Reply {
    /// Answers 200.
    pub(super) fn ok(body: &str) -> Self {
        Self::Json(200, body.to_owned())
    }
}

#[derive(Default)]
struct Seen {
    calls: Vec<String>,
    authorization: Option<String>,
}

/// A running server on loopback.
pub(super) struct Fake {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Fake {
    /// Starts a server that answers as `script` says.
    pub(super) async fn start(script: impl FnMut(&Ask) -> Reply + Send + 'static) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (script, log) = (Arc::new(Mutex::new(script)), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (script.clone(), log.clone());
                tokio::spawn(async move {
                    let answer = |ask: &Ask| (script.lock().unwrap())(ask);
                    serve(stream, answer, &log).await;
                });
            }
        });
        Self { url, seen }
    }

    /// Returns a client of it.
    pub(super) fn api(&self) -> Api {
        let auth = Auth::Token(Secret::new("fst_test"));
        let trust = Trust::System(None);
        Api::new(&Connection { url: self.url.clone(), auth, trust, cluster: None }).unwrap()
    }

    /// Returns each request so far: its line, and its body if any.
    pub(super) fn calls(&self) -> Vec<String> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// Returns the last `Authorization`.
    pub(super) fn authorization(&self) -> Option<String> {
        self.seen.lock().unwrap().authorization.clone()
    }
}

async fn serve(mut stream: TcpStream, answer: impl FnOnce(&Ask) -> Reply, log: &Mutex<Seen>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let ask = Ask { line, body };
    {
        let mut seen = log.lock().unwrap();
        seen.calls.push(format!("{} {}", ask.line, ask.body).trim_end().to_owned());
        seen.authorization = header(&head, "authorization");
    }
    match answer(&ask) {
        Reply::Json(status, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
        }
        Reply::HangUp => {}
        Reply::Silence => std::future::pending().await,
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let pairs = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}
