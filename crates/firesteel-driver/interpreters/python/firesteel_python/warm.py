"""What the parent does before its first fork: import everything, and run each path once so that nothing is left to import."""

import os
import sys
import tempfile


def prepare(ipython_dir=None):
    """Returns the shell that every fork inherits. Raises `ImportError` when a required package is missing."""
    _point_to_this_python()
    import IPython  # noqa: F401
    import pyspark.sql  # noqa: F401

    for name in ("numpy", "pandas", "pyarrow"):
        _try_import(name)
    from . import figures

    figures.prepare()
    from . import interpreter, spark  # noqa: F401
    from .commands import Commands
    from .shell import make_shell

    spark.quieten()
    shell = make_shell(ipython_dir or tempfile.mkdtemp(prefix="firesteel-"))
    _exercise(Commands(shell))
    shell.reset_names()
    return shell


def _point_to_this_python():
    # Python UDFs run with this runtime's Python unless the driver said otherwise.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def _try_import(name):
    try:
        __import__(name)
    except Exception:
        pass  # optional, and may be broken by what was installed: what needs it says so when it is used


def _exercise(commands):
    # Nothing is drawn: matplotlib would keep font files open, whose offsets all forks would share.
    commands.bind("", {}, None)
    for source in (
        "1 + 1",
        " [{'a': 1}]",
        "def f(): 1/0\nf()",
        "import pandas, display_nothing",
        "1 +",
        "try:\n    import pandas; pandas.DataFrame({'a': [1.5], 'b': ['x']})\nexcept ImportError: pass",
        "display(__import__('pandas').DataFrame({'a': [1.5], 'b': ['x'], 'c': [None]}))",
    ):
        commands.execute(source)
