//! Clusters with workers: on this machine, and on a standalone cluster that was there before.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::case::Case;
use crate::grid::Grid;
use crate::nodes::{self, Cluster, Held, is_worker};
use crate::poll::until;
use crate::server::Server;
use crate::{processes, results};

pub(crate) fn cases() -> Vec<Case> {
    shared![workers_come_and_go_under_a_running_application, an_existing_standalone_cluster_runs_what_is_sent_to_it]
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

fn workers_come_and_go_under_a_running_application(server: &Server) {
    let _turn = nodes::turn();
    let cluster = Cluster::make(server, "workers", &json!({"num_workers": 1}));
    cluster.has(1);
    let held = Held::make(&cluster);
    secrets_and_classes_are_each_their_own(&cluster, &held);
    rows_come_from_executors(&cluster);

    let job = held.long_job(20);
    cluster.resize(3);
    cluster.has(3);
    job.ends_well();
    until("a job uses all of them", || held.executors(), |used| *used == 3);
    held.is_whole();
    for (address, process) in processes::listening(&cluster.processes()) {
        assert!(address.is_loopback(), "{process:?} listens on {address}");
    }

    // A Worker that dies takes nothing along but what its executor ran, which runs again; another comes.
    let job = held.long_job(20);
    let workers: BTreeSet<i32> = cluster.nodes().into_iter().filter(is_worker).map(|node| node.pid).collect();
    assert_eq!(workers.len(), 3);
    end(*workers.last().unwrap());
    job.ends_well();
    cluster.has(3);
    assert!(cluster.events().iter().any(|kind| kind == "NODES_LOST"));

    // A Master that dies comes back to the application, which can be resized at once.
    end(cluster.nodes().into_iter().find(|node| !is_worker(node)).unwrap().pid);
    let job = held.long_job(10);
    cluster.resize(1);
    cluster.has(1);
    job.ends_well();
    held.is_whole();
    until("the Workers that are not needed are gone", || cluster.nodes().len(), |count| *count == 2);
    assert_eq!(cluster.events()[0], "RESIZING", "fewer are no more");
    drop(held);

    it_follows_its_load(&cluster);

    // Nothing is left of a driver that dies, executors and their Python included.
    assert!(!cluster.processes_of("CoarseGrainedExecutorBackend").is_empty());
    end(processes::driver(&server.data, &cluster.id).pid);
    until("no process of the cluster is left", || cluster.processes(), Vec::is_empty);
    cluster.delete();
}

/// What user code can read has no secret in it. And each context has classes of its own, those of one name too.
#[track_caller]
fn secrets_and_classes_are_each_their_own(cluster: &Cluster<'_>, held: &Held<'_>) {
    held.python.text(
        "sc.parallelize([0], 1).map(lambda _: '_SPARK_AUTH_SECRET' in open('/proc/self/environ').read()).collect()",
        "[False]",
    );
    held.python.text("[key for key, _ in sc.getConf().getAll() if key.endswith('secret')]", "[]");
    let [other] = cluster.contexts(["scala"]);
    other.run("case class P(b: String)").text();
    let mapped = other.run("Seq(P(\"1\")).toDS.map(p => p.b + \"!\").collect.toList ++ sc.parallelize(1 to 1).map(n => P(s\"$n\").b).collect");
    assert!(mapped.text().ends_with("List(1!, 1)"), "{mapped:?}");
}

/// All rows of a table, as in a cluster that runs its tasks itself.
#[track_caller]
fn rows_come_from_executors(cluster: &Cluster<'_>) {
    let [sql] = cluster.contexts(["sql"]);
    let table = sql.send("select id, repeat('x', 300) as x from range(0, 20000, 1, 3)");
    assert_eq!(sql.wait(&table).results["truncated"], json!(true));
    let (rows, last) = results::all_rows(&sql, &table);
    assert!(rows.iter().enumerate().all(|(at, row)| row[0] == json!(at)));
    assert_eq!((&last["totalRows"], &last["truncated"]), (&json!(20_000), &json!(false)));
}

/// A size within bounds: Spark asks for executors when there is work for them.
#[track_caller]
fn it_follows_its_load(cluster: &Cluster<'_>) {
    cluster.edit(&json!({"autoscale": {"min_workers": 1, "max_workers": 2}}));
    cluster.has(1);
    let [scala] = cluster.contexts(["scala"]);
    let job = scala.send("sc.parallelize(1 to 60, 60).map { n => Thread.sleep(500); n }.sum");
    cluster.has(2);
    scala.cancel(&job).ok();
    assert_eq!(cluster.view()["state"], "RUNNING");
}

fn an_existing_standalone_cluster_runs_what_is_sent_to_it(server: &Server) {
    let _turn = nodes::turn();
    let mut grid = Grid::start(server);
    let cluster = Cluster::make(server, "grid", &json!({"num_workers": 1, "backend": Grid::BACKEND}));
    cluster.has(1);
    let jvm = cluster.application();
    assert!(jvm.command.contains("SparkSubmit") && !jvm.command.contains(Grid::SECRET), "{}", jvm.command);
    let held = Held::make(&cluster);
    held.python.text("'_SPARK_AUTH_SECRET' in __import__('os').environ", "False");
    cluster.resize(2);
    cluster.has(2);
    until("a job uses both", || held.executors(), |used| *used == 2);

    // A Worker dies during a job.
    let job = held.long_job(12);
    grid.kill(Grid::WORKERS[1]);
    job.ends_well();
    cluster.has(1);
    assert!(cluster.events().iter().any(|kind| kind == "NODES_LOST"));

    // The Master dies and is started again: the application goes on, is known to it, and finds the Worker that came back.
    grid.kill(Grid::MASTER);
    until("the loss is told", || cluster.events().remove(0), |kind| kind == "NODES_LOST");
    held.is_whole();
    grid.start_master();
    grid.start_worker(Grid::WORKERS[1]);
    cluster.has(2);
    held.is_whole();
    cluster.resize(1);
    cluster.has(1);

    // One that stays away is the end of the cluster, until it is there again.
    grid.kill(Grid::MASTER);
    let lost = until("the cluster is lost", || cluster.view(), |seen| seen["state"] == "ERROR");
    let said = lost["state_message"].as_str().unwrap();
    assert!(said.contains(&grid.master) && said.contains("went away"), "{lost}");
    assert_eq!(lost["termination_reason"]["code"], "SPARK_ERROR", "{lost}");
    assert_eq!(held.scala.status().ok()["status"], "Error");
    until("no process of the cluster is left", || cluster.processes(), Vec::is_empty);
    grid.start_master();
    server.http.post("/api/1.2/clusters/restart", &json!({"clusterId": cluster.id})).ok();
    cluster.reaches("RUNNING");
    cluster.has(1);
    drop(held);
    let [python] = cluster.contexts(["python"]);
    python.text("spark.range(3).count()", "3");
    drop(python);
    cluster.delete();
}
