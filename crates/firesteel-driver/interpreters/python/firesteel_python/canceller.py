"""The thread that cancels a context's Spark jobs while an interrupted command winds up.

The driver cancels them too, but once, and a job that is only being planned is not there to be cancelled yet; and some calls of
pyspark wait for their job again after the interrupt. So it is done again and again until the command has ended.
"""

import threading
import time

AGAIN_SECONDS = 0.25
SETTLE_SECONDS = 2.0


class Canceller:
    """Parked until rung for."""

    def __init__(self, cancel_jobs):
        self._cancel_jobs = cancel_jobs
        self._bell = threading.Lock()
        self._bell.acquire()
        self._rings = 0
        self._answered = 0
        self._command_ended = threading.Event()
        threading.Thread(target=self._serve, name="firesteel-cancel", daemon=True).start()

    def ring(self):
        """Starts cancelling. Called in a signal handler, so it waits for nothing."""
        self._rings += 1
        try:
            self._bell.release()
        except RuntimeError:
            pass  # rung already

    def settle(self):
        """Cancels once more and stops: a cancellation still under way would hit the next command's jobs."""
        self._command_ended.set()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._answered < self._rings and time.monotonic() < deadline:
            time.sleep(0.001)
        self._command_ended.clear()

    def _serve(self):
        while True:
            self._bell.acquire()
            rings = self._rings
            while not self._command_ended.is_set():
                self._cancel_jobs()
                self._command_ended.wait(AGAIN_SECONDS)
            self._cancel_jobs()
            self._answered = rings
