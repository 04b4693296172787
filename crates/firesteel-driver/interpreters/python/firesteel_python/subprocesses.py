"""Runs other programs for magics and `os.system`: output straight into the interpreter's own, and nothing left after an interrupt."""

import os
import signal
import subprocess
import threading

from . import processes
from .interrupts import GATE

GRACE_SECONDS = 2

# How much of what a program printed is remembered, and how long is waited for the rest of it after its end: a process that
# it left behind may go on printing.
TAIL_BYTES = 4000
SETTLE_SECONDS = 0.2


def run(command, shell=False):
    """Runs a command to its end and returns its exit status."""
    return _to_end(lambda: subprocess.Popen(command, shell=shell, stdin=subprocess.DEVNULL))


def _to_end(start):
    process = None
    try:
        # An interrupt in the middle of this would leave a process that nobody knows of.
        with GATE.holding():
            process = start()
        GATE.pay()
        return process.wait()
    except BaseException:
        if process is not None:
            _end(process)
        raise


def run_heard(command):
    """Runs a command to its end; returns its exit status and the last of what it printed."""
    listener = None

    def start():
        nonlocal listener
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        listener = _Listener(process.stdout)
        listener.start()
        return process

    status = _to_end(start)
    listener.join(SETTLE_SECONDS)
    return status, listener.tail()


class _Listener(threading.Thread):
    """Passes on what a program prints, and remembers the end of it."""

    def __init__(self, pipe):
        super().__init__(name="firesteel-listener", daemon=True)
        self._pipe = pipe
        self._tail = b""

    def run(self):
        with self._pipe:
            while piece := os.read(self._pipe.fileno(), 1 << 16):
                self._tail = (self._tail + piece)[-TAIL_BYTES:]
                while piece:
                    piece = piece[os.write(1, piece) :]

    def tail(self):
        return self._tail.decode("utf-8", "replace").strip()


def system(command):
    """`os.system`. The C library's own is deaf to interrupts while it waits."""
    status = run(os.fspath(command), shell=True)
    return -status if status < 0 else status << 8


def _end(process):
    processes.signal_tree(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        processes.signal_tree(process.pid, signal.SIGKILL)
        process.wait()
