"""The driver's side of the protocol, for tests: starts a parent, forks interpreters, runs commands, reads everything back."""

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from driver_side import LIMITS, SECONDS_MAX, VERSION, Done, Lost, frames_of, read_message

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "firesteel_python")


class Peer:
    """One accepted connection."""

    def __init__(self, link):
        self.link = link
        link.settimeout(SECONDS_MAX)

    def send(self, message, payload=None):
        self.link.sendall(frames_of(message, payload))

    def receive(self):
        return read_message(self._take)

    def close(self):
        self.link.close()

    def _take(self, count):
        content = b""
        while len(content) < count:
            try:
                piece = self.link.recv(count - len(content))
            except ConnectionResetError:
                raise Lost from None
            if not piece:
                raise Lost
            content += piece
        return content


class Driver:
    """Listens, and owns one parent."""

    def __init__(self, environment=None, arguments=()):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "interpreters.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(SECONDS_MAX)
        key = secrets.token_hex(8)
        self.parent = subprocess.Popen(
            [sys.executable, PACKAGE, *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "DATABRICKS_RUNTIME_VERSION": "17.0", **(environment or {})},
            cwd=self.folder.name,
        )
        self.parent.stdin.write(json.dumps({"socket": self.path, "key": key}).encode() + b"\n")
        self.parent.stdin.flush()
        self.control, hello = self.welcome(key)
        assert hello["role"] == "python" and hello["pid"] == self.parent.pid, hello
        self.count = 0

    def welcome(self, key):
        peer = Peer(self.listener.accept()[0])
        hello, _ = peer.receive()
        assert hello["type"] == "hello" and hello["version"] == VERSION, hello
        assert hello["key"] == key, hello
        peer.send({"type": "welcome", "limits": LIMITS})
        return peer, hello

    def fork(self, gateway=None):
        """Asks for an interpreter and returns it as a spare."""
        self.count += 1
        return Interpreter(self, str(self.count), gateway)

    def context(self, gateway=None, context=None):
        """An interpreter bound to a context."""
        interpreter = self.fork(gateway)
        interpreter.bind(context or f"{1000 + self.count}")
        return interpreter

    def exited(self, interpreter):
        """Waits until the parent reports this interpreter's end; earlier reports of others are dropped."""
        while True:
            message, _ = self.control.receive()
            assert message["type"] == "exited", message
            if message["interpreter"] == interpreter.name:
                return message["status"], message["signal"]

    def end(self):
        self.parent.stdin.close()
        status = self.parent.wait(SECONDS_MAX)
        errors = self.parent.stderr.read().decode()
        self.parent.stderr.close()
        self.control.close()
        self.listener.close()
        self.folder.cleanup()
        assert status == 0 and errors == "", (status, errors)


class Interpreter:
    """One forked interpreter, its pipe and its connection."""

    def __init__(self, driver, name, gateway):
        self.driver, self.name = driver, name
        pipe = os.path.join(driver.folder.name, f"output-{name}")
        os.mkfifo(pipe, 0o600)
        self.output = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.printed = bytearray()
        self.lock = threading.Lock()
        key = secrets.token_hex(8)
        port_and_token = gateway and {"port": gateway[0], "token": gateway[1]}
        driver.control.send(
            {"type": "fork", "interpreter": name, "key": key, "output": pipe, "gateway": port_and_token}
        )
        self.peer, hello = driver.welcome(key)
        assert hello["role"] == "interpreter" and hello["interpreter"] == name, hello
        self.pid = hello["pid"]
        self.commands = 0

    def bind(self, context):
        self.peer.send({"type": "bind", "context": context})
        message, _ = self.peer.receive()
        assert message == {"type": "bound"}, message

    def send(self, source):
        self.drain()
        self.commands += 1
        self.printed.clear()
        payload = source if isinstance(source, bytes) else source.encode()
        self.peer.send({"type": "execute", "command": str(self.commands)}, payload)

    def answer(self):
        """Reads what is printed while waiting for `done`."""
        while True:
            ready, _, _ = select.select([self.peer.link, self.output], [], [], SECONDS_MAX)
            assert ready, "no answer"
            if self.output in ready and not self.drain() and self.peer.link not in ready:
                time.sleep(0.005)  # the pipe has no writer
            if self.peer.link in ready:
                break
        message, payload = self.peer.receive()
        self.drain()
        assert message["type"] == "done" and message["command"] == str(self.commands), message
        return Done(message, payload, self.printed.decode(errors="replace"))

    def run(self, source):
        self.send(source)
        return self.answer()

    def drain(self):
        """Takes what is in the pipe now."""
        found = False
        while True:
            try:
                piece = os.read(self.output, 1 << 20)
            except BlockingIOError:
                return found
            if not piece:
                return found
            found = True
            self.printed += piece

    def wait_for_output(self, text):
        deadline = time.monotonic() + SECONDS_MAX
        while text.encode() not in self.printed:
            assert time.monotonic() < deadline, bytes(self.printed)
            self.drain()
            time.sleep(0.005)

    def interrupt(self):
        os.kill(self.pid, signal.SIGINT)

    def close(self):
        self.peer.close()
        os.close(self.output)
