"""Runs commands one after another in one namespace, and turns how each ended into an outcome."""

import asyncio
import builtins
import inspect
from types import SimpleNamespace

from . import display, outcomes
from .cells import Compiler
from .dbutils import DbUtils, NotebookExit, RestartPython
from .interrupts import GATE

_SCALARS = frozenset((int, str, float, bool, bytes, complex))


class Commands:
    """The commands of one interpreter."""

    def __init__(self, shell):
        self._shell = shell
        self._compiler = Compiler(shell)
        self._display = display.Display(shell)
        self._count = 0
        self._loop = None
        self._spark = None
        self._last = None

    def limit(self, limits):
        """Takes over the driver's limits on results."""
        self._display.limits = limits

    def keep(self, result):
        """Takes over the file for all rows of a table that the next command shows, `None` where none is wanted."""
        self._display.result = result

    def bind(self, context, spark_names, spark):
        """Makes this the interpreter of `context`, with its names defined."""
        self._spark = spark
        self._display.spark = spark
        dbutils = DbUtils(spark)
        names = {
            **spark_names,
            "dbutils": dbutils,
            "display": self._display,
            "displayHTML": self._display.html,
            "getArgument": dbutils.widgets.getArgument,
        }
        self._shell.define(names)
        builtins.display = self._display

    def execute_bytes(self, payload):
        """Runs a command whose source is UTF-8 text."""
        try:
            source = (payload or b"").decode()
        except UnicodeDecodeError as error:
            return outcomes.failure(error)
        return self.execute(source)

    def execute(self, source):
        """Runs one command. Whatever it does, this returns an outcome."""
        self._count += 1
        self._display.begin()
        GATE.begin()
        if self._spark is not None:
            self._spark.command_starts()
        outcome, error = GATE.run(self._run, source, f"<command-{self._count}>")
        if error is not None:
            outcome = self._explain(error)
        if GATE.asked and self._spark is not None:
            self._spark.settle()
        return outcome

    def _explain(self, error):
        if isinstance(error, NotebookExit):
            return outcomes.alone(error.value)
        if isinstance(error, RestartPython):
            return outcomes.text("", restart=True)
        if GATE.asked or (self._spark is not None and self._spark.was_cancelled(error)):
            return outcomes.cancelled()
        # The texts come from the user's classes and from the JVM: they may hang and be interrupted too.
        outcome, failed = GATE.run(outcomes.failure, error)
        if failed is None:
            return outcome
        return outcomes.cancelled() if GATE.asked else outcomes.plain_failure(error)

    def _run(self, source, name):
        cell = self._compiler.compile(source, name)
        self._shell.user_ns.pop("__warningregistry__", None)  # or a warning repeated by another command would not show
        self._trigger("pre_execute", "pre_run_cell")
        try:
            if cell.statements is not None:
                self._evaluate(cell.statements)
            value = self._evaluate(cell.expression) if cell.expression is not None else None
        finally:
            self._trigger("post_execute", "post_run_cell")
        echo = None if value is None or cell.quiet else self._echo(value)
        self._display.open_figures()
        return self._display.shown.outcome(echo)

    def _evaluate(self, code):
        result = eval(code, self._shell.user_global_ns, self._shell.user_ns)
        if code.co_flags & inspect.CO_COROUTINE:
            return self._wait(result)
        return result

    def _wait(self, coroutine):
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:
            # Left alone, the task would go on with the next command that waits for something.
            loop, self._loop = self._loop, None  # given up with a task that catches its cancellation
            if task.cancel():
                loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            self._loop = loop
            raise

    def _echo(self, value):
        self._keep(value)
        if type(value) in _SCALARS:
            return repr(value)
        return self._display.echo(value)

    def _keep(self, value):
        # `_`, `__` and `___`, unless user code uses `_` for something of its own.
        names = self._shell.user_ns
        if names.get("_", self._last) is self._last:
            names["___"], names["__"], names["_"] = names.get("__"), names.get("_"), value
            self._last = value

    def _trigger(self, *kinds):
        # IPython's hooks, such as those of `%autoreload`. Making their arguments is not free, and mostly there are none.
        events = self._shell.events
        for kind in kinds:
            if events.callbacks[kind]:
                events.trigger(kind, *((SimpleNamespace(success=True),) if kind in ("pre_run_cell", "post_run_cell") else ()))
