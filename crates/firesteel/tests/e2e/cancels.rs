//! A cancel ends the code, or takes what the code ran in and says so; the context's next command runs at once.

use std::fs;
use std::path::Path;

use nix::sys::stat::Mode;
use serde_json::Value;

use crate::api::{Context, error, fits, fits_text};
use crate::case::Case;
use crate::commands::wait_for_file;
use crate::poll::until;
use crate::server::Server;
use crate::{processes, r};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shared![
        a_queued_command_that_is_cancelled_never_runs,
        a_cancel_after_the_end_changes_nothing,
        a_cancel_asked_twice_is_one_cancel,
        a_cancel_that_meets_the_end_is_one_or_the_other,
        what_a_cancelled_command_started_ends_with_it,
        what_was_there_before_a_cancelled_command_stays,
    ];
    let with_r = r::installed();
    cases.extend(CANCELS.iter().filter(|cancel| with_r || cancel.language != "r").map(|cancel| {
        let name = format!("{}::{}::{}", module_path!(), cancel.language, cancel.name);
        Case::shared(&name, |server| stops(server, cancel))
    }));
    cases
}

/// One kind of code and what its cancel leaves.
struct Cancel {
    language: &'static str,
    name: &'static str,
    /// Makes the file `FOLDER/begun`, then goes on for ever. A process that it starts has `FOLDER` among its arguments.
    code: &'static str,
    leaves: Leaves,
}

/// What is left of a context when its command was cancelled.
enum Leaves {
    /// Everything it held.
    All,
    /// A fresh interpreter, and a word that there was another.
    Fresh,
    /// Nothing: the context says that it is lost.
    Nothing,
}
use Leaves::{All, Fresh, Nothing};

const fn python(name: &'static str, code: &'static str, leaves: Leaves) -> Cancel {
    Cancel { language: "python", name, code, leaves }
}

const fn scala(name: &'static str, code: &'static str, leaves: Leaves) -> Cancel {
    Cancel { language: "scala", name, code, leaves }
}

const fn sql(name: &'static str, code: &'static str) -> Cancel {
    Cancel { language: "sql", name, code, leaves: All }
}

const fn of_r(name: &'static str, code: &'static str, leaves: Leaves) -> Cancel {
    Cancel { language: "r", name, code, leaves }
}

static CANCELS: &[Cancel] = &[
    python(
        "a_spark_job",
        "import time\ndef slow(i):\n    open('FOLDER/begun', 'w').close()\n    time.sleep(600)\nsc.parallelize(range(100), 100).foreach(slow)",
        All,
    ),
    python(
        "a_dataframe",
        "open('FOLDER/begun', 'w').close()\nspark.range(10**7).crossJoin(spark.range(10**7).toDF('b')).groupBy().sum().collect()",
        All,
    ),
    python(
        "a_query_in_many_stages",
        "open('FOLDER/begun', 'w').close()\nwide = lambda: spark.range(0, 10**8, 1, 8).selectExpr('id', 'id % 1000 as k').repartition('k')\nwide().join(wide(), 'k').groupBy('k').count().join(wide(), 'k').count()",
        All,
    ),
    python(
        "a_udf_that_loops",
        "from pyspark.sql.functions import udf\n@udf('long')\ndef forever(x):\n    import subprocess, sys\n    open('FOLDER/begun', 'w').close()\n    while True: pass\nspark.range(1).select(forever('id')).collect()",
        All,
    ),
    python(
        "a_streaming_query",
        "query = spark.readStream.format('rate').load().writeStream.format('noop').start()\nopen('FOLDER/begun', 'w').close()\nquery.awaitTermination()",
        All,
    ),
    python("a_sleep", "import time\nopen('FOLDER/begun', 'w').close()\ntime.sleep(600)", All),
    python("a_loop", "open('FOLDER/begun', 'w').close()\nwhile True: pass", All),
    python(
        "a_loop_that_catches_exceptions",
        "open('FOLDER/begun', 'w').close()\nwhile True:\n    try: sum(range(1000))\n    except Exception: pass",
        All,
    ),
    python(
        "a_loop_that_catches_the_interrupt",
        "import time\nopen('FOLDER/begun', 'w').close()\nwhile True:\n    try: time.sleep(0.01)\n    except KeyboardInterrupt: continue",
        All,
    ),
    python(
        "a_loop_that_catches_everything",
        "import time\nopen('FOLDER/begun', 'w').close()\nwhile True:\n    try: time.sleep(0.01)\n    except: pass",
        All,
    ),
    python(
        "a_handler_of_its_own",
        "import signal, time\n_ = signal.signal(signal.SIGINT, signal.SIG_IGN)\nopen('FOLDER/begun', 'w').close()\ntime.sleep(600)",
        All,
    ),
    python("c_code_that_holds_the_gil", "open('FOLDER/begun', 'w').close()\nsum(range(10**13))", Fresh),
    python(
        "a_process_that_is_waited_for",
        "import subprocess\nopen('FOLDER/begun', 'w').close()\nsubprocess.run(['sh', '-c', 'tail -f FOLDER/pipe; :'])",
        All,
    ),
    python(
        "a_process_by_system",
        "import os\nos.system('touch FOLDER/begun; sh -c \"tail -f FOLDER/pipe; :\"; :')\nwhile True: pass",
        All,
    ),
    python("a_process_by_a_magic", "!touch FOLDER/begun; sh -c 'tail -f FOLDER/pipe; :'", All),
    python(
        "a_process_that_holds_on",
        "import subprocess\nopen('FOLDER/begun', 'w').close()\nsubprocess.run(['sh', '-c', 'trap \"\" INT TERM; while :; do sh -c \"exec tail -f FOLDER/pipe\"; done'])",
        All,
    ),
    python(
        "processes_of_a_pool",
        "import multiprocessing, time\nopen('FOLDER/begun', 'w').close()\nwith multiprocessing.Pool(2) as pool: pool.map(time.sleep, [600, 600])",
        All,
    ),
    python(
        "a_thread_that_is_waited_for",
        "import threading\ndef loop():\n    open('FOLDER/begun', 'w').close()\n    while True: pass\nthread = threading.Thread(target=loop); thread.start(); thread.join()",
        All,
    ),
    python(
        "a_lock",
        "import threading\nopen('FOLDER/begun', 'w').close()\nlock = threading.Lock(); lock.acquire(); lock.acquire()",
        All,
    ),
    python("an_await", "import asyncio\nopen('FOLDER/begun', 'w').close()\nawait asyncio.sleep(600)", All),
    python(
        "a_task_that_catches_its_cancel",
        "import asyncio\nasync def forever():\n    while True:\n        try: await asyncio.sleep(600)\n        except asyncio.CancelledError: pass\nopen('FOLDER/begun', 'w').close()\nawait forever()",
        All,
    ),
    scala(
        "a_spark_job",
        "sc.parallelize(1 to 100, 100).foreach { i => new java.io.File(\"FOLDER/begun\").createNewFile(); Thread.sleep(600000) }",
        All,
    ),
    scala(
        "a_task_that_loops",
        "sc.parallelize(1 to 1, 1).foreach { i => new java.io.File(\"FOLDER/begun\").createNewFile(); while (true) {} }",
        All,
    ),
    scala(
        "a_streaming_query",
        "val query = spark.readStream.format(\"rate\").load().writeStream.format(\"noop\").start(); new java.io.File(\"FOLDER/begun\").createNewFile(); query.awaitTermination()",
        All,
    ),
    scala("a_sleep", "new java.io.File(\"FOLDER/begun\").createNewFile(); Thread.sleep(600000)", All),
    scala("a_loop", "new java.io.File(\"FOLDER/begun\").createNewFile(); while (true) {}", All),
    scala(
        "a_loop_that_counts",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); var turns = 0L; while (true) turns += 1",
        All,
    ),
    scala(
        "a_tail_recursion",
        "@scala.annotation.tailrec def turn(n: Long): Long = if (n < 0) n else turn((n + 1) & 1023)\nnew java.io.File(\"FOLDER/begun\").createNewFile(); turn(0)",
        All,
    ),
    scala(
        "a_lazy_list",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); LazyList.from(1).map(_ + 1).foreach(_ => ())",
        All,
    ),
    scala(
        "a_swallowed_exception",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); while (true) { try { Thread.sleep(10) } catch { case e: Exception => } }",
        All,
    ),
    scala(
        "a_swallowed_throwable",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); while (true) { try { Thread.sleep(10) } catch { case e: Throwable => } }",
        All,
    ),
    scala(
        "a_future_that_is_waited_for",
        "import scala.concurrent._, duration._, ExecutionContext.Implicits.global\nval future = Future { new java.io.File(\"FOLDER/begun\").createNewFile(); while (true) {} }\nAwait.result(future, Duration.Inf)",
        All,
    ),
    scala(
        "a_thread_that_is_waited_for",
        "val thread = new Thread(() => { new java.io.File(\"FOLDER/begun\").createNewFile(); while (true) {} }); thread.start(); thread.join()",
        All,
    ),
    scala(
        "a_wait",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); new java.util.concurrent.CountDownLatch(1).await()",
        All,
    ),
    scala(
        "a_program",
        "import sys.process._\nnew java.io.File(\"FOLDER/begun\").createNewFile(); Seq(\"sh\", \"-c\", \"tail -f FOLDER/pipe; :\").!",
        All,
    ),
    scala(
        "a_program_of_java_s_own",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); new ProcessBuilder(\"sh\", \"-c\", \"tail -f FOLDER/pipe; :\").start().waitFor()",
        All,
    ),
    scala(
        "a_pipe_of_programs",
        "import sys.process._\nnew java.io.File(\"FOLDER/begun\").createNewFile(); (Seq(\"sh\", \"-c\", \"tail -f FOLDER/pipe; :\") #| \"cat\").!",
        All,
    ),
    scala(
        "a_read_that_nothing_ends",
        "new java.io.File(\"FOLDER/begun\").createNewFile(); new java.io.FileInputStream(\"FOLDER/pipe\").read()",
        Nothing,
    ),
    sql("a_cross_join", "select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b"),
    sql("a_script", "select 1; select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b; select 2"),
    of_r("a_loop", "invisible(file.create('FOLDER/begun')); while (TRUE) {}", All),
    of_r("a_sleep", "invisible(file.create('FOLDER/begun')); Sys.sleep(600)", All),
    of_r("a_process", "invisible(file.create('FOLDER/begun')); system(\"sh -c 'tail -f FOLDER/pipe; :'\")", All),
    of_r(
        "a_query",
        "invisible(file.create('FOLDER/begun')); sql('select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b')",
        All,
    ),
    of_r(
        "a_swallowed_error",
        "invisible(file.create('FOLDER/begun')); repeat try(Sys.sleep(0.01), silent = TRUE)",
        All,
    ),
    of_r(
        // One that only catches them ends when one comes between two rounds.
        "a_loop_that_puts_interrupts_off",
        "suspendInterrupts({ file.create('FOLDER/begun'); while (TRUE) {} })",
        Fresh,
    ),
];

/// What a command that was cancelled answers with.
fn cancelled() -> Value {
    error("Command cancelled", "com.databricks.backend.common.rpc.CommandCancelledException\n\tat …")
}

/// In each language: something to keep, to ask for it, and how the answer ends while it is there.
pub(crate) fn keepsake(language: &str) -> [&'static str; 3] {
    match language {
        "python" => ["kept = 41", "kept + 1", "42"],
        "scala" => ["val kept = 41", "kept + 1", " = 42"],
        "r" => ["kept <- 41", "kept + 1", "[1] 42"],
        _ => ["create temporary view kept as select 41 as a", "select a + 1 as b from kept", "[[42]]"],
    }
}

fn stops(server: &Server, cancel: &Cancel) {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    nix::unistd::mkfifo(&folder.path().join("pipe"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let context = server.context(cancel.language);
    let [keep, ask, kept] = keepsake(cancel.language);
    assert_eq!(context.run(keep).status, "Finished");
    let command = context.send(&cancel.code.replace("FOLDER", folder.path().to_str().unwrap()));
    match cancel.language {
        "sql" => context.wait_for(&command, "Running"),
        _ => drop(until("the code has begun", || begun.exists() || is_over(&context, &command), |begun| *begun)),
    }
    let next = context.send(ask);
    assert_eq!(context.cancel(&command).id(), command);
    let view = context.command(&command).ok();
    assert!(view["results"].is_object() && view["status"] != "Running", "once a cancel was accepted: {view}");
    let ended = context.wait(&command);
    let summary = ended.results["summary"].as_str().unwrap().to_owned();
    match cancel.leaves {
        All => {
            assert_eq!((ended.status.as_str(), fits(&cancelled(), &ended.results)), ("Cancelled", true), "{ended:?}");
            let shown = context.wait(&next).results["data"].clone();
            let shown = shown.as_str().map_or_else(|| shown.to_string(), str::to_owned);
            assert!(shown.ends_with(kept), "{shown}");
        }
        Fresh => {
            assert_eq!(ended.status, "Cancelled", "{ended:?}");
            assert!(fits_text("Command cancelled: …did not stop…is lost…", &summary), "{ended:?}");
            let cause = ended.results["cause"].as_str().unwrap();
            assert!(cause.starts_with("com.databricks.backend.common.rpc.CommandCancelledException"), "{cause}");
            assert!(cause.contains(&summary), "{cause}");
            assert_eq!(context.wait(&next).results["resultType"], "error");
            assert_eq!(context.run(keep).status, "Finished");
        }
        Nothing => {
            assert_eq!(ended.status, "Error", "{ended:?}");
            assert!(summary.contains("did not stop"), "{ended:?}");
            assert_eq!(context.status().ok()["status"], "Error");
            let other = server.context(cancel.language);
            assert_eq!(other.run(keep).status, "Finished");
            // It goes on in the JVM for now; its file lets it end.
            fs::write(folder.path().join("pipe"), "x").unwrap();
        }
    }
    until("no process that it started is left", || processes::with_argument(folder.path()), Vec::is_empty);
    if matches!(cancel.leaves, All) && (cancel.language == "sql" || cancel.code.contains("spark.range")) {
        let code = format!(
            "(lambda of: [job for job in of.getJobIdsForGroup('firesteel-{}') if of.getJobInfo(job).status == 'RUNNING'])\
             (sc.statusTracker())",
            context.id
        );
        // Adaptive execution may submit one of its stages when the command is over.
        until("no job of it is left", || context.run_in("python", &code).text().to_owned(), |jobs| jobs == "[]");
    }
}

fn is_over(context: &Context<'_>, command: &str) -> bool {
    let view = context.command(command).ok();
    assert!(["Queued", "Running"].contains(&view["status"].as_str().unwrap()), "it ended by itself: {view}");
    false
}

fn a_queued_command_that_is_cancelled_never_runs(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let context = server.context("python");
    let first = context.send(&wait_for_file(&file));
    let second = context.send("ran = True");
    let third = context.send("'ran' in globals()");
    assert_eq!(context.cancel(&second).id(), second);
    let ended = context.wait(&second);
    assert_eq!(ended.status, "Cancelled");
    assert!(fits(&cancelled(), &ended.results), "{ended:?}");
    // The first still ran when the second was over.
    assert_eq!(context.command(&first).ok()["status"], "Running");
    fs::write(&file, "").unwrap();
    assert_eq!(context.wait(&third).text(), "False");
}

fn a_cancel_after_the_end_changes_nothing(server: &Server) {
    let context = server.context("python");
    for (code, status) in [("print('done')", "Finished"), ("1/0", "Finished"), ("import os; os._exit(1)", "Error")] {
        let command = context.send(code);
        let before = context.wait(&command);
        assert_eq!(before.status, status);
        assert_eq!(context.cancel(&command).id(), command);
        assert_eq!(context.wait(&command), before);
    }
}

fn a_cancel_asked_twice_is_one_cancel(server: &Server) {
    let context = server.context("python");
    let command = context.send("import time; time.sleep(600)");
    context.wait_for(&command, "Running");
    for _ in 0..3 {
        assert_eq!(context.cancel(&command).id(), command);
    }
    assert_eq!(context.wait(&command).status, "Cancelled");
    assert_eq!(context.cancel(&command).id(), command);
    // No second interrupt hits what comes next.
    context.text("time.sleep(0.3); print('untouched')", "untouched");
}

/// Commands that end by themselves at about the moment their cancel comes.
fn a_cancel_that_meets_the_end_is_one_or_the_other(server: &Server) {
    for (language, code, next) in [
        ("python", "import time; time.sleep(0.0N); print('N')", "print('next')"),
        ("scala", "Thread.sleep(N); println(\"N\")", "println(\"next\")"),
    ] {
        let context = server.context(language);
        for number in 1..=9 {
            let command = context.send(&code.replace('N', &number.to_string()));
            until("it has begun", || context.command(&command).ok()["status"].clone(), |status| status != "Queued");
            let after = context.send(next);
            assert_eq!(context.cancel(&command).id(), command);
            let ended = context.wait(&command);
            match ended.status.as_str() {
                "Finished" => assert_eq!(ended.text(), number.to_string()),
                _ => assert!(ended.status == "Cancelled" && fits(&cancelled(), &ended.results), "{ended:?}"),
            }
            assert_eq!(context.wait(&after).text(), "next", "the cancel reaches no other command");
        }
    }
}

/// Code that starts a streaming query, and code that tells whether the context has a live one.
const STREAMS: [(&str, &str, &str); 2] = [
    (
        "python",
        "query = spark.readStream.format('rate').load().writeStream.format('noop').start()",
        "len(spark.streams.active) > 0",
    ),
    (
        "scala",
        "val query = spark.readStream.format(\"rate\").load().writeStream.format(\"noop\").start()",
        "println(spark.streams.active.nonEmpty)",
    ),
];

/// Runs a command that must be cancelled, once it has made the file.
#[track_caller]
fn cancel(context: &Context<'_>, code: &str, begun: &Path) {
    let command = context.send(code);
    until("the code has begun", || begun.exists() || is_over(context, &command), |begun| *begun);
    context.cancel(&command);
    assert_eq!(context.wait(&command).status, "Cancelled");
    fs::remove_file(begun).unwrap();
}

/// A thread's name.
const BEAT: &str = "beat of a cancelled command";

fn what_a_cancelled_command_started_ends_with_it(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    for (language, start, is_live) in STREAMS {
        let context = server.context(language);
        let (thread, wait) = match language {
            "python" => (
                format!(
                    "import threading, time\ndef beat():\n    while True: time.sleep(0.01)\n\
                     threading.Thread(target=beat, name='{BEAT}').start()"
                ),
                format!("open({begun:?}, 'w').close()\ntime.sleep(600)"),
            ),
            _ => (
                format!("new Thread(() => while (true) Thread.sleep(10), \"{BEAT}\").start()"),
                format!("new java.io.File({begun:?}).createNewFile(); Thread.sleep(600000)"),
            ),
        };
        cancel(&context, &format!("{start}\n{thread}\n{wait}"), &begun);
        assert_eq!(context.run(is_live).text().to_lowercase(), "false", "{language}");
        let lives = match language {
            "python" => format!("any(thread.name == '{BEAT}' for thread in threading.enumerate())"),
            _ => format!("println(Thread.getAllStackTraces.keySet.stream.anyMatch(_.getName == \"{BEAT}\"))"),
        };
        until("the thread has ended", || context.run(&lives).text().to_lowercase(), |lives| lives == "false");
    }
}

fn what_was_there_before_a_cancelled_command_stays(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    for (language, start, is_live) in STREAMS {
        let context = server.context(language);
        context.run(start).text();
        let (program, lives, wait) = match language {
            "python" => (
                "import subprocess; program = subprocess.Popen(['sleep', '600'])",
                "program.poll() is None",
                format!("import time; open({begun:?}, 'w').close(); time.sleep(600)"),
            ),
            _ => (
                "val program = new ProcessBuilder(\"sleep\", \"600\").start()",
                "println(program.isAlive)",
                format!("new java.io.File({begun:?}).createNewFile(); Thread.sleep(600000)"),
            ),
        };
        context.run(program).text();
        cancel(&context, &wait, &begun);
        for what in [is_live, lives] {
            assert_eq!(context.run(what).text().to_lowercase(), "true", "{language}: {what}");
        }
        if language == "scala" {
            context.run("program.destroy()").text();
        }
    }
}
