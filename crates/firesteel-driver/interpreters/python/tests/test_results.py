"""The files of all rows of a table, as the driver reads them."""

import json
import os
import struct
import tempfile
import unittest

from firesteel_python import results

SCHEMA = [{"name": "a", "type": '"string"', "metadata": "{}"}]


class Results(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "result")

    def tearDown(self):
        self.folder.cleanup()

    def read(self):
        """Each message with the rows up to its end, and how the result ended."""
        with open(self.path, "rb") as data, open(self.path + ".index", "rb") as index:
            data, words = data.read(), index.read()
        messages, begin, at = [], 0, 0
        while True:
            end, rows = struct.unpack_from(">QQ", words, at)
            at += 16
            if end == 2**64 - 1:
                self.assertEqual(begin, len(data))
                return messages, (rows >> 32, words[at:].decode())
            messages.append((data[begin:end], rows))
            begin = end

    def test_rows_of_json_are_in_blocks(self):
        rows = [b'["%d"]' % n for n in range(25_000)]
        results.write_rows(self.path, iter(rows), SCHEMA, 1 << 30)
        messages, end = self.read()
        self.assertEqual((json.loads(messages[0][0]), messages[0][1], end), (SCHEMA, 0, (results.WHOLE, "")))
        self.assertEqual([count for _, count in messages[1:]], [10_000, 20_000, 25_000])
        self.assertEqual(b",".join(block for block, _ in messages[1:]), b",".join(rows))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_a_bound_ends_it_and_says_so(self):
        results.write_rows(self.path, (b'["%s"]' % (b"x" * 1000) for _ in range(10_000)), SCHEMA, 3 << 20)
        messages, (how, reason) = self.read()
        self.assertEqual(how, results.BOUND)
        self.assertIn("result_bytes_max", reason)
        self.assertTrue(1000 < messages[-1][1] < 10_000 and os.path.getsize(self.path) <= 3 << 20)

    def test_a_second_table_takes_the_place_of_the_first(self):
        results.write_rows(self.path, [b'["first"]'], SCHEMA, 1 << 20)
        results.write_rows(self.path, [b'["second"]'], SCHEMA, 1 << 20)
        self.assertEqual(self.read()[0][1], (b'["second"]', 1))
