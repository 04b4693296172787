"""SIGINT: when it may stop user code, and when it must wait or is nobody's.

The driver interrupts a command with SIGINT. It becomes a `KeyboardInterrupt` only while user code runs (the gate is
open). While the main thread is inside a conversation with the JVM it is owed, and raised where nothing can be left
half-said.
"""

import os
import signal
import threading


class Gate:
    """Decides what a SIGINT does. Used by the main thread; other threads only read `owed`."""

    def __init__(self):
        self._open = False
        self.held = 0
        self.owed = False
        self.asked = False

    def install(self):
        """Makes this the process's SIGINT handler. Cheap: user code and pyspark replace it, so it is put back often."""
        signal.signal(signal.SIGINT, self._on_interrupt)

    def run(self, function, *arguments):
        """Calls `function` so that it can be interrupted; returns `(value, error)`."""
        self.held, self.owed, self.asked = 0, False, False
        try:
            try:
                self._open = True
                value = function(*arguments)
                self._open = False
                return value, None
            except BaseException as error:
                self._open = False
                return None, error
        except KeyboardInterrupt as error:  # arrived while the handler above was being entered
            self._open = False
            return None, error

    def pay(self):
        """Raises the interrupt that came at a bad moment, if one did."""
        if self.owed and not self.held:
            self.owed = False
            raise KeyboardInterrupt

    def remind(self):
        """Called by another thread: delivers again an interrupt that could not be raised where it arrived."""
        if self.owed and self._open and not self.held:
            os.kill(os.getpid(), signal.SIGINT)

    def _on_interrupt(self, _signal, frame):
        if not self._open:
            return
        self.asked = True
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
