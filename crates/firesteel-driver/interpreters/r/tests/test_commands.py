"""What commands come to: echoes, prints, warnings, errors, tables, pictures."""

import base64
import json
import os
import struct
import textwrap
import unittest

from .fake_driver import Interpreter, needs_r


def read_result(path):
    """The messages of a result file, and how it ended."""
    with open(path, "rb") as data, open(path + ".index", "rb") as index:
        data, words = data.read(), index.read()
    messages, begin, at = [], 0, 0
    while True:
        end, rows = struct.unpack_from(">QQ", words, at)
        at += 16
        if end == 2**64 - 1:
            assert begin == len(data) and at + (rows & 0xFFFFFFFF) == len(words)
            return messages, (rows >> 32, words[at:].decode())
        text = data[begin:end].decode()
        messages.append(json.loads(text if begin == 0 else f"[{text}]"))
        assert rows == sum(len(block) for block in messages[1:])
        begin = end


@needs_r
class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.r = Interpreter()

    @classmethod
    def tearDownClass(cls):
        cls.r.close()

    def run_(self, source, *query_answers):
        return self.r.run(textwrap.dedent(source), *query_answers)

    def text(self, source, *query_answers):
        return self.run_(source, *query_answers).text


class Values(Case):
    def test_visible_values_are_printed_as_the_console_does(self):
        for source, expected in (
            ("1+1", "[1] 2"),
            ("'a'", '[1] "a"'),
            ("x <- 5", ""),
            ("(x <- 5)", "[1] 5"),
            ("NULL", "NULL"),
            ("invisible(3)", ""),
            ("", ""),
            ("# only a comment", ""),
            ("# COMMAND ----------\n3", "[1] 3"),
            ("1; 2", "[1] 1\n[1] 2"),
            ("quote(a + b)", "a + b"),
            ("c(a = 1, b = 2)", "a b \n1 2 "),
            ("factor('u')", "[1] u\nLevels: u"),
            ("as.Date('2024-02-29')", '[1] "2024-02-29"'),
            ("function(x) {\n  x  # kept\n}", "function(x) {\n  x  # kept\n}"),
            ("'h\u00e9\U0001f600'", '[1] "h\u00e9\U0001f600"'),
            ("1 + 1\r\n2 + 2\r\n", "[1] 2\n[1] 4"),
        ):
            self.assertEqual(self.text(source), expected, source)

    def test_data_frames_are_text(self):
        self.assertEqual(self.text("data.frame(a = 1:2, b = c('x', NA))"), "  a    b\n1 1    x\n2 2 <NA>")
        self.assertEqual(self.text("str(data.frame(a = 1L))"), "'data.frame':\t1 obs. of  1 variable:\n $ a: int 1")

    def test_methods_of_the_user_print(self):
        self.assertEqual(self.text("print.mine <- function(x, ...) cat('mine\\n')\nstructure(1, class = 'mine')"), "mine")
        self.text("setClass('P', representation(a = 'numeric')); setMethod('show', 'P', function(object) cat('P\\n'))")
        self.assertEqual(self.text("new('P', a = 1)"), "P")

    def test_names_live_on(self):
        self.text("kept <- 40")
        self.assertEqual(self.text("kept + 2"), "[1] 42")
        self.assertEqual(self.text(".Last.value"), "[1] 42")
        self.assertIn("kept", self.text("ls()"))
        self.text("rm(list = ls(all.names = TRUE))")
        self.assertEqual(self.text("ls(all.names = TRUE)"), "character(0)")

    def test_top_level_code_is_at_the_top(self):
        self.assertEqual(self.text("environment()"), "<environment: R_GlobalEnv>")
        self.assertEqual(self.text("f <- function() parent.frame()\nf()"), "<environment: R_GlobalEnv>")
        self.assertEqual(self.text("local({ y <- 1; y })"), "[1] 1")


class Printing(Case):
    def test_everything_comes_in_order(self):
        source = "print('1'); cat('2\\n'); message('3'); system('echo 4'); write('5', stderr()); '6'; cat('7')"
        self.assertEqual(self.text(source), '[1] "1"\n2\n3\n4\n5\n[1] "6"\n7')

    def test_output_arrives_while_the_command_runs(self):
        self.r.send("cat('early\\n'); while (!file.exists('go')) Sys.sleep(0.01)")
        self.r.wait_for_output("early")
        with open(os.path.join(self.r.folder.name, "go"), "w"):
            pass
        self.assertEqual(self.r.answer().text, "early")

    def test_much_output_is_complete(self):
        done = self.run_("cat(strrep('x', 5e6), '\\n'); for (n in 1:20000) cat(n, '\\n')")
        self.assertEqual(len(done.printed), 5_000_002 + sum(len(str(n)) + 2 for n in range(1, 20001)))

    def test_warnings_come_behind_their_expression(self):
        self.assertEqual(self.text("warning('w')"), "Warning message:\nw")
        self.assertEqual(self.text("log(-1); 'b'"), '[1] NaN\nWarning message:\nIn log(-1) : NaNs produced\n[1] "b"')
        self.assertEqual(
            self.text("f <- function(x) { warning('a'); warning('b'); x }\nf(1)"),
            "[1] 1\nWarning messages:\n1: In f(1) : a\n2: In f(1) : b",
        )
        self.assertEqual(self.text("for (n in 1:12) warning(n)"), "There were 12 warnings (use warnings() to see them)")
        self.assertEqual(self.text("length(warnings())"), "[1] 12")
        self.assertIn("50 or more", self.text("for (n in 1:60) warning(n)"))
        self.assertEqual(self.text("suppressWarnings(log(-1))"), "[1] NaN")

    def test_the_option_warn_is_kept(self):
        self.assertEqual(self.text("options(warn = 1); log(-1); 1"), "Warning in log(-1) : NaNs produced\n[1] NaN\n[1] 1")
        self.assertEqual(self.text("options(warn = -1); log(-1)"), "[1] NaN")
        self.assertIn("converted from warning", self.run_("options(warn = 2); log(-1)").summary)
        self.text("options(warn = 0)")

    def test_sinks(self):
        self.assertEqual(self.text("sink('sunk'); 1; sink(); 2; readLines('sunk')"), '[1] 2\n[1] "[1] 1"')
        self.assertEqual(self.text("capture.output(print(1))"), '[1] "[1] 1"')

    def test_help_is_printed(self):
        self.assertIn("Arithmetic Mean", self.text("help(mean)"))


class Errors(Case):
    def check(self, source, summary, cause=None):
        done = self.run_(source)
        self.assertEqual(done.summary, summary)
        self.assertEqual(done.cause, summary if cause is None else textwrap.dedent(cause).strip("\n"))

    def test_the_line_of_the_console_and_the_calls(self):
        self.check(
            """
            g <- function(x) {
              h(x)
            }
            h <- function(y) stop("boom")
            g(1)
            """,
            "Error in h(x) : boom",
            f"""
            Error in h(x) : boom

            Traceback:
            1: g(1) at <command-{self.r.commands + 1}>#6
            2: h(x) at <command-{self.r.commands + 1}>#3
            3: stop("boom") at <command-{self.r.commands + 1}>#5
            """,
        )

    def test_errors_at_the_top_have_no_call_of_ours(self):
        self.assertEqual(self.run_("stop('x')").summary, "Error: x")
        self.check("1 + 'a'", 'Error in 1 + "a" : non-numeric argument to binary operator')
        self.assertEqual(self.run_("nothing").summary, "Error: object 'nothing' not found")
        self.assertNotIn("eval(", self.run_("f <- function() stop('x')\nlocal(f())").summary)

    def test_summaries_are_one_line_of_html(self):
        done = self.run_("stop('a <b> & c\\nsecond')")
        self.assertEqual(done.summary, "Error: a &lt;b&gt; &amp; c")
        self.assertTrue(done.cause.startswith("Error: a <b> & c\nsecond"), done.cause)

    def test_long_messages_move_to_the_next_line(self):
        done = self.run_(f"f <- function() stop('{'x' * 80}')\nf()")
        self.assertTrue(done.cause.startswith("Error in f() : \n  xxx"), done.cause)
        self.assertEqual(done.summary, f"Error in f() : {'x' * 80}")

    def test_nothing_runs_of_what_cannot_be_parsed(self):
        for source, summary in (
            ("1 +", "Error: unexpected end of input"),
            ("f(", "Error: unexpected end of input"),
            ("x y", "Error: unexpected symbol at line 1, column 3"),
            ("cat('ran')\n}", "Error: unexpected '}' at line 2, column 1"),
            ("%md hello", "Error: unexpected input at line 1, column 1"),
        ):
            done = self.run_(source)
            self.assertEqual(done.summary, summary, source)
            self.assertEqual(done.printed, "")
        self.assertIn("1: x y\n      ^", self.run_("x y").cause)
        self.assertIn("INCOMPLETE_STRING", self.run_("'open").summary)
        self.assertIn("not UTF-8", self.r.run(b"'\xff'").summary)
        self.assertIn("NUL", self.r.run(b"1\x002").summary)

    def test_warnings_before_an_error_are_told(self):
        done = self.run_("f <- function() { warning('careful'); stop('boom') }\nf()")
        self.assertIn("In addition: Warning message:\nIn f() : careful", done.cause)

    def test_what_was_printed_before_is_printed(self):
        self.assertEqual(self.run_("cat('before\\n'); 1; stop('x')").printed, "before\n[1] 1\n")

    def test_endless_recursion(self):
        self.assertRegex(self.run_("f <- function() f()\nf()").summary, "too close to the limit|nested too deeply")
        done = self.run_("options(expressions = 500)\nf()")
        self.assertIn("the same", done.cause)
        self.assertLess(done.cause.count("\n"), 10)
        self.text("options(expressions = 5000)")

    def test_conditions_of_the_user(self):
        self.assertEqual(self.run_("stop(structure(class = c('e', 'error', 'condition'), list(message = 'm')))").summary, "Error: m")
        self.text("conditionMessage.bad <- function(c) stop('no message')")
        done = self.run_("stop(structure(class = c('bad', 'error', 'condition'), list()))")
        self.assertEqual(done.summary, "Error in conditionMessage.bad(cond) : no message")
        self.assertEqual(self.text("invokeRestart('abort'); 1"), "")
        self.assertEqual(self.text("tryCatch(stop('a'), error = function(e) 'caught', finally = cat('f\\n'))"), 'f\n[1] "caught"')

    def test_try_prints_as_the_console_does(self):
        self.assertEqual(self.text("try(log('a')); 1"), "Error in log(\"a\") : non-numeric argument to mathematical function\n[1] 1")


class Tables(Case):
    def test_display(self):
        results = self.run_(
            """
            t0 <- as.POSIXct('2026-08-09 18:13:17.123', tz = 'UTC')
            frame <- data.frame(
              i = c(1L, NA), d = c(0.1, NaN), s = c('a"\\\\é', NA), l = c(TRUE, NA), f = factor(c('u', 'v')),
              day = as.Date(c('2024-02-29', NA)), t = c(t0, NA), e = c(-Inf, 1e300)
            )
            frame$n <- list(1:3, 'x')
            cat('dropped by the driver')
            display(frame)
            """
        ).results
        self.assertEqual(
            [(field["name"], field["type"], field["metadata"]) for field in results["schema"]],
            [
                (name, f'"{kind}"', "{}")
                for name, kind in zip(
                    ["i", "d", "s", "l", "f", "day", "t", "e", "n"],
                    ["integer", "double", "string", "boolean", "string", "date", "timestamp", "double", "string"],
                )
            ],
        )
        self.assertEqual(
            results["data"],
            [
                [1, 0.1, 'a"\\é', True, "u", "2024-02-29", "2026-08-09T18:13:17.123Z", "-Infinity", "1, 2, 3"],
                [None, "NaN", None, None, "v", None, None, 1e300, "x"],
            ],
        )
        self.assertIs(results["truncated"], False)
        self.assertIs(results["isJsonSchema"], True)

    def test_limits(self):
        r = Interpreter(limits={"rows_max": 5, "table_bytes_max": 40, "text_chars_max": 100})
        cut = r.run("display(data.frame(a = 1:6))").results
        self.assertEqual((len(cut["data"]), cut["truncated"]), (5, True))
        whole = r.run("display(data.frame(a = 1:5))").results
        self.assertEqual((len(whole["data"]), whole["truncated"]), (5, False))
        cut = r.run("display(data.frame(a = rep('123456789', 5)))").results
        self.assertEqual((len(cut["data"]), cut["truncated"]), (2, True))
        r.close()

    def test_all_rows_go_to_the_file_in_blocks(self):
        r = Interpreter(limits={"rows_max": 5, "table_bytes_max": 4000, "text_chars_max": 100, "result_bytes_max": 200_000})
        r.result = os.path.join(r.folder.name, "result")
        frame = "data.frame(n = 1:COUNT, day = as.Date(c('1899-12-31', NA)), t = as.POSIXct(c(NA, -0.75), origin = '1970-01-01', tz = 'UTC'))"
        self.assertTrue(r.run(f"display({frame.replace('COUNT', '300')})").results["truncated"])
        messages, end = read_result(r.result)
        self.assertEqual([column["name"] for column in messages[0]], ["n", "day", "t"])
        rows = [row for block in messages[1:] for row in block]
        self.assertEqual((len(rows), rows[0], rows[299], end), (300, [1, -25568, None], [300, None, -750000], (0, "")))
        self.assertGreater(len(messages), 2)
        self.assertEqual(os.stat(r.result).st_mode & 0o777, 0o600)
        r.run(f"display({frame.replace('COUNT', '100000')})")
        messages, (how, reason) = read_result(r.result)
        self.assertEqual(how, 1)
        self.assertIn("200000 bytes (limits.result_bytes_max)", reason)
        self.assertGreater(sum(len(block) for block in messages[1:]), 2000)
        r.close()

    def test_empty_and_odd_frames(self):
        self.assertEqual(self.run_("display(data.frame())").results["schema"], [])
        results = self.run_("display(mtcars[0, 1:2])").results
        self.assertEqual((results["data"], len(results["schema"]), results["truncated"]), ([], 2, False))
        self.assertEqual(self.run_("display(matrix(1:4, 2))").results["data"], [[1, 3], [2, 4]])
        self.assertEqual(self.run_("f <- data.frame(a = 1:2); f$m <- matrix(1:4, 2); display(f)").results["data"], [[1, 1, 3], [2, 2, 4]])
        self.assertEqual(self.run_("display(data.frame(x = as.POSIXlt('2024-01-01', tz = 'UTC')))").results["data"], [["2024-01-01T00:00:00.000Z"]])

    def test_other_values_are_printed(self):
        self.assertEqual(self.text("display(3)"), "[1] 3")
        self.assertEqual(self.text("displayHTML('<b>x</b>')"), "<b>x</b>")

    def test_an_error_after_a_display_is_an_error(self):
        self.assertEqual(self.run_("display(mtcars); stop('x')").summary, "Error: x")
        self.assertEqual(self.text("1"), "[1] 1")


class Pictures(Case):
    def check(self, source, count, printed=""):
        done = self.run_(source)
        self.assertEqual(done.outcome, "images", (done.payload, done.printed))
        names = done.results["fileNames"]
        self.assertEqual(len(names), count)
        self.assertIsNone(done.results["data"])
        self.assertEqual(done.printed, printed)
        sizes = []
        for name in names:
            self.assertTrue(name.startswith("data:image/png;base64,"))
            png = base64.b64decode(name.removeprefix("data:image/png;base64,"), validate=True)
            self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
            self.assertTrue(png.endswith(b"IEND\xaeB`\x82"))
            sizes.append(struct.unpack(">II", png[16:24]))
        return sizes

    def test_one_picture_for_each_page(self):
        self.assertEqual(self.check("plot(1:10)", 1), [(700, 500)])
        self.check("plot(1:10); lines(1:10); cat('text')", 1, "text")
        self.check("for (n in 1:3) hist(c(n, 1))", 3)
        self.check("par(mfrow = c(1, 2)); plot(1); plot(2)", 1)
        self.assertEqual(self.check("dev.new(width = 3, height = 2); plot(1)", 1), [(300, 200)])
        self.check("plot(1); invisible(dev.off()); plot(2)", 2)

    def test_no_empty_pages(self):
        self.assertEqual(self.text("p <- par(mar = c(1, 1, 1, 1))"), "")
        self.assertEqual(self.text("dev.new()"), "")
        self.assertEqual(self.text("dev.list()"), "NULL")

    def test_devices_of_the_user_are_left_alone(self):
        self.assertEqual(self.text("pdf('own.pdf'); plot(1)"), "")
        self.assertIn("pdf", self.text("dev.list()"))
        self.text("invisible(dev.off())")
        self.assertEqual(self.text("file.size('own.pdf') > 1000"), "[1] TRUE")
        self.assertEqual(self.text("png('own.png'); plot(1); invisible(dev.off())"), "")

    def test_pictures_of_a_failed_command_do_not_come_later(self):
        self.run_("plot(1); stop('x')")
        self.assertEqual(self.text("1"), "[1] 1")

    def test_the_folder_may_go(self):
        self.text("unlink(tempdir(), recursive = TRUE)")
        self.check("plot(1)", 1)


class Names(Case):
    def test_notebook_exit_stands_alone(self):
        done = self.run_("cat('not this'); dbutils$notebook$exit('value'); 1")
        self.assertEqual((done.text, done.message["alone"]), ("value", True))
        self.assertEqual(self.run_("tryCatch(dbutils$notebook$exit(7), error = function(e) 'no')").text, "7")

    def test_what_cannot_be_done_says_so(self):
        self.assertIn("dbutils.fs.ls is not available in R", self.run_("dbutils$fs$ls('/')").summary)
        self.assertIn("no notebooks", self.run_("dbutils$notebook$run('x')").summary)
        self.assertIn("use a Python or Scala command", self.run_("dbutils$secrets$get('a', 'b')").summary)

    def test_widgets(self):
        self.text("dbutils$widgets$text('w', 'first')")
        self.text("dbutils$widgets$text('w', 'second')")
        self.assertEqual(self.text("c(dbutils$widgets$get('w'), getArgument('w'), getArgument('v', 'd'))"), '[1] "first" "first" "d"    ')
        self.assertIn("no widget", self.run_("dbutils$widgets$get('v')").summary)
        self.text("dbutils$widgets$removeAll()")
        self.assertEqual(self.text("length(dbutils$widgets$getAll())"), "[1] 0")

    def test_restart_python_is_a_wish_of_one_command(self):
        self.assertIs(self.run_("dbutils$library$restartPython()").message["restart_python"], True)
        self.assertNotIn("restart_python", self.run_("1").message)

    def test_calls_of_ours_are_no_part_of_a_traceback(self):
        cause = self.run_("f <- function() dbutils$widgets$get('v')\nf()").cause
        self.assertRegex(cause, r"Traceback:\n1: f\(\) at <command-\d+>#2\n2: dbutils\$widgets\$get\(\"v\"\) at <command-\d+>#1$")
        cause = self.run_("getArgument <- function() stop('mine')\ngetArgument()").cause
        self.assertIn('2: stop("mine")', cause)
        self.text("rm(getArgument, f)")

    def test_objects_say_what_they_can(self):
        self.assertIn("notebook$exit", self.text("dbutils$help()"))
        self.assertIn('sql("select ...")', self.text("spark"))
        self.assertIn("notebook$exit", self.text("dbutils"))

    def test_packages_go_to_the_library_of_the_cluster(self):
        library = os.path.join(self.r.folder.name, "library")
        self.assertEqual(self.text("cat(.libPaths()[1])"), library)
        self.text("dir.create('mine'); writeLines(c('Package: mine', 'Version: 1.0', 'Title: T', 'Author: A', 'License: L'), 'mine/DESCRIPTION')")
        self.text("writeLines('export(f)', 'mine/NAMESPACE'); dir.create('mine/R'); writeLines('f <- function() 42', 'mine/R/f.R')")
        self.run_("install.packages('mine', repos = NULL, type = 'source', quiet = TRUE)")
        self.assertEqual(self.text("library(mine); f()"), "[1] 42")
        self.assertTrue(os.path.isdir(os.path.join(library, "mine")))

    def test_they_can_be_hidden_and_found_again(self):
        self.assertEqual(self.text("display <- 3; display"), "[1] 3")
        self.text("rm(display)")
        self.assertEqual(self.text("is.function(display)"), "[1] TRUE")


if __name__ == "__main__":
    unittest.main()
