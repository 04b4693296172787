"""The IPython shell of an interpreter: its namespace and magics, without terminal, history, prompts or pager."""

import sys

import IPython
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from . import magics, subprocesses


class Publisher(DisplayPublisher):
    """Where IPython's own `display` ends: hands what it made of an object to ours."""

    def publish(self, data, metadata=None, source=None, **_options):
        receiver = self.shell.display
        if receiver is not None:
            receiver.publish(data)

    def clear_output(self, wait=False):
        """Nothing to clear: what was printed has left."""


class Shell(InteractiveShell):
    """One per interpreter, made in the parent."""

    display = None
    packages = None

    def init_display_pub(self):
        self.display_pub = Publisher(parent=self, shell=self)

    def init_magics(self):
        super().init_magics()
        self.register_magics(magics.Magics)

    def system(self, command):
        """`!command`: its output goes where ours goes."""
        self.user_ns["_exit_code"] = subprocesses.run(self.var_expand(command, depth=1), shell=True)

    system_piped = system_raw = system

    def enable_gui(self, gui=None):
        """There is no event loop to join."""

    def enable_matplotlib(self, gui=None):
        """Figures are always collected; `%matplotlib` has nothing to switch."""
        return gui, "inline"

    def ask_exit(self):
        raise SystemExit

    def define(self, names):
        """Puts names into the namespace that `%who` does not list and `%reset` does not count as the user's."""
        self.push(names, interactive=False)

    def reset_names(self):
        """Empties the namespace of what was tried in it."""
        self.reset(new_session=False)
        names = self.user_ns
        for name in ("_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "In", "Out", "exit", "quit", "open"):
            names.pop(name, None)
        self.define({"exit": leave, "quit": leave})
        for callbacks in self.events.callbacks.values():
            callbacks.clear()


def make_shell(folder):
    """Makes the shell, keeping IPython's few files in `folder`."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.cache_size = 0
    config.InteractiveShell.autoindent = False
    config.InteractiveShell.colors = "nocolor" if IPython.version_info[0] >= 9 else "NoColor"
    shell = Shell.instance(config=config, ipython_dir=folder)
    shell.builtin_trap.activate()  # `get_ipython` is there for modules too
    shell.reset_names()
    sys.excepthook = sys.__excepthook__
    return shell


def leave(code=None):
    """Ends the command with `SystemExit`; the interpreter stays."""
    raise SystemExit if code is None else SystemExit(code)
