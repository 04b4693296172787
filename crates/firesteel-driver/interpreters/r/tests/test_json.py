"""The JSON, base64 and calendar of the R side, called through commands."""

import datetime
import json
import random
import unittest

from .fake_driver import Interpreter, needs_r


@needs_r
class Json(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.r = Interpreter()
        cls.r.run("own <- environment(sql)")

    @classmethod
    def tearDownClass(cls):
        cls.r.close()

    def text(self, source):
        return self.r.run(source).text

    def read(self, document):
        """What R makes of a JSON text, as code; the text travels in a file, as it may be anything."""
        content = document if isinstance(document, bytes) else document.encode()
        with open(f"{self.r.folder.name}/document", "wb") as file:
            file.write(content)
        return self.r.run(
            "bytes <- readBin('document', 'raw', file.size('document'))\n"
            "writeLines(deparse(own$json_read(rawToChar(bytes)), width.cutoff = 500))"
        )

    def test_values(self):
        for document, expected in (
            ("1", "1"),
            ("-0.5e2", "-50"),
            ("true", "TRUE"),
            ("null", "NULL"),
            ('""', '""'),
            ('"a\\"\\\\\\/\\b\\n\\u00e9"', '"a\\"\\\\/\\b\\né"'),
            ('"\\ud83d\\ude00"', '"😀"'),
            ('"é😀"', '"é😀"'),
            ('"\\u0000\\ud800x"', '"��x"'),
            ("[]", "list()"),
            (' [1 , [ ] ,null] ', "list(1, list(), NULL)"),
            ('{"a":1,"b":{"c":[false]},"n":null}', "list(a = 1, b = list(c = list(FALSE)), n = NULL)"),
            ("9007199254740992", "9007199254740992"),
            ("9007199254740993", '"9007199254740993"'),
            ("-7124536274593061123", '"-7124536274593061123"'),
        ):
            self.assertEqual(self.read(document).text, expected, document)

    def test_what_is_not_json_is_refused(self):
        for document in (
            *("", " ", "{", "[1", "[1,]", '{"a":1,}', "{1:2}", '{"a" 1}', "1 2", "01", "1.", ".5", "+1", "nul", "True", "'a'"),
            *('"a', '"\\x"', '"\\u12"', '"\n"', "[1]]", '{"a":1,"a":2}', "NaN", "[,]", ":", "[1:2]", "[" * 300 + "]" * 300),
            b'"\xff"',
        ):
            self.assertIn("not JSON", self.read(document).summary, document)

    def test_long_strings_and_many_values(self):
        self.assertEqual(self.text(f"nchar(own$json_read(paste0('\"', strrep('é\\\\n', 1e6), '\"')))"), "[1] 2000000")
        self.assertEqual(self.text("length(own$json_read(paste0('[', paste(1:50000, collapse = ','), ']')))"), "[1] 50000")

    def test_what_is_written_is_read_the_same(self):
        written = self.r.run(
            "cat(own$json_object(list(t = 'a\"\\\\\\n\\t\\u0001\\u00e9', n = 0.1, b = NA, e = 1e300, i = 7L, z = NULL, s = 1/3)))"
        ).printed
        expected = {"t": 'a"\\\n\t\u0001é', "n": 0.1, "b": None, "e": 1e300, "i": 7, "z": None, "s": 1 / 3}
        self.assertEqual(json.loads(written), expected)

    def test_base64(self):
        for length in (0, 1, 2, 3, 4, 1000):
            source = f"x <- as.raw((seq_len({length}) * 7) %% 256); identical(own$base64_decode(own$base64_encode(x)), x)"
            self.assertEqual(self.text(source), "[1] TRUE")
        self.assertEqual(self.text("own$base64_encode(charToRaw('hello'))"), '[1] "aGVsbG8="')

    def test_days_are_those_of_the_calendar(self):
        pick = random.Random(7)
        days = [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1900, 2, 28), datetime.date(2000, 2, 29)]
        days += [datetime.date.fromordinal(pick.randint(1, 3652059)) for _ in range(200)]
        texts = ",".join(f"'{day.isoformat()}'" for day in days)
        self.text(f"texts <- c({texts})")
        self.assertEqual(self.text("identical(own$date_texts(own$dates_of(texts)), texts)"), "[1] TRUE")
        epoch = datetime.date(1970, 1, 1)
        numbers = ",".join(str((day - epoch).days) for day in days)
        self.assertEqual(self.text(f"identical(as.numeric(own$dates_of(texts)), c({numbers}) + 0)"), "[1] TRUE")
        self.text("texts <- paste0(texts, 'T23:59:59.123Z')")
        self.assertEqual(self.text("identical(own$instant_texts(own$instants_of(texts)), texts)"), "[1] TRUE")


if __name__ == "__main__":
    unittest.main()
