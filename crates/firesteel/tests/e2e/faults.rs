//! `kill -9` of every process of a cluster with a worker, in turn and under load: `cargo xtask faults`. Counted is what must never be: a process
//! that is left over, a state that is not so, a context that is lost without need.
//!
//! It takes a minute and more a round, so it is left out unless a number of rounds is given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::api::{Context, Ended};
use crate::case::Case;
use crate::folders;
use crate::nodes::{Cluster, is_worker};
use crate::poll::until;
use crate::processes::{self, Process};
use crate::server::Server;

/// How many rounds.
const ROUNDS: &str = "FIRESTEEL_FAULT_ROUNDS";

/// How long what must come true may take until it is counted as a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long processes of something that was killed may be seen.
const SWEEP: Duration = Duration::from_secs(15);

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

pub(crate) fn cases() -> Vec<Case> {
    if rounds() == 0 { Vec::new() } else { own![nothing_is_left_or_lost_whatever_is_killed] }
}

fn rounds() -> usize {
    std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or_default()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Server,
    Driver,
    Jvm,
    Master,
    Worker,
    Python,
}

const VICTIMS: [Victim; 6] =
    [Victim::Server, Victim::Driver, Victim::Jvm, Victim::Master, Victim::Worker, Victim::Python];

/// What was seen of one kind of death.
#[derive(Clone, Debug, Default)]
struct Seen {
    deaths: usize,
    orphans: usize,
    wrong_states: usize,
    lost_contexts: usize,
    /// From the death until everything was as it must be.
    slowest: Duration,
}

fn nothing_is_left_or_lost_whatever_is_killed() {
    let data = folders::fresh_data();
    std::fs::write(data.join("firesteel.toml"), CONFIG).unwrap();
    let mut bench = Bench { server: Server::start("serve", &data, &[]), data };
    bench.cluster().edit(&json!({"num_workers": 1}));
    let mut seen = BTreeMap::<Victim, Seen>::new();
    for round in 1..=rounds() {
        for victim in VICTIMS {
            bench.round(victim, round, seen.entry(victim).or_default());
            eprintln!("round {round}, {victim:?}: {:?}", seen[&victim]);
        }
    }
    eprintln!(
        "\n| killed | times | orphans | wrong states | lost contexts | as it must be after, at most |\n|---|---|---|---|---|---|"
    );
    for (victim, seen) in &seen {
        let Seen { deaths, orphans, wrong_states, lost_contexts, slowest } = seen;
        eprintln!(
            "| {victim:?} | {deaths} | {orphans} | {wrong_states} | {lost_contexts} | {:.1} s |",
            slowest.as_secs_f64()
        );
    }
    let Bench { server, .. } = bench;
    server.signal(Signal::SIGTERM);
    let driver = processes::driver(&server.data, &server.cluster);
    kill(Pid::from_raw(driver.pid), Signal::SIGTERM).unwrap();
    until("none of its processes is left", || server.processes(), Vec::is_empty);
    assert!(seen.values().all(|seen| seen.orphans + seen.wrong_states + seen.lost_contexts == 0), "{seen:#?}");
}

struct Bench {
    server: Server,
    data: PathBuf,
}

/// Looks until it is so; false where it does not come to that.
fn becomes(patience: Duration, so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !so() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

impl Bench {
    fn round(&mut self, victim: Victim, round: usize, seen: &mut Seen) {
        let load = Load::start(&self.server, round);
        let before = self.cluster().view();
        let pid = self.pid(victim);
        seen.deaths += 1;
        let ids = load.leave();
        let begun = Instant::now();
        if victim == Victim::Server {
            self.server.signal(Signal::SIGKILL);
            self.server = Server::start("serve", &self.data, &[]);
        } else {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        let load = Load::found(&self.server, &ids, round);
        if matches!(victim, Victim::Driver | Victim::Jvm) {
            seen.wrong_states += usize::from(!becomes(PATIENCE, || self.state() == "ERROR"));
            seen.wrong_states += load.contexts().filter(|context| !is(context, "Error")).count();
            seen.orphans += self.orphans(&[]);
            self.server.http.post("/api/2.1/clusters/restart", &json!({"cluster_id": self.server.cluster})).ok();
        }
        let is_back = || {
            self.state() == "RUNNING" && self.cluster().view()["executors"].as_array().is_some_and(|all| all.len() == 1)
        };
        seen.wrong_states += usize::from(!becomes(PATIENCE, is_back));
        if !matches!(victim, Victim::Driver | Victim::Jvm) {
            seen.wrong_states += usize::from(self.cluster().view()["spark_context_id"] != before["spark_context_id"]);
            seen.lost_contexts += load.lost(victim);
            // The one that is dead has a successor.
            seen.wrong_states += usize::from(!becomes(PATIENCE, || self.is_whole()));
        }
        seen.orphans += self.orphans(&self.living());
        seen.slowest = seen.slowest.max(begun.elapsed());
        load.destroy();
    }

    fn cluster(&self) -> Cluster<'_> {
        Cluster::own(&self.server)
    }

    fn state(&self) -> String {
        self.cluster().view()["state"].as_str().unwrap().to_owned()
    }

    fn pid(&self, victim: Victim) -> i32 {
        let (data, cluster) = (&self.data, &self.server.cluster);
        let mut nodes = self.cluster().nodes().into_iter();
        match victim {
            Victim::Server => self.server.pid,
            Victim::Driver => processes::driver(data, cluster).pid,
            Victim::Jvm => self.cluster().application().pid,
            Victim::Master => nodes.find(|node| !is_worker(node)).expect("a Master").pid,
            Victim::Worker => nodes.find(is_worker).expect("a Worker").pid,
            Victim::Python => self.python_parent().expect("a parent of the Python processes").pid,
        }
    }

    /// Tells whether every process of the cluster that may die is there.
    fn is_whole(&self) -> bool {
        let nodes = self.cluster().nodes();
        let workers = nodes.iter().filter(|node| is_worker(node)).count();
        (workers, nodes.len()) == (1, 2) && self.python_parent().is_some()
    }

    /// The one that the driver itself has started.
    fn python_parent(&self) -> Option<Process> {
        let driver = processes::driver(&self.data, &self.server.cluster).pid;
        let python = |process: &Process| process.command.contains("firesteel_python");
        self.server.processes().into_iter().find(|process| python(process) && process.parent() == Some(driver))
    }

    /// The mark that the processes of the living driver carry.
    fn living(&self) -> Vec<String> {
        let mark = self.data.join("clusters").join(&self.server.cluster).join("mark");
        std::fs::read_to_string(mark).into_iter().collect()
    }

    /// Counts what carries another mark, once it had time to go.
    fn orphans(&self, living: &[String]) -> usize {
        let of_living = |process: &Process| living.iter().any(|mark| process.environment.contains(mark));
        let left = || processes::marked(&self.server.cluster).iter().filter(|process| !of_living(process)).count();
        if becomes(SWEEP, || left() == 0) { 0 } else { left() }
    }
}

/// Contexts that hold something, with a command running in each.
struct Load<'a> {
    scala: Context<'a>,
    python: Context<'a>,
    /// The command that runs in each of them, and the round.
    running: [String; 2],
    round: usize,
}

/// What is left of a load while its server is away.
struct Left {
    contexts: [String; 2],
    running: [String; 2],
}

impl<'a> Load<'a> {
    fn start(server: &'a Server, round: usize) -> Self {
        let [scala, python] = ["scala", "python"].map(|language| server.pending_context(language));
        [&scala, &python].into_iter().for_each(Context::wait_running);
        scala.run(&format!("val kept = {round}")).text();
        python.text(&format!("kept = {round}"), "");
        let running = [
            scala.send("sc.parallelize(1 to 8, 8).map { n => Thread.sleep(500); n }.sum"),
            python.send("import time\nfor _ in range(80): time.sleep(0.1)\nsum(range(9))"),
        ];
        python.wait_for(&running[1], "Running");
        until("the job has begun", || scala.command(&running[0]).ok(), |seen| seen["status"] != "Queued");
        Self { scala, python, running, round }
    }

    fn leave(self) -> Left {
        Left { contexts: [self.scala.leave(), self.python.leave()], running: self.running }
    }

    fn found(server: &'a Server, left: &Left, round: usize) -> Self {
        let [scala, python] = &left.contexts;
        let running = left.running.clone();
        Self { scala: server.context_of(scala, "scala"), python: server.context_of(python, "python"), running, round }
    }

    fn contexts(&self) -> impl Iterator<Item = &Context<'a>> {
        [&self.scala, &self.python].into_iter()
    }

    /// How many contexts do not hold what they held, or did not come to the end of what they ran.
    fn lost(&self, victim: Victim) -> usize {
        let kept = format!("{}", self.round);
        let scala =
            ends(&self.scala.wait(&self.running[0]), "36.0") && ends(&self.scala.run("kept"), &format!("= {kept}"));
        let ran = self.python.wait(&self.running[1]);
        let python = match victim {
            // With the parent of the Python processes goes what they held; the context has a fresh one.
            Victim::Python => ran.status == "Error" && ends(&self.python.run("1 + 1"), "2"),
            _ => ends(&ran, "36") && ends(&self.python.run("kept"), &kept),
        };
        if !python {
            eprintln!("Python, after the death of {victim:?}: {ran:?}");
        }
        [scala, python].into_iter().filter(|held| !held).count()
    }

    fn destroy(self) {
        // Those of a driver that died went with the restart: they destroy nothing then.
        drop((self.scala, self.python));
    }
}

/// Tells whether a command ended with this text.
fn ends(ended: &Ended, expected: &str) -> bool {
    let fits =
        ended.status == "Finished" && ended.results["data"].as_str().is_some_and(|data| data.ends_with(expected));
    if !fits {
        eprintln!("it was to end with `{expected}`: {ended:?}");
    }
    fits
}

fn is(context: &Context<'_>, status: &str) -> bool {
    becomes(PATIENCE, || context.status().ok()["status"] == status)
}
