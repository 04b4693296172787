"""Runs other programs for magics: output straight into the interpreter's own, and nothing left after an interrupt."""

import signal
import subprocess

from . import processes
from .interrupts import GATE

GRACE_SECONDS = 2


def run(command, shell=False):
    """Runs a command to its end and returns its exit status."""
    process = None
    try:
        # An interrupt in the middle of this would leave a process that nobody knows of.
        with GATE.holding():
            process = subprocess.Popen(command, shell=shell, stdin=subprocess.DEVNULL)
        GATE.pay()
        return process.wait()
    except BaseException:
        if process is not None:
            _end(process)
        raise


def _end(process):
    processes.signal_tree(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        processes.signal_tree(process.pid, signal.SIGKILL)
        process.wait()
