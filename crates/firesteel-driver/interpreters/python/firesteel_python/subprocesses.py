"""Runs other programs for magics: output straight into the interpreter's own, and nothing left after an interrupt."""

import signal
import subprocess

from . import processes

GRACE_SECONDS = 2


def run(command, shell=False):
    """Runs a command to its end and returns its exit status."""
    process = subprocess.Popen(command, shell=shell, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except BaseException:
        _end(process)
        raise


def _end(process):
    processes.signal_tree(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        processes.signal_tree(process.pid, signal.SIGKILL)
        process.wait()
