"""The JVM side against a played driver: one JVM for the whole suite."""

import base64
import json
import os
import tempfile
import threading
import time
import unittest

from driver import Jvm, result_entries, until

FRAMES = os.path.join(os.path.dirname(__file__), "..", "..", "..", "tests", "frames")


def setUpModule():
    global jvm, scala, sql
    jvm = Jvm(limits={"rows_max": 100, "table_bytes_max": 20000, "text_chars_max": 5000, "result_bytes_max": 1 << 20})
    scala = jvm.open("scala", "1")
    sql = jvm.open("sql", "1")


def awaits(folder):
    """Scala that waits until `let_go` was called."""
    return f'while (!new java.io.File("{folder}/go").exists) Thread.sleep(5)'


def let_go(folder):
    open(os.path.join(folder, "go"), "w").close()


def tearDownModule():
    status = jvm.stop()
    assert status == 0, f"the JVM ended with {status}"


class ScalaEcho(unittest.TestCase):
    def test_the_first_value_is_res0(self):
        fresh = jvm.open("scala", "first")
        self.assertEqual(fresh.run("1 + 1").text, "res0: Int = 2")
        self.assertEqual(fresh.run("sc.parallelize(1 to 3).collect").text, "res1: Array[Int] = Array(1, 2, 3)")
        fresh.close()

    def test_each_definition_echoes_without_its_keyword(self):
        code = 'val a = 3\nvar b = "x"\nlazy val c = 1\ndef f(n: Int) = n\nclass K\nimport scala.util.Try'
        definitions = ["lazy val c: Int // unevaluated", "def f(n: Int): Int", "class K"]
        if jvm.is_scala_2_12:
            definitions = ["c: Int = <lazy>", "f: (n: Int)Int", "defined class K"]
        self.assertEqual(scala.run(code).text.splitlines(), ["a: Int = 3", "b: String = x", *definitions, "import scala.util.Try"])

    def test_text_like_an_echo_is_left_alone(self):
        result = scala.run('println("val res9: Int = 1"); val s = "val t: Int = 2"')
        self.assertEqual(result.printed, "val res9: Int = 1\n")
        self.assertEqual(result.text, "s: String = val t: Int = 2")

    def test_indentation_and_blank_lines_are_accepted(self):
        self.assertEqual(scala.run("\n\n    val indented = 5\n    println(indented)\n").printed, "5\n")

    def test_nothing_answers_nothing(self):
        for code in ["", "  \n ", "// only a comment", "/* and this */"]:
            self.assertEqual(scala.run(code).text, "")

    def test_a_huge_value_is_cut(self):
        self.assertLessEqual(len(scala.run('val huge = "x" * 1000000').text), 5000)

    def test_a_definition_stays_and_another_context_does_not_see_it(self):
        scala.run("val mine = 41")
        self.assertTrue(scala.run("mine + 1").text.endswith(": Int = 42"))
        other = jvm.open("scala", "other")
        self.assertIn("not found: value mine", other.run("mine").error["cause"])
        other.close()

    def test_companions_and_forward_references_in_one_command(self):
        code = "case class C(n: Int)\nobject C { def two = C(2) }\ndef even(n: Int): Boolean = n == 0 || odd(n - 1)\ndef odd(n: Int): Boolean = n != 0 && even(n - 1)\nval r = (C.two, even(10))"
        self.assertTrue(scala.run(code).text.endswith("r: (C, Boolean) = (C(2),true)"))

    def test_names_and_classes_outlive_the_end_of_a_block_of_lines(self):
        other = jvm.open("scala", "lines")
        other.run("case class Early(n: Int)")
        for _ in range(120):  # a block has 100; what does not compile takes a line too
            other.run("nope")
        self.assertTrue(other.run("sc.parallelize(1 to 2).map(Early(_)).collect").text.endswith("Array(Early(1), Early(2))"))
        other.run("case class Late(n: Int)")
        self.assertTrue(other.run("sc.parallelize(1 to 2).map(Late(_)).collect").text.endswith("Array(Late(1), Late(2))"))
        other.close()


class ScalaPrints(unittest.TestCase):
    def test_every_way_of_printing_arrives_in_order(self):
        result = scala.run('print("a"); System.out.println("b"); Console.err.println("c"); System.err.print("d\\u00e9"); System.out.printf("%d", 1)')
        self.assertEqual(result.printed, "ab\nc\nd\u00e91")

    def test_a_thread_of_the_command_prints_too(self):
        self.assertEqual(scala.run('val t = new Thread(() => println("from a thread")); t.start(); t.join()').printed, "from a thread\n")

    def test_a_million_lines_arrive(self):
        result = scala.run('for (n <- 1 to 1000000) println(n)')
        self.assertEqual(len(result.printed), sum(len(str(n)) + 1 for n in range(1, 1000001)))
        self.assertTrue(result.printed.endswith("\n1000000\n"))

    def test_output_comes_while_the_command_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            scala.start(f'println("early"); {awaits(folder)}; println("late")')
            message, payload = scala.peer.receive()
            self.assertEqual((message["type"], payload), ("output", b"early\n"))
            let_go(folder)
            self.assertEqual(scala.finish().printed, "late\n")

    def test_interpreters_print_apart(self):
        other = jvm.open("scala", "prints")
        scala.start('for (n <- 1 to 50) { println("mine"); Thread.sleep(5) }')
        theirs = other.run('for (n <- 1 to 50) { println("theirs"); Thread.sleep(5) }')
        self.assertEqual(scala.finish().printed, "mine\n" * 50)
        self.assertEqual(theirs.printed, "theirs\n" * 50)
        other.close()

    def test_reading_input_ends_at_once(self):
        self.assertTrue(scala.run("scala.io.StdIn.readLine()").text.endswith("= null"))


class ScalaFailures(unittest.TestCase):
    def test_a_compile_error_points_at_the_users_line(self):
        error = scala.run("val fine = 1\n  nope + 1").error
        self.assertRegex(error["cause"], r"^command-\d+:2: error: not found: value nope\n  nope \+ 1\n  \^$")
        self.assertEqual(error["summary"], error["cause"])
        error = scala.run('val a: Int = "x"\n\nval b = nope').error
        self.assertRegex(error["cause"], r"(?s)^command-\d+:1: error: type mismatch;.*command-\d+:3: error: not found: value nope")

    def test_an_exception_has_the_users_frames_only(self):
        error = scala.run('def inner(): Int = throw new IllegalStateException("a < b")\ninner()').error
        self.assertEqual(error["summary"], "IllegalStateException: a &lt; b")
        lines = error["cause"].splitlines()
        self.assertEqual(lines[0], "java.lang.IllegalStateException: a < b")
        self.assertRegex(lines[1], r"^\tat \$line\d+\.\$read(\$\$iw)+\.inner\(command-\d+:1\)$")
        self.assertEqual(len(lines), 3)
        # Also where the code that threw is of ours.
        lines = scala.run('dbutils.widgets.get("no such")').error["cause"].splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[1], r"^\tat \$line\d+\..*\(command-\d+:1\)$")

    def test_a_frame_names_the_command_that_its_line_is_of(self):
        fresh = jvm.open("scala", "frames")
        fresh.run("\ndef late(n: Int): Int = n / 0")
        lines = fresh.run("// two\nlate(1)").error["cause"].splitlines()
        self.assertEqual([line.rpartition("(")[2] for line in lines[1:]], ["command-1:2)", "command-2:2)"])
        fresh.close()

    def test_incomplete_input_says_so(self):
        self.assertIn("incomplete", scala.run("val x = (").error["summary"])

    def test_a_failed_job_names_its_root_first(self):
        error = scala.run("sc.parallelize(1 to 2).map(n => n / (n - n)).collect()").error
        self.assertTrue(error["summary"].startswith("ArithmeticException: / by zero\n(SparkException: Job aborted"), error["summary"])
        lines = error["cause"].splitlines()
        self.assertEqual(lines[0], "java.lang.ArithmeticException: / by zero")
        self.assertRegex(lines[1], r"^\tat \$line\d+.*\(command-\d+:1\)$")
        wrapper = next(at for at, line in enumerate(lines) if line.startswith("In: org.apache.spark.SparkException: Job aborted"))
        self.assertRegex(lines[-1], r"^\tat \$line\d+.*\(command-\d+:1\)$")
        self.assertGreater(wrapper, 1)
        self.assertNotIn("Driver stacktrace", error["cause"])

    def test_fatal_errors_answer_and_the_interpreter_goes_on(self):
        self.assertEqual(scala.run("def deep(n: Int): Int = deep(n + 1) + 1\ndeep(0)").error["summary"], "StackOverflowError")
        self.assertIn("OutOfMemoryError", scala.run("Array.fill(100)(new Array[Long](Int.MaxValue - 8))").error["summary"])
        self.assertTrue(scala.run("1").text.endswith("Int = 1"))
        self.assertTrue(scala.run("lastException").text.count("OutOfMemoryError"))


class Rich(unittest.TestCase):
    def test_display_of_a_table_wins_over_text(self):
        result = scala.run('println("x"); display(Seq((1, "a")).toDF("n", "s")); 5')
        self.assertEqual(result.table, {
            "resultType": "table", "data": [[1, "a"]], "truncated": False, "isJsonSchema": True,
            "schema": [{"name": "n", "type": '"integer"', "metadata": "{}"}, {"name": "s", "type": '"string"', "metadata": "{}"}]})

    def test_the_last_display_wins(self):
        self.assertEqual(scala.run('display(Seq(1).toDF); displayHTML("<b>x</b>")').text, "<b>x</b>")

    def test_plain_values_are_printed(self):
        self.assertEqual(scala.run('display(List(1, 2)); display("x"); display(Map("a" -> 1)); display(null)').printed,
            "List(1, 2)\nx\nMap(a -> 1)\nnull\n")

    def test_case_objects_are_a_table(self):
        self.assertEqual(scala.run('case class Shown(n: Int, s: String)\ndisplay(Seq(Shown(1, "a"), Shown(2, null)))').table["data"], [[1, "a"], [2, None]])
        self.assertEqual(scala.run('display(List((1, "a")))').table["data"], [[1, "a"]])
        # What Spark has no form for is text.
        self.assertEqual(scala.run('case class Odd(t: Thread)\ndisplay(Seq(Odd(null)))').printed, "List(Odd(null))\n")

    def test_images_are_pictures(self):
        result = scala.run("import java.awt.image._\nfor (kind <- Seq(1, 2)) display(new BufferedImage(2, 2, kind)); println(1)")
        self.assertEqual((result.outcome, result.printed), ("images", "1\n"))
        names = json.loads(result.payload)["fileNames"]
        self.assertEqual([name[:30] for name in names], ["data:image/png;base64,iVBORw0K"] * 2)

    def test_widgets_are_the_context_s(self):
        scala.run('dbutils.widgets.text("w", "v", "a label"); dbutils.widgets.dropdown("d", "1", Seq("1", "2"))')
        other = jvm.open("scala", "1")
        self.assertTrue(other.run('getArgument("w") + getArgument("none", "x") + dbutils.widgets.getAll.size').text.endswith("= vx2"))
        other.run("dbutils.widgets.removeAll()")
        self.assertIn("no widget is named `w`", scala.run('dbutils.widgets.get("w")').error["summary"])
        self.assertIn("not one of the choices", scala.run('dbutils.widgets.multiselect("m", "3", Seq("1"))').error["summary"])
        other.close()

    def test_restart_python_is_a_wish_of_one_command(self):
        self.assertIs(scala.run("dbutils.library.restartPython()").message["restart_python"], True)
        self.assertNotIn("restart_python", scala.run("1").message)


class Classes(unittest.TestCase):
    def test_two_contexts_define_the_same_class(self):
        one, two = jvm.open("scala", "c1"), jvm.open("scala", "c2")
        one.run("case class P(a: Int)")
        two.run("case class P(b: String, c: Int)")
        self.assertIn("Array(P(1), P(2))", one.run("sc.parallelize(1 to 2).map(P(_)).collect").text)
        self.assertIn("Array(P(1,1), P(2,2))", two.run("sc.parallelize(1 to 2).map(n => P(n.toString, n)).collect").text)
        self.assertIn("Array(P(2), P(3))", one.run("Seq(P(1), P(2)).toDS.map(p => P(p.a + 1)).collect").text)
        self.assertIn("Array(1!, 2!)", two.run('Seq(P("1", 1), P("2", 2)).toDS.map(p => p.b + "!").collect').text)
        one.close()
        two.close()

    def test_a_closure_carries_values_and_udfs_work(self):
        scala.run("val factor = 3\nval times = udf((n: Int) => n * factor)")
        self.assertIn("Array([3], [6])", scala.run('Seq(1, 2).toDF("n").select(times($"n")).collect').text)
        scala.run('spark.udf.register("plus", (n: Int) => n + factor)')
        self.assertEqual(sql.run("select plus(1)").table["data"], [[4]])


class Sql(unittest.TestCase):
    def test_contexts_share_a_session_across_languages_and_nothing_else(self):
        scala.run('Seq(1, 2).toDF("n").createOrReplaceTempView("shared")')
        self.assertEqual(sql.run("select sum(n) as s from shared").table["data"], [[3]])
        other = jvm.open("sql", "other")
        self.assertIn("TABLE_OR_VIEW_NOT_FOUND", other.run("select * from shared").error["summary"])
        sql.run("set spark.sql.shuffle.partitions=7")
        self.assertEqual(scala.run('spark.conf.get("spark.sql.shuffle.partitions")').text.split(" = ")[1], "7")
        self.assertEqual(other.run("set spark.sql.shuffle.partitions").table["data"][0][1], "2")
        other.close()

    def test_the_last_of_several_statements_answers(self):
        table = sql.run("select 'a;b'; -- not; here\ncreate or replace temp view v as select ';' as s, 1 as n;\n/* nor; here */ select * from v;").table
        self.assertEqual(table["data"], [[";", 1]])

    def test_a_script_stays_whole(self):
        self.assertEqual(sql.run("begin declare n int default 1; set n = n + 1; select n; end").table["data"], [[2]])
        self.assertEqual(sql.run("select 0; begin select 1; select 2; end; select 3").table["data"], [[3]])

    def test_a_statement_without_columns_is_an_empty_table(self):
        for code in ["create or replace temp view w as select 1", "", "-- nothing"]:
            self.assertEqual(sql.run(code).table, {"resultType": "table", "data": [], "schema": [], "truncated": False, "isJsonSchema": True})

    def test_rows_and_bytes_are_bounded(self):
        table = sql.run("select id from range(1000)").table
        self.assertEqual((len(table["data"]), table["truncated"]), (100, True))
        table = sql.run("select id from range(100)").table
        self.assertEqual((len(table["data"]), table["truncated"]), (100, False))
        table = sql.run("select repeat('x', 1000) from range(50)").table
        self.assertTrue(table["truncated"] and 15 < len(table["data"]) < 20)

    def test_an_analysis_error(self):
        error = sql.run("select * from nope").error
        self.assertTrue(error["summary"].startswith("Error in SQL statement: AnalysisException: [TABLE_OR_VIEW_NOT_FOUND]"))
        head = "com.databricks.backend.common.rpc.SparkDriverExceptions$SQLExecutionException: org.apache.spark.sql.AnalysisException: [TABLE"
        self.assertTrue(error["cause"].startswith(head))
        self.assertIn("\n\tat org.apache.spark", error["cause"])
        self.assertNotIn("firesteel", error["cause"])

    def test_places_are_those_of_the_whole_text(self):
        for code, place in [
            ("select 1;\n\n  select nope", "line 3 pos 9"),
            ("select 1; select 2,,3", "(line 1, pos 19)"),
            ("select 1;\n-- why; not\nselect\n 2,,3", "(line 4, pos 3)"),
            ("select 1;\nselect 1 / 0", "(line 2, position 8)"),
            ("select '\U0001f600'; select nope", "line 1 pos 19"),
        ]:
            error = sql.run(code).error
            self.assertIn(place, error["summary"])
            self.assertIn(place, error["cause"])

    def test_a_parse_error_and_a_task_failure(self):
        self.assertTrue(sql.run("USE SCHEMA x y").error["summary"].startswith("Error in SQL statement: ParseException: ["))
        summary = sql.run("select 1 / (id - 5) from range(10)").error["summary"]
        self.assertTrue(summary.startswith("Error in SQL statement: SparkArithmeticException: [DIVIDE_BY_ZERO]"), summary)

    def test_every_type(self):
        cases = [
            ("1Y", "byte", 1), ("2S", "short", 2), ("3", "integer", 3), ("9007199254740993L", "long", 9007199254740993),
            ("1.5F", "float", 1.5), ("2.5D", "double", 2.5), ("double('NaN')", "double", "NaN"), ("double('-inf')", "double", "-Infinity"),
            ("12.30BD", "decimal(4,2)", "12.30"), ("true", "boolean", True), ("'a\"b\\u00e9'", "string", "a\"b\u00e9"),
            ("X'00ff'", "binary", base64.b64encode(b"\x00\xff").decode()), ("date'2026-08-09'", "date", "2026-08-09"),
            ("timestamp'2026-08-09 18:13:17 UTC'", "timestamp", "2026-08-09T18:13:17.000Z"),
            ("timestamp'0001-01-01 00:00:00.123456 UTC'", "timestamp", "0001-01-01T00:00:00.123Z"),
            ("timestamp_ntz'2026-08-09 18:13:17.5'", "timestamp_ntz", "2026-08-09T18:13:17.500"),
            ("null", "void", None), ("cast(null as int)", "integer", None),
            ("interval '1-2' year to month", "interval year to month", "INTERVAL '1-2' YEAR TO MONTH"),
            ("interval '1 02:03' day to minute", "interval day to minute", "INTERVAL '1 02:03' DAY TO MINUTE"),
            ("array(1, null)", None, [1, None]), ("map('k', array(1.5BD))", None, {"k": ["1.5"]}), ("map(1, 'v')", None, {"1": "v"}),
            ("named_struct('a', 1, 'b', named_struct('c', date'2020-01-01'))", None, {"a": 1, "b": {"c": "2020-01-01"}}),
        ]
        if jvm.spark >= (4, 0):
            cases.append(("parse_json('{\"a\":[1,2]}')", "variant", '{"a":[1,2]}'))
        if jvm.spark >= (4, 1):
            cases.append(("time'01:02:03'", "time(6)", "01:02:03"))
        table = sql.run("select " + ", ".join(f"{code} as c{n}" for n, (code, _, _) in enumerate(cases))).table
        for n, (code, kind, value) in enumerate(cases):
            with self.subTest(code):
                self.assertEqual(table["data"][0][n], value)
                if kind:
                    self.assertEqual(json.loads(table["schema"][n]["type"]), kind)
        self.assertEqual(json.loads(table["schema"][20]["type"]), {"type": "array", "elementType": "integer", "containsNull": True})


class Cancelling(unittest.TestCase):
    LOOPS = {
        "a job": "sc.parallelize(1 to 4, 4).map { n => Thread.sleep(60000); n }.count()",
        "a sleep": "Thread.sleep(60000)",
        "an empty loop": "while (true) {}",
        "a counting loop": "var n = 0L\nwhile (n >= 0) n = (n + 1) % 1000",
        "tail recursion": "@annotation.tailrec def f(n: Int): Int = f(n + 1)\nf(0)",
        "an iterator": "Iterator.from(1).foreach(_ => ())",
        "a lazy list": "LazyList.from(1).foreach(_ => ())",
        "a loop that catches": "while (true) try { Thread.sleep(10) } catch { case _: Exception => }",
        "a future": "import scala.concurrent._, duration._, ExecutionContext.Implicits.global\nAwait.result(Future { while (true) {} }, Duration.Inf)",
        "jobs in a row": "while (true) try sc.parallelize(1 to 2).count() catch { case _: Exception => }",
        "a looping task": "sc.parallelize(1 to 2, 2).map { n => while (true) {}; n }.count()",
    }

    def test_each_kind_of_code_stops_soon_and_the_interpreter_goes_on(self):
        for name, code in self.LOOPS.items():
            with self.subTest(name):
                if jvm.is_scala_2_12:
                    code = code.replace("LazyList", "Stream")
                scala.start(f"println(1)\n{code}")
                self.assertEqual(scala.peer.receive()[0]["type"], "output")  # it runs
                scala.cancel()
                self.assertEqual(scala.finish().outcome, "cancelled")
                # No task of it is left behind either: on two cores, two looping ones would be in the way for ever.
                self.assertIn("= 2", scala.run("sc.parallelize(1 to 2).count()").text)

    def test_sql_stops(self):
        sql.start("select count(*) from range(1000000) a join range(1000000) b on a.id % 7 = b.id % 7")
        scala.run("while (sc.statusTracker.getActiveJobIds().isEmpty) Thread.sleep(5)")
        sql.cancel()
        self.assertEqual(sql.finish().outcome, "cancelled")
        self.assertEqual(sql.run("select 1").table["data"], [[1]])

    def test_a_cancel_when_nothing_runs_does_nothing(self):
        scala.cancel()
        jvm.settle()
        self.assertTrue(scala.run("Thread.sleep(50); 1").text.endswith("Int = 1"))

    def test_a_cancel_of_another_command_does_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            scala.start(f"println(1); {awaits(folder)}; 1")
            scala.peer.receive()
            scala.cancel(command="an earlier one")
            jvm.settle()
            let_go(folder)
            self.assertTrue(scala.finish().text.endswith("Int = 1"))

    def test_what_would_end_the_process_ends_the_command(self):
        for code, call in [("sys.exit(1)", "sys.exit(1)"), ("Runtime.getRuntime.halt(2)", "Runtime.exit(2)"), ("Seq(3).foreach(System.exit)", "System.exit(3)")]:
            self.assertTrue(scala.run(code).error["summary"].startswith(f"Exited: {call} ends this command"), code)

    def test_cancels_race_with_the_end_and_never_reach_the_next_command(self):
        for n in range(20):
            command = scala.start(f"Thread.sleep({n})")
            time.sleep(0.08 + n / 2000)
            scala.cancel(command=command)  # as the driver does: named, or it could mean the next one
            self.assertIn(scala.finish().outcome, ("cancelled", "text"))
            self.assertTrue(scala.run("Thread.sleep(5); 1").text.endswith("Int = 1"))

    def test_without_an_interpreter_the_jobs_of_the_context_stop(self):
        scala.start("sc.parallelize(1 to 2, 2).map { n => Thread.sleep(60000); n }.count()")
        ended = threading.Event()

        def ask():
            while not ended.wait(0.3):  # the first may come before the job has begun
                jvm.control.send(type="cancel", context="1", interpreter=None)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            self.assertIn("cancelled", scala.finish().error["summary"])
        finally:
            ended.set()
            asking.join()


class Lives(unittest.TestCase):
    def test_an_interpreter_ends_with_its_connection_even_in_a_loop(self):
        other = jvm.open("scala", "ends")
        other.start("println(1); while (true) {}")
        other.peer.receive()
        other.close()
        check = f'Thread.getAllStackTraces.keySet.toArray(Array.empty[Thread]).exists(_.getName == "firesteel-{other.id}")'
        until(lambda: scala.run(check).text.endswith("false"))

    def test_a_closed_context_stops_its_streams(self):
        other = jvm.open("scala", "streams")
        other.run('val q = spark.readStream.format("rate").load().writeStream.format("noop").start()')
        self.assertTrue(other.run("q.isActive").text.endswith("true"))
        jvm.control.send(type="close_context", context="streams")
        until(lambda: other.run("q.isActive").text.endswith("false"))
        other.close()

    def test_an_unknown_language_fails_to_open(self):
        jvm.control.send(type="open", interpreter="9999", language="cobol", key="k")
        message = jvm.expect("open_failed")
        self.assertEqual(message["interpreter"], "9999")


class Results(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "result")

    def tearDown(self):
        self.folder.cleanup()

    def test_all_rows_are_in_the_file_and_the_first_of_them_are_shown(self):
        shown = sql.run("select id from range(0, 1000, 1, 3)", result=self.path).table
        self.assertEqual((shown["data"], shown["truncated"]), ([[n] for n in range(100)], True))
        entries, end = result_entries(self.path)
        self.assertEqual((entries[-1], end), ((os.path.getsize(self.path), 1000), (0, "")))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_a_table_that_is_larger_than_its_bound_says_so(self):
        sql.run("select repeat('x', 1000) as x from range(0, 100000, 1, 2)", result=self.path)
        entries, (how, reason) = result_entries(self.path)
        self.assertEqual(how, 1)
        self.assertIn("result_bytes_max", reason)
        self.assertTrue(100 < entries[-1][1] < 1100 and os.path.getsize(self.path) <= 1 << 20, entries)

    def test_a_query_that_fails_leaves_no_file_and_one_that_fails_later_says_so(self):
        fails_at = "select if(id = {}, raise_error('boom'), id) as n from range(0, 3000, 1, 3)"
        self.assertIn("boom", sql.run(fails_at.format(50), result=self.path).error["cause"])
        self.assertEqual(os.listdir(self.folder.name), [])
        shown = sql.run(fails_at.format(2500), result=self.path).table
        self.assertEqual((len(shown["data"]), shown["truncated"]), (100, True))
        entries, (how, reason) = result_entries(self.path)
        self.assertEqual(how, 2)
        self.assertIn("boom", reason)

    def test_a_cancelled_command_leaves_no_file(self):
        sql.start("select a.id from range(3000000) a join range(3000000) b on a.id * b.id < 0", result=self.path)
        time.sleep(0.5)
        sql.cancel()
        self.assertEqual(sql.finish().outcome, "cancelled")
        self.assertEqual(os.listdir(self.folder.name), [])
        self.assertEqual(sql.run("select 1 as a").table["data"], [[1]])

    def test_the_rest_goes_on_through_the_next_command_and_its_cancel(self):
        scala.run('spark.udf.register("slow", (n: Long) => { if (n > 150) Thread.sleep(2); n })')
        sql.run("select slow(id) from range(0, 1000, 1, 1)", result=self.path)
        sql.start("select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b")
        time.sleep(0.3)
        sql.cancel()
        self.assertEqual(sql.finish().outcome, "cancelled")
        entries, end = result_entries(self.path)
        self.assertEqual((entries[-1][1], end), (1000, (0, "")))

    def test_the_rest_ends_with_its_context(self):
        other = jvm.open("scala", "ending")
        other.run('spark.udf.register("slower", (n: Long) => { if (n > 150) Thread.sleep(1000); n })')
        path = os.path.join(self.folder.name, "ending", "result")  # the folder is the context's
        os.mkdir(os.path.dirname(path))
        other.run('display(spark.sql("select slower(id) from range(0, 1000, 1, 1)"))', result=path)
        jvm.control.send(type="close_context", context="ending")
        self.assertEqual(result_entries(path)[1], (2, "its context was destroyed"))
        other.close()


class Gateway(unittest.TestCase):
    def test_python_shares_the_session_and_the_encoder(self):
        try:
            from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
        except ImportError:
            import glob
            import sys
            sys.path += glob.glob(os.path.join(os.environ["SPARK_HOME"], "python", "lib", "py4j-*.zip"))
            from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
        scala.run('Seq(7).toDF("n").createOrReplaceTempView("for_python")')
        ready = jvm.gateway()
        gateway = ClientServer(JavaParameters(port=ready["port"], auth_token=ready["token"]), PythonParameters(port=0))
        entry = gateway.entry_point
        table = json.loads(bytes(entry.table(entry.session("1").table("for_python"), None)))
        self.assertEqual(table["data"], [[7]])
        self.assertEqual(entry.jsc().sc().applicationId(), jvm.ready["app_id"])
        gateway.shutdown()
        jvm.control.send(type="forget", interpreter=ready["interpreter"])


class SampleFrames(unittest.TestCase):
    """The samples that every side reads. One folder holds the messages of one direction."""

    def samples(self, folder):
        folder = os.path.join(FRAMES, folder)
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name)) as sample:
                yield name, self.here(json.load(sample))

    def here(self, sample):
        """The same below this suite's own folder: what it names is made."""
        return {key: value.replace("/data", jvm.dir.name) if isinstance(value, str) else value for key, value in sample.items()}

    def test_what_this_side_says_has_the_samples_fields(self):
        said = {"spark_ready": jvm.ready, "gateway_ready": jvm.gateway()}
        for name, sample in self.samples("jvm_to_driver"):
            if sample["type"] in said:
                self.assertEqual(set(said[sample["type"]]), set(sample), name)
        fresh = jvm.open("sql")
        self.assertIn(("interpreter.json", set(fresh.hello)), [(name, set(sample)) for name, sample in self.samples("hello")])
        fresh.close()

    def test_this_side_takes_what_the_samples_say(self):
        for name, sample in self.samples("driver_to_jvm"):
            if sample["type"] not in ("open", "gateway"):  # these would make something
                jvm.control.send(**sample)
            if sample["type"] == "fetch_library":  # there is no such file
                self.assertEqual(jvm.expect("library_failed")["number"], sample["number"])
        peer = jvm.open("sql")
        for name in ("bind", "execute"):
            sample = dict(self.samples("driver_to_interpreter"))[f"{name}.json"]
            payload = b"select 1" if sample.pop("payload", False) else None
            if "result" in sample:
                os.makedirs(os.path.dirname(sample["result"]))
            peer.peer.send(payload=payload, **sample)
        self.assertEqual(peer.peer.receive()[0]["type"], "bound")
        done, table = peer.peer.receive()
        self.assertEqual((done["type"], done["outcome"], json.loads(table)["data"]), ("done", "table", [[1]]))
        peer.close()


if __name__ == "__main__":
    unittest.main()
