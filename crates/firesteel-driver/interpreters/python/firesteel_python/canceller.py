"""The thread that ends what an interrupted command has started elsewhere: its Spark jobs and streaming
queries, its processes, its threads.

A job that is only being planned is not there to be cancelled yet, and some calls of pyspark wait for their job again after the
interrupt. So it is done again and again until the command has ended. A job that comes later still, from a thread of Spark's own, is
cancelled by the JVM as it begins.
"""

import signal
import threading
import time

from . import processes
from .forks import raise_unless_forking
from .interrupts import Stopped, raise_in

# What speaks with Spark, beside what user code started.
_OURS = ("py4j", "pyspark", "firesteel_python")

# The threads that keep the processes of a pool, and bring them their work, run no code of the user's. A pool that is left waits for them.
_POOL_KEEPERS = ("_handle_workers", "_handle_tasks", "_handle_results")

AGAIN_SECONDS = 0.25
# A streaming query ends when its batch does. Until what was started has ended the command has not; what takes longer is the driver's to end.
SETTLE_SECONDS = 60.0


class Canceller:
    """Parked until rung for."""

    def __init__(self, refuse_jobs, cancel_jobs, stop_streams):
        self._refuse_jobs = refuse_jobs
        self._cancel_jobs = cancel_jobs
        self._stop_streams = stop_streams
        self._began = 0
        self._began_at = 0.0
        self._threads = frozenset()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._rings = 0
        self._answered = 0
        self._command_ended = threading.Event()
        threading.Thread(target=self._serve, name="firesteel-cancel", daemon=True).start()

    def command_starts(self):
        """Notes what is there already: it is not the command's."""
        self._began = processes.now()
        self._began_at = time.time()
        self._threads = frozenset(threading._active)

    def ring(self):
        """Starts cancelling. Called in a signal handler, so it waits for nothing."""
        self._rings += 1
        try:
            self._bell.release()
        except RuntimeError:
            pass  # rung already

    def settle(self):
        """Ends what is left and stops: a cancellation still under way would hit the next command's jobs."""
        self._command_ended.set()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._answered < self._rings and time.monotonic() < deadline:
            time.sleep(0.001)
        self._command_ended.clear()

    def _serve(self):
        while True:
            self._bell.acquire()
            rings = self._rings
            if rings == self._answered:
                continue  # rung for once more while the round before began: that one was for this too
            processes.signal_since(self._began, signal.SIGINT)
            self._refuse_jobs()
            while not self._command_ended.is_set():
                self._cancel_jobs()
                self._stop_threads(_keeps_no_pool)
                self._command_ended.wait(AGAIN_SECONDS)
            self._cancel_jobs()
            self._stop_threads()
            processes.signal_since(self._began, signal.SIGKILL)
            self._stop_streams(self._began_at)
            self._spare_pools()
            self._answered = rings

    def _stop_threads(self, which=lambda thread: True):
        # A thread hears of it at its next line of Python.
        for number, thread in self._new_threads():
            if _owner(thread) not in _OURS and which(thread):
                raise_unless_forking(number, Stopped)

    def _spare_pools(self):
        # A pool's thread that only waits for work would end at its next piece, and the pool not know of it.
        for number, thread in self._new_threads():
            if _owner(thread) == "concurrent":
                raise_in(number, None)

    def _new_threads(self):
        return [(number, thread) for number, thread in list(threading._active.items()) if number not in self._threads]


def _keeps_no_pool(thread):
    return getattr(getattr(thread, "_target", None), "__name__", None) not in _POOL_KEEPERS


def _owner(thread):
    """The package whose code a thread runs."""
    target = getattr(thread, "_target", None)
    module = getattr(target, "__module__", None) or type(thread).__module__
    return str(module).partition(".")[0]
