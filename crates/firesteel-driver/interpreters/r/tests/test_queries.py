"""`sql`: what is asked, and what becomes of the answer."""

import json
import unittest

from .fake_driver import Interpreter, needs_r


def table(*columns, truncated=False):
    """A table result of `(name, type, cell, cell, …)`; a type is a word or Spark's JSON of a nested one."""
    schema = [{"name": name, "type": json.dumps(kind), "metadata": "{}"} for name, kind, *_ in columns]
    rows = list(zip(*(cells for _, _, *cells in columns)))
    return {"resultType": "table", "data": rows, "schema": schema, "truncated": truncated, "isJsonSchema": True}


def failure(summary):
    return {"resultType": "error", "summary": summary, "cause": summary}


ARRAY = {"type": "array", "elementType": "integer", "containsNull": True}
STRUCT = {
    "type": "struct",
    "fields": [
        {"name": "a", "type": "long", "nullable": True, "metadata": {}},
        {"name": "b", "type": {"type": "array", "elementType": "string", "containsNull": True}, "nullable": True, "metadata": {}},
    ],
}
MAP = {"type": "map", "keyType": "string", "valueType": "double", "valueContainsNull": True}


@needs_r
class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.r = Interpreter()

    @classmethod
    def tearDownClass(cls):
        cls.r.close()

    def text(self, source, *answers):
        return self.r.run(source, *answers).text

    def check(self, kind, cells, code, of="x[[1]]"):
        self.text("x <- sql('q')", table(("c", kind, *cells)))
        self.assertEqual(self.text(f"identical({of}, {code})"), "[1] TRUE", self.text("str(x)"))

    def test_the_query_is_asked_as_it_is(self):
        self.r.queries.clear()
        self.text("invisible(sql('select \"é\" -- 1'))\ninvisible(spark$table('t'))", table(("a", "integer", 1)), table(("a", "integer", 1)))
        self.assertEqual(self.r.queries, ['select "é" -- 1', "select * from t"])

    def test_a_table_is_a_data_frame(self):
        answer = table(("id", "integer", 1, 2), ("name", "string", "a", None))
        self.assertEqual(self.text("sql('q')", answer), "  id name\n1  1    a\n2  2 <NA>")
        self.assertEqual(self.text("class(sql('q'))", answer), '[1] "data.frame"')

    def test_types(self):
        for kind, cells, code in (
            ("integer", [1, None], "c(1L, NA)"),
            ("byte", [1], "1L"),
            ("short", [-1], "-1L"),
            ("long", [1 << 40, None], "c(2^40, NA)"),
            ("long", [9007199254740993], "2^53"),
            ("float", [1.5, "NaN"], "c(1.5, NaN)"),
            ("double", [0.1, "-Infinity", None], "c(0.1, -Inf, NA)"),
            ("decimal(12,2)", ["2702.09", None], "c(2702.09, NA)"),
            ("boolean", [True, False, None], "c(TRUE, FALSE, NA)"),
            ("string", ["a", "", 'q"\\\n\té', "null", None], "c('a', '', 'q\"\\\\\\n\\t\u00e9', 'null', NA)"),
            ("varchar(3)", ["[1]"], "'[1]'"),
            ("date", ["2024-02-29", "1582-10-04", None], "structure(c(19782, -141438, NA), class = 'Date')"),
            ("timestamp", ["2026-08-09T18:13:17.500Z"], "as.POSIXct(1786299197.5, origin = '1970-01-01', tz = 'UTC')"),
            ("timestamp", ["1899-12-31T23:59:59.250Z"], "as.POSIXct(-2208988800.75, origin = '1970-01-01', tz = 'UTC')"),
            ("timestamp_ntz", ["1970-01-02T00:00:00.000"], "as.POSIXct(86400, origin = '1970-01-01', tz = 'UTC')"),
            ("void", [None, None], "c(NA, NA)"),
            ("interval day", ["INTERVAL '1' DAY"], "\"INTERVAL '1' DAY\""),
            ("binary", ["AQID", None], "list(as.raw(1:3), NULL)"),
            (ARRAY, [[1, None], [], None], "list(c(1L, NA), integer(0), NULL)"),
            (STRUCT, [{"a": 1, "b": ["x", "[,]"]}, {"a": None, "b": None}], "list(list(a = 1, b = c('x', '[,]')), list(a = NA_real_, b = NULL))"),
            (MAP, [{"k": 1.5, 'l"': None}, {}], "list(list(k = 1.5, 'l\"' = NA_real_), structure(list(), names = character(0)))"),
            ({**ARRAY, "elementType": ARRAY}, [[[1], []]], "list(list(1L, integer(0)))"),
        ):
            with self.subTest(kind=kind):
                self.check(kind, cells, code)

    def test_nested_columns_between_flat_ones(self):
        answer = table(("a", "integer", 1, 2), ("b", ARRAY, [1, 2], None), ("c", "string", "x", "y"))
        self.assertEqual(self.text("x <- sql('q'); c(x$a, x$c, length(x$b[[1]]))", answer), '[1] "1" "2" "x" "y" "2"')

    def test_empty_tables_keep_their_columns(self):
        self.check("integer", [], "integer(0)")
        self.assertEqual(self.text("dim(sql('q'))", table(("a", "date"), ("b", ARRAY))), "[1] 0 2")

    def test_a_statement_without_columns_prints_nothing(self):
        self.assertEqual(self.text("sql('create view')", table()), "")
        self.assertEqual(self.text("dim(sql('create view'))", table()), "[1] 0 0")

    def test_what_was_cut_is_said(self):
        text = self.text("x <- sql('q')", table(("a", "integer", 1), truncated=True))
        self.assertIn("only the first 1 are here", text)

    def test_errors_are_errors(self):
        done = self.r.run("sql('q')", failure("Error in SQL statement: AnalysisException: no &lt;table&gt; &amp;"))
        self.assertIn("Error in SQL statement: AnalysisException: no <table> &", done.cause)
        self.assertEqual(self.text("tryCatch(sql('q'), error = function(e) 'caught')", failure("x")), '[1] "caught"')
        self.assertIn("one text", self.r.run("sql(1:2)").summary)

    def test_a_cancelled_query_cancels_the_command(self):
        self.assertEqual(self.r.run("sql('q'); 1", "cancelled").outcome, "cancelled")
        self.assertEqual(self.r.run("try(sql('q')); 1", "cancelled").outcome, "cancelled")
        self.assertEqual(self.text("2"), "[1] 2")

    def test_an_interrupt_waits_for_the_query(self):
        def interrupted():
            self.r.interrupt()
            return table(("a", "integer", 1))

        self.assertEqual(self.r.run("x <- sql('q'); while (TRUE) {}", interrupted).outcome, "cancelled")
        self.assertEqual(self.text("2"), "[1] 2")

    def test_a_large_table(self):
        rows = range(10_000)
        answer = table(("i", "integer", *rows), ("s", "string", *(f"é{row}" for row in rows)), ("n", "double", *(row / 7 for row in rows)))
        text = self.text("x <- sql('q'); c(nrow(x), sum(x$i), x$n[8] == 1, x$s[10000] == '\u00e99999')", answer)
        self.assertEqual(text.split(), ["[1]", "10000", "49995000", "1", "1"])

    def test_forked_processes_cannot_ask(self):
        source = "library(parallel); inherits(mccollect(mcparallel(sql('q')))[[1]], 'try-error')"
        self.assertEqual(self.text(source), "[1] TRUE")


if __name__ == "__main__":
    unittest.main()
