//! The edge as a whole, without a socket and without the engine.

mod libraries;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_api::ClusterId;
use firesteel_api::v2::catalog::{NodeType, SparkVersions};
use firesteel_driver::spec::DriverSpec;
use firesteel_model::{ClusterSettings, Limits};
use firesteel_store::{ClusterRecord, Store};
use futures_util::future::BoxFuture;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::process::Child;
use tower::ServiceExt;

use super::error::{Failure, Style};
use super::{AppState, Auth, Credentials, CredentialsError, Settings, edge, hash_password, hash_token, router};
use crate::engine::launch::Launcher;
use crate::engine::{Engine, EngineError};
use crate::files::Kept;

/// The password `right` of the user `ann`, and her token.
pub(super) const BASIC: &str = "Basic YW5uOnJpZ2h0";
const BEARER: &str = "Bearer fst-secret";

/// Users and tokens in memory.
#[derive(Default)]
pub(super) struct Known {
    passwords: Mutex<HashMap<String, String>>,
    tokens: HashMap<[u8; 32], String>,
    broken: bool,
}

impl Known {
    pub(super) fn ann() -> Self {
        Self {
            passwords: Mutex::new(HashMap::from([("ann".to_owned(), hash_password("right"))])),
            tokens: HashMap::from([(hash_token("fst-secret"), "ann".to_owned())]),
            broken: false,
        }
    }

    fn found(&self, found: Option<String>) -> Result<Option<String>, CredentialsError> {
        if self.broken { Err(CredentialsError("the disk is gone".into())) } else { Ok(found) }
    }
}

impl Credentials for Known {
    fn password_hash<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<String>, CredentialsError>> {
        let found = self.passwords.lock().unwrap().get(user).cloned();
        Box::pin(async move { self.found(found) })
    }

    fn token_user(&self, sha256: [u8; 32]) -> BoxFuture<'_, Result<Option<String>, CredentialsError>> {
        let found = self.tokens.get(&sha256).cloned();
        Box::pin(async move { self.found(found) })
    }
}

/// An engine without a cluster, on the store of what users keep.
fn engine() -> Engine {
    /// Never asked, since there is no cluster.
    struct NoLauncher;

    impl Launcher for NoLauncher {
        fn spec(&self, _: &ClusterRecord) -> Result<DriverSpec, String> {
            Err("no cluster is made here".into())
        }

        fn launch(&self, _: &DriverSpec) -> std::io::Result<Option<Child>> {
            Err(std::io::ErrorKind::Unsupported.into())
        }

        fn check(&self, _: &ClusterSettings) -> Result<(), String> {
            Err("no cluster is made here".into())
        }

        fn spark_versions(&self) -> SparkVersions {
            SparkVersions { default_version_key: String::new(), versions: Vec::new() }
        }

        fn default_backend(&self) -> String {
            "local".to_owned()
        }

        fn node_types(&self) -> Vec<NodeType> {
            Vec::new()
        }

        fn folder(&self, _: &ClusterId) -> Option<PathBuf> {
            None
        }

        fn remove(&self, _: &ClusterId) -> std::io::Result<()> {
            Ok(())
        }
    }

    static SHARED: LazyLock<Engine> = LazyLock::new(|| {
        let start = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(Engine::start(kept().store, Limits::default(), Arc::new(NoLauncher))).unwrap()
        };
        // On a thread of its own, since whoever asks first may be in a runtime.
        std::thread::spawn(start).join().unwrap()
    });
    SHARED.clone()
}

/// What users keep, in a folder that lives as long as the tests.
fn kept() -> Kept {
    SHARED_FOLDER.1.clone()
}

static SHARED_FOLDER: LazyLock<(tempfile::TempDir, Kept)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::open(folder.path(), Store::open(folder.path()).unwrap()).unwrap();
    (folder, kept)
});

pub(super) fn app() -> AppState {
    app_with(Known::ann())
}

fn app_with(known: Known) -> AppState {
    AppState::new(engine(), kept(), Arc::new(Auth::new(Arc::new(known))), Settings::default())
}

/// Puts `around` around other routes than the server's.
pub(super) fn edge_of(app: &AppState, routes: Router) -> Router {
    Router::new().fallback_service(routes).layer(from_fn_with_state(app.clone(), edge::around))
}

/// What came back, as far as a client can tell.
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn seen(response: Response) -> Seen {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// Sends `METHOD path`, with `Name: value` lines and a body; every answer with a body must be JSON.
async fn send(router: &Router, line: &str, headers: &[&str], body: impl Into<Body>) -> Seen {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let seen = seen(response).await;
    assert_eq!(seen.header("content-type"), "application/json", "{line}");
    assert_eq!(seen.header("x-request-id").len(), 16, "{line}");
    if method != "HEAD" {
        assert!(serde_json::from_str::<Value>(&seen.body).is_ok(), "{line}: {}", seen.body);
    }
    seen
}

/// Sends a request as ann and compares status and body.
#[track_caller]
fn check(line: &str, headers: &[&str], body: &str, status: u16, expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let authorization = format!("Authorization: {BEARER}");
    let headers: Vec<&str> = headers.iter().copied().chain([authorization.as_str()]).collect();
    let seen = runtime.block_on(send(&router(app()), line, &headers, body.to_owned()));
    assert_eq!((seen.status.as_u16(), seen.body.as_str()), (status, expected), "{line}");
}

#[tokio::test(start_paused = true)]
async fn every_path_but_one_asks_who_is_calling() {
    let router = router(app());
    let missing = "no credentials were sent; send Basic with user and password, or a Bearer token";
    for line in [
        "GET /api/1.2/clusters/list",
        "POST /api/1.2/contexts/create",
        "GET /api/1.2/no/such/path",
        "PUT /api/1.2/clusters/list",
        "GET /api/2.0/preview/scim/v2/Me",
        "GET /",
        "POST /.well-known/databricks-config",
        "GET /.well-known/other",
        "HEAD /api/1.2/clusters/list",
        "OPTIONS /api/1.2/clusters/list",
    ] {
        let seen = send(&router, line, &[], "some body").await;
        assert_eq!(seen.status, 401, "{line}");
        assert_eq!(seen.header("www-authenticate"), "Basic realm=\"firesteel\"", "{line}");
        let expected = match line {
            line if line.starts_with("HEAD") => Value::Null,
            line if line.contains("/api/1.2/") => json!({"error": missing}),
            _ => json!({"error_code": "401", "message": missing}),
        };
        assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap_or(Value::Null), expected, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_scheme_is_taken_and_refused_in_its_own_way() {
    let router = router(app());
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    for (authorization, status) in [
        (BASIC.to_owned(), 200),
        (BEARER.to_owned(), 200),
        (basic("token:fst-secret"), 200),
        (basic("ann:wrong"), 401),
        (basic("ann:"), 401),
        (basic("ann:fst-secret"), 401),
        (basic("bob:right"), 401),
        (basic("token:right"), 401),
        (basic("token:"), 401),
        ("Basic ???".to_owned(), 401),
        ("Digest x".to_owned(), 401),
        ("Bearer right".to_owned(), 403),
        ("Bearer".to_owned(), 403),
    ] {
        let header = format!("Authorization: {authorization}");
        let me = send(&router, "GET /api/2.0/preview/scim/v2/Me", &[&header], "").await;
        assert_eq!(me.status, status, "{authorization}");
        assert_eq!(me.headers.contains_key(header::WWW_AUTHENTICATE), status == 401, "{authorization}");
        if status == 200 {
            let me: Value = serde_json::from_str(&me.body).unwrap();
            assert_eq!(me["userName"], "ann");
        } else {
            let old = send(&router, "GET /api/1.2/clusters/list", &[&header], "").await;
            let body: HashMap<String, String> = serde_json::from_str(&old.body).unwrap();
            assert_eq!((old.status.as_u16(), body.len()), (status, 1), "{authorization}");
            assert!(body.contains_key("error"), "{authorization}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_counts_from_the_next_request_on() {
    let known = Arc::new(Known::ann());
    let auth = Arc::new(Auth::new(known.clone()));
    let router = router(AppState::new(engine(), kept(), auth, Settings::default()));
    let me = async |authorization: &str| {
        let header = format!("Authorization: {authorization}");
        send(&router, "GET /api/2.0/preview/scim/v2/Me", &[&header], "").await.status.as_u16()
    };
    assert_eq!([me(BASIC).await, me(BASIC).await], [200, 200]);
    known.passwords.lock().unwrap().insert("ann".to_owned(), hash_password("new"));
    assert_eq!(me(BASIC).await, 401);
    let new = format!("Basic {}", BASE64_STANDARD.encode("ann:new"));
    assert_eq!(me(&new).await, 200);
    known.passwords.lock().unwrap().clear();
    assert_eq!(me(&new).await, 401);
}

#[tokio::test(start_paused = true)]
async fn guesses_wait_longer_and_longer_but_ann_is_let_in() {
    let router = router(app());
    let timed = async |authorization: String| {
        let started = tokio::time::Instant::now();
        let header = format!("Authorization: {authorization}");
        let seen = send(&router, "GET /api/2.0/preview/scim/v2/Me", &[&header], "").await;
        (seen.status.as_u16(), started.elapsed())
    };
    for n in 0..20 {
        let (status, waited) = timed(format!("Bearer guess-{n}")).await;
        assert_eq!(status, 403);
        assert_eq!(waited >= Duration::from_millis(100), n >= 5, "attempt {n} waited {waited:?}");
    }
    let (status, waited) = timed(BASIC.to_owned()).await;
    assert_eq!(status, 200);
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    let (status, waited) = timed(BASIC.to_owned()).await;
    assert_eq!((status, waited), (200, Duration::ZERO));
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_the_servers_failure() {
    let router = router(app_with(Known { broken: true, ..Known::default() }));
    for authorization in [BASIC, BEARER] {
        let header = format!("Authorization: {authorization}");
        let seen = send(&router, "GET /api/1.2/clusters/list", &[&header], "").await;
        assert_eq!(seen.status, 500);
        assert_eq!(seen.body, r#"{"error":"the users and tokens cannot be read: the disk is gone"}"#);
    }
}

#[test]
fn unknown_paths_have_the_body_of_2_x_everywhere() {
    for path in ["/x", "/api/1.2/contexts/made-up", "/api/1.2", "/api/1.2/contexts/%63reate", "/api/1.20/clusters/list"]
    {
        let body = format!(r#"{{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found for 'GET {path}'"}}"#);
        check(&format!("GET {path}"), &[], "", 404, &body);
    }
}

#[tokio::test]
async fn each_route_names_the_methods_it_takes() {
    let router = router(app());
    let authorization = format!("Authorization: {BEARER}");
    for (path, allow) in [
        ("/api/1.2/clusters/list", "GET,HEAD"),
        ("/api/1.2/clusters/status", "GET,HEAD"),
        ("/api/1.2/commands/cancel", "POST"),
        ("/api/1.2/commands/execute", "POST"),
        ("/api/1.2/commands/status", "GET,HEAD"),
        ("/api/1.2/contexts/create", "POST"),
        ("/api/1.2/contexts/destroy", "POST"),
        ("/api/1.2/contexts/status", "GET,HEAD"),
        ("/api/2.0/preview/scim/v2/Me", "GET,HEAD"),
        ("/.well-known/databricks-config", "GET,HEAD"),
    ] {
        let wrong = if allow == "POST" { "GET" } else { "POST" };
        for method in [wrong, "DELETE", "OPTIONS"] {
            let seen = send(&router, &format!("{method} {path}"), &[&authorization], "").await;
            assert_eq!((seen.status.as_u16(), seen.header("allow")), (405, allow), "{method} {path}");
            let body: HashMap<String, String> = serde_json::from_str(&seen.body).unwrap();
            assert_eq!(body.contains_key("error"), path.starts_with("/api/1.2/"), "{path}");
        }
    }
}

#[test]
fn parameters_are_asked_for_in_order_before_the_cluster_is() {
    let missing = |name: &str| format!(r#"{{"error":"requirement failed: missing {name}"}}"#);
    for (line, parameters) in [
        ("POST /api/1.2/commands/execute", ["contextId", "clusterId", "language", "command"].as_slice()),
        ("POST /api/1.2/commands/cancel", &["contextId", "clusterId", "commandId"]),
        ("GET /api/1.2/commands/status", &["contextId", "clusterId", "commandId"]),
        ("POST /api/1.2/contexts/create", &["clusterId", "language"]),
        ("POST /api/1.2/contexts/destroy", &["contextId", "clusterId"]),
        ("POST //api/1.2/contexts/destroy%20", &["contextId", "clusterId"]),
        ("GET /api/1.2/contexts/status", &["contextId", "clusterId"]),
        ("GET /api/1.2/clusters/status", &["clusterId"]),
    ] {
        let label = ["Content-Type: text/json"];
        for (n, name) in parameters.iter().enumerate() {
            let pair = |name: &&str| format!("{name}={}", if *name == "language" { "Scala" } else { "1" });
            let query = parameters[..n].iter().map(pair).collect::<Vec<_>>().join("&");
            check(&format!("{line}?{query}"), &label, "", 500, &missing(name));
            if *name != "command" {
                check(&format!("{line}?{query}&{name}="), &label, "", 500, &missing(name));
            }
        }
        let all = "contextId=1&clusterId=c&commandId=1&language=Scala&command=";
        check(&format!("{line}?{all}"), &label, "", 500, r#"{"error":"Cluster c does not exist"}"#);
    }
    check("GET /api/1.2/clusters/list", &[], "", 200, "[]");
    let create = "POST /api/1.2/contexts/create";
    let body = r#"{"clusterId":"c","language":"cobol"}"#;
    check(create, &[], body, 500, r#"{"error":"Unsupported language: cobol"}"#);
}

#[test]
fn bodies_that_cannot_be_read_say_why() {
    let execute = "POST /api/1.2/commands/execute";
    check(
        execute,
        &["Content-Type: application/json"],
        r#"{"command":"print("x")"}"#,
        500,
        r#"{"error":"the body is not valid JSON: expected `,` or `}` at line 1 column 20"}"#,
    );
    check(
        execute,
        &["Content-Encoding: gzip"],
        "x",
        415,
        r#"{"error":"the body is compressed (Content-Encoding); send it uncompressed"}"#,
    );
    check(execute, &["Content-Encoding: identity"], "", 500, r#"{"error":"requirement failed: missing contextId"}"#);
    let large = "x".repeat(20 * 1024 * 1024);
    check(execute, &[], &large, 413, r#"{"error":"the body is larger than 19136512 bytes"}"#);
    let command = format!("command={}", "x".repeat(firesteel_model::limits::COMMAND_BYTES_MAX + 1));
    check(execute, &[], &command, 413, r#"{"error":"parameter `command` is larger than 6291456 bytes"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_arriving_is_given_up() {
    let body = || {
        let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"contextId=1&"))]);
        Body::from_stream(futures_util::StreamExt::chain(start, stream::pending()))
    };
    let authorization = format!("Authorization: {BEARER}");
    let seen = send(&router(app()), "POST /api/1.2/commands/execute", &[&authorization], body()).await;
    assert_eq!(seen.status, 408);
    assert_eq!(seen.body, r#"{"error":"no byte of the body arrived for 30 s"}"#);
    let started = tokio::time::Instant::now();
    let seen = send(&router(app()), "POST /api/1.2/commands/execute", &[], body()).await;
    assert_eq!(seen.status, 401);
    assert!(started.elapsed() < Duration::from_secs(3), "an answer must not wait for an unwanted body");
}

#[tokio::test]
async fn what_a_refused_client_sends_is_read_unless_it_waits_to_be_told() {
    for (expect, left) in [("", 0), ("100-continue", 3)] {
        let sent = Arc::new(Mutex::new(vec!["a", "b", "c"]));
        let feed = sent.clone();
        let chunks = stream::unfold((), move |()| {
            let chunk = feed.lock().unwrap().pop();
            async move { chunk.map(|chunk| (Ok::<_, std::io::Error>(Frame::data(Bytes::from(chunk))), ())) }
        });
        let body = Body::new(http_body_util::StreamBody::new(chunks));
        let headers = if expect.is_empty() { vec![] } else { vec!["Expect: 100-continue"] };
        let seen = send(&router(app()), "POST /api/1.2/commands/execute", &headers, body).await;
        assert_eq!(seen.status, 401);
        assert_eq!(sent.lock().unwrap().len(), left, "with Expect {expect:?}");
    }
}

#[tokio::test]
async fn discovery_needs_no_credentials_and_trusts_no_odd_host() {
    let router = router(app());
    let line = "GET /.well-known/databricks-config";
    for (host, oidc) in [
        ("localhost:8443", "http://localhost:8443/oidc"),
        ("[::1]:80", "http://[::1]:80/oidc"),
        ("spark.example.com", "http://spark.example.com/oidc"),
    ] {
        let seen = send(&router, line, &[&format!("Host: {host}")], "").await;
        assert_eq!((seen.status.as_u16(), seen.body), (200, format!(r#"{{"oidc_endpoint":"{oidc}"}}"#)));
    }
    for host in ["Host: evil/path", "Host: a@b", "Host: \"", "X: no host"] {
        assert_eq!(send(&router, line, &[host], "").await.status, 400, "{host}");
    }
    let settings = Settings { public_url: Some("https://spark.example.com/".into()), ..Settings::default() };
    let auth = Arc::new(Auth::new(Arc::new(Known::default())));
    let router = super::router(AppState::new(engine(), kept(), auth, settings));
    let seen = send(&router, line, &[], "").await;
    assert_eq!(seen.body, r#"{"oidc_endpoint":"https://spark.example.com/oidc"}"#);
}

#[tokio::test]
async fn me_is_the_caller() {
    let authorization = format!("Authorization: {BEARER}");
    let line = "/api/2.0/preview/scim/v2/Me";
    let seen = send(&router(app()), &format!("GET {line}"), &[&authorization], "").await;
    assert_eq!(seen.header("x-databricks-org-id"), "1");
    let me: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(me["emails"], json!([{"primary": true, "value": "ann"}]));
    assert_eq!(me["id"].as_str().unwrap().len(), 15);
    let head = send(&router(app()), &format!("HEAD {line}"), &[&authorization], "").await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), seen.body.len().to_string());
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    async fn boom() {
        panic!("secret");
    }
    let app = app();
    let router = edge_of(&app, Router::new().route("/api/1.2/boom", get(boom)).route("/boom", get(boom)));
    let authorization = format!("Authorization: {BEARER}");
    for (line, key) in [("GET /api/1.2/boom", "error"), ("GET /boom", "message")] {
        let seen = send(&router, line, &[&authorization], "").await;
        let body: HashMap<String, String> = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(seen.status, 500);
        let id = seen.header("x-request-id");
        let expected = format!("the server failed on this request; its log has the cause under `{id}`");
        assert_eq!(body[key], expected);
    }
}

#[tokio::test]
async fn a_change_is_carried_out_though_its_caller_hangs_up() {
    let app = app();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    let change = super::change(&app, async move {
        wait.await.ok();
        tell.send("done").ok();
        Ok::<_, EngineError>(())
    });
    let hung_up = tokio::time::timeout(Duration::from_millis(1), change).await;
    assert!(hung_up.is_err());
    go.send(()).unwrap();
    assert_eq!(told.await, Ok("done"));
}

#[tokio::test(start_paused = true)]
async fn a_held_status_is_answered_at_once_when_the_server_stops() {
    let app = app();
    let stop = app.stop.clone();
    let ask = async |hold: Duration| {
        tokio::time::sleep(hold).await;
        Ok::<_, EngineError>(hold)
    };
    assert_eq!(super::v1_2::held(&app, ask).await.unwrap(), Duration::from_secs(2));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stop.cancel();
    });
    let started = tokio::time::Instant::now();
    assert_eq!(super::v1_2::held(&app, ask).await.unwrap(), Duration::ZERO);
    assert!(started.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn what_the_engine_refuses_is_500_with_one_key_and_only_waiting_clusters_say_so() {
    let refusals = [
        EngineError::UnknownCluster("c".into()),
        EngineError::ClusterNotReady { cluster: "c".into(), status: firesteel_api::clusters::ClusterStatus::Pending },
        EngineError::ClusterNotRunning { cluster: "c".into(), reason: Some("it was deleted".into()) },
        EngineError::UnknownContext("1".into()),
        EngineError::UnknownCommand("1".into()),
        EngineError::TooManyContexts(150),
        EngineError::ContextLost { context: "1".parse().unwrap(), reason: "r".into() },
        EngineError::QueueFull { context: "1".parse().unwrap(), limit: 1000 },
        EngineError::LanguageUnavailable("R is not installed".into()),
        EngineError::Stopping,
        EngineError::Store("disk full".into()),
    ];
    // What makes stock clients repeat a request for minutes.
    let traps = [
        "ClusterNotReadyException",
        "UnknownWorkerEnvironmentException",
        "worker env",
        "Unknown worker environment",
        "Timed out after ",
        "deadline exceeded",
        "REQUEST_LIMIT_EXCEEDED",
        "Unexpected error",
        "Please try again later or try a faster operation.",
        "RPC token bucket limit has been exceeded",
    ];
    for refusal in refusals {
        let (said, waits) = (refusal.to_string(), matches!(refusal, EngineError::ClusterNotReady { .. }));
        assert_eq!(traps.iter().any(|trap| said.contains(trap)), waits, "{said}");
        let old = seen(Failure::from(refusal).respond(Style::V1_2)).await;
        assert_eq!(old.status, 500);
        assert_eq!(serde_json::from_str::<Value>(&old.body).unwrap(), json!({"error": said}));
    }
    let new = seen(Failure::from(EngineError::UnknownCluster("c".into())).respond(Style::V2)).await;
    assert_eq!(new.status, 400);
    assert_eq!(new.body, r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Cluster c does not exist"}"#);
}
