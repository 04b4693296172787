"""`dbutils`: the part of it that clients of the API rely on.

What cannot be done here raises an error that says so; nothing pretends to have worked.
"""

from .filesystem import FileSystem
from .secrets import Secrets

HELP = """\
dbutils.fs           files, through the cluster's file systems: ls, head, put, cp, mv, rm, mkdirs, mount, unmount, mounts
dbutils.notebook     exit(value): end the command, with the value as its result
dbutils.widgets      named values: text, dropdown, combobox, multiselect, get, getAll, remove, removeAll
dbutils.library      restartPython(): a fresh Python for this context
dbutils.secrets      get, getBytes, list, listScopes; values are taken out of what is printed
dbutils.credentials  showCurrentRole, showRoles"""


class NotebookExit(BaseException):
    """Ends the command with a value. Not an `Exception`: user code that catches all of those is not meant."""

    def __init__(self, value):
        super().__init__(value)
        self.value = value


class RestartPython(BaseException):
    """Ends the command, and the interpreter with it."""


class DbUtils:
    """What user code knows as `dbutils`."""

    def __init__(self, spark):
        self.fs = FileSystem(spark)
        self.notebook = Notebook()
        self.widgets = Widgets()
        self.library = Library()
        self.secrets = Secrets(spark)
        self.credentials = Credentials()

    def help(self, _name=None):
        print(HELP)

    def __repr__(self):
        return "<dbutils>"


class Notebook:
    def exit(self, value=""):
        """Ends the command; its result is `value` alone, without what was printed."""
        raise NotebookExit("" if value is None else str(value))

    def run(self, *_arguments, **_options):
        raise NotImplementedError("dbutils.notebook.run: there are no notebooks behind this API")


class Library:
    def restartPython(self):
        """Replaces the interpreter; names are lost, the context stays."""
        raise RestartPython

    def install(self, *_arguments, **_options):
        raise NotImplementedError("dbutils.library.install: use `%pip install`")

    installPyPI = install


class Widgets:
    """Named values. There is no page to show them on, so a widget holds its default until it is removed."""

    def __init__(self):
        self._values = {}

    def text(self, name, defaultValue="", label=None):
        self._values.setdefault(name, str(defaultValue))

    def dropdown(self, name, defaultValue, choices=(), label=None):
        if choices and defaultValue not in choices:
            raise ValueError(f"dbutils.widgets: `{defaultValue}` is not one of the choices of `{name}`")
        self.text(name, defaultValue)

    combobox = multiselect = dropdown

    def get(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise ValueError(f"dbutils.widgets: no widget is named `{name}`") from None

    def getArgument(self, name, defaultValue=None):
        """The widget's value, or the default where there is no such widget."""
        if name not in self._values and defaultValue is not None:
            return defaultValue
        return self.get(name)

    def getAll(self):
        return dict(self._values)

    def remove(self, name):
        self._values.pop(name, None)

    def removeAll(self):
        self._values.clear()


class Credentials:
    def showCurrentRole(self):
        return []

    def showRoles(self):
        return []

    def assumeRole(self, role):
        raise NotImplementedError("dbutils.credentials.assumeRole: this cluster has no roles")
