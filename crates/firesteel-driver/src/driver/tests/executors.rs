//! Clusters with workers: the Master and the Workers come, go and are replaced, and the number of executors is told.

use super::*;
use crate::spec::{ExecutorsSpec, WorkersSpec};

fn workers(count: u32, max: Option<u32>) -> ExecutorsSpec {
    let args = vec!["python3".into(), peers().display().to_string(), "node".into()];
    let command = CommandSpec { program: "/usr/bin/env".into(), args, env: BTreeMap::new() };
    ExecutorsSpec {
        count,
        max,
        lost_master_seconds: None,
        workers: Some(WorkersSpec { command, cores: 1, memory_mb: 512 }),
    }
}

/// A driver with so many workers, and what it said of its size before it was ready.
async fn started(executors: ExecutorsSpec) -> (Bench, Server, (u32, Option<String>)) {
    let bench = Bench::with(|spec| spec.executors = Some(executors)).await;
    let mut server = bench.connect().await;
    let size = resized(&mut server).await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    (bench, server, size)
}

async fn resized(server: &mut Server) -> (u32, Option<String>) {
    match server.event().await.0 {
        DriverEvent::Resized { executors, reason } => (executors, reason),
        other => panic!("{other:?}"),
    }
}

async fn resize(server: &mut Server, executors: u32, executors_max: u32) -> (u32, Option<String>) {
    server.ask(ToDriver::Resize { executors, executors_max }, None).await;
    resized(server).await
}

/// The processes of fake Masters and Workers, by what they wrote down.
fn living(bench: &Bench) -> Vec<i32> {
    let entries = std::fs::read_dir(bench.spec.folder.join("workers")).unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.split_once('.')?.1.parse::<i32>().ok());
    let mut pids: Vec<i32> = pids.filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
    pids.sort_unstable();
    pids
}

#[tokio::test]
async fn workers_come_and_go_with_the_size_that_is_asked_for() {
    let (bench, mut server, size) = started(workers(1, None)).await;
    assert_eq!(size, (1, None));
    assert_eq!(resize(&mut server, 3, 3).await, (3, None));
    assert_eq!(living(&bench).len(), 3);
    assert_eq!(resize(&mut server, 3, 3).await, (3, None));
    assert_eq!(resize(&mut server, 1, 1).await, (1, None));
    wait("the Workers that are too many are gone", || (living(&bench).len() == 1).then_some(())).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn a_worker_that_dies_is_told_of_and_replaced() {
    let (bench, mut server, _) = started(workers(2, None)).await;
    crate::process::signal(living(&bench)[0], nix::sys::signal::Signal::SIGKILL);
    let (executors, reason) = resized(&mut server).await;
    assert!(
        executors == 1 && reason.as_ref().is_some_and(|reason| reason.contains("Worker")),
        "{executors} {reason:?}"
    );
    assert_eq!(resized(&mut server).await, (2, None));
    assert_eq!(living(&bench).len(), 2);
    bench.stop(server).await;
}

#[tokio::test]
async fn a_master_that_dies_comes_back_to_where_it_was() {
    let (bench, mut server, _) = started(workers(1, None)).await;
    let masters = || {
        let log = std::fs::read_to_string(bench.spec.folder.join("master.pids")).unwrap_or_default();
        log.lines().filter_map(|line| line.parse::<i32>().ok()).collect::<Vec<_>>()
    };
    let first = wait("the Master is known", || masters().first().copied()).await;
    crate::process::signal(first, nix::sys::signal::Signal::SIGKILL);
    wait("another Master serves", || (masters().len() == 2).then_some(())).await;
    // New Workers find it at the old address, or they would end.
    assert_eq!(resize(&mut server, 2, 2).await, (2, None));
    bench.stop(server).await;
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let mut broken = workers(2, None);
    broken.workers.as_mut().unwrap().command.env.insert("FAKE".into(), "failed".into());
    let (bench, server, (_, reason)) = started(broken).await;
    let reason = reason.expect("there are no executors");
    assert!(reason.contains("Workers keep ending") && reason.contains("exit status 3"), "{reason}");
    bench.stop(server).await;
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_with_that_word() {
    let (bench, mut server) = Bench::ready().await;
    let (executors, reason) = resize(&mut server, 2, 2).await;
    assert!(executors == 0 && reason.unwrap().contains("restart"));
    assert_eq!(resize(&mut server, 0, 0).await, (0, None));
    bench.stop(server).await;

    let (bench, mut server, mut size) = started(workers(1, Some(2))).await;
    while size != (2, None) {
        size = resized(&mut server).await; // the second executor is not waited for by the start
    }
    for (least, most) in [(1, 3), (2, 2), (0, 0)] {
        let told = resize(&mut server, least, most).await;
        assert!(told.1.as_ref().is_some_and(|reason| reason.contains("restart")), "{told:?}");
    }
    wait("Workers are there for all executors that may come", || (living(&bench).len() == 2).then_some(())).await;
    bench.stop(server).await;
}
