//! The calls of the API, typed.
//!
//! Every call has a deadline. Only the status calls are asked again when the server cannot be reached: they change
//! nothing, and a server that is started anew comes back to its contexts and commands.

use std::time::Duration;

use firesteel_api::clusters::ClusterView;
use firesteel_api::commands::{CommandRef, CommandView};
use firesteel_api::contexts::{ContextRef, ContextView};
use firesteel_api::errors::{Error2, Error12};
use firesteel_api::results::TablePage;
use firesteel_api::schedules::{RunEntry, ScheduleEntry, ScheduleRef};
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::config::{Auth, Connection, Trust};
use super::events::Events;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a call may take; the server answers a status after about 2 s at most.
const CALL: Duration = Duration::from_secs(60);
/// How long a stream may be: of events, which has a deadline of its own for silence, or of a table.
const STREAM: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a status is asked for while the server cannot be reached.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause after the first failure; each later one doubles it.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A client of one server. Cheap to clone; connections are kept.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
    auth: Auth,
}

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The server answered with an error.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What the server says.
        message: String,
    },
    /// The server was not reached, or the connection was lost.
    #[error("failed to reach `{url}`{hint}")]
    Unreachable {
        /// The server.
        url: String,
        /// What may help.
        hint: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is none of this API.
    #[error("`{url}` does not answer as this API does")]
    Stranger {
        /// The server.
        url: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The certificates to trust cannot be read.
    #[error("failed to read the certificates of `{path}`")]
    Trust {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP client could not be made.
    #[error("failed to set up the connection to `{url}`")]
    Setup {
        /// The server.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

impl ApiError {
    /// Tells whether asking again will help: the cluster is being started.
    pub(super) fn is_not_ready(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("ClusterNotReadyException"))
    }

    /// Tells of a connection that was not made, or broke.
    pub(super) fn unreachable(url: &str, source: reqwest::Error) -> Self {
        Self::Unreachable { url: url.to_owned(), hint: hint(&source), source: source.without_url() }
    }

    /// Tells whether asking again may help: the server was not reached, or is busy.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}

impl Api {
    /// Makes a client; nothing is sent yet. The TLS provider of the process must have been installed.
    pub(crate) fn new(connection: &Connection) -> Result<Self, ApiError> {
        let url = connection.url.clone();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("firesteel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(CALL)
            // Credentials follow no redirect.
            .redirect(redirect::Policy::none());
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        http = match &connection.trust {
            Trust::System(None) => http,
            Trust::System(Some(file)) => http.tls_certs_merge(certificates(file)?),
            Trust::Only(file) => http.tls_certs_only(certificates(file)?),
        };
        let http = http.build().map_err(|source| ApiError::Setup { url: url.clone(), source })?;
        Ok(Self { http, url, auth: connection.auth.clone() })
    }

    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lists the clusters.
    pub(crate) async fn clusters(&self) -> Result<Vec<ClusterView>, ApiError> {
        self.ask(self.get("clusters/list", &[])).await
    }

    /// Makes a context, which may be pending still.
    pub(crate) async fn create_context(&self, cluster: &ClusterId, language: Language) -> Result<ContextId, ApiError> {
        let body = json!({"clusterId": cluster, "language": language});
        let ContextRef { id } = self.ask(self.post("contexts/create", &body)).await?;
        Ok(id)
    }

    /// Returns the status of a context.
    pub(crate) async fn context_status(
        &self,
        cluster: &ClusterId,
        context: ContextId,
    ) -> Result<ContextView, ApiError> {
        let query = [("clusterId", cluster.to_string()), ("contextId", context.to_string())];
        self.ask_patiently(|| self.get("contexts/status", &query)).await
    }

    /// Ends a context and what runs in it.
    pub(crate) async fn destroy_context(&self, cluster: &ClusterId, context: ContextId) -> Result<(), ApiError> {
        let body = json!({"clusterId": cluster, "contextId": context});
        let ContextRef { .. } = self.ask(self.post("contexts/destroy", &body)).await?;
        Ok(())
    }

    /// Hands a command to a context.
    pub(crate) async fn execute(
        &self,
        cluster: &ClusterId,
        context: ContextId,
        language: Language,
        code: &str,
    ) -> Result<CommandId, ApiError> {
        let body = json!({"clusterId": cluster, "contextId": context, "language": language, "command": code});
        let CommandRef { id } = self.ask(self.post("commands/execute", &body)).await?;
        Ok(id)
    }

    /// Returns the status of a command, and its results once there are any.
    pub(crate) async fn command_status(
        &self,
        cluster: &ClusterId,
        context: ContextId,
        command: CommandId,
    ) -> Result<CommandView, ApiError> {
        let ids = [cluster.to_string(), command.to_string(), context.to_string()];
        let [cluster, command, context] = ids;
        let query = [("clusterId", cluster), ("commandId", command), ("contextId", context)];
        self.ask_patiently(|| self.get("commands/status", &query)).await
    }

    /// Returns some rows of a table, from a row on.
    pub(super) async fn table_page(
        &self,
        cluster: &ClusterId,
        context: ContextId,
        command: CommandId,
        offset: u64,
        limit: Option<u64>,
    ) -> Result<TablePage, ApiError> {
        let mut query = table_query(cluster, context, command, "json").to_vec();
        query.push(("offset", offset.to_string()));
        query.extend(limit.map(|limit| ("limit", limit.to_string())));
        self.ask_patiently(|| self.get("commands/result", &query)).await
    }

    /// Begins to take a whole table.
    pub(super) async fn table_stream(
        &self,
        cluster: &ClusterId,
        context: ContextId,
        command: CommandId,
        format: &str,
    ) -> Result<Response, ApiError> {
        let query = table_query(cluster, context, command, format);
        self.send(self.get("commands/result", &query).timeout(STREAM)).await
    }

    /// Begins to listen to what happens to a command, from an offset of its output on.
    pub(super) async fn events(
        &self,
        cluster: &ClusterId,
        context: ContextId,
        command: CommandId,
        offset: u64,
    ) -> Result<Events, ApiError> {
        let query = [
            ("clusterId", cluster.to_string()),
            ("commandId", command.to_string()),
            ("contextId", context.to_string()),
            ("offset", offset.to_string()),
        ];
        let answer = self.send(self.get("commands/events", &query).timeout(STREAM)).await?;
        Ok(Events::of(answer))
    }

    /// Asks that a command be stopped.
    pub(crate) async fn cancel(
        &self,
        cluster: &ClusterId,
        context: ContextId,
        command: CommandId,
    ) -> Result<(), ApiError> {
        let body = json!({"clusterId": cluster, "contextId": context, "commandId": command});
        let _: serde_json::Value = self.ask(self.post("commands/cancel", &body)).await?;
        Ok(())
    }

    /// Lists the schedules.
    pub(crate) async fn schedules(&self) -> Result<Vec<ScheduleEntry>, ApiError> {
        self.ask(self.get("schedules/list", &[])).await
    }

    /// Adds a schedule.
    pub(crate) async fn add_schedule(&self, body: &serde_json::Value) -> Result<(), ApiError> {
        let ScheduleRef { .. } = self.ask(self.post("schedules/add", body)).await?;
        Ok(())
    }

    /// Removes a schedule.
    pub(crate) async fn remove_schedule(&self, name: &str) -> Result<(), ApiError> {
        let ScheduleRef { .. } = self.ask(self.post("schedules/remove", &json!({"name": name}))).await?;
        Ok(())
    }

    /// Returns what became of the times of a schedule, or of all.
    pub(crate) async fn schedule_runs(&self, name: Option<&str>, limit: u32) -> Result<Vec<RunEntry>, ApiError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(name.map(|name| ("name", name.to_owned())));
        self.ask(self.get("schedules/runs", &query)).await
    }

    fn get(&self, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        self.get_at(&format!("/api/1.2/{path}"), query)
    }

    fn post(&self, path: &str, body: &serde_json::Value) -> RequestBuilder {
        self.post_at(&format!("/api/1.2/{path}"), body)
    }

    pub(super) fn get_at(&self, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        self.signed(self.http.get(format!("{}{path}", self.url)).query(query))
    }

    pub(super) fn post_at(&self, path: &str, body: &serde_json::Value) -> RequestBuilder {
        self.signed(self.http.post(format!("{}{path}", self.url)).json(body))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.auth {
            Auth::Token(token) => request.bearer_auth(token.expose()),
            Auth::Basic { user, password } => request.basic_auth(user, Some(password.expose())),
        }
    }

    pub(super) async fn ask_patiently<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, ApiError> {
        let end = Instant::now() + PATIENCE;
        let mut pause = PAUSE_FIRST;
        loop {
            match self.ask(request()).await {
                Err(error) if error.is_passing() && Instant::now() + pause < end => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                answer => return answer,
            }
        }
    }

    /// Begins a request of any path; it has the deadline of a call unless it gets another.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.signed(self.http.request(method, format!("{}{path}", self.url)))
    }

    /// Makes a call and reads its answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let answer = self.send(request).await?;
        let body = answer.bytes().await.map_err(|source| ApiError::unreachable(&self.url, source))?;
        serde_json::from_slice(&body).map_err(|source| ApiError::Stranger { url: self.url.clone(), source })
    }

    /// Makes a call that succeeds; its answer is still to be read.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let answer = request.send().await.map_err(|source| ApiError::unreachable(&self.url, source))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes().await.map_err(|source| ApiError::unreachable(&self.url, source))?;
        Err(ApiError::Refused { status, message: message(status, &body) })
    }
}

fn table_query(
    cluster: &ClusterId,
    context: ContextId,
    command: CommandId,
    format: &str,
) -> [(&'static str, String); 4] {
    [
        ("clusterId", cluster.to_string()),
        ("contextId", context.to_string()),
        ("commandId", command.to_string()),
        ("format", format.to_owned()),
    ]
}

/// Words what the server says: either of the two error bodies, or the beginning of what a proxy sent instead.
fn message(status: StatusCode, body: &[u8]) -> String {
    if let Ok(Error12 { error }) = serde_json::from_slice(body) {
        return error;
    }
    if let Ok(Error2 { error_code, message }) = serde_json::from_slice(body) {
        return format!("{message} ({error_code})");
    }
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    if line.is_empty() {
        format!("the server answered {status}")
    } else {
        format!("the server answered {status}: {line}")
    }
}

fn hint(error: &reqwest::Error) -> &'static str {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.to_string().contains("UnknownIssuer") {
            return "; name the certificate of its authority with `--ca`";
        }
        cause = error.source();
    }
    ""
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>, ApiError> {
    let failed = |source| ApiError::Trust { path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(|error| failed(error.into()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.into()))?;
    if found.is_empty() {
        return Err(failed("there is no certificate in PEM form in it".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;

    use super::super::fake::{Fake, Reply};
    use super::*;
    use crate::setup::{Address, Scheme, Secret, tls};

    #[tokio::test]
    async fn what_is_sent_is_what_the_sdks_send() {
        let fake = Fake::start(|ask| match ask.line.split('?').next().unwrap_or_default() {
            "GET /api/1.2/clusters/list" => Reply::ok("[]"),
            "POST /api/1.2/commands/execute" => Reply::ok(r#"{"id":"3a601163-d3c7-40f9-9c61-deb92c7a2c9d"}"#),
            _ => Reply::ok(r#"{"id":"1793653964133248955","status":"Running"}"#),
        })
        .await;
        let api = fake.api();
        let (cluster, context) = ("c-1".parse().unwrap(), "1793653964133248955".parse().unwrap());
        api.clusters().await.unwrap();
        api.create_context(&cluster, Language::Python).await.unwrap();
        api.context_status(&cluster, context).await.unwrap();
        api.execute(&cluster, context, Language::Sql, "select 'é&=%'\n").await.unwrap();
        api.destroy_context(&cluster, context).await.unwrap();
        assert_eq!(
            fake.calls(),
            [
                "GET /api/1.2/clusters/list",
                r#"POST /api/1.2/contexts/create {"clusterId":"c-1","language":"python"}"#,
                "GET /api/1.2/contexts/status?clusterId=c-1&contextId=1793653964133248955",
                r#"POST /api/1.2/commands/execute {"clusterId":"c-1","command":"select 'é&=%'\n","contextId":"1793653964133248955","language":"sql"}"#,
                r#"POST /api/1.2/contexts/destroy {"clusterId":"c-1","contextId":"1793653964133248955"}"#,
            ]
        );
        assert_eq!(fake.authorization().as_deref(), Some("Bearer fst_test"));
    }

    #[test]
    fn each_form_of_error_becomes_one_clear_text() {
        let status = StatusCode::from_u16(502).unwrap();
        for (body, expected) in [
            (r#"{"error":"Cluster c is not running"}"#, "Cluster c is not running"),
            (r#"{"error_code":"403","message":"Invalid token."}"#, "Invalid token. (403)"),
            ("<html>\n<b>", "the server answered 502 Bad Gateway: <html>"),
            ("", "the server answered 502 Bad Gateway"),
        ] {
            assert_eq!(message(status, body.as_bytes()), expected);
        }
    }

    #[tokio::test]
    async fn a_status_is_asked_again_and_an_execute_never() {
        let mut left = 2;
        let fake = Fake::start(move |ask| {
            left -= 1;
            match (left, ask.line.starts_with("GET")) {
                (1, true) => Reply::HangUp,
                (0, true) => Reply::Json(503, r#"{"error":"later"}"#.into()),
                (_, true) => Reply::ok(r#"{"id":"1","status":"Running"}"#),
                _ => Reply::HangUp,
            }
        })
        .await;
        let (cluster, context) = ("c".parse().unwrap(), "1".parse().unwrap());
        fake.api().context_status(&cluster, context).await.unwrap();
        assert_eq!(fake.calls().len(), 3);
        let lost = fake.api().execute(&cluster, context, Language::R, "1").await.unwrap_err();
        assert!(matches!(lost, ApiError::Unreachable { .. }), "{lost}");
        assert_eq!(fake.calls().len(), 4);
    }

    #[tokio::test]
    async fn a_server_is_trusted_by_its_authority_alone_and_by_its_name() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = tempfile::tempdir().unwrap();
        let address = Address::on_machine(Scheme::Https, "127.0.0.1", 1, None);
        let files = tls::ensure(folder.path(), &address).unwrap();
        let mut config = tls::server_config(&files).unwrap().as_ref().clone();
        config.alpn_protocols.clear();
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let session = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
                if stream.read(&mut [0; 4096]).is_ok() {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
                    stream.write_all(answer.as_bytes()).unwrap();
                    stream.flush().unwrap();
                }
            }
        });
        let ask = async |host: &str, trust| {
            let auth = Auth::Token(Secret::new("fst_test"));
            let connection = Connection { url: format!("https://{host}:{port}"), auth, trust, cluster: None };
            Api::new(&connection).unwrap().clusters().await
        };
        let ca = files.ca.unwrap();
        ask("127.0.0.1", Trust::Only(ca.clone())).await.unwrap();
        ask("localhost", Trust::System(Some(ca))).await.unwrap();

        let other = tempfile::tempdir().unwrap();
        let stranger = tls::ensure(other.path(), &address).unwrap().ca.unwrap();
        let refused = ask("127.0.0.1", Trust::Only(stranger)).await.unwrap_err();
        assert!(refused.to_string().ends_with("; name the certificate of its authority with `--ca`"), "{refused}");
    }
}
