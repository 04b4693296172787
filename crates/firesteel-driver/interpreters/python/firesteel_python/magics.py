"""The magics that differ from IPython's: `%pip`, `%sh` and its family, `%fs`, `%run`."""

import importlib.util
import shlex
import shutil
import subprocess
import sys

from IPython.core import magic
from IPython.core.error import UsageError

from . import subprocesses

# What `dbutils.fs` lists, as columns.
LISTINGS = {
    "ls": "path string, name string, size long, modificationTime long",
    "mounts": "mountPoint string, source string, encryptionType string",
}

RESTART_NOTE = (
    "Note: some of these packages are imported already. dbutils.library.restartPython() makes the new versions visible; "
    "names are lost by it."
)


class PipError(Exception):
    """`pip` ended with an error; this says what it said."""


@magic.magics_class
class Magics(magic.Magics):
    """Registered over IPython's own."""

    @magic.line_magic
    def pip(self, line):
        """Runs pip for the cluster's own environment. A failure of pip is a failure of the command."""
        python = [sys.executable, "-m"]
        if importlib.util.find_spec("pip") is None:
            subprocesses.run_heard([*python, "ensurepip"])
        command = [*python, "pip", "--disable-pip-version-check", *shlex.split(line)]
        status, said = subprocesses.run_heard(command)
        packages = self.shell.packages
        if packages.refresh() and packages.is_stale():
            print(RESTART_NOTE)
        if status != 0:
            raise PipError(f"pip {line} ended with exit status {status}:\n{_reason(said)}")

    @magic.line_magic
    def restart_python(self, _line):
        """The same as `dbutils.library.restartPython()`."""
        self.shell.user_ns["dbutils"].library.restartPython()

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
        """`%fs ls /path` is `dbutils.fs.ls("/path")`; a listing is shown as a table."""
        verb, *arguments = shlex.split(line) or ["help"]
        dbutils = self.shell.user_ns.get("dbutils")
        if dbutils is None or verb.startswith("_") or not callable(getattr(dbutils.fs, verb, None)):
            raise UsageError(f"%fs {verb}: no such command")
        found = getattr(dbutils.fs, verb)(*arguments)
        if isinstance(found, str):
            return print(found)  # the beginning of a file
        if verb in LISTINGS:
            session = self.shell.display.spark.session
            return self.shell.display(session.createDataFrame([tuple(entry) for entry in found], LISTINGS[verb]))
        return found

    @magic.line_magic
    def run(self, line):
        """Notebooks cannot be run over this API."""
        raise UsageError("%run is not supported over this API")


def _run_script(script):
    program = shutil.which("bash") or "sh"
    status, said = subprocesses.run_heard([program, "-c", script])
    if status != 0:
        failed = subprocess.CalledProcessError(status, [program])
        failed.__notes__ = [said]
        raise failed


def _reason(said):
    """pip's own errors, or whatever came last."""
    lines = said.splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")]
    return "\n".join(errors or lines[-10:])
