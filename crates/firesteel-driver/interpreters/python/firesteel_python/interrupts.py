"""SIGINT: when it may stop user code, and when it must wait or is nobody's.

The driver interrupts a command with SIGINT, again and again until it has ended. The first becomes a `KeyboardInterrupt`, only
while user code runs (the gate is open). While the main thread is inside a conversation with the JVM it is owed, and raised
where nothing can be left half-said. Code that catches it and goes on gets a `Stopped`, which is neither an
`Exception` nor a `KeyboardInterrupt`; code that catches that too gets one at every line, its handlers included. Code that
is still busy with the first, in an `except` or `finally`, is left some time for that.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

CLEAN_UP_SECONDS = 2.0

_signal = signal.signal
_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.c_void_p)


class Stopped(SystemExit):
    """Ends code that went on after its interrupt. No `Exception`, and a thread that ends with it says nothing."""


class Gate:
    """Decides what a SIGINT does. Used by the main thread; other threads only look."""

    def __init__(self):
        self.open = False  # user code runs
        self.held = 0  # how deep in conversations with the JVM
        self.owed = False  # an interrupt is still to be raised
        self.asked = False  # this command was interrupted, whatever came of it
        self.since = 0.0  # since when
        self.raised = None  # what was raised last to stop it
        self.theirs = None  # the handler that user code put in place of this one
        self.on_ask = None  # called inside the signal handler: may take no lock that user code might hold

    def install(self):
        """Makes this the process's SIGINT handler. Cheap: C code and pyspark replace it, so it is put back often."""
        _signal(signal.SIGINT, self._on_interrupt)
        self.theirs = None
        signal.signal = self._set_handler

    def begin(self):
        """A new command: nobody has asked for its end."""
        self.owed = self.asked = False
        self.raised = None

    def run(self, function, *arguments):
        """Calls `function` so that it can be interrupted; returns `(value, error)`."""
        self.held = 0
        try:
            try:
                self.open = True
                value = function(*arguments)
                self.open = False
                self._end_hunt()
                return value, None
            except BaseException as error:
                self.open = False
                self._end_hunt()
                return None, error
        except (KeyboardInterrupt, Stopped) as error:  # arrived while the handler above was being entered
            self.open = False
            self._end_hunt()
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
            self._stop()

    def remind(self):
        """Called by another thread: delivers again an interrupt that could not be raised where it arrived."""
        if self.owed and self.open and not self.held:
            os.kill(os.getpid(), signal.SIGINT)

    def _on_interrupt(self, number, frame):
        if not self.open:
            return
        first = not self.asked
        if first:
            self.asked, self.since = True, time.monotonic()
        if self.on_ask is not None:
            self.on_ask()
        if self.held or _would_be_swallowed(frame):
            self.owed = True
            return
        self.owed = False
        if first and self.theirs is not None:
            if callable(self.theirs):
                self.theirs(number, frame)
            return
        self._stop(frame)

    def _stop(self, frame=None):
        if self.raised is None:
            self.raised = KeyboardInterrupt()
            raise self.raised
        if self._is_handled() and time.monotonic() - self.since < CLEAN_UP_SECONDS:
            return
        if isinstance(self.raised, Stopped):
            self._hunt(frame or sys._getframe())
        self.raised = Stopped()
        raise self.raised

    def _is_handled(self):
        """Whether an `except` or `finally` block runs because of what was raised."""
        error = sys.exc_info()[1]
        while error is not None:
            if error is self.raised:
                return True
            error = error.__context__
        return False

    def _hunt(self, frame):
        # Raised anew at each line, also at those of the handlers that catch it, so that each of them is left by it.
        sys.settrace(_on_event)
        while frame is not None and frame.f_code is not Gate.run.__code__:
            frame.f_trace = _on_event
            frame = frame.f_back

    def _end_hunt(self):
        if sys.gettrace() is _on_event:
            sys.settrace(None)
            raise_in(threading.main_thread().ident, None)

    def _set_handler(self, number, handler):
        """`signal.signal`, which user code finds: its handler of SIGINT is asked first, and once."""
        if number != signal.SIGINT or not in_main_thread():
            return _signal(number, handler)
        before, self.theirs = self.theirs, None if handler is signal.default_int_handler else handler
        return signal.default_int_handler if before is None else before


def _on_event(_frame, event, _argument):
    if event == "line" and not GATE.held:
        raise_in(threading.main_thread().ident, Stopped)
    return _on_event


def raise_in(thread, error):
    """Raises an exception of a class in a thread, at its next step; with `None`, takes back one that it has not met yet."""
    _set_async_exc(thread, None if error is None else id(error))


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
