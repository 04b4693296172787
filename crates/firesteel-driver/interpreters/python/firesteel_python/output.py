"""Standard output and error of an interpreter: one pipe to the driver, written in order, flushed often enough.

`sys.stdout` and `sys.stderr` share one buffer, so that their lines keep their order. A line is flushed at once, as long as
there are few; a thread flushes the rest every tenth of a second while something may print, and what is left is flushed before a
command is reported as done.
"""

import ctypes
import io
import os
import subprocess
import sys
import threading
import time

from . import subprocesses
from .frames import keep_high
from .interrupts import GATE

FLUSH_SECONDS = 0.1
IDLE_TICKS_MAX = 20
PROMPT_LINES = 20  # flushed at once between two ticks: a flood is not slowed down by a system call for each line
BUFFER_BYTES = 1 << 16

_fflush = ctypes.CDLL(None).fflush
_dup2, _fstat = os.dup2, os.fstat


class Stream(io.TextIOWrapper):
    """`sys.stdout` or `sys.stderr`. Closing it only flushes: the pipe belongs to the interpreter."""

    def __init__(self, buffer, descriptor, prompt):
        super().__init__(buffer, encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True)
        self._number = descriptor
        self._prompt = prompt

    def write(self, text):
        written = super().write(text)
        prompt = self._prompt
        if prompt.left > 0 and text.endswith("\n"):
            prompt.left -= 1
            self.flush()
        return written

    def fileno(self):
        return self._number

    def close(self):
        try:
            self.flush()
        except Exception:
            pass


class Prompt:
    """How many lines are still flushed at once, before the next tick."""

    left = PROMPT_LINES


class Output:
    """Owns descriptors 1 and 2 and the two streams on them."""

    def __init__(self):
        self._spare = keep_high(1)
        self._buffer = io.BufferedWriter(io.FileIO(1, "w", closefd=False), BUFFER_BYTES)
        self.prompt = Prompt()
        self.out = Stream(self._buffer, 1, self.prompt)
        self.err = Stream(self._buffer, 2, self.prompt)
        self._lock = threading.Lock()
        self._flusher = _Flusher(self)

    def start(self):
        """Puts the streams in place and starts the thread that flushes them."""
        sys.stdout = sys.__stdout__ = self.out
        sys.stderr = sys.__stderr__ = self.err
        # A process started by user code writes to the same pipe: what was printed before must be there first, and a
        # forked copy of the buffer must be empty.
        os.register_at_fork(
            before=self._before_fork, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )
        _flush_before(subprocess.Popen, "_execute_child", self.flush)
        os.system = subprocesses.system
        _flush_before(os, "_exit", self.flush)
        self._flusher.start()

    def command_starts(self):
        """Repairs what an earlier command closed, and keeps flushing from now on."""
        for number in (1, 2):
            try:
                _fstat(number)
            except OSError:
                _dup2(self._spare, number)
        if _unusable(sys.stdout):
            sys.stdout = self.out
        if _unusable(sys.stderr):
            sys.stderr = self.err
        self.prompt.left = PROMPT_LINES
        self._flusher.begin()

    def command_ends(self):
        """Everything printed so far, by Python or by C code, is in the pipe when this returns."""
        self._flusher.end()
        for stream in (sys.stdout, sys.stderr):
            if stream is not self.out and stream is not self.err:
                try:
                    stream.flush()
                except BaseException:
                    pass  # the user's own object
        self.flush()
        _fflush(None)

    def flush(self):
        with self._lock:
            try:
                self._buffer.flush()
            except (OSError, ValueError):
                pass  # the pipe is gone, and so is whom to tell

    def quiet(self):
        """Whether no thread of the user's is there to print something later."""
        return threading.active_count() <= self.resident_threads

    resident_threads = 2

    def _before_fork(self):
        self.flush()
        self._lock.acquire()


class _Flusher(threading.Thread):
    # Waking a thread costs more than a short command, so it goes on ticking for a while after a command and parks
    # only when nothing came for some time.

    def __init__(self, output):
        super().__init__(name="firesteel-flush", daemon=True)
        self._output = output
        self._busy = False
        self._parked = False
        self._wake = threading.Event()

    def begin(self):
        self._busy = True
        if self._parked:
            self._wake.set()

    def end(self):
        self._busy = False

    def run(self):
        idle = 0
        while True:
            time.sleep(FLUSH_SECONDS)
            self._output.prompt.left = PROMPT_LINES
            self._output.flush()
            GATE.remind()
            idle = 0 if self._busy or not self._output.quiet() else idle + 1
            if idle > IDLE_TICKS_MAX:
                self._park()
                idle = 0

    def _park(self):
        self._wake.clear()
        self._parked = True
        # `begin` may have looked before the flag was up.
        if not self._busy:
            self._wake.wait()
        self._parked = False


def _unusable(stream):
    try:
        return stream is None or stream.closed
    except BaseException:
        return False  # no such attribute: an object of the user's own making


def _flush_before(owner, name, flush):
    original = getattr(owner, name)

    def flushed(*arguments, **options):
        flush()
        return original(*arguments, **options)

    flushed.__name__ = flushed.__qualname__ = name
    setattr(owner, name, flushed)
