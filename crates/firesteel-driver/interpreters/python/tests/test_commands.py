"""What commands come to: echoes, prints, errors, tables, images, magics. No Spark."""

import base64
import json
import os
import re
import sys
import tempfile
import textwrap
import unittest

from .fake_driver import Driver

ANSI = re.compile(r"\x1b\[\d+(?:;\d+)*m")


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.driver = Driver()
        cls.python = cls.driver.context()

    @classmethod
    def tearDownClass(cls):
        cls.python.close()
        cls.driver.end()

    def run_(self, source):
        return self.python.run(textwrap.dedent(source))

    def text(self, source):
        return self.run_(source).text

    def test_a_trailing_expression_is_echoed_bare(self):
        self.assertEqual(self.text("1+1"), "2")
        self.assertEqual(self.text("'a'"), "'a'")
        self.assertEqual(self.text("None"), "")
        self.assertEqual(self.text("x = 5"), "")
        self.assertEqual(self.text("x + 1;"), "")
        self.assertEqual(self.text("x ; # a comment"), "")
        self.assertEqual(self.text("'a;'"), "'a;'")
        self.assertEqual(self.text(""), "")
        self.assertEqual(self.text("# only a comment"), "")

    def test_a_lone_surrogate_does_not_spoil_an_answer(self):
        payload = self.run_("raise ValueError('\\ud800')").payload
        cause = json.loads(payload.decode())["cause"]
        self.assertIn("ValueError: ?", cause)
        cause.encode()  # fails on a lone surrogate

    def test_names_live_on(self):
        self.text("kept = 40")
        self.assertEqual(self.text("kept + 2"), "42")
        self.assertEqual(self.text("_"), "42")
        self.assertEqual(self.text("__name__"), "'__main__'")

    def test_contexts_do_not_share_names(self):
        self.text("mine = 1")
        other = self.driver.context()
        self.assertIn("NameError", other.run("mine").summary)
        other.close()

    def test_long_values_are_pretty(self):
        self.assertEqual(self.text("list(range(40))").count("\n"), 39)

    def test_prints_come_before_the_echo(self):
        done = self.run_("print('juhu')\n7")
        self.assertEqual(done.printed, "juhu\n")
        self.assertEqual(done.text, "juhu\n7")

    def test_streams_keep_their_order(self):
        done = self.run_(
            """
            import ctypes, os, subprocess, sys
            print("1")
            print("2", file=sys.stderr)
            subprocess.run(["echo", "3"])
            print("4", flush=True)
            os.write(1, b"5\\n")
            print("6"); os.system("echo 7")
            ctypes.CDLL(None).puts(b"8")
            """
        )
        self.assertEqual(done.printed.split(), list("12345678"))

    def test_output_arrives_while_the_command_runs(self):
        self.python.send("import time, os\nprint('early')\nwhile not os.path.exists('go'): time.sleep(0.01)")
        self.python.wait_for_output("early")
        with open(os.path.join(self.driver.folder.name, "go"), "w"):
            pass
        self.assertEqual(self.python.answer().text, "early")

    def test_much_output_is_complete(self):
        done = self.run_("print('x' * 5_000_000)\nfor n in range(100_000): print(n)")
        self.assertEqual(len(done.printed), 5_000_001 + sum(len(str(n)) + 1 for n in range(100_000)))

    def test_unprintable_characters(self):
        self.assertEqual(self.text(r"print('h\u00e9\U0001f600')"), "h\u00e9\U0001f600")
        self.assertEqual(self.text(r"print('\ud800')"), r"\ud800")
        self.assertIn("UnicodeDecodeError", self.python.run(b"'\xff'").summary)

    def test_indented_blocks_are_dedented(self):
        self.assertEqual(self.python.run("\n        import sys\n        sys.argv = ['python']\n        ").text, "")
        self.assertEqual(self.python.run("\n\n    y = 3\n    y * 2").text, "6")

    def test_the_command_separator_is_a_comment(self):
        self.assertEqual(self.text("# COMMAND ----------\n3"), "3")

    def test_top_level_await(self):
        self.assertEqual(self.text("import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 'slept')"), "'slept'")
        self.assertEqual(self.text("[x async for x in _gen()] if False else [1]"), "[1]")

    def test_future_imports_stay(self):
        self.text("from __future__ import annotations")
        self.assertEqual(self.text("def f(x: nowhere): pass\nf.__annotations__"), "{'x': 'nowhere'}")

    def test_sources_are_there_for_inspect(self):
        self.text("def documented():\n    return 1")
        self.assertEqual(self.text("import inspect\nprint(inspect.getsource(documented))"), "def documented():\n    return 1")

    # Errors

    def test_an_exception(self):
        done = self.run_("a = 1\nb = 0\na / b\nc = 2")
        self.assertEqual(done.summary, "<span class='ansi-red-fg'>ZeroDivisionError</span>: division by zero")
        lines = done.cause.split("\n")
        self.assertEqual(set(lines[0]), {"-"})
        self.assertEqual(lines[-1], "ZeroDivisionError: division by zero")
        plain = ANSI.sub("", done.cause)
        self.assertRegex(plain, r"File <command-\d+>:3\n")
        self.assertIn("\n      2 b = 0\n----> 3 a / b\n      4 c = 2\n", plain)
        self.assertNotIn("firesteel_python", plain)
        self.assertNotIn("IPython", plain)

    def test_frames_are_chunks_with_an_arrow(self):
        path = os.path.join(self.driver.folder.name, "broken_module.py")
        with open(path, "w") as module:
            module.write("def fail():\n    raise LookupError('no')\n")
        cause = self.run_("import broken_module\nbroken_module.fail()").cause
        chunks = [ANSI.sub("", chunk) for chunk in re.split(r"\n(?:\x1b\[0m)?\n", cause)]
        self.assertEqual(re.match(r"File (/.*?\.py)", chunks[1])[1], os.path.realpath(path))
        self.assertEqual(re.search(r"^-+>\s(\d+)", chunks[1], re.M)[1], "2")

    def test_frames_of_earlier_commands(self):
        self.text("def earlier(v):\n    return 1 / v")
        plain = ANSI.sub("", self.run_("earlier(0)").cause)
        self.assertRegex(plain, r"File <command-\d+>:2, in earlier\n      1 def earlier\(v\):\n----> 2     return 1 / v")

    def test_messages_are_escaped(self):
        self.assertTrue(self.run_("raise Exception('<b> & \"c\"')").summary.endswith("</span>: &lt;b&gt; &amp; \"c\""))

    def test_syntax_errors(self):
        for source, line in (("x = 1\ny = = 2", 2), ("def f(:", 1), ("\n\nx ==", 3), ("if True:\n", 1), ("print('a", 1)):
            done = self.run_(source)
            name = re.search(r">(\w+)<", done.summary)[1]
            self.assertIn(name, ("SyntaxError", "IndentationError"), source)
            self.assertRegex(done.summary, rf"\(&lt;command-\d+&gt;, line {line}\)$")
            chunk = ANSI.sub("", done.cause).split("\n\n")[1]
            self.assertRegex(chunk, rf'^\s*File\s*"<command-\d+>", line {line}')
        self.assertIn("SyntaxError", self.run_("return 1").summary)
        self.assertEqual(self.run_("print('not printed')\nx = = 2").printed, "")
        self.assertEqual(self.run_("'a\0b'").outcome, "error")

    def test_chained_exceptions(self):
        plain = ANSI.sub("", self.run_("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e").cause)
        self.assertLess(plain.index("KeyError: 'k'"), plain.index("direct cause"))
        self.assertLess(plain.index("direct cause"), plain.index("ValueError: v"))

    def test_strange_exceptions(self):
        self.assertIn("<span class='ansi-red-fg'>Odd</span>", self.run_(
            "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd"
        ).summary)
        self.assertIn(">Base</span>: b", self.run_("class Base(BaseException): pass\nraise Base('b')").summary)
        self.assertIn(">KeyboardInterrupt<", self.run_("raise KeyboardInterrupt").summary)
        self.assertIn(">GeneratorExit<", self.run_("raise GeneratorExit").summary)
        for source, message in (("import sys; sys.exit(1)", "1"), ("exit()", ""), ("quit(3)", "3"), ("raise SystemExit('x')", "x")):
            self.assertEqual(self.run_(source).summary, f"<span class='ansi-red-fg'>SystemExit</span>: {message}")
        self.assertEqual(self.text("1"), "1")

    def test_endless_recursion_is_told_once(self):
        done = self.run_("def f(): return f()\nf()")
        self.assertIn("RecursionError", done.summary)
        self.assertLess(len(done.cause), 3000)

    def test_long_errors_are_cut(self):
        done = self.run_("raise ValueError('x' * 1_000_000 + 'end')")
        self.assertLess(len(done.summary), 20_000)
        self.assertLess(len(done.cause), 60_000)
        self.assertTrue(done.cause.endswith("end"))

    def test_an_error_keeps_what_was_printed(self):
        self.assertEqual(self.run_("print('before')\n1/0").printed, "before\n")

    def test_a_repr_that_raises_is_an_error(self):
        done = self.run_("class R:\n    def __repr__(self): raise ValueError('in repr')\nR()")
        self.assertIn("in repr", done.summary)
        self.assertEqual(done.printed, "")

    def test_a_group_tells_all_of_its_exceptions(self):
        cause = self.run_("raise BaseExceptionGroup('many', [ValueError('one'), ExceptionGroup('inner', [KeyError('k')])])" if sys.version_info >= (3, 11)
            else "class BaseExceptionGroup(BaseException):\n    exceptions = [ValueError('one'), KeyError('k')]\nraise BaseExceptionGroup()").cause
        self.assertIn("ValueError: one", cause)
        self.assertIn("KeyError: 'k'", cause)

    def test_the_lines_in_a_trace_are_the_user_s(self):
        self.assertIn("----> 2 %no_such 3", ANSI.sub("", self.run_("x = 1\n%no_such 3").cause))
        self.assertIn("      2 exit 3", ANSI.sub("", self.run_("%%sh\nexit 3").cause))
        self.assertIn("----> 2 1/0", ANSI.sub("", self.run_("%%time\nx = 1\n1/0").cause))
        done = self.run_("for i in range(3):\n    print(i)\n  print('x')")
        self.assertTrue(done.summary.endswith("(&lt;command-%d&gt;, line 3)" % self.python.commands), done.summary)
        self.assertNotIn("tokenize", done.cause)

    # Magics

    def test_shell_magics(self):
        for source in ("%sh echo a\necho b", "%%sh\necho a\necho b", "%sh\necho a\necho b", "!echo a; echo b", "%%bash\necho a\necho b"):
            self.assertEqual(self.text(source), "a\nb", source)
        self.assertIn("CalledProcessError", self.run_("%%sh\nexit 3").summary)
        self.assertEqual(self.text("lines = !echo q\nlines"), "['q']")

    def test_pip(self):
        self.assertIn("pip", self.text("%pip --version"))
        self.assertIn("pip", self.text("get_ipython().run_line_magic('pip', '--version')"))
        self.assertIn("PipError", self.run_("%pip nonsense").summary)

    def test_other_magics(self):
        self.assertIn("loop", self.text("%timeit -n1 -r1 1+1"))
        self.assertIn("not supported", self.run_("%run other").summary)
        self.assertIn("not found", self.run_("%no_such 1").summary)
        self.assertEqual(self.text("%matplotlib inline\n1"), "1")

    # Display

    def test_display_of_pandas(self):
        done = self.run_(
            """
            import datetime, decimal
            import pandas as pd
            display(pd.DataFrame({
                "i": [1, 2], "f": [0.5, None], "s": ["a", None], "b": [True, False],
                "t": pd.to_datetime(["2026-08-09T18:13:17", None]), "d": [datetime.date(2026, 8, 9), None],
                "m": [decimal.Decimal("2702.09"), None], "x": [b"ab", None], "l": [[1, 2], None], "o": [{"k": 1}, None],
            }))
            """
        )
        self.assertEqual(done.outcome, "table")
        results = done.results
        self.assertEqual(set(results), {"resultType", "data", "schema", "truncated", "isJsonSchema"})
        self.assertEqual(results["data"], [
            [1, 0.5, "a", True, "2026-08-09T18:13:17.000", "2026-08-09", "2702.09", "YWI=", [1, 2], {"k": 1}],
            [2, None, None, False] + [None] * 6,
        ])
        types = {column["name"]: column["type"] for column in results["schema"]}
        self.assertEqual(types["i"], '"long"')
        self.assertEqual(types["m"], '"decimal(6,2)"')
        self.assertEqual(json.loads(types["l"])["elementType"], "long")
        self.assertEqual({column["metadata"] for column in results["schema"]}, {"{}"})
        self.assertIs(results["truncated"], False)

    def test_tables_are_cut(self):
        rows = self.run_("display(pd.DataFrame({'a': range(10_001)}))" if self.imported() else "").results
        self.assertEqual((len(rows["data"]), rows["truncated"]), (10_000, True))
        rows = self.run_("display(pd.DataFrame({'a': ['x' * 1000] * 5000}))").results
        self.assertLess(len(json.dumps(rows["data"])), 2_050_000)
        self.assertIs(rows["truncated"], True)

    def imported(self):
        return self.text("import pandas as pd") == ""

    def test_odd_pandas(self):
        self.imported()
        rows = self.run_("display(pd.DataFrame([[1, 'a'], ['b', 2.5]], columns=['x', 'x']))").results
        self.assertEqual(rows["data"], [["1", "a"], ["b", "2.5"]])
        self.assertEqual(self.run_("display(pd.Series([1.5, float('inf')], name='s'))").results["data"], [[1.5], ["Infinity"]])
        self.assertEqual(self.run_("display(pd.DataFrame())").results["data"], [])
        self.assertEqual(self.run_("import pyarrow as pa\ndisplay(pa.table({'a': [1]}))").results["data"], [[1]])

    def test_a_dataframe_is_echoed_as_text(self):
        self.imported()
        self.assertEqual(self.text("pd.DataFrame({'a': [1]})"), "   a\n0  1")

    def test_html(self):
        self.assertEqual(self.text("displayHTML('<b>x</b>')"), "<b>x</b>")
        self.assertEqual(self.text("from IPython.display import HTML\ndisplay(HTML('<i>'))"), "<i>")
        self.assertEqual(self.text("HTML('<i>')"), "<i>")

    def test_display_of_anything_else_is_text(self):
        self.assertEqual(self.text("display({'a': 1}, 'b')"), "{'a': 1}\n'b'")

    def test_the_last_rich_output_wins(self):
        self.imported()
        self.assertEqual(self.run_("displayHTML('x'); display(pd.DataFrame({'a': [1]}))").outcome, "table")
        self.assertEqual(self.text("display(pd.DataFrame({'a': [1]})); displayHTML('x')"), "x")
        self.assertEqual(self.text("1"), "1")

    def test_figures(self):
        for source in (
            "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
            "plt.plot([1, 2]); plt.show()",
            "figure, axes = plt.subplots(); axes.plot([1]); display(figure)",
            "figure, axes = plt.subplots(); axes.plot([1]); figure",
        ):
            done = self.run_("import matplotlib.pyplot as plt\n" + source)
            self.assertEqual(done.outcome, "images", source)
            (name,) = done.results["fileNames"]
            self.assertEqual(name[:22], "data:image/png;base64,")
            self.assertEqual(base64.b64decode(name[22:])[:4], b"\x89PNG")
            self.assertIsNone(done.results["data"])
        self.assertEqual(self.text("plt.get_fignums()"), "[]")
        self.assertEqual(len(self.run_("plt.plot([1]); plt.show(); plt.figure(); plt.plot([2]);").results["fileNames"]), 2)
        self.assertEqual(self.run_("print('p'); plt.plot([1]);").printed, "p\n")
        self.assertIn("ZeroDivision", self.run_("plt.plot([1]); 1/0").summary)
        self.assertEqual(self.text("1"), "1")

    def test_an_image_object(self):
        source = "class I:\n    def _repr_png_(self): return b'\\x89PNG'\n"
        self.assertEqual(self.run_(source + "I()").outcome, "images")
        self.assertEqual(self.run_("display(I())").outcome, "images")

    def test_display_of_what_is_no_picture_and_no_page(self):
        self.assertEqual(self.text("from IPython.display import Markdown, SVG, Image\ndisplay(Markdown('# hi'))"), "# hi")
        self.assertIn("<svg", self.text("display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))"))
        self.assertIn('<img src="data:image/jpeg;base64,/9j/', self.text("display(Image(b'\\xff\\xd8\\xff\\xe0', format='jpeg'))"))

    # dbutils

    def test_notebook_exit_is_alone(self):
        done = self.run_("print('dropped')\ntry:\n    dbutils.notebook.exit('[1]')\nexcept Exception:\n    pass")
        self.assertIs(done.message["alone"], True)
        self.assertEqual(done.text, "[1]")

    def test_remote_dbutils(self):
        raw = json.dumps(([], {}))
        code = f"""
        import json
        (args, kwargs) = json.loads('{raw}')
        result = dbutils.fs.mounts(*args, **kwargs)
        dbutils.notebook.exit(json.dumps(result))
        """
        (mount,) = json.loads(self.python.run(code).text)
        self.assertEqual(mount, ["/", "DatabricksRoot", ""])
        self.assertEqual(self.text("dbutils.fs.mounts()[0].mountPoint"), "'/'")

    def test_restart_python(self):
        done = self.run_("# COMMAND ----------\nprint('p')\ndbutils.library.restartPython()\nprint('not')")
        self.assertIs(done.message["restart"], True)
        self.assertEqual(done.text, "p")

    def test_widgets(self):
        self.assertEqual(self.text("dbutils.widgets.text('w', 'v'); dbutils.widgets.get('w')"), "'v'")
        self.assertEqual(self.text("getArgument('nope', 'd')"), "'d'")
        self.assertIn("nope", self.run_("getArgument('nope')").summary)

    def test_secrets_and_help(self):
        self.assertEqual(self.text("dbutils.widgets.combobox('c', 'free', ['1']); getArgument('c')"), "'free'")
        self.assertIn("getAll", self.text("dbutils.widgets.help()"))
        self.assertIn("this interpreter has no Spark", self.run_("dbutils.secrets.get('s', 'k')").summary)
        self.assertIn("notebook", self.text("dbutils.help()"))

    def test_files_opened_by_user_code_are_complete_after_the_end(self):
        other = self.driver.context()
        path = tempfile.mktemp()
        other.run(f"kept = open({path!r}, 'w'); kept.write('all of it')")
        other.close()
        self.assertEqual(self.driver.exited(other), (0, None))
        with open(path) as written:
            self.assertEqual(written.read(), "all of it")
        os.unlink(path)


if __name__ == "__main__":
    unittest.main()
