"""The framing itself, and the samples that the tests of every side read."""

import glob
import json
import os
import socket
import struct
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from firesteel_python import frames  # noqa: E402

FOLDER = os.path.join(HERE, "..", "..", "..", "tests", "frames")
SAMPLES = [
    path
    for link in ("answer", "driver_to_python", "driver_to_interpreter")
    for path in glob.glob(os.path.join(FOLDER, link, "*.json"))
]


class Frames(unittest.TestCase):
    def setUp(self):
        ours, self.theirs = socket.socketpair()
        self.connection = frames.Connection(frames.keep_high(ours.fileno()))
        ours.close()
        self.addCleanup(self.theirs.close)
        self.addCleanup(self.connection.close)

    def put(self, *contents):
        for content in contents:
            self.theirs.sendall(struct.pack(">I", len(content)) + content)

    def test_messages_go_both_ways(self):
        self.connection.send({"type": "a"}, b"\xff" * 100)
        self.theirs.shutdown(socket.SHUT_WR)
        self.put_back = self.theirs.recv(1 << 20)
        (length,) = struct.unpack(">I", self.put_back[:4])
        self.assertEqual(json.loads(self.put_back[4 : 4 + length]), {"type": "a", "payload": True})
        self.assertEqual(self.put_back[8 + length :], b"\xff" * 100)
        self.assertIsNone(self.connection.receive())

    def test_several_messages_in_one_piece(self):
        self.put(b'{"type":"x","payload":true}', b"body", b'{"type":"y","unknown":1}', b'{"type":"z","payload":true}', b"")
        self.assertEqual(self.connection.receive(), ({"type": "x", "payload": True}, b"body"))
        self.assertTrue(self.connection.pending())
        self.assertEqual(self.connection.receive(), ({"type": "y", "unknown": 1}, None))
        self.assertEqual(self.connection.receive()[1], b"")

    def test_garbage_is_refused(self):
        for content in (b"nonsense", b"[]", b'{"type":1}', b"\xff\xff"):
            self.put(content)
            with self.assertRaises(frames.Broken):
                self.connection.receive()
        self.theirs.sendall(b"\xff" * 8)
        with self.assertRaises(frames.Broken):
            self.connection.receive()

    def test_a_descriptor_that_became_another_is_noticed(self):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.connection.fileno())
        with self.assertRaises(frames.Broken):
            self.connection.send({"type": "x"})
        os.close(nothing)

    @unittest.skipUnless(SAMPLES, "there are no samples")
    def test_samples(self):
        for path in SAMPLES:
            with open(path, "rb") as sample:
                message = json.load(sample)
            self.put(json.dumps(message).encode(), *([b"body"] if message.get("payload") else []))
            self.assertEqual(self.connection.receive(), (message, b"body" if message.get("payload") else None), path)


if __name__ == "__main__":
    unittest.main()
