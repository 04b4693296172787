"""Forks by user code, and by the libraries that it uses: nothing is raised in the middle of one.

What is registered to run around a fork takes locks before it and gives them back after it. Python drops an exception of such a
function: one that came there would leave a lock that nobody gives back.
"""

import os
import threading

from .interrupts import GATE, raise_in

# Threads inside a fork; changed, and looked at, with the lock.
_forking = set()
_lock = threading.Lock()


def install():
    """Replaces the functions that fork. `multiprocessing` calls them by their names."""
    os.fork, os.forkpty = _shielded(os.fork), _shielded(os.forkpty)
    os.register_at_fork(after_in_child=_begin_anew)


def raise_unless_forking(thread, error):
    """Raises an exception in a thread, at its next step, if it is in no fork."""
    with _lock:
        if thread not in _forking:
            raise_in(thread, error)


def _shielded(fork):
    def shielded():
        me = threading.get_ident()
        with GATE.holding():
            try:
                with _lock:
                    _forking.add(me)
                # What was to be raised before is raised by now.
                return fork()
            finally:
                _forking.discard(me)

    shielded.__name__ = shielded.__qualname__ = fork.__name__
    shielded.__doc__ = fork.__doc__
    return shielded


def _begin_anew():
    # Another thread may have held it, which is not in this copy.
    _lock._at_fork_reinit()
    _forking.clear()
