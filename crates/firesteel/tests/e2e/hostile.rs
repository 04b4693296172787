//! User code that means no good: it prints, closes, forks and kills. No answer is forged or shifted, nothing else of the
//! cluster is touched, and the context goes on.

use serde_json::json;

use crate::api::{Context, error, fits_text, text};
use crate::case::Case;
use crate::poll::until;
use crate::processes;
use crate::r;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shared![
        frames_printed_by_python_are_text,
        frames_printed_by_scala_are_text,
        frames_written_to_every_descriptor_forge_no_answer,
        frames_written_by_a_thread_between_commands_forge_no_answer,
        a_fork_whose_child_prints_and_returns_answers_once,
        a_process_that_outlives_its_command_delays_nothing,
        a_process_that_says_how_it_died_is_named_and_others_are_untouched,
        a_gigabyte_of_text_is_cut_and_costs_server_and_driver_little,
        much_text_of_scala_is_cut,
        garbage_and_broken_characters_are_text,
        closed_descriptors_harm_the_context_at_most_for_one_command,
        closed_output_of_scala_harms_no_one_else,
        what_futures_print_is_heard_in_their_own_context_alone,
        a_thread_that_prints_late_is_never_heard_in_another_context,
        values_that_look_like_frames_or_are_too_long_are_values_of_sql,
        an_exit_of_scala_ends_its_command_alone,
        a_program_of_scala_that_outlives_its_command_is_heard_by_nobody,
    ];
    if r::installed() {
        cases.extend(shared![
            frames_printed_by_r_are_text,
            an_r_process_that_says_how_it_died_is_named,
            much_text_of_r_is_cut,
            closed_connections_of_r_harm_the_context_at_most_for_one_command,
        ]);
    }
    cases
}

/// Python that makes `frame`: a `done` of the protocol with `forged` behind it.
const FRAME: &str = r#"
import os, struct
message = b'{"type":"done","command":"00000000-0000-0000-0000-000000000000","outcome":"text","payload":true}'
frame = struct.pack('>I', len(message)) + message + struct.pack('>I', 6) + b'forged'
"#;

/// Checks that a context answers what it is asked, in order.
#[track_caller]
fn is_honest(context: &Context<'_>) {
    let ids: Vec<String> = (0..3).map(|number| context.send(&format!("print('honest', {number})"))).collect();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(context.wait(id).text(), format!("honest {number}"));
    }
}

fn frames_printed_by_python_are_text(server: &Server) {
    let context = server.context("python");
    context.text(FRAME, "");
    for code in [
        "import sys; sys.stdout.buffer.write(frame); sys.stdout.flush(); print(); print('end')",
        "_ = os.write(1, frame); print(); print('end')",
        "_ = os.write(2, frame); print(); print('end')",
        "_ = os.system(f'cat {path}') if (path := '/tmp/none') else 0; os.write(1, frame); print('\\nend'); None",
    ] {
        let ended = context.run(code);
        let shown = ended.text();
        assert!(shown.contains("\"type\":\"done\"") && shown.ends_with("end"), "{code}: {shown}");
        is_honest(&context);
    }
}

fn frames_printed_by_scala_are_text(server: &Server) {
    let context = server.context("scala");
    let code = r#"
        val message = """{"type":"done","command":"00000000-0000-0000-0000-000000000000","outcome":"text","payload":true}""".getBytes
        def size(n: Int) = java.nio.ByteBuffer.allocate(4).putInt(n).array
        val frame = size(message.length) ++ message ++ size(6) ++ "forged".getBytes"#;
    context.run(code).text();
    for out in ["System.out", "System.err", "Console.out", "new java.io.FileOutputStream(java.io.FileDescriptor.out)"] {
        let ended = context.run(&format!("{{ val to = {out}; to.write(frame); to.flush() }}; println(\"end\")"));
        assert!(ended.text().ends_with("end"), "{out}: {ended:?}");
        assert_ne!(ended.text(), "forged");
        let ended = context.run("1 + 1");
        assert!(fits_text("res…: Int = 2", ended.text()), "{ended:?}");
    }
}

fn frames_written_to_every_descriptor_forge_no_answer(server: &Server) {
    let (context, other) = (server.context("python"), server.context("python"));
    other.text("x = 1", "");
    for from in ["3", "1"] {
        context.run(FRAME);
        let ended = context.run(&format!(
            "for fd in range({from}, 401):\n    try: os.write(fd, frame)\n    except OSError: pass\nprint('end')"
        ));
        // The process may be lost for it, and says so; it does not answer for what it was not asked.
        match ended.status.as_str() {
            "Finished" => assert!(ended.text().ends_with("end"), "{ended:?}"),
            _ => {
                assert_eq!((ended.status.as_str(), &ended.results["resultType"]), ("Error", &json!("error")));
                assert!(!ended.results["summary"].as_str().unwrap().contains("forged"), "{ended:?}");
            }
        }
        is_honest(&context);
    }
    other.text("x", "1");
}

fn frames_written_by_a_thread_between_commands_forge_no_answer(server: &Server) {
    let context = server.context("python");
    context.run(FRAME);
    // The descriptors are written to while the interpreter waits for its next command.
    context.run(
        "import threading, time\n\
         def write():\n    time.sleep(0.2)\n    for fd in range(3, 401):\n        try: os.write(fd, frame)\n        except OSError: pass\n\
         thread = threading.Thread(target=write, daemon=True); thread.start()",
    );
    let ended = context.run("thread.join(); print('joined')");
    assert!(ended.status == "Error" || ended.text() == "joined", "{ended:?}");
    is_honest(&context);
}

fn a_fork_whose_child_prints_and_returns_answers_once(server: &Server) {
    let context = server.context("python");
    context.text(
        "import os\npid = os.fork()\nif pid == 0:\n    print('child')\nelse:\n    os.waitpid(pid, 0)\n    print('parent')",
        "child\nparent",
    );
    is_honest(&context);
    // A child that is still there when the parent is done, and then returns into whatever called it.
    context.run("if os.fork() == 0:\n    import time; time.sleep(0.3)");
    is_honest(&context);
    context.text("time = __import__('time'); time.sleep(0.5); print('later')", "later");
    is_honest(&context);
    // Children in a pool, made by fork and ended by it.
    context
        .text("import multiprocessing\nwith multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))", "[1, 2]");
    is_honest(&context);
}

fn a_process_that_outlives_its_command_delays_nothing(server: &Server) {
    let context = server.context("python");
    let ended = context.run("import subprocess; child = subprocess.Popen(['sleep', '100000']); print(child.pid)");
    let child: i32 = ended.text().parse().unwrap();
    context.text("child.poll()", "");
    // One that leaves its session and its parent: the end of the cluster finds it all the same.
    let ended = context.run("subprocess.run('setsid sleep 100000 > /dev/null 2>&1 & echo $!', shell=True); None");
    ended.text().parse::<i32>().unwrap();
    // One that holds on to the output.
    context.text("subprocess.Popen('sleep 0.5; echo late', shell=True); print('soon')", "soon");
    is_honest(&context);
    assert!(processes::is_alive(child));
    context.destroy();
    until("the context's process is gone", || processes::is_alive(child), |alive| !alive);
}

fn a_process_that_says_how_it_died_is_named_and_others_are_untouched(server: &Server) {
    let (context, other) = (server.context("python"), server.context("python"));
    other.text("kept = 'other'", "");
    context.run_in("scala", "val kept = \"scala\"").text();
    context.run_in("sql", "create temporary view kept as select 1 as a");
    let deaths = [
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os._exit(0)", "exit status 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9 (SIGKILL)"),
        ("import ctypes; ctypes.string_at(0)", "signal 11 (SIGSEGV)"),
        ("import os; os.abort()", "signal 6 (SIGABRT)"),
        ("import os; os.system(f'kill -9 {os.getpid()}'); import time; time.sleep(600)", "signal 9 (SIGKILL)"),
    ];
    for (code, said) in deaths {
        context.text("lost = 1", "");
        let running = context.send(code);
        // Queued behind it: it goes to the next process.
        let queued = context.send("'lost' in globals()");
        let ended = context.wait(&running);
        assert_eq!((ended.status.as_str(), &ended.results["resultType"]), ("Error", &json!("error")), "{code}");
        for key in ["summary", "cause"] {
            assert!(ended.results[key].as_str().unwrap().contains(said), "{code}: {ended:?}");
        }
        assert_eq!(context.wait(&queued).text(), "False");
        assert_eq!(context.status().ok()["status"], json!("Running"));
    }
    other.text("kept", "'other'");
    context.check_in("scala", "kept", &text("…: String = scala"));
    context.check("spark.table('kept').count()", &text("1"));
}

fn a_gigabyte_of_text_is_cut_and_costs_server_and_driver_little(server: &Server) {
    const BYTES: u64 = 1_000_000_000;
    let context = server.context("python");
    for code in [
        "import os\nline = b'x' * 999_999 + b'\\n'\nfor _ in range(1000):\n    left = line\n    while left: left = left[os.write(1, left):]",
        "import sys\nfor _ in range(50): _ = sys.stdout.write('x' * 1_000_000)",
        "'x' * 50_000_000",
    ] {
        let id = context.send(code);
        let ended = context.wait(&id);
        assert!(ended.text().chars().count() < 60_000, "{code}: {}", ended.text().len());
        assert_eq!(ended.results["truncated"], json!(true), "{code}");
        if code.starts_with("import os") {
            // What is not kept has been counted.
            let page = context.output(&id, BYTES / 2, &[]).ok();
            let skipped = page["skipped"].as_u64().unwrap();
            assert_eq!((BYTES / 2 + skipped, &page["complete"]), (page["offset"].as_u64().unwrap(), &json!(true)));
            assert_eq!(page["nextOffset"], json!(BYTES), "{skipped}");
        }
        is_honest(&context);
    }
    let ended = context.run("raise Exception('x' * 50_000_000)");
    assert_eq!(ended.status, "Finished");
    assert!(ended.results.to_string().len() < 2_000_000, "{}", ended.results.to_string().len());
    is_honest(&context);
    for (who, pid) in [("server", server.pid), ("driver", processes::driver(&server.data, &server.cluster).pid)] {
        let peak = processes::kib(pid, "VmHWM");
        assert!(peak < 300 * 1024, "the {who} took {peak} KiB at its peak");
    }
}

fn much_text_of_scala_is_cut(server: &Server) {
    let context = server.context("scala");
    for code in [
        "for (_ <- 1 to 50) print(\"x\" * 1000000)",
        "\"x\" * 50000000",
        "println(\"x\" * 50000000)",
        "val bytes = Array.tabulate(1000000)(_.toByte); System.out.write(bytes); println(\"\\nend\")",
    ] {
        let ended = context.run(code);
        assert!(ended.text().chars().count() < 60_000, "{code}: {}", ended.text().len());
    }
    let ended = context.run("1 + 1");
    assert!(fits_text("res…: Int = 2", ended.text()), "{ended:?}");
}

fn garbage_and_broken_characters_are_text(server: &Server) {
    let context = server.context("python");
    context.text("import os; _ = os.write(1, b'\\xff\\xfe\\x00\\x80 end')", "\u{fffd}\u{fffd}\0\u{fffd} end");
    context.text("_ = os.write(1, '🔥'.encode()[:3])", "\u{fffd}");
    assert!(context.run("_ = os.write(1, bytes(range(256)) * 100); print('end')").text().ends_with("end"));
    assert!(context.run("_ = os.write(1, os.urandom(100_000)); print()").text().chars().count() < 110_000);
    assert_eq!(context.run("print('\\ud800')").status, "Finished");
    assert_eq!(context.run("'\\udfff'").status, "Finished");
    assert_eq!(context.run("raise Exception('\\ud800')").status, "Finished");
    context.text("print('\\x1b[31mred\\x1b[0m\\x00')", "\u{1b}[31mred\u{1b}[0m\0");
    is_honest(&context);
}

fn closed_descriptors_harm_the_context_at_most_for_one_command(server: &Server) {
    let (context, other) = (server.context("python"), server.context("python"));
    other.text("x = 1", "");
    for code in [
        "import sys; sys.stdout.close()",
        "import os; os.close(1)",
        "import os; os.close(1); os.close(2)",
        "import os; os.closerange(3, 400)",
        "import os; os.dup2(os.open('/dev/null', os.O_RDWR), 1)",
        "import sys; sys.stdout = None",
        "import builtins; builtins.print = None; del builtins.print; import sys; del sys.stdout",
    ] {
        let ended = context.run(code);
        assert!(["Finished", "Error"].contains(&ended.status.as_str()), "{code}: {ended:?}");
        let next = context.run("1 + 1");
        assert!(next.status == "Error" || next.text() == "2", "{code}: {next:?}");
        // A fresh start is always to be had.
        let fresh = server.context("python");
        is_honest(&fresh);
        if context.run("import os; os._exit(0)").status == "Error" {
            is_honest(&context);
        }
    }
    other.text("x", "1");
}

fn closed_output_of_scala_harms_no_one_else(server: &Server) {
    let (context, other) = (server.context("scala"), server.context("scala"));
    for code in ["System.out.close()", "Console.out.close()", "System.setOut(null)", "System.in.close()"] {
        context.run(code);
        let ended = context.run("1 + 1");
        assert!(fits_text("res…: Int = 2", ended.text()), "{code}: {ended:?}");
        other.text(&format!("println(\"after {}\")", code.replace('"', "'")), &format!("after {code}"));
        other.text("System.out.println(\"still\")", "still");
    }
}

/// Scala's futures run on threads that all contexts share.
fn what_futures_print_is_heard_in_their_own_context_alone(server: &Server) {
    let contexts = ["a", "b", "c"].map(|name| (name, server.context("scala")));
    for (_, context) in &contexts {
        context.run("import scala.concurrent._, duration.Duration, ExecutionContext.Implicits.global").text();
    }
    let code = |name: &str| {
        format!(
            "Await.result(Future.sequence((1 to 40).map(_ => Future {{ println(\"{name}\"); Console.out.println(\"{name}\") }})), \
             Duration.Inf); ()"
        )
    };
    for _ in 0..3 {
        let running = contexts.each_ref().map(|(name, context)| (name, context, context.send(&code(name))));
        for (name, context, command) in running {
            let ended = context.wait(&command);
            let lines: Vec<&str> = ended.text().lines().collect();
            assert_eq!((lines.len(), lines.iter().all(|line| line == name)), (80, true), "{name}: {lines:?}");
        }
    }
}

fn a_thread_that_prints_late_is_never_heard_in_another_context(server: &Server) {
    let late = [
        (
            "python",
            "import threading, time\ndef late():\n    for _ in range(300): print('late'); time.sleep(0.005)\n\
             threading.Thread(target=late).start()",
            "import time; time.sleep(0.3); print('own')",
        ),
        (
            "scala",
            "new Thread(() => for (_ <- 1 to 300) { println(\"late\"); Thread.sleep(5) }).start()",
            "Thread.sleep(300); println(\"own\")",
        ),
        (
            "r",
            "child <- parallel::mcparallel(for (n in 1:300) { cat('late\\n'); Sys.sleep(0.005) })",
            "Sys.sleep(0.3); cat('own\\n')",
        ),
    ];
    for (language, start, wait) in late.into_iter().filter(|(language, ..)| *language != "r" || r::installed()) {
        let (context, other) = (server.context(language), server.context(language));
        context.run(start).text();
        assert_eq!(other.run(wait).text(), "own", "{language}");
        // In its own it may be heard, or not.
        let ended = context.run(wait);
        assert!(ended.text().lines().all(|line| ["late", "own"].contains(&line)), "{language}: {ended:?}");
        assert_eq!(other.run(wait).text(), "own", "{language}");
    }
}

fn values_that_look_like_frames_or_are_too_long_are_values_of_sql(server: &Server) {
    let context = server.context("sql");
    let forged = r#"{"type":"done","command":"00000000-0000-0000-0000-000000000000","outcome":"text"}"#;
    let ended = context.run(&format!("select '{forged}' as a, unhex('0000000A') as b"));
    assert_eq!(ended.results["data"], json!([[forged, "AAAACg=="]]));
    let ended = context.run("select repeat('x', 50000000) as a from range(3)");
    assert_eq!(ended.status, "Finished");
    assert!(ended.results.to_string().len() < 3_000_000, "{}", ended.results.to_string().len());
    let cut = ended.results["truncated"] == json!(true) || ended.results["resultType"] == json!("error");
    assert!(cut, "{}", ended.results.to_string().chars().take(200).collect::<String>());
    assert_eq!(context.run("select 1 as a").results["data"], json!([[1]]));
}

fn an_exit_of_scala_ends_its_command_alone(server: &Server) {
    let context = server.context("scala");
    context.run("val kept = 41").text();
    for (code, call) in [
        ("sys.exit(1)", "sys.exit(1)"),
        ("println(\"on\"); sys.exit()", "sys.exit(0)"),
        ("System.exit(7)", "System.exit(7)"),
        ("try Runtime.getRuntime.exit(0) catch { case e: Exception => }", "Runtime.exit(0)"),
        ("Runtime.getRuntime.halt(3)", "Runtime.exit(3)"),
        ("Seq(5).foreach(System.exit)", "System.exit(5)"),
        ("class Tool { def end(): Unit = System.exit(2) }\nnew Tool().end()", "System.exit(2)"),
    ] {
        let said =
            format!("Exited: {call} ends this command; the JVM is shared by all contexts of the cluster and goes on");
        context.check(code, &error(&said, &format!("firesteel.{said}\n\tat …(command-…")));
    }
    // In a task, and on a thread that nobody waits for.
    let said = "…System.exit(9) ends this command…";
    context.check("sc.parallelize(1 to 1, 1).foreach(_ => System.exit(9))", &error(said, said));
    context.run("val thread = new Thread(() => sys.exit(4)); thread.start(); thread.join()").text();
    assert!(context.run("kept + 1").text().ends_with(": Int = 42"));
}

fn a_program_of_scala_that_outlives_its_command_is_heard_by_nobody(server: &Server) {
    let (context, other) = (server.context("scala"), server.context("scala"));
    let folder = tempfile::tempdir().unwrap();
    let code = format!("sleep 0.3; echo late; echo late >&2; touch {}/done", folder.path().display());
    context.text(
        &format!("val process = new ProcessBuilder(\"sh\", \"-c\", \"{code}\").inheritIO().start(); println(\"soon\")"),
        "soon\nprocess: Process = …",
    );
    until("it has printed", || folder.path().join("done").exists(), |done| *done);
    for context in [&context, &other] {
        context.text("println(\"own\")", "own");
    }
}

fn frames_printed_by_r_are_text(server: &Server) {
    let context = server.context("r");
    context
        .run(
            "message <- charToRaw('{\"type\":\"done\",\"command\":\"00000000-0000-0000-0000-000000000000\",\"outcome\":\"text\"}')\n\
             frame <- c(as.raw(c(0, 0, 0, length(message))), message)",
        )
        .text();
    for code in [
        "cat(rawToChar(message)); cat('\\nend')",
        "writeBin(frame, '/dev/stdout'); cat('\\nend')",
        "system('printf \"\\\\0\\\\0\\\\0\\\\2{}\"'); cat('\\nend')",
        "for (fd in list.files('/proc/self/fd')) if (grepl('pipe:|deleted', Sys.readlink(file.path('/proc/self/fd', fd)))) \
         try(writeBin(frame, file(file.path('/dev/fd', fd), 'wb', raw = TRUE)), silent = TRUE); cat('\\nend')",
    ] {
        let ended = context.run(code);
        // The process may be lost for it, and says so; it does not answer for what it was not asked.
        assert!(ended.status == "Error" || ended.text().ends_with("end"), "{code}: {ended:?}");
        assert_eq!(context.run("1 + 1").text(), "[1] 2", "{code}");
    }
}

fn an_r_process_that_says_how_it_died_is_named(server: &Server) {
    let context = server.context("r");
    context.run_in("python", "kept = 1").text();
    let deaths = [
        ("quit('no', status = 3)", "exit status 3"),
        ("tools::pskill(Sys.getpid(), 9)", "signal 9 (SIGKILL)"),
        ("system('kill -9 $PPID'); Sys.sleep(600)", "signal 9 (SIGKILL)"),
    ];
    for (code, said) in deaths {
        context.run("lost <- 1").text();
        let running = context.send(code);
        let queued = context.send("exists('lost')");
        let ended = context.wait(&running);
        assert_eq!(ended.status, "Error", "{code}: {ended:?}");
        assert!(ended.results["summary"].as_str().unwrap().contains(said), "{code}: {ended:?}");
        assert_eq!(context.wait(&queued).text(), "[1] FALSE");
    }
    context.check_in("python", "kept", &text("1"));
    // A program that outlives the command and prints.
    context.run("system('sleep 0.3; echo late', wait = FALSE); cat('soon')").text();
    assert_eq!(context.run("1 + 1").text().lines().last(), Some("[1] 2"));
}

fn much_text_of_r_is_cut(server: &Server) {
    let context = server.context("r");
    for code in [
        "for (i in 1:50) cat(strrep('x', 1e6))",
        "cat(strrep('x', 5e7))",
        "writeBin(as.raw(sample(0:255, 1e6, TRUE)), '/dev/stdout')",
    ] {
        let ended = context.run(code);
        assert!(ended.text().chars().count() < 60_000, "{code}: {}", ended.text().len());
        assert_eq!(ended.results["truncated"], json!(true), "{code}");
    }
    assert_eq!(context.run("1 + 1").text(), "[1] 2");
}

fn closed_connections_of_r_harm_the_context_at_most_for_one_command(server: &Server) {
    let context = server.context("r");
    for code in
        ["closeAllConnections()", "for (n in 3:40) try(close(getConnection(n)), silent = TRUE)", "sink('/dev/null')"]
    {
        let ended = context.run(code);
        assert!(["Finished", "Error"].contains(&ended.status.as_str()), "{code}: {ended:?}");
        let next = context.run("1 + 1");
        assert!(next.status == "Error" || ["", "[1] 2"].contains(&next.text()), "{code}: {next:?}");
        // A fresh start is always to be had.
        context.run("quit('no')");
        assert_eq!(context.run("1 + 1").text(), "[1] 2");
    }
}
