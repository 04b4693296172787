"""The driver's side of the protocol, for tests: starts R, runs commands, answers queries, reads everything back."""

import functools
import glob
import hashlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from driver_side import LIMITS, SECONDS_MAX, VERSION, Done, Lost, frames_of, read_message

MAIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "firesteel", "main.R")
RSCRIPT = shutil.which("Rscript")
POLL_SECONDS = 0.005

needs_r = unittest.skipUnless(RSCRIPT, "R is not installed")


class Interpreter:
    """One R process and its three pipes."""

    def __init__(self, environment=None, bind=True, limits=LIMITS):
        self.folder = tempfile.TemporaryDirectory()
        self.printed = bytearray()
        self.answered = bytearray()
        self.commands = 0
        self.result = None  # where all rows of a table go
        self.queries = []
        self.query_answers = []
        paths = {name: os.path.join(self.folder.name, name) for name in ("requests", "answers", "output")}
        for path in paths.values():
            os.mkfifo(path, 0o600)
        self.requests = os.open(paths["requests"], os.O_RDWR)
        self.answers = os.open(paths["answers"], os.O_RDONLY | os.O_NONBLOCK)
        self.output = os.open(paths["output"], os.O_RDWR | os.O_NONBLOCK)
        writer = os.open(paths["output"], os.O_WRONLY)
        self.process = subprocess.Popen(
            [RSCRIPT, "--vanilla", MAIN, _cache()],
            stdin=subprocess.PIPE,
            stdout=writer,
            stderr=writer,
            env={**os.environ, "LC_ALL": "C", "TMPDIR": self.folder.name, **(environment or {})},
            cwd=self.folder.name,
            start_new_session=True,
        )
        os.close(writer)
        key = secrets.token_hex(8)
        library = os.path.join(self.folder.name, "library")
        os.mkdir(library)
        pipes = {"requests": paths["requests"], "answers": paths["answers"]}
        line = {"interpreter": "7", "key": key, "library": library, **pipes}
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.close()
        hello, _ = self.receive()
        expected = {"version": VERSION, "role": "interpreter", "interpreter": "7", "key": key, "pid": self.process.pid}
        assert hello == {"type": "hello", **expected}, hello
        for path in paths.values():
            os.unlink(path)
        self.send_message({"type": "welcome", "limits": limits})
        self.drain()
        assert not self.printed, bytes(self.printed)
        if bind:
            self.send_message({"type": "bind", "context": "1001"})
            assert self.receive() == ({"type": "bound"}, None)

    def send_message(self, message, payload=None):
        content = frames_of(message, payload)
        # A pipe holds less than some payloads.
        writer = threading.Thread(target=_write_all, args=(self.requests, content))
        writer.start()
        writer.join(0.05 if len(content) > 60_000 else None)

    def receive(self):
        return read_message(self._take)

    def send(self, source):
        self.drain()
        self.commands += 1
        self.printed.clear()
        payload = source if isinstance(source, bytes) else source.encode()
        fields = {} if self.result is None else {"result": self.result}
        self.send_message({"type": "execute", "command": f"command-{self.commands}", **fields}, payload)

    def answer(self):
        """Reads what is printed and answers queries while waiting for `done`."""
        while True:
            message, payload = self.receive()
            self.drain()
            if message["type"] != "sql":
                break
            self.queries.append(payload.decode())
            answer = self.query_answers.pop(0)
            answer = answer() if callable(answer) else answer
            if isinstance(answer, str):
                self.send_message({"type": "sql_result", "outcome": answer})
            else:
                outcome = answer["resultType"]
                self.send_message({"type": "sql_result", "outcome": outcome}, json.dumps(answer, ensure_ascii=False).encode())
        assert message["type"] == "done" and message["command"] == f"command-{self.commands}", message
        return Done(message, payload, self.printed.decode(errors="replace"))

    def run(self, source, *query_answers):
        self.query_answers = list(query_answers)
        self.send(source)
        return self.answer()

    def drain(self):
        """Takes what is in the output pipe now."""
        while True:
            try:
                self.printed += os.read(self.output, 1 << 20)
            except BlockingIOError:
                return

    def wait_for_output(self, text):
        deadline = time.monotonic() + SECONDS_MAX
        while text.encode() not in self.printed:
            assert time.monotonic() < deadline, bytes(self.printed)
            self.drain()
            time.sleep(POLL_SECONDS)

    def interrupt(self):
        os.kill(self.process.pid, signal.SIGINT)

    def hang_up(self):
        os.close(self.requests)
        self.requests = None

    def wait(self):
        status = self.process.wait(SECONDS_MAX)
        self.drain()
        return status

    def close(self):
        if self.requests is not None:
            self.hang_up()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.answers)
        os.close(self.output)
        self.folder.cleanup()

    def _take(self, count):
        while len(self.answered) < count:
            ready, _, _ = select.select([self.answers, self.output], [], [], SECONDS_MAX)
            assert ready, ("no answer", bytes(self.printed))
            if self.output in ready:
                self.drain()
            if self.answers in ready:
                piece = os.read(self.answers, 1 << 20)
                if piece:
                    self.answered += piece
                elif self.process.poll() is not None:
                    self.drain()
                    raise Lost(bytes(self.printed))
                else:
                    time.sleep(POLL_SECONDS)  # it has not opened its end yet, or has closed it
        content = bytes(self.answered[:count])
        del self.answered[:count]
        return content


@functools.cache
def _cache():
    """A folder for the compiled sources, one for each state of them."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(os.path.dirname(MAIN), "*.R"))):
        with open(path, "rb") as source:
            digest.update(source.read())
    folder = os.path.join(tempfile.gettempdir(), f"firesteel-r-{os.getuid()}-{digest.hexdigest()[:12]}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def _write_all(descriptor, content):
    while content:
        content = content[os.write(descriptor, content) :]
