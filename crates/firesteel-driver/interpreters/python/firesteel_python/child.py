"""From a fork of the parent to a process of its own: group, signals, descriptors, random seeds.

Nothing of the parent's may be reachable from user code afterwards, and the process may not outlive the parent.
"""

import os
import random
import resource
import signal
import sys
import traceback

from . import processes
from .interrupts import GATE

EXIT_LOST = 70

_exit = os._exit


def live(request, parent, socket_path, warm):
    """Turns a fresh fork into the interpreter that `request` asks for. Never returns."""
    status = EXIT_LOST
    try:
        _detach(parent)
        _bound_memory(request.pop("memory_bytes_max", None))
        _redirect(request.pop("output"))
        _reseed()
        from .interpreter import serve

        status = serve(request, socket_path, warm)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        _leave(status)


def _detach(parent):
    os.setsid()
    processes.die_with(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    GATE.install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, processes.PARENT_SIGNALS)


def _bound_memory(most):
    # Of data, not of addresses: libraries reserve far more of these than they use. Beyond it there is a `MemoryError`. What
    # the parent's libraries have reserved before does not count.
    if most is not None:
        most += processes.data_bytes()
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _redirect(pipe):
    # Opening waits for the driver to open its end.
    output = os.open(pipe, os.O_WRONLY | os.O_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)


def _reseed():
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _leave(status):
    # The short way out: tearing down a forked interpreter would copy every page it shares with the parent. What user
    # code registered to run at exit runs, for a bounded time.
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(2)
        import atexit

        atexit._run_exitfuncs()
        _flush_files()
    except BaseException:
        pass
    _exit(status)


def _flush_files():
    # Files that user code left open. The parent's objects are frozen and not listed, so this is quick.
    import gc
    import io

    for found in gc.get_objects():
        if isinstance(found, (io.BufferedWriter, io.TextIOWrapper)):
            try:
                found.flush()
            except Exception:
                pass
