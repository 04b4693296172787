//! The life of clusters beside the default one: as the SDK, the sbt plugin, `databricks-cli` and our own commands see it,
//! and what is left when a part of one dies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::api::Reply;
use crate::case::Case;
use crate::cli;
use crate::clients::{self, Python};
use crate::poll::until;
use crate::processes;
use crate::server::Server;
use crate::time_limits::time_is_up;

/// How long a command of a cluster may run, as it is said on the service.
const LIMIT: &str = "spark.databricks.execution.timeout=5";

/// The client of old, in Python.
const DATABRICKS_CLI: Python = Python { name: "databricks-cli", packages: &["databricks-cli==0.18.0"] };

pub(crate) fn cases() -> Vec<Case> {
    shared![
        a_cluster_that_loses_a_part_says_why_and_comes_back,
        the_sdk_makes_resizes_restarts_and_deletes_a_cluster,
        the_sbt_plugin_polls_a_cluster_from_its_making_to_its_end,
        databricks_cli_works_on_the_port_that_it_keeps,
    ]
}

fn post(server: &Server, verb: &str, body: &Value) -> Reply {
    server.http.post(&format!("/api/2.1/clusters/{verb}"), body)
}

fn get(server: &Server, id: &str) -> Value {
    server.http.get("/api/2.0/clusters/get", &[("cluster_id", id)]).ok()
}

/// Waits for a state of 2.x.
#[track_caller]
fn reached(server: &Server, id: &str, state: &str) -> Value {
    until(&format!("the cluster is {state}"), || get(server, id), |seen| seen["state"] == state)
}

/// A context of any cluster that runs.
fn context(server: &Server, cluster: &str, language: &str) -> String {
    let ask = json!({"clusterId": cluster, "language": language});
    let id = server.http.post("/api/1.2/contexts/create", &ask).id();
    let running = |view: &Value| view["status"] == "Running";
    until("the context is Running", || context_status(server, cluster, &id).ok(), running);
    id
}

fn context_status(server: &Server, cluster: &str, id: &str) -> Reply {
    server.http.get("/api/1.2/contexts/status", &[("clusterId", cluster), ("contextId", id)])
}

fn send(server: &Server, cluster: &str, context: &str, language: &str, code: &str) -> String {
    let ask = json!({"clusterId": cluster, "contextId": context, "language": language, "command": code});
    server.http.post("/api/1.2/commands/execute", &ask).id()
}

/// Checks that a cluster is lost for this reason, all that tells of it included.
#[track_caller]
fn is_lost(server: &Server, cluster: &str, context: &str, code: &str, why: &str) {
    let seen = reached(server, cluster, "ERROR");
    assert_eq!(seen["termination_reason"]["code"], code, "{seen}");
    let said = seen["termination_reason"]["parameters"]["databricks_error_message"].as_str().unwrap();
    assert!(said.contains(why) && seen["state_message"] == said, "{seen}");
    let old = server.http.get("/api/1.2/clusters/status", &[("clusterId", cluster)]).ok();
    assert_eq!((&old["status"], &old["driverIp"]), (&json!("Error"), &json!("")), "{old}");
    assert_eq!(context_status(server, cluster, context).ok()["status"], "Error");
    let events = post(server, "events", &json!({"cluster_id": cluster, "limit": 2})).ok();
    assert_eq!(events["events"][0]["type"], "TERMINATING", "{events}");
    assert_eq!(events["events"][0]["details"]["reason"]["code"], code, "{events}");
    assert!(events["events"][1]["details"]["driver_state_message"].as_str().unwrap().contains(why), "{events}");
    until("no process of the cluster is left", || processes::marked(cluster), Vec::is_empty);
}

fn a_cluster_that_loses_a_part_says_why_and_comes_back(server: &Server) {
    let (status, printed, said) =
        cli::run(server, &["clusters", "create", "trouble", "--env", "A=b", "--conf", LIMIT], "");
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("Starting cluster"), "{said}");
    let id = printed.trim();
    let has = |context: &str, code: &str| send(server, id, context, "python", code);

    // The JVM dies under a command.
    let first = context(server, id, "python");
    has(&first, "import time; time.sleep(600)");
    kill(Pid::from_raw(processes::jvm(&server.data, id).pid), Signal::SIGKILL).unwrap();
    is_lost(server, id, &first, "SPARK_ERROR", "signal 9 (SIGKILL)");
    assert_eq!(cli::run(server, &["clusters", "restart", "trouble"], "").0, 0);
    let gone = context_status(server, id, &first).refused(500);
    assert_eq!(gone, format!("ContextNotFound: {first}"));

    // Spark is stopped under its contexts, and the JVM lives on.
    let second = context(server, id, "scala");
    send(server, id, &second, "scala", "sc.stop()");
    is_lost(server, id, &second, "SPARK_ERROR", "SparkContext was stopped");
    assert_eq!(cli::run(server, &["clusters", "start", id], "").0, 0);

    // Its time limit holds in every life of a cluster. Then the driver dies.
    let third = context(server, id, "python");
    let command = has(&third, "while True: pass");
    let look = || {
        let query = [("clusterId", id), ("contextId", &third), ("commandId", &command)];
        server.http.get("/api/1.2/commands/status", &query).ok()
    };
    let ended = until("its time is up", look, |view| view["status"] == "Finished");
    assert_eq!(ended["results"]["summary"], time_is_up(5), "{ended}");
    kill(Pid::from_raw(processes::driver(&server.data, id).pid), Signal::SIGKILL).unwrap();
    is_lost(server, id, &third, "DRIVER_UNEXPECTED_FAILURE", "signal 9");
    assert_eq!(cli::run(server, &["clusters", "start", id], "").0, 0);

    // Nothing runs on it any more: it ends by itself, and says why.
    let ask =
        json!({"cluster_id": id, "update_mask": "autotermination_minutes", "cluster": {"autotermination_minutes": 1}});
    assert_eq!(post(server, "update", &ask).ok(), json!({}));
    assert_eq!(get(server, id)["state"], "RUNNING", "such an edit needs no restart");
    let ended = reached(server, id, "TERMINATED");
    assert_eq!(ended["termination_reason"]["code"], "INACTIVITY", "{ended}");
    assert_eq!(ended["termination_reason"]["parameters"]["inactivity_duration_min"], "1", "{ended}");

    for (arguments, expected) in [
        (vec!["clusters", "list"], vec!["ID", "TERMINATED", "trouble", "RUNNING", "default"]),
        (vec!["clusters", "events", "trouble"], vec!["CREATING", "RESTARTING", "SPARK_EXCEPTION", "INACTIVITY"]),
        (vec!["clusters", "logs", "trouble"], vec!["SparkContext"]),
        (vec!["clusters", "logs", "trouble", "--log", "driver"], vec!["Spark"]),
    ] {
        let (status, printed, said) = cli::run(server, &arguments, "");
        assert_eq!(status, 0, "{arguments:?}: {said}");
        assert!(expected.iter().all(|word| printed.contains(word)), "{arguments:?}: {printed}");
    }
    let folder = server.data.join("clusters").join(id);
    assert!(folder.exists());
    assert_eq!(cli::run(server, &["clusters", "delete", "trouble", "--permanent"], "").0, 0);
    assert!(!folder.exists(), "nothing of it is left");
    let (status, _, said) = cli::run(server, &["clusters", "start", "trouble"], "");
    assert!(status == 2 && said.contains("no cluster `trouble`"), "{status}: {said}");
}

fn the_sdk_makes_resizes_restarts_and_deletes_a_cluster(server: &Server) {
    clients::python(server, clients::LABS, "clusters.py", "a_life");
}

/// One look of the plugin at its cluster: it aborts on a key that it does not know, in any cluster of the list.
#[track_caller]
fn sbt_status(server: &Server, id: &str) -> String {
    let listed = server.http.request(|client, url| {
        client.get(format!("{url}/api/1.2/clusters/list")).header("User-Agent", "sbt-databricks v:0.1.5 built on x")
    });
    let mut status = String::new();
    for cluster in listed.ok().as_array().expect("a bare array") {
        let keys: Vec<&String> = cluster.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["driverIp", "id", "jdbcPort", "name", "numWorkers", "status"], "{cluster}");
        assert!(cluster["jdbcPort"].is_u64() && cluster["numWorkers"].is_u64(), "{cluster}");
        if cluster["id"] == id {
            status = cluster["status"].as_str().unwrap().to_owned();
        }
    }
    assert!(!status.is_empty(), "one that is missing is polled for ever");
    status
}

/// Polls as the plugin does, to the end or to what makes it give up.
#[track_caller]
fn sbt_waits(server: &Server, id: &str, wanted: &str) {
    let look = || {
        let seen = sbt_status(server, id);
        let fatal = wanted == "Running" && matches!(seen.as_str(), "Error" | "Terminating" | "Terminated");
        assert!(!fatal, "the plugin gives up at {seen}");
        seen
    };
    until(&format!("the plugin sees {wanted}"), look, |seen| seen == wanted);
}

fn the_sbt_plugin_polls_a_cluster_from_its_making_to_its_end(server: &Server) {
    let version = server.http.get("/api/2.0/clusters/spark-versions", &[]).ok()["default_version_key"].clone();
    let ask = json!({
        "name": "sbt", "numWorkerContainers": 0, "useSpot": false, "sparkVersion": version, "zoneId": null,
    });
    let id = server.http.post("/api/1.2/clusters/create", &ask).id();
    sbt_waits(server, &id, "Running");
    let ports: Vec<Value> = server
        .http
        .get("/api/1.2/clusters/list", &[])
        .ok()
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| cluster["jdbcPort"].clone())
        .collect();
    assert!(
        ports.iter().enumerate().all(|(at, port)| !ports[..at].contains(port)),
        "each has a port of its own: {ports:?}"
    );
    let resize = json!({"clusterId": id, "numWorkerContainers": 0});
    assert_eq!(server.http.post("/api/1.2/clusters/resize", &resize).id(), id);
    sbt_waits(server, &id, "Running");
    assert_eq!(server.http.post("/api/1.2/clusters/delete", &json!({"clusterId": id})).id(), id);
    sbt_waits(server, &id, "Terminated");
    until("no process of the cluster is left", || processes::marked(&id), Vec::is_empty);
    // What does not fit is refused with the one key.
    let said = server.http.post("/api/1.2/clusters/resize", &resize).refused(500);
    assert_eq!(said, format!("Cluster {id} is in unexpected state Terminated."));
    let said = server.http.post("/api/1.2/clusters/create", &json!({"name": "x"})).refused(500);
    assert_eq!(said, "requirement failed: missing numWorkerContainers");
    assert_eq!(post(server, "permanent-delete", &json!({"cluster_id": id})).ok(), json!({}));
}

/// Passes what comes to a port on to the server's own: the client knows ports 80 and 443 only.
fn forward(listener: TcpListener, port: u16) {
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || {
                    let mut chunk = [0; 8192];
                    while let Ok(count @ 1..) = from.read(&mut chunk) {
                        if to.write_all(&chunk[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
}

fn databricks_cli_works_on_the_port_that_it_keeps(server: &Server) {
    let listener = match TcpListener::bind("127.0.0.1:443") {
        Ok(listener) => listener,
        Err(error) => {
            return eprintln!("skipped: `databricks-cli` drops the port of its host, and 443 cannot be had: {error}");
        }
    };
    forward(listener, server.url.rsplit(':').next().unwrap().parse().unwrap());
    let program = clients::environment(DATABRICKS_CLI).join("databricks");
    let databricks = |arguments: &[&str]| {
        let output = Command::new(&program)
            .args(arguments)
            .env("DATABRICKS_HOST", "https://127.0.0.1")
            .env("DATABRICKS_TOKEN", &server.token)
            .env("REQUESTS_CA_BUNDLE", server.ca())
            .env("NO_PROXY", "*")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    };
    let id = server.cluster.as_str();
    for (arguments, expected) in [
        (vec!["clusters", "list"], vec![id, "default", "RUNNING"]),
        (vec!["clusters", "list", "--output", "JSON"], vec![id, "\"clusters\""]),
        (vec!["clusters", "get", "--cluster-id", id], vec![id, "\"state\": \"RUNNING\""]),
        (vec!["clusters", "events", "--cluster-id", id], vec!["CREATING", "RUNNING"]),
        (vec!["clusters", "spark-versions"], vec!["\"versions\""]),
        (vec!["clusters", "list-node-types"], vec!["local.1", "\"memory_mb\""]),
        (vec!["clusters", "list-zones"], vec!["\"default_zone\""]),
    ] {
        let printed = databricks(&arguments);
        assert!(expected.iter().all(|word| printed.contains(word)), "{arguments:?}: {printed}");
    }
}
