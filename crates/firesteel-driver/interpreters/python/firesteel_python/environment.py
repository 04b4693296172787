"""The cluster's own Python environment: a virtual environment over the runtime's, which `%pip` installs into.

Its packages come first, the runtime's behind them, so that neither the runtime nor another cluster ever changes. Executors on this machine
use its Python too. The driver begins with an empty one; a parent that is started again finds it as it was.

`Packages` watches it, because an interpreter is forked from a parent that has long imported its own.
"""

import importlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import site
import sys
import sysconfig

# Written last: an environment without it was not finished.
_RUNTIME = "firesteel-runtime.pth"

# Another version of these could not speak with the cluster's Spark, and no Python would start any more.
_PINNED = ("pyspark", "py4j")


def enter(folder):
    """Goes on in the environment's Python, making the environment if need be; returns when this is it."""
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    if not _is_finished(folder):
        _make(folder)
    programs = os.path.join(folder, "bin")
    os.environ["VIRTUAL_ENV"] = folder
    os.environ["PATH"] = os.pathsep.join(filter(None, [programs, os.environ.get("PATH")]))
    python = os.path.join(programs, "python")
    os.execv(python, [python, *sys.orig_argv[1:]])


def _is_finished(folder):
    return os.path.exists(os.path.join(_packages_of(folder), _RUNTIME))


def _packages_of(folder):
    return sysconfig.get_path("purelib", scheme="posix_prefix", vars={"base": folder, "platbase": folder})


def _make(folder):
    import venv

    shutil.rmtree(folder, ignore_errors=True)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    _write_pip(folder)
    runtime = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    # Not their paths alone: the runtime's packages may have such files too.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in runtime]
    with open(os.path.join(_packages_of(folder), _RUNTIME), "w") as file:
        file.writelines(lines)


def _write_pip(folder):
    """The program `pip` for shells, and what no pip in this environment may replace."""
    for name in ("pip", "pip3"):
        path = os.path.join(folder, "bin", name)
        with open(path, "w") as file:
            file.write('#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n')
        os.chmod(path, 0o755)
    constraints = pathlib.Path(folder, "constraints.txt")
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in _pinned()))
    pathlib.Path(folder, "pip.conf").write_text(f"[install]\nconstraint = {constraints.absolute().as_uri()}\n")


def _pinned():
    for name in _PINNED:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass  # of a Spark that was not installed by pip, which finds nothing of it to replace


class Packages:
    """What is installed, and what of it this process has seen."""

    def __init__(self):
        self._folder = sysconfig.get_path("purelib")
        self._touched = self._time()
        self._entries = self._list()
        self._news = False

    def is_stale(self):
        """Whether something was replaced or removed that is imported already."""
        return any(name.partition(".")[0] in sys.modules for name in self._changed(self._list()))

    def refresh(self):
        """Makes what was installed importable. Tells whether anything was installed or removed since."""
        touched = self._time()
        if touched == self._touched:
            return False
        self._touched = touched
        importlib.invalidate_caches()
        if any(name.endswith(".pth") for name in self._changed(self._list())):
            site.addsitedir(self._folder)
        self._news = True
        return True

    def take_news(self):
        """Whether anything was installed or removed since this was asked last, by whatever means."""
        self.refresh()
        news, self._news = self._news, False
        return news

    def _changed(self, entries):
        return {name for name in entries.keys() | self._entries.keys() if entries.get(name) != self._entries.get(name)}

    def _time(self):
        try:
            return os.stat(self._folder).st_mtime_ns
        except OSError:
            return None

    def _list(self):
        try:
            with os.scandir(self._folder) as entries:
                return {entry.name: (entry.inode(), entry.stat().st_mtime_ns) for entry in entries}
        except OSError:
            return {}


def start_anew(request):
    """Goes on as a fresh Python that imports everything itself, as the fork that `request` asks for. Returns only when that fails."""
    reader, writer = os.pipe()
    os.write(writer, json.dumps(request).encode() + b"\n")
    os.close(writer)
    os.dup2(reader, 0)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], COLD])


# The last argument of a process that was started by `start_anew`.
COLD = "--cold"
