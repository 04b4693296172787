"""Interpreters on a real Spark: names, results, errors, and above all interrupts."""

import json
import random
import select
import time
import unittest

from .fake_driver import SECONDS_MAX, Driver
from .stand_in import stand_in

ENDLESS = "spark.range(0, 10**13, 1, 4).selectExpr('max(id % 7)')"


class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.jvm = stand_in()
        cls.driver = Driver()

    @classmethod
    def tearDownClass(cls):
        cls.driver.end()

    def setUp(self):
        self.python = self.driver.context(self.jvm.gateway(), "7")
        self.addCleanup(self.python.close)

    def text(self, source):
        return self.python.run(source).text

    def test_names(self):
        self.assertEqual(self.text("spark.range(5).count()"), "5")
        self.assertEqual(self.text("sc.parallelize([1, 2]).sum()"), "3")
        self.assertEqual(self.text("sql('select 1 as a').collect()"), "[Row(a=1)]")
        self.assertEqual(self.text("sqlContext.range(3).count()"), "3")
        self.assertEqual(self.text("spark.range(4).createOrReplaceTempView('t'); table('t').count()"), "4")
        self.assertEqual(self.text("spark.range(2)"), "DataFrame[id: bigint]")

    def test_the_session_is_pysparks_own(self):
        self.text("from pyspark.sql import SparkSession\nfrom pyspark import SparkContext")
        self.assertEqual(self.text("SparkSession.builder.appName('x').getOrCreate() is spark"), "True")
        self.assertEqual(self.text("SparkSession.getActiveSession()._jsparkSession.equals(spark._jsparkSession)"), "True")
        self.assertEqual(self.text("SparkContext.getOrCreate() is sc"), "True")

    def test_functions_and_classes_of_commands_travel(self):
        self.text("factor = 3\ndef triple(x): return x * factor\nclass Box:\n    def __init__(self, x): self.x = x")
        self.assertEqual(self.text("sc.parallelize([1, 2]).map(triple).collect()"), "[3, 6]")
        self.assertEqual(self.text("[b.x for b in sc.parallelize([1]).map(Box).collect()]"), "[1]")
        self.assertEqual(self.text("spark.range(2).select(udf(triple, 'long')('id')).collect()[1][0]"), "3")
        self.assertEqual(self.text("a = sc.accumulator(0)\nsc.parallelize(range(5)).foreach(a.add)\na.value"), "10")
        self.assertEqual(self.text("b = sc.broadcast([9])\nsc.parallelize([0]).map(lambda i: b.value[i]).collect()"), "[9]")

    def test_pandas_both_ways(self):
        self.assertEqual(self.text("int(spark.range(5).toPandas()['id'].sum())"), "10")
        self.assertEqual(self.text("import pandas as pd\nspark.createDataFrame(pd.DataFrame({'a': [1]})).collect()"), "[Row(a=1)]")

    def test_display_asks_the_jvm(self):
        done = self.python.run("display(spark.range(3))")
        self.assertEqual(done.outcome, "table")
        self.assertEqual(len(json.loads(done.payload)["rows"]), 3)

    def test_stop_is_harmless(self):
        for source in ("spark.stop()", "sc.stop()"):
            self.assertIn("ignored", self.text(source))
        self.assertEqual(self.text("spark.range(5).count()"), "5")

    def test_contexts_have_sessions_of_their_own(self):
        other = self.driver.context(self.jvm.gateway(), "8")
        self.text("spark.range(1).createOrReplaceTempView('mine')")
        self.assertIn("AnalysisException", other.run("table('mine')").summary)
        same = self.driver.context(self.jvm.gateway(), "7")
        self.assertEqual(same.run("table('mine').count()").text, "1")
        other.close()
        same.close()
        self.assertEqual(self.text("spark.range(5).count()"), "5")

    def test_sql_errors(self):
        done = self.python.run("spark.sql('select * from nope')")
        self.assertTrue(done.summary.startswith("<span class='ansi-red-fg'>AnalysisException</span>: [TABLE_OR_VIEW_NOT_FOUND]"))
        self.assertEqual(done.printed, "")
        self.assertNotIn("py4j", done.cause)

    def test_java_errors_are_plain(self):
        done = self.python.run("sc._jsc.textFile('/nowhere').count()")
        self.assertTrue(done.summary.startswith("org.apache.hadoop.mapred.InvalidInputException: "), done.summary)
        self.assertEqual(set(done.cause.split("\n")[0]), {"-"})
        self.assertIn("Traceback", done.cause)
        self.assertIn("\tat org.apache.spark", done.cause)

    def test_errors_in_tasks_carry_the_users_text(self):
        for source in (
            "def bad(x): raise ValueError('in task')\nsc.parallelize([1]).map(bad).collect()",
            "spark.range(1).select(udf(bad)('id')).collect()",
        ):
            done = self.python.run(source)
            self.assertIn("ValueError: in task", done.summary)
            self.assertIn("ValueError: in task", done.cause)

    def test_secrets_are_not_in_the_environment(self):
        gateway = self.jvm.gateway()
        other = self.driver.context(gateway, "9")
        found = other.run("import os\nprint(os.environ, open('/proc/self/environ').read(), open('/proc/self/cmdline').read())").text
        self.assertNotIn(gateway[1], found)
        other.close()

    def test_job_group_in_every_thread(self):
        group = "sc.getLocalProperty('spark.jobGroup.id')"
        self.assertEqual(self.text(group), "'firesteel-7'")
        threaded = f"import threading\nseen = []\nt = threading.Thread(target=lambda: seen.append({group}))\nt.start(); t.join()\nseen"
        self.assertEqual(self.text(threaded), "['firesteel-7']")

    def test_what_failed_in_a_task_comes_first(self):
        done = self.python.run("sc.parallelize([1]).map(lambda i: 1 / (i - i)).collect()")
        self.assertTrue(done.summary.endswith("ZeroDivisionError: division by zero"), done.summary)
        self.assertNotIn("pyspark.zip/pyspark/worker.py\x1b", done.cause)
        done = self.python.run("sc._jvm.java.util.concurrent.CompletableFuture.failedFuture(sc._jvm.java.io.IOException('root <x>')).get()")
        self.assertEqual(done.summary, "java.io.IOException: root &lt;x&gt;")
        self.assertIn("Py4JJavaError: java.io.IOException: root <x>\n\nAn error occurred", done.cause)
        self.assertNotIn("\tat py4j.", done.cause)

    def test_widgets_are_the_context_s(self):
        self.assertEqual(self.text("dbutils.widgets.text('w', 'v'); getArgument('w'), dbutils.widgets.getAll()"), "('v', {'w': 'v'})")
        self.assertEqual(self.text("dbutils.widgets.remove('w'); dbutils.widgets.remove('w'); getArgument('w', 'x')"), "'x'")

    def test_dbutils_fs(self):
        self.text("import tempfile; d = 'file:' + tempfile.mkdtemp()")
        self.assertIn("6 bytes", self.text("dbutils.fs.put(d + '/a', 'h\\u00e9llo')"))
        self.assertEqual(self.text("dbutils.fs.head(d + '/a', 3)"), "'h\u00e9'")
        self.assertEqual(self.text("[(f.name, f.size, f.isDir()) for f in dbutils.fs.ls(d)]"), "[('a', 6, False)]")
        self.assertEqual(self.text("dbutils.fs.mkdirs(d + '/n'), dbutils.fs.cp(d + '/a', d + '/n/b'), dbutils.fs.rm(d, True)"), "(True, True, True)")
        self.assertEqual(self.text("dbutils.fs.mkdirs('/n'), dbutils.fs.ls('dbfs:/')[0][:2]"), "(True, ('dbfs:/n/', 'n/'))")
        for code, said in (
            ("dbutils.fs.ls('/nope')", "FileNotFoundError: java.io.FileNotFoundException: No such file or directory: dbfs:/nope"),
            ("dbutils.fs.put('/n', 'x')", "FileExistsError: org.apache.hadoop.fs.FileAlreadyExistsException: dbfs:/n is a directory"),
            ("dbutils.fs.cp('/n', '/m')", "OSError: java.io.IOException: `/n` is a folder; give recurse = true"),
            ("dbutils.fs.unmount('/mnt/nope')", "ValueError: java.lang.IllegalArgumentException: Directory not mounted: /mnt/nope"),
        ):
            self.assertEqual(self.python.run(code).cause.splitlines()[-1], said)

    # Interrupts

    def idle(self):
        """Whether no job runs; Spark hears of an end a moment after it."""
        deadline = time.monotonic() + SECONDS_MAX
        while (jobs := self.jvm.ask("jobs")) != "0" and time.monotonic() < deadline:
            time.sleep(0.01)
        return jobs == "0"

    def cancel(self, source, delay, by_jvm):
        self.python.send(f"print('started', flush=True)\n{source}")
        self.python.wait_for_output("started")
        time.sleep(delay)
        if by_jvm:
            self.jvm.ask("cancel firesteel-7")
        self.python.interrupt()
        done = self.python.answer()
        self.assertEqual(done.outcome, "cancelled", (source, done.payload, done.printed))
        self.assertTrue(self.idle())
        self.assertEqual(self.text("spark.range(5).count()"), "5")
        self.assertEqual(self.text("sc.getLocalProperty('spark.jobGroup.id')"), "'firesteel-7'")

    def test_a_running_job_stops(self):
        for source in (f"{ENDLESS}.collect()", f"{ENDLESS}.toPandas()", f"display({ENDLESS})"):
            for by_jvm in (False, True):
                self.cancel(source, 0.3, by_jvm)

    def test_a_job_stops_at_any_moment(self):
        for _ in range(12):
            self.cancel(f"{ENDLESS}.collect()", random.uniform(0, 0.15), random.random() < 0.5)

    def test_a_job_in_a_group_of_the_users_stops(self):
        other = self.driver.context(self.jvm.gateway(), "10")
        other.send(f"print('started', flush=True)\nsc.setJobGroup('own', 'd')\n{ENDLESS}.collect()")
        other.wait_for_output("started")
        time.sleep(0.5)
        other.interrupt()
        self.assertEqual(other.answer().outcome, "cancelled")
        self.assertTrue(self.idle())
        other.close()

    def test_a_job_cancelled_by_its_group_alone(self):
        self.python.send(f"print('started', flush=True)\n{ENDLESS}.collect()")
        self.python.wait_for_output("started")
        while self.jvm.ask("jobs") == "0":
            time.sleep(0.01)
        self.jvm.ask("cancel firesteel-7")
        self.assertEqual(self.python.answer().outcome, "cancelled")

    def test_a_job_that_comes_behind_the_cancel_of_its_command_is_refused(self):
        name = "sc.getLocalProperty('firesteel.command')"
        self.text(f"names = [{name}]\nimport threading, time")
        # A thread of that command goes on under its name.
        later = f"def later():\n    {name}; named.set(); go.wait(); seen.append({name})"
        start = "t = threading.Thread(target=later); t.start(); _ = named.wait()"
        self.text(f"named, go, seen = threading.Event(), threading.Event(), []\n{later}\n{start}")
        self.cancel(f"names.append({name})\n{ENDLESS}.collect()", 0.1, False)
        self.text(f"names.append({name}); go.set(); t.join()")
        self.assertEqual(self.text("len(set(names)), seen[0] in names"), "(3, False)")
        # As a thread of Spark's own does that still works for the command.
        late = "sc.setLocalProperty('firesteel.command', names[1]); sc.parallelize([600]).map(time.sleep).count()"
        self.assertEqual(self.python.run(late).outcome, "error")
        self.assertEqual(self.text("sc.parallelize([1]).count()"), "1")

    def test_many_small_calls_under_fire(self):
        for _ in range(40):
            self.python.send("while True: sc._jvm.java.lang.System.nanoTime(); spark.range(3)")
            time.sleep(random.uniform(0, 0.03))
            self.python.interrupt()
            while not select.select([self.python.peer.link], [], [], 1)[0]:
                self.python.interrupt()  # the first one came before the command had begun
            done = self.python.answer()
            self.assertEqual(done.outcome, "cancelled", (done.payload, done.printed))
            self.assertEqual(self.text("sc._jvm.java.lang.Math.abs(-3)"), "3")
        self.assertEqual(self.python.run("1").printed, "")
        self.assertEqual(self.text("spark.range(5).count()"), "5")

    def test_a_java_call_that_cannot_be_stopped_gives_up_its_connection(self):
        self.python.send("print('started', flush=True)\nsc._jvm.java.lang.Thread.sleep(20000)")
        self.python.wait_for_output("started")
        time.sleep(0.2)
        self.python.interrupt()
        self.assertEqual(self.python.answer().outcome, "cancelled")
        self.assertEqual(self.text("spark.range(5).count()"), "5")
        self.assertEqual(self.text("sc.getLocalProperty('spark.jobGroup.id')"), "'firesteel-7'")

    def test_a_gateway_that_is_gone(self):
        other = self.driver.context(self.jvm.gateway(), "11")
        other.run("sc._gateway.shutdown()")
        # Whether its port still takes connections, never to answer them, is up to the JVM.
        other.send("spark.range(1).count()")
        if not select.select([other.peer.link], [], [], 3)[0]:
            other.interrupt()
        self.assertIn(other.answer().outcome, ("error", "cancelled"))
        self.assertEqual(other.run("1+1").text, "2")
        other.close()


if __name__ == "__main__":
    unittest.main()
