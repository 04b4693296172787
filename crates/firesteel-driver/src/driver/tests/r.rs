//! R interpreters: processes of the driver's own, and their queries.

use super::*;

fn work(bench: &Bench) -> usize {
    std::fs::read_dir(bench.spec.folder.join("r-work")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn spares_are_made_when_asked_for_and_leave_no_names() {
    let (bench, mut server) = Bench::ready_with(|spec| spec.spares.r = 1).await;
    wait("a spare", || (work(&bench) == 1).then_some(())).await;
    let context = server.open(R).await;
    assert_eq!(server.run(context, R, "echo 1").await, "1");
    wait("the next spare", || (work(&bench) == 2).then_some(())).await;
    wait("its pipes have no names any more", || {
        (std::fs::read_dir(&bench.spec.sockets).unwrap().count() == 2).then_some(())
    })
    .await;
    bench.stop(server).await;
}

#[tokio::test]
async fn none_is_made_before_it_is_needed_and_its_files_go_with_it() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    assert_eq!(work(&bench), 0);
    assert_eq!(server.run(context, R, "echo 1").await, "1");
    assert_eq!(work(&bench), 1);
    server.ask(ToDriver::Close { context }, None).await;
    wait("its files are gone", || (work(&bench) == 0).then_some(())).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn one_that_does_not_start_says_what_it_said() {
    let (bench, mut server) = Bench::ready().await;
    std::fs::write(bench.spec.folder.join("r-fails"), "").unwrap();
    let context = server.open(PYTHON).await;
    let command = server.execute(context, R, "echo 1").await;
    let said = server.lost(context, command).await;
    assert!(said.contains("exit status 3") && said.contains("no R today"), "{said}");
    assert_eq!(server.run(context, PYTHON, "echo 1").await, "1");
    bench.stop(server).await;
}

#[tokio::test]
async fn without_r_its_commands_say_what_to_install() {
    let (bench, mut server) = Bench::ready_with(|spec| spec.r = None).await;
    let context = server.open(PYTHON).await;
    let command = server.execute(context, R, "echo 1").await;
    server.started(context, command).await;
    let said = server.finished(context, command).await;
    assert!(said["cause"].as_str().unwrap().contains("r-base-core"), "{said}");
    assert_eq!(server.run(context, PYTHON, "echo 1").await, "1");
    bench.stop(server).await;
}

#[tokio::test]
async fn one_that_cannot_be_started_says_why() {
    let (bench, mut server) =
        Bench::ready_with(|spec| spec.r.as_mut().unwrap().program = "/nonexistent/Rscript".into()).await;
    let context = server.open(PYTHON).await;
    let command = server.execute(context, R, "echo 1").await;
    let said = server.lost(context, command).await;
    assert!(said.contains("cannot be started") && said.contains("No such file"), "{said}");
    bench.stop(server).await;
}

#[tokio::test]
async fn its_end_is_told_and_the_next_command_gets_a_fresh_one() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    for (source, reason) in [
        ("exit 0", "exit status 0 (quit() ends it)"),
        ("exit 3", "the R process ended: exit status 3"),
        ("kill 11", "killed by signal 11 (SIGSEGV)"),
        ("garbage", "something other than the interpreter's own answers"),
        ("close", "it closed its connection"),
        ("query-twice echo 1", "out of turn"),
        ("query-and-done wait", "it does not run"),
    ] {
        let command = server.execute(context, R, source).await;
        server.started(context, command).await;
        let said = server.lost(context, command).await;
        assert!(said.contains(reason), "{source}: {said}");
        assert_eq!(server.run(context, R, "echo 1").await, "1");
    }
    assert_eq!(server.run(context, SQL, "echo 1").await, "1");
    bench.stop(server).await;
}

#[tokio::test]
async fn code_that_does_not_stop_is_killed() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    let command = server.execute(context, R, "deaf x").await;
    server.started(context, command).await;
    wait("it is deaf", || bench.spec.folder.join("deaf").exists().then_some(())).await;
    server.cancel(context, command).await;
    assert!(server.killed(context, command).await.contains("so its process was killed"));
    assert_eq!(server.run(context, R, "echo 1").await, "1");
    bench.stop(server).await;
}

#[tokio::test]
async fn a_query_is_run_by_the_context_s_sql_interpreter() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    assert_eq!(server.run(context, R, "query echo 5").await, "text: 5");
    assert_eq!(server.run(context, R, "queries 3").await, "text: 0 text: 1 text: 2");
    assert_eq!(server.run(context, SQL, "echo 6").await, "6");
    assert_eq!(server.run(context, R, "query print 7").await, "text: 7");
    let opened = |message: &&Value| message["type"] == "open" && message["language"] == "sql";
    // The spare that was taken, and the one that took its place.
    assert_eq!(bench.heard("jvm").iter().filter(opened).count(), 2);
    bench.stop(server).await;
}

#[tokio::test]
async fn a_cancel_reaches_the_query() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    let command = server.execute(context, R, "query wait").await;
    server.started(context, command).await;
    wait("the query runs", || (bench.count("jvm", "open") > 2).then_some(())).await;
    server.cancel(context, command).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command, lost: None });
    assert_eq!(server.run(context, SQL, "echo 1").await, "1");
    assert_eq!(server.run(context, R, "query echo 2").await, "text: 2");
    bench.stop(server).await;
}

#[tokio::test]
async fn a_query_that_does_not_stop_is_left_behind() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    let command = server.execute(context, R, "query deaf-thread").await;
    server.started(context, command).await;
    server.cancel(context, command).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command, lost: None });
    assert_eq!(server.run(context, SQL, "echo 1").await, "1");
    assert_eq!(server.run(context, R, "query echo 2").await, "text: 2");
    bench.stop(server).await;
}

#[tokio::test]
async fn a_query_whose_asker_died_is_cancelled() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    let command = server.execute(context, R, "query-and-exit 4").await;
    server.started(context, command).await;
    assert!(server.lost(context, command).await.contains("exit status 4"));
    assert_eq!(server.run(context, SQL, "echo 1").await, "1");
    wait("the query is cancelled", || (bench.count("jvm", "cancel") >= 1).then_some(())).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn a_query_without_an_interpreter_is_an_error_in_r() {
    let (bench, mut server) =
        Bench::ready_with(|spec| drop(spec.conf.insert("fake".to_owned(), "no-sql".to_owned()))).await;
    let context = server.open(R).await;
    let said = server.run(context, R, "query echo 1").await;
    assert!(said.starts_with("error: the query was lost") && said.contains("no SQL today"), "{said}");
    assert_eq!(server.run(context, R, "echo 2").await, "2");
    bench.stop(server).await;
}

#[tokio::test]
async fn a_context_that_is_closed_takes_its_query_along() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(R).await;
    let command = server.execute(context, R, "query wait").await;
    server.started(context, command).await;
    server.ask(ToDriver::Close { context }, None).await;
    wait("its files are gone", || (work(&bench) == 0).then_some(())).await;
    wait("the JVM is told", || (bench.count("jvm", "close_context") == 1).then_some(())).await;
    bench.stop(server).await;
}
