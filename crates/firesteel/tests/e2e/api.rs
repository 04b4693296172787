//! The calls of the API as the cases make them, and what is expected of the answers.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use crate::poll;
use crate::server::Server;

/// What all clients run on. The cases themselves are plain threads.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

/// A client of one server, with a token.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Http {
    /// Makes a client that trusts this authority and no other.
    pub(crate) fn new(url: &str, ca: &Path, token: &str) -> Self {
        let mut client = reqwest::Client::builder().no_proxy().timeout(poll::PATIENCE);
        if url.starts_with("https:") {
            client = client.tls_certs_only([reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap()]);
        }
        Self { client: client.build().unwrap(), url: url.to_owned(), token: token.to_owned() }
    }

    /// Makes a call with a query string.
    #[track_caller]
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Reply {
        self.send(self.client.get(format!("{}{path}", self.url)).query(query))
    }

    /// Makes a call with a JSON body.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.client.post(format!("{}{path}", self.url)).json(body))
    }

    /// Makes a request that is to be completed by the case.
    pub(crate) fn request(&self, change: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder) -> Reply {
        self.send(change(&self.client, &self.url))
    }

    /// Makes a call whose answer comes piece by piece; the error when it breaks off.
    pub(crate) fn pieces(
        &self,
        path: &str,
        query: &[(&str, &str)],
        mut each: impl FnMut(&[u8]),
    ) -> reqwest::Result<(u16, HeaderMap)> {
        RUNTIME.block_on(async {
            let request = self.client.get(format!("{}{path}", self.url)).query(query);
            let mut response = request.bearer_auth(&self.token).send().await?;
            while let Some(piece) = response.chunk().await? {
                each(&piece);
            }
            Ok((response.status().as_u16(), response.headers().clone()))
        })
    }

    #[track_caller]
    fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.try_send(request).unwrap_or_else(|error| panic!("the server gave no answer: {error:?}"))
    }

    fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
        RUNTIME.block_on(async {
            let response = request.bearer_auth(&self.token).send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Reply { status, headers, text: response.text().await? })
        })
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let kind = self.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap());
        assert_eq!(kind, Some("application/json"), "every answer is JSON: {self:?}");
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The one id that a call answers with.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        let body = self.ok();
        let id = body["id"].as_str().unwrap_or_else(|| panic!("an id is a string: {body}")).to_owned();
        assert_eq!(body, json!({"id": id}), "an answer with an id has nothing else");
        id
    }

    /// The text of a refusal of 1.2: this status, and a body with one key.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        let text = body["error"].as_str().unwrap_or_else(|| panic!("an error is a string: {body}")).to_owned();
        assert_eq!(body, json!({"error": text}), "an error of 1.2 has exactly one key");
        text
    }
}

/// An execution context, destroyed when this is dropped.
pub(crate) struct Context<'a> {
    pub(crate) server: &'a Server,
    pub(crate) id: String,
    /// The server's own cluster, or another of it.
    pub(crate) cluster: String,
    language: &'static str,
    is_gone: bool,
}

impl Server {
    /// Makes a context and waits until it is Running.
    #[track_caller]
    pub(crate) fn context(&self, language: &'static str) -> Context<'_> {
        let context = self.pending_context(language);
        context.wait_running();
        context
    }

    /// Makes a context and does not wait.
    #[track_caller]
    pub(crate) fn pending_context(&self, language: &'static str) -> Context<'_> {
        self.pending_context_on(&self.cluster, language)
    }

    /// Makes a context on any cluster and does not wait.
    #[track_caller]
    pub(crate) fn pending_context_on(&self, cluster: &str, language: &'static str) -> Context<'_> {
        let id = self.http.post("/api/1.2/contexts/create", &json!({"clusterId": cluster, "language": language})).id();
        Context { server: self, id, cluster: cluster.to_owned(), language, is_gone: false }
    }

    /// Takes over a context that is there.
    pub(crate) fn context_of(&self, id: &str, language: &'static str) -> Context<'_> {
        Context { server: self, id: id.to_owned(), cluster: self.cluster.clone(), language, is_gone: false }
    }
}

impl Context<'_> {
    /// What `contexts/status` answers.
    #[track_caller]
    pub(crate) fn status(&self) -> Reply {
        let query = [("clusterId", self.cluster.as_str()), ("contextId", self.id.as_str())];
        self.server.http.get("/api/1.2/contexts/status", &query)
    }

    /// Waits until the context is Running.
    #[track_caller]
    pub(crate) fn wait_running(&self) {
        let view = poll::until("the context is Running", || self.status().ok(), |view| view["status"] != "Pending");
        assert_eq!(view, json!({"id": self.id, "status": "Running"}));
    }

    /// Sends a command in the context's own language.
    #[track_caller]
    pub(crate) fn send(&self, code: &str) -> String {
        self.send_in(self.language, code)
    }

    /// Sends a command in any language.
    #[track_caller]
    pub(crate) fn send_in(&self, language: &str, code: &str) -> String {
        let ask = self.ask(&[("language", language), ("command", code)]);
        self.server.http.post("/api/1.2/commands/execute", &ask).id()
    }

    /// What `commands/status` answers.
    #[track_caller]
    pub(crate) fn command(&self, id: &str) -> Reply {
        let cluster = self.cluster.as_str();
        let query = [("clusterId", cluster), ("contextId", self.id.as_str()), ("commandId", id)];
        self.server.http.get("/api/1.2/commands/status", &query)
    }

    /// Waits until a command is over. On the way every answer has exactly the three keys, and results when they are due.
    #[track_caller]
    pub(crate) fn wait(&self, id: &str) -> Ended {
        let deadline = Instant::now() + poll::PATIENCE;
        loop {
            let view = self.command(id).ok();
            let keys: Vec<&String> = view.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["id", "results", "status"], "{view}");
            assert_eq!(view["id"], json!(id));
            match view["status"].as_str().unwrap() {
                "Queued" | "Running" => assert_eq!(view["results"], Value::Null, "{view}"),
                "Cancelling" => assert!(view["results"].is_object(), "{view}"),
                status @ ("Finished" | "Cancelled" | "Error") => {
                    assert!(view["results"].is_object(), "{view}");
                    return Ended { status: status.to_owned(), results: view["results"].clone() };
                }
                other => panic!("`{other}` is no status: {view}"),
            }
            assert!(Instant::now() < deadline, "the command did not end; last seen: {view}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a command has this status.
    #[track_caller]
    pub(crate) fn wait_for(&self, id: &str, status: &str) {
        poll::until(&format!("the command is {status}"), || self.command(id).ok(), |view| view["status"] == status);
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, code: &str) -> Ended {
        self.run_in(self.language, code)
    }

    /// Runs a command in any language to its end.
    #[track_caller]
    pub(crate) fn run_in(&self, language: &str, code: &str) -> Ended {
        let id = self.send_in(language, code);
        self.wait(&id)
    }

    /// Runs a command and compares its results; see [`fits`].
    #[track_caller]
    pub(crate) fn check(&self, code: &str, expected: &Value) {
        self.check_in(self.language, code, expected);
    }

    /// Runs a command in any language and compares its results; see [`fits`].
    #[track_caller]
    pub(crate) fn check_in(&self, language: &str, code: &str, expected: &Value) {
        let ended = self.run_in(language, code);
        assert_eq!(ended.status, "Finished", "{language}: {code}\n{}", ended.results);
        assert!(
            fits(expected, &ended.results),
            "{language}: {}\nexpected: {expected:#}\nseen: {:#}",
            code.chars().take(2000).collect::<String>(),
            ended.results
        );
    }

    /// Runs a command that gives this text.
    #[track_caller]
    pub(crate) fn text(&self, code: &str, expected: &str) {
        self.check(code, &text(expected));
    }

    /// Asks a command to stop.
    #[track_caller]
    pub(crate) fn cancel(&self, id: &str) -> Reply {
        self.server.http.post("/api/1.2/commands/cancel", &self.ask(&[("commandId", id)]))
    }

    /// Destroys the context.
    #[track_caller]
    pub(crate) fn destroy(mut self) {
        self.is_gone = true;
        assert_eq!(self.try_destroy().id(), self.id);
    }

    #[track_caller]
    fn try_destroy(&self) -> Reply {
        self.server.http.post("/api/1.2/contexts/destroy", &self.ask(&[]))
    }

    /// Leaves the context as it is.
    pub(crate) fn leave(mut self) -> String {
        self.is_gone = true;
        std::mem::take(&mut self.id)
    }

    fn ask(&self, more: &[(&str, &str)]) -> Value {
        let mut ask = json!({"clusterId": self.cluster, "contextId": self.id});
        more.iter().for_each(|(key, value)| ask[*key] = json!(value));
        ask
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if !self.is_gone {
            let ask = self.ask(&[]);
            let url = format!("{}/api/1.2/contexts/destroy", self.server.url);
            // The server may be gone by now, and the case has said what it had to.
            let _ = self.server.http.try_send(self.server.http.client.post(url).json(&ask));
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) status: String,
    pub(crate) results: Value,
}

impl Ended {
    /// The text of a command that printed, or echoed.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        assert_eq!((self.status.as_str(), &self.results["resultType"]), ("Finished", &json!("text")), "{self:?}");
        self.results["data"].as_str().unwrap()
    }
}

/// A text result.
pub(crate) fn text(data: &str) -> Value {
    json!({"resultType": "text", "data": data})
}

/// An error result.
pub(crate) fn error(summary: &str, cause: &str) -> Value {
    json!({"resultType": "error", "summary": summary, "cause": cause})
}

/// A table of columns `(name, type)`.
pub(crate) fn table(columns: &[(&str, &str)], data: Value) -> Value {
    let column = |(name, kind): &(&str, &str)| json!({"name": name, "type": kind, "metadata": "…"});
    let schema: Vec<Value> = columns.iter().map(column).collect();
    json!({"resultType": "table", "data": data, "schema": schema, "truncated": false, "isJsonSchema": true})
}

/// Compares JSON. In an expected string `…` stands for any text; all else must be equal, keys included.
pub(crate) fn fits(expected: &Value, seen: &Value) -> bool {
    match (expected, seen) {
        (Value::String(pattern), Value::String(text)) if pattern.contains('…') => fits_text(pattern, text),
        (Value::Array(expected), Value::Array(seen)) => {
            expected.len() == seen.len() && expected.iter().zip(seen).all(|(expected, seen)| fits(expected, seen))
        }
        (Value::Object(expected), Value::Object(seen)) => {
            expected.len() == seen.len()
                && expected.iter().all(|(key, value)| seen.get(key).is_some_and(|seen| fits(value, seen)))
        }
        _ => expected == seen,
    }
}

/// Compares a text with a pattern in which `…` stands for any text.
pub(crate) fn fits_text(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
