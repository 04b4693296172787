"""The magics that differ from IPython's: `%pip`, `%sh` and its family, `%fs`, `%run`."""

import importlib
import shlex
import shutil
import subprocess
import sys

from IPython.core import magic
from IPython.core.error import UsageError

from . import subprocesses


class PipError(Exception):
    """`pip` ended with an error; what it printed says which."""


@magic.magics_class
class Magics(magic.Magics):
    """Registered over IPython's own."""

    @magic.line_magic
    def pip(self, line):
        """Runs pip for this interpreter's Python. A failure of pip is a failure of the command."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *shlex.split(line)]
        status = subprocesses.run(command)
        importlib.invalidate_caches()
        if status != 0:
            raise PipError(f"pip {line} ended with exit status {status}")

    @magic.line_cell_magic
    def sh(self, line, cell=None):
        """Runs a script with bash; a status other than 0 is an error."""
        _run_script(line if cell is None else f"{line}\n{cell}")

    @magic.line_cell_magic
    def bash(self, line, cell=None):
        """The same as `%%sh`."""
        self.sh(line, cell)

    @magic.line_magic
    def fs(self, line):
        """`%fs ls /path` is `dbutils.fs.ls("/path")`."""
        verb, *arguments = shlex.split(line) or ["help"]
        dbutils = self.shell.user_ns.get("dbutils")
        if dbutils is None or verb.startswith("_") or not hasattr(dbutils.fs, verb):
            raise UsageError(f"%fs {verb}: no such command")
        return getattr(dbutils.fs, verb)(*arguments)

    @magic.line_magic
    def run(self, line):
        """Notebooks cannot be run over this API."""
        raise UsageError("%run is not supported over this API")


def _run_script(script):
    program = shutil.which("bash") or "sh"
    status = subprocesses.run([program, "-c", script])
    if status != 0:
        raise subprocess.CalledProcessError(status, [program])
