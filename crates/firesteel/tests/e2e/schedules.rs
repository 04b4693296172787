//! A cluster at fixed times: the use case of `docs/schedules.md`, in both of its forms, as it is written there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::case::Case;
use crate::cli;
use crate::nodes::Cluster;
use crate::poll::until;
use crate::server::{Server, program};

pub(crate) fn cases() -> Vec<Case> {
    shared![the_use_case_of_the_docs_runs_as_it_is_written]
}

const PAGE: &str = include_str!("../../../../docs/schedules.md");

/// The block of the page in which this text is.
#[track_caller]
fn block(with: &str) -> &'static str {
    let mut blocks = PAGE.split("```").skip(1).step_by(2).filter(|block| block.contains(with));
    blocks.next().expect("the page has such a block").split_once('\n').unwrap().1
}

/// A schedule that is due at every second, until it has done this.
#[track_caller]
fn at_every_second(cluster: &Cluster<'_>, name: &str, action: &str, state: &str) {
    let add = ["schedules", "add", name, action, "--cluster", "etl", "--cron", "* * * * * *"];
    let (status, _, said) = cli::run(cluster.server, &add, "");
    assert_eq!(status, 0, "{said}");
    cluster.reaches(state);
    let runs = || cli::run(cluster.server, &["schedules", "runs", name], "").1;
    until("it is noted", runs, |printed| printed.contains("done"));
    assert_eq!(cli::run(cluster.server, &["schedules", "remove", name], "").0, 0);
}

fn the_use_case_of_the_docs_runs_as_it_is_written(server: &Server) {
    let cluster = Cluster::make(server, "etl", &json!({"num_workers": 0}));

    // The schedules of the server: as on the page, and then at times that come soon.
    let (status, printed) = shell(server, block("firesteel schedules add"), &[]);
    assert!(
        status && ["morning", "night", "mon-fri", "Europe/Berlin"].iter().all(|word| printed.contains(word)),
        "{printed}"
    );
    let (_, listed, _) = cli::run(server, &["schedules", "list"], "");
    assert!(listed.contains("morning") && !listed.contains("lunch"), "{listed}");
    for name in ["morning", "night"] {
        assert_eq!(cli::run(server, &["schedules", "remove", name], "").0, 0);
    }
    at_every_second(&cluster, "down", "end", "TERMINATED");
    at_every_second(&cluster, "up", "start", "RUNNING");

    // Cron and curl: the script, with this server's address, files and cluster.
    let script = block("etl-cluster up WORKERS");
    let own = [
        ("https://spark.example.com:8443", server.url.clone()),
        ("/etc/firesteel/ca.pem", server.ca().display().to_string()),
        ("/etc/firesteel/netrc", server.data.join("netrc").display().to_string()),
        ("1125-070000-ember42", cluster.id.clone()),
    ];
    let script = own.iter().fold(script.to_owned(), |script, (example, own)| {
        assert!(script.contains(example), "{example}");
        script.replace(example, own)
    });
    let (status, said) = shell(server, &script, &["down"]);
    assert!(status, "{said}");
    cluster.reaches("TERMINATED");
    let (status, said) = shell(server, &script, &["up", "0"]);
    assert!(status, "{said}");
    cluster.reaches("RUNNING");
    cluster.delete();
}

/// Runs a script with `firesteel` on the path, and what it needs to find this server; whether it ended well, and what it said.
fn shell(server: &Server, script: &str, arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    let firesteel = program();
    let programs = Path::new(firesteel.get_program()).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("/bin/sh");
    command.arg(&file).args(arguments).env("PATH", path);
    command.env("DATABRICKS_CONFIG_FILE", server.data.join("databrickscfg")).env("REQUESTS_CA_BUNDLE", server.ca());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}
