"""SIGINT: when it may stop user code, and when it must wait or is nobody's.

The driver interrupts a command with SIGINT. It becomes a `KeyboardInterrupt` only while user code runs (the gate is
open). While the main thread is inside a conversation with the JVM it is owed, and raised where nothing can be left
half-said.
"""

import contextlib
import os
import signal
import threading


class Gate:
    """Decides what a SIGINT does. Used by the main thread; other threads only look."""

    def __init__(self):
        self.open = False  # user code runs
        self.held = 0  # how deep in conversations with the JVM
        self.owed = False  # an interrupt is still to be raised
        self.asked = False  # this command was interrupted, whatever came of it
        self.on_ask = None  # called inside the signal handler: may take no lock that user code might hold

    def install(self):
        """Makes this the process's SIGINT handler. Cheap: user code and pyspark replace it, so it is put back often."""
        signal.signal(signal.SIGINT, self._on_interrupt)

    def begin(self):
        """A new command: nobody has asked for its end."""
        self.owed = self.asked = False

    def run(self, function, *arguments):
        """Calls `function` so that it can be interrupted; returns `(value, error)`."""
        self.held = 0
        try:
            try:
                self.open = True
                value = function(*arguments)
                self.open = False
                return value, None
            except BaseException as error:
                self.open = False
                return None, error
        except KeyboardInterrupt as error:  # arrived while the handler above was being entered
            self.open = False
            return None, error

    @contextlib.contextmanager
    def holding(self):
        """Interrupts wait until the block has ended, and are raised by the next `pay`."""
        ours = in_main_thread()
        self.held += ours
        try:
            yield
        finally:
            self.held -= ours

    def pay(self):
        """Raises the interrupt that came at a bad moment, if one did."""
        if self.owed and not self.held and in_main_thread():
            self.owed = False
            raise KeyboardInterrupt

    def remind(self):
        """Called by another thread: delivers again an interrupt that could not be raised where it arrived."""
        if self.owed and self.open and not self.held:
            os.kill(os.getpid(), signal.SIGINT)

    def _on_interrupt(self, _signal, frame):
        if not self.open:
            return
        self.asked = True
        if self.on_ask is not None:
            self.on_ask()
        if self.held or _would_be_swallowed(frame):
            self.owed = True
            return
        self.owed = False
        raise KeyboardInterrupt


def in_main_thread():
    return threading.get_ident() == threading.main_thread().ident


def _would_be_swallowed(frame):
    # An exception raised inside a finalizer is printed and forgotten. py4j's run at any moment.
    for _ in range(8):
        if frame is None:
            return False
        if frame.f_code.co_name in ("__del__", "_garbage_collect_object"):
            return True
        frame = frame.f_back
    return False


GATE = Gate()
