"""Plays the driver process: listens on a Unix socket, starts the JVM, opens interpreters and runs commands.

Needs SPARK_HOME, and FIRESTEEL_JAR naming the compiled jar; JAVA may name the java program, JAVA_OPTIONS more options.
"""

import json
import os
import queue
import secrets
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

# What the tests of all languages share.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests"))
from driver_side import LIMITS, VERSION, Lost, frames_of, read_message

# How long anything may take before a case fails: far more than it needs.
PATIENCE_S = 120

# What the JVM tells of itself, whenever there is something to tell.
NEWS = {"progress", "streams", "executor_added", "executor_removed"}

OPENS = [
    "java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect", "java.base/java.io",
    "java.base/java.net", "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic", "java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/sun.nio.cs",
    "java.base/sun.security.action", "java.base/sun.util.calendar", "java.security.jgss/sun.security.krb5",
]


def java_command(*more):
    """The command line of the JVM; `docs/operations.md` and the Rust side have the same."""
    jars = os.path.join(os.environ["SPARK_HOME"], "jars")
    path = [os.environ["FIRESTEEL_JAR"]] + sorted(os.path.join(jars, jar) for jar in os.listdir(jars) if jar.endswith(".jar"))
    return [
        os.environ.get("JAVA", "java"), "-Xmx2g", *shlex.split(os.environ.get("JAVA_OPTIONS", "")),
        "--add-modules=jdk.incubator.vector", *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENS),
        "-Dio.netty.tryReflectionSetAccessible=true", "-Djdk.reflect.useDirectMethodHandle=false",
        "-cp", os.pathsep.join(path), *more, "firesteel.Agent",
    ]


def until(look):
    """Looks until what is seen is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Peer:
    """One accepted connection."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, payload=None, **fields):
        self.sock.sendall(frames_of(fields, payload))

    def receive(self):
        """The next message and its payload; (None, None) at the end."""
        try:
            return read_message(self._take)
        except Lost:
            return None, None

    def _take(self, count):
        content = self.file.read(count)
        if len(content) < count:
            raise Lost
        return content

    def close(self):
        self.file.close()
        self.sock.close()


class Result:
    def __init__(self, done, payload, printed):
        self.message, self.outcome = done, done["outcome"]
        self.alone = done.get("alone", False)
        self.payload = payload
        self.printed = printed.decode()

    @property
    def text(self):
        assert self.outcome == "text", (self.outcome, self.payload)
        return self.payload.decode()

    @property
    def table(self):
        assert self.outcome == "table", (self.outcome, self.payload)
        return json.loads(self.payload)

    @property
    def error(self):
        assert self.outcome == "error", (self.outcome, self.payload)
        found = json.loads(self.payload)
        assert found["resultType"] == "error"
        return found


class Interpreter:
    def __init__(self, jvm, id, peer):
        self.jvm, self.id, self.peer, self.context = jvm, id, peer, None
        self.commands = 0

    def bind(self, context):
        self.context = context
        self.peer.send(type="bind", context=context)
        message, _ = self.peer.receive()
        assert message["type"] == "bound", message
        return self

    def start(self, source, **more):
        self.commands += 1
        command = f"{self.id}-{self.commands}"
        self.peer.send(type="execute", command=command, payload=source.encode(), **more)
        return command

    def finish(self):
        printed = []
        while True:
            message, payload = self.peer.receive()
            assert message is not None, "the interpreter is lost"
            if message["type"] == "output":
                assert len(payload) <= 64 * 1024
                printed.append(payload)
            else:
                assert message["type"] == "done" and message["command"] == f"{self.id}-{self.commands}", message
                return Result(message, payload, b"".join(printed))

    def run(self, source, **more):
        self.start(source, **more)
        return self.finish()

    def cancel(self, **more):
        self.jvm.control.send(type="cancel", context=self.context, interpreter=self.id, **more)

    def close(self):
        self.peer.close()


def result_entries(path, timeout=120):
    """The index of a result file, once it has its end: `(end in the file, rows so far)` of each message, and `(how, reason)`."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with open(path + ".index", "rb") as index:
            words = index.read()
        entries, at = [], 0
        while at + 16 <= len(words):
            first, second = struct.unpack_from(">QQ", words, at)
            at += 16
            if first == 2**64 - 1:
                return entries, (second >> 32, words[at:at + (second & 0xFFFFFFFF)].decode())
            entries.append((first, second))
        time.sleep(0.05)
    raise AssertionError(f"the result has no end yet: {len(words)} bytes of index")


class Jvm:
    def __init__(self, conf=None, options=(), limits=LIMITS, env_more=None):
        self.dir = tempfile.TemporaryDirectory(prefix="firesteel-")
        self.limits = limits
        self.path = os.path.join(self.dir.name, "interpreters.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.ids = 0
        self.peers = []
        self.log = open(os.environ.get("JVM_LOG", os.path.join(self.dir.name, "jvm.log")), "ab")
        self.process = subprocess.Popen(java_command(*options), stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(env_more or {})})
        key = secrets.token_hex(16)
        settings = {"spark.ui.enabled": "false", "spark.sql.warehouse.dir": os.path.join(self.dir.name, "warehouse"),
                    "spark.driver.host": "127.0.0.1", "spark.sql.shuffle.partitions": "2", **(conf or {})}
        launch = {"socket": self.path, "key": key, "runtime_version": "17.0", "conf": settings,
                  "repl_dir": os.path.join(self.dir.name, "classes")}
        self.process.stdin.write(json.dumps(launch).encode() + b"\n")
        self.process.stdin.flush()
        self.control, hello = self._accept("jvm", key)
        assert hello["pid"] == self.process.pid
        self.messages = queue.Queue()
        self.reading = threading.Thread(target=self._read_control, daemon=True)
        self.reading.start()
        self.ready = self.expect("spark_ready")
        self.spark = tuple(int(part) for part in self.ready["spark_version"].split(".")[:2])
        self.is_scala_2_12 = self.ready["scala_version"].startswith("2.12.")

    def _accept(self, role, key):
        self.listener.settimeout(PATIENCE_S)
        sock, _ = self.listener.accept()
        if role == "interpreter":  # the control connection may be silent for as long as it likes
            sock.settimeout(PATIENCE_S)
        peer = Peer(sock)
        self.peers.append(peer)
        hello, _ = peer.receive()
        assert hello["type"] == "hello" and hello["version"] == VERSION and hello["role"] == role and hello["key"] == key, hello
        peer.send(type="welcome", limits=self.limits)
        return peer, hello

    def _read_control(self):
        while True:
            message, _ = self.control.receive()
            self.messages.put(message)
            if message is None:
                return

    def expect(self, kind, timeout=PATIENCE_S):
        """The next message, which must be of this kind; news that nobody asked for is passed over."""
        message = self.messages.get(timeout=timeout)
        while message and message["type"] in NEWS - {kind}:
            message = self.messages.get(timeout=timeout)
        assert message and message["type"] == kind, message
        return message

    def next_id(self):
        self.ids += 1
        return str(self.ids)

    def open(self, language, context=None):
        id, key = self.next_id(), secrets.token_hex(16)
        self.control.send(type="open", interpreter=id, language=language, key=key)
        peer, hello = self._accept("interpreter", key)
        assert hello["interpreter"] == id
        interpreter = Interpreter(self, id, peer)
        interpreter.hello = hello
        return interpreter.bind(context) if context else interpreter

    def gateway(self):
        id = self.next_id()
        self.control.send(type="gateway", interpreter=id)
        ready = self.expect("gateway_ready")
        assert ready["interpreter"] == id
        return ready

    def settle(self):
        """Returns when all that was ordered over the control connection so far is under way."""
        self.control.send(type="forget", interpreter=self.gateway()["interpreter"])

    def stop(self, how="control"):
        if how == "control":
            self.control.sock.shutdown(socket.SHUT_RDWR)  # a close would wait for the reading thread
        else:
            self.process.stdin.close()
        status = self.process.wait(30)
        self.process.stdin.close()
        self.reading.join(10)
        for peer in self.peers:
            peer.close()
        self.log.close()
        self.listener.close()
        self.dir.cleanup()
        return status
