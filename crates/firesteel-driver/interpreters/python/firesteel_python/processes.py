"""Process control on Linux: dying with the parent, adopting orphans, reaping, ending groups."""

import ctypes
import os
import signal
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

PARENT_SIGNALS = {signal.SIGCHLD, signal.SIGTERM}

_TICKS = os.sysconf("SC_CLK_TCK")

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent):
    """Has the kernel kill this process when `parent` dies; exits at once if it is dead already."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans():
    """Makes processes left behind by a dead interpreter children of this one, so that none escapes."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def next_ended(leaders):
    """Reaps one ended child, killing what is left of its group if it led one; `(pid, status, signal)` or `None`."""
    try:
        # Looked at before it is reaped: until then its number, and so its group's, cannot be given to another.
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if found is None:
        return None
    if found.si_pid in leaders:
        kill_group(found.si_pid)
    _, outcome = os.waitpid(found.si_pid, 0)
    if os.WIFSIGNALED(outcome):
        return found.si_pid, None, os.WTERMSIG(outcome)
    return found.si_pid, os.WEXITSTATUS(outcome), None


def kill_group(leader):
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def end_all(leaders):
    """Kills every group, then every child that is or becomes ours, and reaps them all."""
    for leader in leaders:
        kill_group(leader)
    while True:
        for pid in children_of(os.getpid()):
            _kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def signal_tree(root, number):
    """Signals a process and all it started."""
    # Found first: the children of a process that has ended are nobody's.
    for pid in _tree(root):
        _kill(pid, number)


def data_bytes():
    """What this process has reserved for data."""
    with open("/proc/self/status") as status:
        found = [int(line.split()[1]) << 10 for line in status if line.startswith("VmData:")]
    return found[0]


def now():
    """The time in the unit that the kernel notes the start of a process in."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)


def signal_since(began, number):
    """Signals every process of this one's session, but itself, that was started at `began` or later."""
    own, session = os.getpid(), os.getsid(0)
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            found = _session_and_start(name)
            if found is not None and found[0] == session and found[1] >= began:
                _kill(int(name), number)


def _session_and_start(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            # Behind the name, which may hold anything, come the fields from the third on.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None  # it ended while we looked
    return int(fields[3]), int(fields[19])


def children_of(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as listing:
                found += [int(word) for word in listing.read().split()]
    except OSError:
        pass  # it ended while we looked
    return found


def _tree(root):
    return [root] + [below for pid in children_of(root) for below in _tree(pid)]


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
