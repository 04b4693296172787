"""One interpreter: a spare until it is bound to a context, then the runner of that context's commands."""

import os
import sys
import threading

from . import environment, forks, spark
from .child import EXIT_LOST
from .commands import Commands
from .frames import Broken, Connection
from .interrupts import GATE
from .output import Output

_getpid = os.getpid
_exit = os._exit


def serve(request, socket_path, shell):
    """Serves the driver until it hangs up; returns the exit status."""
    interpreter = Interpreter(shell)
    try:
        interpreter.warm_up(request)
        return interpreter.answer(socket_path, request["interpreter"], request.pop("key"))
    except (Broken, OSError) as error:
        return _lost(error)


class Interpreter:
    """The process's one interpreter."""

    def __init__(self, shell):
        self._pid = _getpid()
        self._output = Output()
        self._commands = Commands(shell)
        self._packages = shell.packages = environment.Packages()
        self._spark = None
        self._connection = None

    def warm_up(self, request):
        """Everything that needs no context: streams, and Spark if there is a gateway to it."""
        self._output.start()
        forks.install()
        gateway = request.pop("gateway")
        if gateway is not None:
            self._spark = spark.Spark(gateway["port"], gateway["token"])
        GATE.install()  # attaching to Spark replaced the handler
        self._output.resident_threads = threading.active_count()

    def answer(self, socket_path, name, key):
        """Connects as a warm spare and answers until the driver hangs up."""
        self._connection = connection = Connection.open(socket_path)
        os.register_at_fork(after_in_child=connection.close)
        welcome = connection.greet(role="interpreter", interpreter=name, key=key, pid=self._pid)
        self._commands.limit(welcome["limits"])
        while (request := connection.receive()) is not None:
            message, payload = request
            self._handle(message, payload)
        return 0

    def _handle(self, message, payload):
        kind = message["type"]
        if kind == "execute":
            self._commands.keep(message.get("result"))
            self._execute(message["command"], payload)
        elif kind == "bind":
            self._connection.send(self._bind(message["context"]))
        else:
            raise Broken(f"unknown message `{kind}`")

    def _bind(self, context):
        try:
            names = self._spark.bind(context) if self._spark is not None else {}
            self._commands.bind(context, names, self._spark)
        except Exception as error:
            return {"type": "bind_failed", "reason": f"{type(error).__name__}: {error}"[:2000]}
        return {"type": "bound"}

    def _execute(self, command, payload):
        self._output.command_starts()
        GATE.install()
        outcome = self._commands.execute_bytes(payload)
        if _getpid() != self._pid:
            self._end_forked_copy(outcome)
        self._output.command_ends()
        done = {"type": "done", "command": command, **outcome.fields}
        if self._packages.take_news():
            done["installed"] = True
        self._connection.send(done, outcome.payload)

    def _end_forked_copy(self, outcome):
        # User code forked and its child ran on to the end of the command: there is nothing for it to answer.
        failed = outcome.fields["outcome"] == "error"
        self._output.command_ends()
        _exit(1 if failed else 0)


def _lost(error):
    try:
        os.write(2, f"python interpreter: {error}\n".encode())
    except OSError:
        pass
    # At once: whatever else this process might do, nobody would hear of it.
    sys.stdout = sys.stderr = None
    _exit(EXIT_LOST)
