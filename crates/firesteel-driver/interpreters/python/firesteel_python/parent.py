"""The parent: imports everything once, then forks an interpreter whenever the driver asks for one.

It runs no user code and has no thread, no gateway to the JVM and no socket but its control connection, so that a fork is
cheap and clean. It ends, with every child and all their processes, when its standard input or its control connection does.
"""

import gc
import json
import os
import selectors
import shutil
import signal
import sys

from . import child, environment, processes
from .frames import Broken, Connection

EXIT_REFUSED = 65
EXIT_MISSING = 69


def main():
    """Runs the parent until it is told to end; returns the exit status."""
    order = _read_order()
    try:
        warm = _import_everything()
    except ImportError as error:
        print(f"python interpreters need IPython and pyspark in {sys.prefix}: {error}", file=sys.stderr)
        return EXIT_MISSING
    gc.collect()
    gc.freeze()
    try:
        return _serve(order, warm)
    finally:
        shutil.rmtree(warm.ipython_dir, ignore_errors=True)


def become_interpreter():
    """Serves as one interpreter in a process that imports everything anew: what the parent has imported is out of date. Never returns."""
    request = _read_order()
    warm = _import_everything(request.pop("ipython_dir"))
    child.live(request, request.pop("parent"), request.pop("socket"), warm)


def _serve(order, warm):
    try:
        control = Connection.open(order["socket"])
        control.greet(role="python", key=order.pop("key"), pid=os.getpid())
    except (Broken, OSError) as error:
        print(f"python parent: {error}", file=sys.stderr)
        return EXIT_REFUSED
    return Parent(order["socket"], control, warm).serve()


class Parent:
    """Forks, reaps, reports."""

    def __init__(self, socket_path, control, warm):
        self._socket_path = socket_path
        self._control = control
        self._warm = warm
        self._packages = environment.Packages()
        self._children = {}  # process id → interpreter
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_rope = os.pipe()

    def serve(self):
        """Answers the driver until its end, then ends every child."""
        self._listen_to_signals()
        self._selector.register(self._control, selectors.EVENT_READ, self._on_request)
        self._selector.register(self._bell, selectors.EVENT_READ, self._on_bell)
        self._selector.register(0, selectors.EVENT_READ, lambda: bool(os.read(0, 4096)))
        try:
            # A request may have arrived together with the welcome; no event would ever tell.
            if self._control.pending() and not self._on_request():
                return 0
            while all(key.data() for key, _ in self._selector.select()):
                pass
        except (Broken, OSError) as error:
            print(f"python parent: {error}", file=sys.stderr)
        finally:
            self._end_children()
        return 0

    def _listen_to_signals(self):
        processes.adopt_orphans()
        for end in (self._bell, self._bell_rope):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._bell_rope, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGTERM, _ignore)
        # Ctrl-C in the driver's terminal reaches this group too; the driver decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_bell(self):
        rung = os.read(self._bell, 4096)
        self._reap()
        return signal.SIGTERM not in rung

    def _on_request(self):
        while True:
            request = self._control.receive()
            if request is None:
                return False
            message = request[0]
            if message["type"] != "fork":
                raise Broken(f"unknown message `{message['type']}`")
            self._fork(message)
            if not self._control.pending():
                return True

    def _fork(self, request):
        parent = os.getpid()
        # SIGCHLD must not be handled in the child with the parent's descriptors still open.
        signal.pthread_sigmask(signal.SIG_BLOCK, processes.PARENT_SIGNALS)
        try:
            pid = os.fork()
        except OSError as error:
            print(f"python parent: fork: {error}", file=sys.stderr)
            self._report(request["interpreter"], os.EX_OSERR, None)
            return
        finally:
            if os.getpid() == parent:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, processes.PARENT_SIGNALS)
        if pid == 0:
            self._become(request, parent)
        self._children[pid] = request["interpreter"]

    def _become(self, request, parent):
        """Never returns: the forked copy of this object is left behind."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        os.close(self._bell)
        os.close(self._bell_rope)
        self._control.close()
        if self._packages.is_stale():
            environment.start_anew(
                {**request, "parent": parent, "socket": self._socket_path, "ipython_dir": self._warm.ipython_dir}
            )
        self._packages.refresh()
        child.live(request, parent, self._socket_path, self._warm)

    def _reap(self):
        while (ended := processes.next_ended(self._children)) is not None:
            pid, status, by_signal = ended
            interpreter = self._children.pop(pid, None)
            if interpreter is not None:  # others are orphans of the users' that were adopted
                self._report(interpreter, status, by_signal)

    def _report(self, interpreter, status, by_signal):
        self._control.send({"type": "exited", "interpreter": interpreter, "status": status, "signal": by_signal})

    def _end_children(self):
        signal.set_wakeup_fd(-1)
        processes.end_all(self._children)


def _ignore(_signal, _frame):
    """A handler is needed for the wake-up descriptor to be written to."""


def _read_order():
    # Byte by byte: nothing may be taken beyond the line, the rest is only ever looked at for its end.
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit("python parent: standard input ended before its line of JSON")
        line += piece
    return json.loads(line)


def _import_everything(ipython_dir=None):
    from . import warm

    return warm.prepare(ipython_dir)
