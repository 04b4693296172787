//! Clusters with workers: how they are made and resized, the processes of their nodes, and a session on one that must outlive what happens to them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::api::Context;
use crate::poll::until;
use crate::processes::{self, Process};
use crate::server::Server;

/// Waits for the turn of a case that starts many processes beside the shared server's: one at a time.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster of a server, beside its own one.
pub(crate) struct Cluster<'a> {
    pub(crate) server: &'a Server,
    pub(crate) id: String,
}

impl<'a> Cluster<'a> {
    /// Makes one and waits until it runs. `more` is what it has beside a name and the default Spark.
    #[track_caller]
    pub(crate) fn make(server: &'a Server, name: &str, more: &Value) -> Self {
        let versions = server.http.get("/api/2.1/clusters/spark-versions", &[]).ok();
        let ask = with(json!({"cluster_name": name, "spark_version": versions["default_version_key"]}), more);
        let made = server.http.post("/api/2.1/clusters/create", &ask).ok();
        let cluster = Self { server, id: made["cluster_id"].as_str().unwrap().to_owned() };
        cluster.reaches("RUNNING");
        cluster
    }

    /// The cluster that a server was started with.
    pub(crate) fn own(server: &'a Server) -> Self {
        Self { server, id: server.cluster.clone() }
    }

    pub(crate) fn view(&self) -> Value {
        self.server.http.get("/api/2.1/clusters/get", &[("cluster_id", &self.id)]).ok()
    }

    /// Waits for a state of 2.x. One that it cannot leave by itself ends the wait.
    #[track_caller]
    pub(crate) fn reaches(&self, state: &str) -> Value {
        let ended = |seen: &Value| seen["state"] == state || seen["state"] == "ERROR";
        let seen = until(&format!("the cluster is {state}"), || self.view(), ended);
        assert_eq!(seen["state"], state, "{seen}");
        seen
    }

    /// Edits the cluster, which restarts it, and waits until it runs on that.
    #[track_caller]
    pub(crate) fn edit(&self, more: &Value) {
        let seen = self.view();
        let ask = json!({"cluster_id": self.id, "cluster_name": seen["cluster_name"], "spark_version": seen["spark_version"]});
        self.server.http.post("/api/2.1/clusters/edit", &with(ask, more)).ok();
        self.reaches("RUNNING");
    }

    /// Asks for another size.
    #[track_caller]
    pub(crate) fn resize(&self, workers: u32) {
        let ask = json!({"clusterId": self.id, "numWorkerContainers": workers});
        self.server.http.post("/api/1.2/clusters/resize", &ask).ok();
    }

    /// Waits until the cluster says that it has so many workers, and is not being resized.
    #[track_caller]
    pub(crate) fn has(&self, workers: u32) {
        let look = || self.server.http.get("/api/1.2/clusters/status", &[("clusterId", &self.id)]).ok();
        let there = |view: &Value| view["numWorkers"] == workers && view["status"] == "Running";
        until(&format!("the cluster has {workers} workers"), look, there);
    }

    /// The types of the cluster's last events, the latest first.
    pub(crate) fn events(&self) -> Vec<String> {
        let ask = json!({"cluster_id": self.id, "limit": 50});
        let events = self.server.http.post("/api/2.1/clusters/events", &ask).ok();
        events["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Contexts of these languages, made at the same time.
    #[track_caller]
    pub(crate) fn contexts<const N: usize>(&self, languages: [&'static str; N]) -> [Context<'a>; N] {
        let contexts = languages.map(|language| self.server.pending_context_on(&self.id, language));
        contexts.iter().for_each(Context::wait_running);
        contexts
    }

    /// All that its driver has started.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes::marked(&self.id)
    }

    /// Its own Master and Workers.
    pub(crate) fn nodes(&self) -> Vec<Process> {
        self.processes_of("firesteel.Node")
    }

    pub(crate) fn processes_of(&self, class: &str) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.command.contains(class)).collect()
    }

    /// Spark's driver JVM.
    pub(crate) fn application(&self) -> Process {
        self.processes_of("firesteel.Agent").pop().expect("the cluster has a JVM")
    }

    /// Deletes it for good.
    #[track_caller]
    pub(crate) fn delete(self) {
        self.server.http.post("/api/2.1/clusters/permanent-delete", &json!({"cluster_id": self.id})).ok();
    }
}

fn with(mut ask: Value, more: &Value) -> Value {
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

pub(crate) fn is_worker(node: &Process) -> bool {
    node.environment.contains("SPARK_EXECUTOR_ATTRIBUTE_FIRESTEEL_WORKER=")
}

/// Contexts with something in them that must outlive every change of the cluster's size.
pub(crate) struct Held<'a> {
    pub(crate) scala: Context<'a>,
    pub(crate) python: Context<'a>,
}

impl<'a> Held<'a> {
    #[track_caller]
    pub(crate) fn make(cluster: &Cluster<'a>) -> Self {
        let [scala, python] = cluster.contexts(["scala", "python"]);
        // Each by itself: where a class of the REPL is used on an executor, all of the command that has defined it runs there.
        scala.run("case class P(a: Int)").text();
        scala.run("val kept = 41").text();
        scala.run("val cached = sc.parallelize(1 to 1000, 4).map(P(_)).cache").text();
        python.text("kept = 41", "");
        let held = Self { scala, python };
        held.is_whole();
        held
    }

    /// Variables, cached rows and classes of the REPL, in tasks of Scala and of Python.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        let sum = self.scala.run("cached.map(_.a).sum + kept");
        assert!(sum.text().ends_with(": Double = 500541.0"), "{sum:?}");
        let typed = self.scala.run("Seq(P(1)).toDS.map(p => P(p.a + 1)).collect.toList");
        assert!(typed.text().ends_with("List(P(2))"), "{typed:?}");
        let udf = "from pyspark.sql.functions import udf\nspark.range(3).select(udf(lambda x: x + kept, 'long')('id')).collect()[2][0]";
        self.python.text(udf, "43");
    }

    /// A job of so many tasks of half a second.
    #[track_caller]
    pub(crate) fn long_job(&self, tasks: u32) -> Job<'_> {
        let code = format!("sc.parallelize(1 to {tasks}, {tasks}).map {{ i => Thread.sleep(500); P(i) }}.map(_.a).sum");
        let command = self.scala.send(&code);
        self.scala.wait_for(&command, "Running");
        Job { context: &self.scala, command, sum: f64::from(tasks * (tasks + 1) / 2) }
    }

    /// On how many executors a job runs.
    #[track_caller]
    pub(crate) fn executors(&self) -> usize {
        let code = "sc.parallelize(1 to 24, 24).map { _ => Thread.sleep(100); org.apache.spark.SparkEnv.get.executorId }.collect.distinct.size";
        let ended = self.scala.run(code);
        ended.text().rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// A job that runs.
pub(crate) struct Job<'a> {
    context: &'a Context<'a>,
    command: String,
    sum: f64,
}

impl Job<'_> {
    /// Waits for its end, and checks that all of its tasks were done.
    #[track_caller]
    pub(crate) fn ends_well(self) {
        let ended = self.context.wait(&self.command);
        assert!(ended.text().ends_with(&format!("{:.1}", self.sum)), "{ended:?}");
    }
}
