"""`dbutils`: the part of it that clients of the API rely on.

What cannot be done here raises an error that says so; nothing pretends to have worked.
"""

from .filesystem import FileSystem
from .secrets import Secrets

HELP = {
    "fs": "files, through the cluster's file systems: ls, head, put, cp, mv, rm, mkdirs, mount, unmount, mounts",
    "notebook": "exit(value): end the command, with the value as its result",
    "widgets": "named values: text, dropdown, combobox, multiselect, get, getAll, remove, removeAll",
    "library": "restartPython(): a fresh Python for this context",
    "secrets": "get, getBytes, list, listScopes; values are taken out of what is printed",
    "credentials": "showCurrentRole, showRoles",
}


class Group:
    """One group of `dbutils`: it can say what is in it."""

    def help(self, _name=None):
        name = type(self).__name__.lower()
        print(f"dbutils.{name}: {HELP[name]}")


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
        self.widgets = Widgets({} if spark is None else spark.widgets())
        self.library = Library()
        self.secrets = Secrets(spark)
        self.credentials = Credentials()

    def help(self, _name=None):
        for name, does in HELP.items():
            print(f"dbutils.{name:<12} {does}")

    def __repr__(self):
        return "<dbutils>"


class Notebook(Group):
    def exit(self, value=""):
        """Ends the command; its result is `value` alone, without what was printed."""
        raise NotebookExit("" if value is None else str(value))

    def run(self, *_arguments, **_options):
        raise NotImplementedError("dbutils.notebook.run: there are no notebooks behind this API")


class Library(Group):
    def restartPython(self):
        """Replaces the interpreter; names are lost, the context stays."""
        raise RestartPython

    def install(self, *_arguments, **_options):
        raise NotImplementedError("dbutils.library.install: use `%pip install`")

    installPyPI = install


class Widgets(Group):
    """Named values. There is no page to show them on, so a widget holds its default until it is removed.

    The values are the context's: a widget that was made in Scala is there in Python.
    """

    def __init__(self, values):
        self._values = values

    def text(self, name, defaultValue="", label=None):
        if name not in self._values:
            self._values[name] = str(defaultValue)

    def dropdown(self, name, defaultValue, choices=(), label=None):
        if choices and defaultValue not in choices:
            raise ValueError(f"dbutils.widgets: `{defaultValue}` is not one of the choices of `{name}`")
        self.text(name, defaultValue)

    multiselect = dropdown

    def combobox(self, name, defaultValue="", choices=(), label=None):
        self.text(name, defaultValue)

    def get(self, name):
        if name not in self._values:
            raise ValueError(f"dbutils.widgets: no widget is named `{name}`")
        return self._values[name]

    def getArgument(self, name, defaultValue=None):
        """The widget's value, or the default where there is no such widget."""
        if name not in self._values and defaultValue is not None:
            return defaultValue
        return self.get(name)

    def getAll(self):
        return dict(self._values)

    def remove(self, name):
        if name in self._values:
            del self._values[name]

    def removeAll(self):
        self._values.clear()


class Credentials(Group):
    def showCurrentRole(self):
        return []

    def showRoles(self):
        return []

    def assumeRole(self, role):
        raise NotImplementedError("dbutils.credentials.assumeRole: this cluster has no roles")
