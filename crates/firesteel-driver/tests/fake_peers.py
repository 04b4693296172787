"""Stand-ins for the JVM, the Python parent and R, for the driver's own tests: no Spark, the standard library alone.

`fake_peers.py jvm`, `python`, `r` and `node` (a Master or a Worker) speak docs/protocol.md as the real ones do. What they run is one of the words
at the end of this file. What the driver says on a control connection is appended to `<role>.heard` in the current folder.
"""

import base64
import ctypes
import json
import os
import queue
import select
import signal
import socket
import struct
import sys
import threading
import time

VERSION = 2


class Stop(Exception):
    """The command was asked to stop."""


def connect(path):
    link = socket.socket(socket.AF_UNIX)
    link.connect(path)
    return link


class Pipes:
    """The pair of pipes that R has in place of a socket."""

    def __init__(self, requests, answers):
        self.requests, self.answers = os.open(requests, os.O_RDONLY), os.open(answers, os.O_WRONLY)

    def sendall(self, content):
        while content:
            content = content[os.write(self.answers, content) :]

    def recv(self, count):
        return os.read(self.requests, count)

    def shutdown(self, _how):
        os.close(self.requests)
        os.close(self.answers)


class Connection:
    def __init__(self, link, **hello):
        self.link = link
        self.send({"type": "hello", "version": VERSION, "pid": os.getpid(), **hello})
        answer = self.receive()
        if answer is None or answer[0]["type"] != "welcome":
            os._exit(65)

    def send(self, message, payload=None):
        if payload is not None:
            message = {**message, "payload": True}
        text = json.dumps(message).encode()
        frames = [text] if payload is None else [text, payload]
        self.link.sendall(b"".join(struct.pack(">I", len(frame)) + frame for frame in frames))

    def receive(self):
        message = self._frame()
        if message is None:
            return None
        message = json.loads(message)
        return message, self._frame() if message.get("payload") else None

    def _frame(self):
        header = self._take(4)
        return None if header is None else self._take(struct.unpack(">I", header)[0])

    def _take(self, count):
        taken = b""
        while len(taken) < count:
            try:
                piece = self.link.recv(count - len(taken))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            taken += piece
        return taken


class Interpreter:
    """One language in one context; `wait` comes back when the command is asked to stop, `secret` with one."""

    def __init__(self, link, number, key, wait, secret=None):
        self.wait, self.secret = wait, secret
        self.connection = Connection(link, role="interpreter", interpreter=number, key=key)

    def serve(self):
        while (request := self.connection.receive()) is not None:
            message, payload = request
            if message["type"] == "bind":
                self.connection.send({"type": "bound"})
            else:
                self.execute(message["command"], payload.decode())

    def execute(self, command, source):
        word, _, rest = source.partition(" ")
        done = {"type": "done", "command": command}
        try:
            text = WORDS[word](self, rest, done)
        except Stop:
            self.connection.send({**done, "outcome": "cancelled"})
        else:
            if text is not None:
                self.connection.send({**done, "outcome": "text"}, text.encode())

    def print(self, text):
        if threading.current_thread() is threading.main_thread():
            os.write(1, text.encode())
        else:
            self.connection.send({"type": "output"}, text.encode())


def heard(role, message):
    with open(f"{role}.heard", "a") as log:
        log.write(json.dumps(message) + "\n")


def jvm(launch):
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    control = Connection(connect(launch["socket"]), role="jvm", key=launch["key"])
    fate = launch["conf"].get("fake")
    if fate == "failed":
        control.send({"type": "spark_failed", "reason": "no master"})
        return
    ready = {"spark_version": "4.3.0", "scala_version": "2.13.18", "master": "local[*]", "app_id": "a", "ui_url": None}
    control.send({"type": "spark_ready", **ready})
    if fate == "hang":
        control.link.shutdown(socket.SHUT_RDWR)
        time.sleep(1000)
    if fate in ("master-lost", "master-back"):
        control.send({"type": "master", "there": False})
    if fate == "master-back":
        control.send({"type": "master", "there": True})
    if fate == "statements":
        control.send({"type": "statements", "active": 2})
    stops, secrets = {}, queue.Queue()
    executors = Executors(control)

    def secret():
        control.send({"type": "secret_ask", "ask": 7, "what": "get", "scope": "s", "key": "k"})
        return base64.b64decode(secrets.get()["value"]).decode()

    def interpreter(number, key):
        stop = stops[number] = threading.Event()

        def wait():
            stop.wait()
            stop.clear()
            raise Stop

        Interpreter(connect(launch["socket"]), number, key, wait, secret).serve()

    while (request := control.receive()) is not None:
        message = request[0]
        heard("jvm", message)
        number = message.get("interpreter")
        if message["type"] == "open" and fate == "no-sql" and message["language"] == "sql":
            control.send({"type": "open_failed", "interpreter": number, "reason": "no SQL today"})
        elif message["type"] == "open":
            threading.Thread(target=interpreter, args=(number, message["key"]), daemon=True).start()
        elif message["type"] == "gateway":
            control.send({"type": "gateway_ready", "interpreter": number, "port": 1, "token": "t"})
        elif message["type"] == "resize":
            executors.resize(message["executors"])
        elif message["type"] == "fetch_library":
            fetch_library(control, message)
        elif message["type"] == "secret_answer":
            secrets.put(message)
        elif message["type"] == "cancel" and number in stops:
            stops[number].set()


def fetch_library(control, message):
    """Does what the name of the file says."""
    name, number = os.path.basename(next(iter(message["library"].values()))), message["number"]
    if name == "missing.jar":
        control.send({"type": "library_failed", "number": number, "reason": "there is no such file"})
    elif name != "hang.jar":
        files = [os.path.join(message["folder"], name)]
        control.send({"type": "library_fetched", "number": number, "files": files, "messages": [f"{name} is old"]})


class Executors:
    """What a fake JVM tells of executors: one for each fake Worker that lives, until a resize lets it go."""

    def __init__(self, control):
        self.control, self.present, self.gone, self.limit = control, set(), set(), None
        self.lock = threading.Lock()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            with self.lock:
                self.look()
            time.sleep(0.005)

    def look(self):
        names = os.listdir("workers") if os.path.isdir("workers") else []
        living = {name for name in names if name.startswith("worker-") and os.path.exists(f"/proc/{name.split('.')[-1]}")}
        for name in sorted(self.present - living):
            self.remove(name, "worker lost")
        for name in sorted(living - self.present - self.gone):
            if self.limit is None or len(self.present) < self.limit:
                self.present.add(name)
                worker = int(name.split("-")[1].split(".")[0])
                self.control.send({"type": "executor_added", "executor": name, "worker": worker})

    def remove(self, name, reason):
        self.present.remove(name)
        self.gone.add(name)
        self.control.send({"type": "executor_removed", "executor": name, "reason": reason})

    def resize(self, executors):
        with self.lock:
            self.limit = executors
            for name in sorted(self.present)[executors:]:
                self.remove(name, "let go")


def node(launch):
    """A Master or a Worker. A Worker says by a file that it lives."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    worker = launch.get("worker")
    if worker and launch["conf"]["spark.authenticate.secret"] and os.environ.get("FAKE") == "failed":
        os._exit(3)
    role = {"role": "worker", "worker": worker["number"]} if worker else {"role": "master"}
    control = Connection(connect(launch["socket"]), key=launch["key"], **role)
    port = launch["conf"].get("spark.master.port", "7077")
    control.send({"type": "serving", "url": f"spark://127.0.0.1:{port}"})
    if worker:
        assert worker["master"] == "spark://127.0.0.1:7077", worker
        open(os.path.join(worker["folder"], f"worker-{worker['number']}.{os.getpid()}"), "w").close()
    else:
        with open("master.pids", "a") as pids:
            pids.write(f"{os.getpid()}\n")
    control.receive()


def python(launch):
    bell, rope = os.pipe()
    for end in (bell, rope):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(rope)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = Connection(connect(launch["socket"]), role="python", key=launch["key"])
    children, parent = {}, os.getpid()
    while True:
        ready, _, _ = select.select([control.link, bell, 0], [], [])
        if bell in ready:
            os.read(bell, 4096)
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    break
                if pid == 0:
                    break
                if pid in children:
                    code, by = (None, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), None)
                    control.send({"type": "exited", "interpreter": children.pop(pid), "status": code, "signal": by})
        if 0 in ready and not os.read(0, 4096):
            return
        if control.link in ready:
            request = control.receive()
            if request is None:
                return
            heard("python", request[0])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                control.link.close()
                become(launch, request[0], parent)
            children[pid] = request[0]["interpreter"]


def become(launch, fork, parent):
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    output = os.open(fork["output"], os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    wait = until_interrupted()
    Interpreter(connect(launch["socket"]), fork["interpreter"], fork["key"], wait).serve()
    os._exit(0)


def until_interrupted():
    asked = []
    signal.signal(signal.SIGINT, lambda *_: asked.append(1))

    def wait():
        while not asked:
            time.sleep(0.01)
        asked.clear()
        raise Stop

    return wait


def r(launch):
    if os.path.exists("r-fails"):
        print("no R today")
        sys.exit(3)
    with open(os.path.join(os.environ["TMPDIR"], "scratch"), "w"):
        pass
    wait = until_interrupted()
    Interpreter(Pipes(launch["requests"], launch["answers"]), launch["interpreter"], launch["key"], wait).serve()


def say(interpreter, rest, _done):
    interpreter.print(rest)
    return ""


def show_secret(interpreter, _rest, _done):
    """Shows a secret in two pieces of what is printed, and as what the command comes to."""
    secret = interpreter.secret()
    interpreter.print("a " + secret[:3])
    interpreter.print(secret[3:] + "\n")
    return secret


def print_and(interpreter, rest, done):
    """`print-and WORD TEXT`: prints, and goes on as that word does."""
    word, _, text = rest.partition(" ")
    interpreter.print(text)
    return WORDS[word](interpreter, "3", done)


def deaf(_interpreter, rest, _done):
    with open("interrupts", "w") as log:
        signal.signal(signal.SIGINT, lambda *_: (log.write("x"), log.flush()))
        with open("deaf", "w") as note:
            note.write(rest)
        while True:
            time.sleep(1)


def deaf_thread(_interpreter, _rest, _done):
    while True:
        time.sleep(1)


def last_word(interpreter, rest, done):
    interpreter.connection.send({**done, "outcome": "text"}, rest.encode())
    os._exit(0)


def restart(interpreter, _rest, done):
    interpreter.connection.send({**done, "outcome": "text", "restart": True}, b"")


def garbage(interpreter, _rest, _done):
    interpreter.connection.link.sendall(b"\xff\xff\xff\xffnonsense")
    time.sleep(60)


def forge(interpreter, rest, done):
    interpreter.connection.send({**done, "command": rest, "outcome": "text"}, b"forged")
    time.sleep(60)


def unasked(interpreter, _rest, _done):
    while True:
        interpreter.connection.send({"type": "bound"})


def flood(interpreter, _rest, _done):
    for _ in range(2):
        if os.fork() == 0:
            while True:
                os.write(1, b"x" * 65536)
    interpreter.wait()


def images(interpreter, rest, done):
    interpreter.print("before")
    body = '{"resultType":"images","fileNames":["%s"],"data":null}' % rest
    interpreter.connection.send({**done, "outcome": "images"}, body.encode())


def alone(interpreter, rest, done):
    interpreter.print("dropped")
    interpreter.connection.send({**done, "outcome": "text", "alone": True}, rest.encode())


def query(interpreter, rest, _done):
    interpreter.connection.send({"type": "sql"}, rest.encode())
    answer, payload = interpreter.connection.receive()
    if answer["outcome"] == "cancelled":
        raise Stop
    results = json.loads(payload)
    return "%s: %s" % (answer["outcome"], results.get("data") or results.get("summary"))


def queries(interpreter, rest, _done):
    return " ".join(query(interpreter, f"echo {n}", _done) for n in range(int(rest)))


def query_twice(interpreter, rest, _done):
    for _ in range(2):
        interpreter.connection.send({"type": "sql"}, rest.encode())
    time.sleep(60)


def query_and_done(interpreter, rest, _done):
    interpreter.connection.send({"type": "sql"}, rest.encode())
    return "done"


def query_and_exit(interpreter, rest, _done):
    interpreter.connection.send({"type": "sql"}, b"wait")
    time.sleep(0.2)
    os._exit(int(rest))


def close(interpreter, _rest, _done):
    interpreter.connection.link.shutdown(socket.SHUT_RDWR)
    time.sleep(60)


WORDS = {
    "echo": lambda _interpreter, rest, _done: rest,
    "print": say,
    "print-and": print_and,
    "show-secret": show_secret,
    "wait": lambda interpreter, _rest, _done: interpreter.wait(),
    "deaf": deaf,
    "deaf-thread": deaf_thread,
    "exit": lambda _interpreter, rest, _done: os._exit(int(rest)),
    "kill": lambda _interpreter, rest, _done: os.kill(os.getpid(), int(rest)),
    "kill-parent": lambda _interpreter, _rest, _done: (os.kill(os.getppid(), signal.SIGKILL), time.sleep(60)),
    "last-word": last_word,
    "restart": restart,
    "garbage": garbage,
    "forge": forge,
    "unasked": unasked,
    "flood": flood,
    "images": images,
    "alone": alone,
    "close": close,
    "query": query,
    "queries": queries,
    "query-twice": query_twice,
    "query-and-done": query_and_done,
    "query-and-exit": query_and_exit,
    "pid": lambda _interpreter, _rest, _done: str(os.getpid()),
}

if __name__ == "__main__":
    {"jvm": jvm, "python": python, "r": r, "node": node}[sys.argv[1]](json.loads(sys.stdin.readline()))
