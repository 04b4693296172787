//! The real `curl`, as the documents of the API use it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::api::Reply;
use crate::server::Server;

/// An answer that curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// `1.1` or `2`.
    pub(crate) version: String,
    /// What passed between the two, as `--verbose` has it.
    pub(crate) talk: String,
}

/// Runs curl with the netrc file of the server; `URL` in an argument stands for the server's.
#[track_caller]
pub(crate) fn curl(server: &Server, arguments: &[&str]) -> Answer {
    let netrc = server.data.join("netrc");
    run(server, &[&["--netrc-file", netrc.to_str().unwrap()], arguments].concat())
}

/// Runs curl with no credentials but those among the arguments.
#[track_caller]
pub(crate) fn anonymous(server: &Server, arguments: &[&str]) -> Answer {
    run(server, arguments)
}

/// Whether this curl can speak HTTP/2.
pub(crate) fn has_http2() -> bool {
    let output = Command::new("curl").arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("HTTP2")
}

#[track_caller]
fn run(server: &Server, arguments: &[&str]) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    let output = Command::new("curl")
        // No configuration of the user's.
        .args(["--disable", "--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", "120"])
        .arg("--cacert")
        .arg(server.ca())
        .arg("--output")
        .arg(file("body"))
        .arg("--dump-header")
        .arg(file("headers"))
        .args(["--write-out", "%{http_code} %{http_version}"])
        .args(arguments.iter().map(|argument| argument.replace("URL", &server.url)))
        .output()
        .expect("curl is installed");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "curl {arguments:?}: {}\n{talk}", output.status);
    let written = String::from_utf8(output.stdout).unwrap();
    let (status, version) = written.split_once(' ').unwrap();
    // After a 100 or a 401 there is more than one block of headers; the last one counts.
    let headers = std::fs::read_to_string(file("headers")).unwrap();
    let last = headers.trim_end().rsplit("\r\n\r\n").next().unwrap();
    let headers = last
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.parse::<reqwest::header::HeaderName>().unwrap(), value.trim().parse().unwrap()));
    let text = std::fs::read_to_string(file("body")).unwrap_or_default();
    let reply = Reply { status: status.parse().unwrap(), headers: headers.collect(), text };
    Answer { reply, version: version.to_owned(), talk }
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        self.reply.ok()
    }

    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.reply.id()
    }
}
