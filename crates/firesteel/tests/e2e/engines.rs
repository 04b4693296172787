//! Clusters with workers: on this machine, and on a standalone cluster that was there before.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::api::Context;
use crate::case::Case;
use crate::folders;
use crate::poll::until;
use crate::processes::{self, Process};
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    own![workers_come_and_go_under_a_running_application, an_existing_standalone_cluster_runs_what_is_sent_to_it]
}

/// Small nodes, and no more interpreters than are used.
const CONFIG: &str = "
[spares]
scala = 1
python = 1
sql = 0
[backends.local]
kind = 'local'
worker_cores = 1
worker_memory_mb = 512
";

/// Edits the default cluster and waits for it to run on that.
#[track_caller]
fn edit(server: &Server, more: &Value) {
    let version = cluster(server)["spark_version"].clone();
    let mut ask = json!({"cluster_id": server.cluster, "cluster_name": "default", "spark_version": version});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.http.post("/api/2.1/clusters/edit", &ask).ok();
    until("the cluster runs", || cluster(server), |seen| seen["state"] == "RUNNING");
}

fn cluster(server: &Server) -> Value {
    server.http.get("/api/2.1/clusters/get", &[("cluster_id", &server.cluster)]).ok()
}

/// Asks for another size.
#[track_caller]
fn resize(server: &Server, workers: u32) {
    let ask = json!({"clusterId": server.cluster, "numWorkerContainers": workers});
    server.http.post("/api/1.2/clusters/resize", &ask).ok();
}

/// Waits until the cluster says that it has so many workers, and is not being resized.
#[track_caller]
fn has(server: &Server, workers: u32) {
    let look = || server.http.get("/api/1.2/clusters/status", &[("clusterId", &server.cluster)]).ok();
    let there = |view: &Value| view["numWorkers"] == workers && view["status"] == "Running";
    until(&format!("the cluster has {workers} workers"), look, there);
}

/// The types of the cluster's last events, the latest first.
fn events(server: &Server) -> Vec<String> {
    let ask = json!({"cluster_id": server.cluster, "limit": 50});
    let events = server.http.post("/api/2.1/clusters/events", &ask).ok();
    events["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// Contexts with something in them that must outlive every resize.
struct Held<'a> {
    scala: Context<'a>,
    python: Context<'a>,
}

impl<'a> Held<'a> {
    #[track_caller]
    fn make(server: &'a Server) -> Self {
        let held = Self { scala: server.context("scala"), python: server.context("python") };
        held.scala.run("case class P(a: Int)").text();
        held.scala.run("val kept = 41").text();
        held.scala.run("val cached = sc.parallelize(1 to 1000, 4).map(P(_)).cache").text();
        held.python.text("kept = 41", "");
        held.is_whole();
        held
    }

    /// Variables, cached rows and classes of the REPL, in tasks of Scala and of Python.
    #[track_caller]
    fn is_whole(&self) {
        let sum = self.scala.run("cached.map(_.a).sum + kept");
        assert!(sum.text().ends_with(": Double = 500541.0"), "{sum:?}");
        let typed = self.scala.run("import spark.implicits._; Seq(P(1)).toDS.map(p => P(p.a + 1)).collect.toList");
        assert!(typed.text().ends_with("List(P(2))"), "{typed:?}");
        let udf = "from pyspark.sql.functions import udf\nspark.range(3).select(udf(lambda x: x + kept, 'long')('id')).collect()[2][0]";
        self.python.text(udf, "43");
    }

    /// A job of so many tasks of half a second, which says what it came to.
    fn long_job(&self, tasks: u32) -> String {
        let id = self.scala.send(&format!(
            "sc.parallelize(1 to {tasks}, {tasks}).map {{ i => Thread.sleep(500); P(i) }}.map(_.a).sum"
        ));
        self.scala.wait_for(&id, "Running");
        id
    }

    #[track_caller]
    fn is_done(&self, job: &str, tasks: u32) {
        let sum = f64::from(tasks * (tasks + 1) / 2);
        let ended = self.scala.wait(job);
        assert!(ended.text().ends_with(&format!("{sum:.1}")), "{ended:?}");
    }

    /// On how many executors a job runs.
    fn executors(&self) -> usize {
        let code = "sc.parallelize(1 to 24, 24).map { _ => Thread.sleep(100); org.apache.spark.SparkEnv.get.executorId }.collect.distinct.size";
        let ended = self.scala.run(code);
        ended.text().rsplit(' ').next().unwrap().parse().unwrap()
    }
}

fn nodes(server: &Server, what: &str) -> Vec<Process> {
    server.processes().into_iter().filter(|process| process.command.contains(what)).collect()
}

fn is_worker(process: &Process) -> bool {
    process.environment.contains("SPARK_EXECUTOR_ATTRIBUTE_FIRESTEEL_WORKER=")
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

fn workers_come_and_go_under_a_running_application() {
    let data = folders::fresh_data();
    fs::write(data.join("firesteel.toml"), CONFIG).unwrap();
    let server = Server::start("up", &data, &[]);

    // Spark inside the driver gets no workers while it runs, and says so.
    resize(&server, 1);
    until("the refusal is told", || events(&server), |types| types.iter().any(|kind| kind == "NODES_LOST"));
    has(&server, 0);
    edit(&server, &json!({"num_workers": 1}));
    has(&server, 1);
    let held = Held::make(&server);

    // What user code can read has no secret in it.
    held.python.text(
        "sc.parallelize([0], 1).map(lambda _: '_SPARK_AUTH_SECRET' in open('/proc/self/environ').read()).collect()",
        "[False]",
    );
    held.python.text("[key for key, _ in sc.getConf().getAll() if key.endswith('secret')]", "[]");

    let job = held.long_job(40);
    resize(&server, 3);
    has(&server, 3);
    held.is_done(&job, 40);
    until("a job uses all of them", || held.executors(), |used| *used == 3);
    held.is_whole();
    for (address, process) in processes::listening(&server.processes()) {
        assert!(address.is_loopback(), "{process:?} listens on {address}");
    }

    // A Worker that dies takes nothing along but what its executor ran, which runs again; another comes.
    let job = held.long_job(30);
    let before: BTreeSet<i32> =
        nodes(&server, "firesteel.Node").into_iter().filter(is_worker).map(|node| node.pid).collect();
    assert_eq!(before.len(), 3);
    end(*before.last().unwrap());
    held.is_done(&job, 30);
    has(&server, 3);
    assert!(events(&server).iter().any(|kind| kind == "NODES_LOST"));
    held.is_whole();

    // A Master that dies comes back to the application, which can be resized as before.
    let master = nodes(&server, "firesteel.Node").into_iter().find(|node| !is_worker(node)).unwrap();
    end(master.pid);
    held.is_whole();
    let job = held.long_job(20);
    resize(&server, 1);
    has(&server, 1);
    held.is_done(&job, 20);
    held.is_whole();
    until("the Workers that are not needed are gone", || nodes(&server, "firesteel.Node").len(), |count| *count == 2);

    // Nothing is left of a driver that dies, executors and their Python included.
    assert!(!nodes(&server, "CoarseGrainedExecutorBackend").is_empty());
    held.scala.leave();
    held.python.leave();
    end(processes::driver(&data, &server.cluster).pid);
    until("no process of the cluster is left", || server.processes(), Vec::is_empty);
    server.end();
}

/// A standalone cluster as an operator sets one up: a Master and Workers on addresses of their own, with a secret.
struct Grid {
    folder: PathBuf,
    spark_home: PathBuf,
    java_home: String,
    master: String,
    running: Vec<(String, Child)>,
}

impl Grid {
    const MASTER: &str = "127.0.0.2";

    fn start(folder: PathBuf, runtime: &Value) -> Self {
        let port = TcpListener::bind((Self::MASTER, 0)).unwrap().local_addr().unwrap().port();
        let secret = folder.join("secret");
        fs::write(&secret, "of the grid\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let properties = format!(
            "spark.authenticate true\nspark.authenticate.secret of the grid\nspark.master.rest.enabled false\n\
             spark.deploy.recoveryMode FILESYSTEM\nspark.deploy.recoveryDirectory {0}/recovery\nspark.local.dir {0}/blocks\n",
            folder.display()
        );
        fs::create_dir(folder.join("recovery")).unwrap();
        fs::write(folder.join("grid.conf"), properties).unwrap();
        let text = |key: &str| runtime[key].as_str().unwrap().to_owned();
        let master = format!("spark://{}:{port}", Self::MASTER);
        let mut grid = Self {
            folder,
            spark_home: text("spark_home").into(),
            java_home: text("java_home"),
            master,
            running: Vec::new(),
        };
        grid.start_master();
        for host in ["127.0.0.3", "127.0.0.4"] {
            let folder = grid.folder.join(host).display().to_string();
            let master = grid.master.clone();
            let args = ["--cores", "1", "--memory", "512m", "--work-dir", &folder, &master];
            grid.spawn("org.apache.spark.deploy.worker.Worker", host, &args);
        }
        grid
    }

    fn start_master(&mut self) {
        let port = self.master.rsplit(':').next().unwrap().to_owned();
        self.spawn("org.apache.spark.deploy.master.Master", Self::MASTER, &["--port", &port]);
    }

    fn spawn(&mut self, class: &str, host: &str, args: &[&str]) {
        let log = fs::File::options().create(true).append(true).open(self.folder.join(format!("{host}.log"))).unwrap();
        let mut command = Command::new(self.spark_home.join("bin/spark-class"));
        command
            .arg(class)
            .args(["--host", host, "--webui-port", "0", "--properties-file"])
            .arg(self.folder.join("grid.conf"));
        command
            .args(args)
            .env("SPARK_LOCAL_IP", host)
            .env("JAVA_HOME", &self.java_home)
            .env("SPARK_DAEMON_MEMORY", "256m");
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.running.push((host.to_owned(), child));
    }

    fn kill(&mut self, host: &str) {
        let place = self.running.iter().position(|(own, _)| own == host).unwrap();
        let (_, mut child) = self.running.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What is told of the runtime that the first run made.
fn runtime(data: &Path) -> Value {
    let made = fs::read_dir(data.join("runtimes")).unwrap().flatten();
    let told = made.filter_map(|entry| fs::read_to_string(entry.path().join("runtime.json")).ok()).next().unwrap();
    serde_json::from_str(&told).unwrap()
}

fn an_existing_standalone_cluster_runs_what_is_sent_to_it() {
    let data = folders::fresh_data();
    let mut grid = Grid::start(folders::fresh("grid"), &runtime(&data));
    let config = format!(
        "{CONFIG}\n[backends.grid]\nkind = 'standalone'\nmaster = '{}'\nsecret_file = '{}/secret'\n\
         [backends.grid.executor]\ncores = 1\nmemory_mb = 512\n",
        grid.master,
        grid.folder.display()
    );
    fs::write(data.join("firesteel.toml"), format!("default_backend = 'grid'\n{config}")).unwrap();
    // The cluster of the first start has the one worker that this backend needs, though there is room for two.
    let server = Server::start("up", &data, &[]);
    has(&server, 1);
    let jvm = processes::jvm(&data, &server.cluster);
    assert!(jvm.command.contains("SparkSubmit") && !jvm.command.contains("of the grid"), "{}", jvm.command);
    let held = Held::make(&server);
    held.python.text("'_SPARK_AUTH_SECRET' in __import__('os').environ", "False");

    resize(&server, 2);
    has(&server, 2);
    until("a job uses both", || held.executors(), |used| *used == 2);

    // A Worker dies during a job.
    let job = held.long_job(20);
    grid.kill("127.0.0.4");
    held.is_done(&job, 20);
    has(&server, 1);
    assert!(events(&server).iter().any(|kind| kind == "NODES_LOST"));

    // The Master dies and is started again: the application goes on, and finds the Worker that came back.
    grid.kill(Grid::MASTER);
    held.is_whole();
    grid.start_master();
    let (folder, master) = (grid.folder.join("again").display().to_string(), grid.master.clone());
    let args = ["--cores", "1", "--memory", "512m", "--work-dir", &folder, &master];
    grid.spawn("org.apache.spark.deploy.worker.Worker", "127.0.0.4", &args);
    has(&server, 2);
    held.is_whole();
    held.scala.leave();
    held.python.leave();
    server.end();
}
