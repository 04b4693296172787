//! What nobody but its user may see or reach.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::case::Case;
use crate::processes;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        files_with_secrets_are_the_user_s_alone,
        no_process_holds_a_credential_in_its_arguments_or_environment,
        no_log_holds_a_credential_or_user_code,
        nothing_listens_beyond_loopback,
    ]
}

fn files_with_secrets_are_the_user_s_alone(server: &Server) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data), 0o700);
    for name in ["netrc", "databrickscfg", "firesteel.db", "tls/ca.key", "tls/server.key"] {
        assert_eq!(mode(&server.data.join(name)), 0o600, "{name}");
    }
    let cluster = server.data.join("clusters").join(&server.cluster);
    assert_eq!(mode(&cluster), 0o700);
    assert_eq!(mode(&cluster.join("driver.json")), 0o600);
}

fn no_process_holds_a_credential_in_its_arguments_or_environment(server: &Server) {
    // An interpreter in use is among them.
    let context = server.context("python");
    context.text("1", "1");
    let password = server.password();
    let all = server.processes();
    assert!(all.len() >= 4, "the driver, the JVM, the parent and its children: {all:?}");
    for process in all {
        for secret in [&server.token, &password] {
            let found = process.command.contains(secret.as_str()) || process.environment.contains(secret.as_str());
            assert!(!found, "{process:?}");
        }
    }
}

fn no_log_holds_a_credential_or_user_code(server: &Server) {
    let context = server.context("python");
    context.text("print('user code that nobody else may read')", "user code that nobody else may read");
    let cluster = server.data.join("clusters").join(&server.cluster);
    let mut logs = vec![("the server's".to_owned(), server.said())];
    for entry in fs::read_dir(&cluster).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        logs.push((entry.path().display().to_string(), text));
    }
    for (name, text) in logs {
        for secret in [server.token.as_str(), &server.password(), "user code that nobody else may read"] {
            assert!(!text.contains(secret), "{name}");
        }
    }
}

fn nothing_listens_beyond_loopback(server: &Server) {
    // Every kind of work that may open a port.
    let context = server.context("python");
    context.text("sc.parallelize([1, 2]).map(lambda i: i).sum()", "3");
    context.run_in("scala", "sc.broadcast(1).value").text();
    let mut all = server.processes();
    all.extend(processes::with_pid(server.pid));
    let listening = processes::listening(&all);
    assert!(listening.iter().any(|(_, process)| process.pid == server.pid), "the server itself listens: {listening:?}");
    let open: Vec<_> = listening.iter().filter(|(address, _)| !address.is_loopback()).collect();
    assert!(open.is_empty(), "{open:?}");
}
