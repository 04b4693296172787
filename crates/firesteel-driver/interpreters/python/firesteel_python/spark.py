"""An interpreter's side of Spark: pyspark's SparkContext and SparkSession on those that the JVM already has.

The SparkContext is shared with every other interpreter of the cluster, so nothing here stops it. All jobs of a context
belong to one job group, whichever Python thread starts them.
"""

import functools
import logging
import re
import secrets
import sys
import warnings
from types import SimpleNamespace

import py4j.clientserver
import pyspark.accumulators
from py4j.java_collections import MapConverter
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession, SQLContext
from pyspark.sql.functions import udf

from . import gateway
from .canceller import Canceller
from .interrupts import GATE

IDLE_POLL_SECONDS = 3600
FINALIZER_SLEEP_SECONDS = 5


class Spark:
    """The connection to one gateway, and the session of the context it is bound to."""

    def __init__(self, port, token):
        self._gateway = gateway.connect(port, token)
        self._entry = self._gateway.entry_point
        jsc = self._entry.jsc()
        conf = SparkConf(_jvm=self._gateway.jvm, _jconf=jsc.getConf())
        self._sc = SparkContext(gateway=self._gateway, jsc=jsc, conf=conf)
        self._spare_the_scheduler(token)
        self._context = self._group = None
        self._users_group = None
        self._session = None
        self._canceller = None
        # What the JVM knows the running command by: its jobs carry it.
        self._life, self._commands = secrets.token_hex(8), 0
        SparkContext.stop = SparkSession.stop = _ignore_stop
        self._watch_job_groups()

    @property
    def context(self):
        return self._sc

    @property
    def session(self):
        return self._session

    def bind(self, context):
        """Takes the context's session; returns the names user code knows it by."""
        self._context = context
        self._group = f"firesteel-{context}"
        self._session = self._wrap(self._entry.session(context))
        self._gateway.client.on_connect = self._enter
        self._enter()
        self._canceller = Canceller(self._refuse_jobs, self._cancel_jobs, self._stop_streams)
        GATE.on_ask = self._canceller.ring
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sql_context = SQLContext(self._sc, self._session)
        return {
            "spark": self._session,
            "sc": self._sc,
            "sqlContext": sql_context,
            "sql": self._session.sql,
            "table": self._session.table,
            "udf": udf,
        }

    def widgets(self):
        """The values of the context's widgets, which are the JVM's: its languages share them."""
        return self._entry.widgets(self._context)

    def table(self, frame, result):
        """Runs a DataFrame and returns the `results` object of its first rows as JSON text. All rows go to the file `result`."""
        return bytes(self._entry.table(frame._jdf, result))

    def files(self, name, *arguments):
        """Calls a function of `dbutils.fs` in the JVM."""
        arguments = [self._map(value) if isinstance(value, dict) else value for value in arguments]
        return getattr(self._entry.files(), name)(*arguments)

    def secrets(self, name, *arguments):
        """Calls a function of `dbutils.secrets` in the JVM."""
        return getattr(self._entry.secrets(), name)(*arguments)

    def _map(self, entries):
        return MapConverter().convert(entries, self._gateway._gateway_client)

    def was_cancelled(self, error):
        """Whether an error says that the context's job group was cancelled."""
        if not hasattr(error, "java_exception") and not hasattr(error, "_stackTrace"):
            return False
        try:
            text = str(error)
        except Exception:
            return False
        return "cancelled" in text and re.search(rf"\b{self._group}\b", text) is not None

    def command_starts(self):
        """What is started from now on ends with the command if that is cancelled."""
        if self._canceller is not None:
            self._commands += 1
            self._gateway.client.before_next = self._name_jobs
            self._canceller.command_starts()

    def settle(self):
        """Called when an interrupted command has ended: its Spark jobs are cancelled when this returns."""
        self._canceller.settle()

    def _wrap(self, jsession):
        # pyspark would make the first session of a process the JVM's default one, which is not this context's to set.
        SparkSession._instantiatedSession = SimpleNamespace(_sc=self._sc)
        session = SparkSession(self._sc, jsession)
        SparkSession._instantiatedSession = SparkSession._activeSession = session
        return session

    def _enter(self):
        """Tells the JVM thread of the calling Python thread whose it is."""
        self._jsessions().setActiveSession(self._session._jsparkSession)
        self._sc._jsc.setJobGroup(self._group, None, True)
        # Also on jobs in a group of the user's own, and on those of streaming queries.
        self._sc._jsc.setLocalProperty("firesteel.context", self._group.removeprefix("firesteel-"))
        self._name_jobs()

    def _jsessions(self):
        of_jvm = getattr(SparkSession, "_get_j_spark_session_class", None)
        return of_jvm(self._sc._jvm) if of_jvm is not None else self._sc._jvm.SparkSession

    @property
    def _command(self):
        return f"{self._life}-{self._commands}"

    def _name_jobs(self):
        """Says whose the jobs of the calling thread are. A thread of an earlier command goes on under that one's name."""
        self._sc._jsc.setLocalProperty("firesteel.command", self._command)

    def _refuse_jobs(self):
        try:
            self._entry.refuseJobs(self._command)
        except Exception:
            pass  # the gateway is gone, and with it whoever could ask for more jobs

    def _cancel_jobs(self):
        try:
            self._entry.stopResults(self._context)
            self._sc._jsc.cancelJobGroup(self._group)
            if self._users_group is not None:
                self._sc._jsc.cancelJobGroup(self._users_group)
        except Exception:
            pass  # the gateway is gone; the driver cancels through the JVM as well

    def _stop_streams(self, since):
        try:
            self._entry.stopStreams(self._context, int(since * 1000))
        except Exception:
            pass  # the gateway is gone, and what ends with it

    def _spare_the_scheduler(self, token):
        # Spark's own accumulator has its scheduler wait for this process after every task.
        address = self._sc._accumulatorServer.server_address
        if isinstance(address, tuple):  # and no Unix socket, which a setting of Spark's asks for
            self._sc._javaAccumulator = self._entry.accumulator(*address, token)

    def _watch_job_groups(self):
        # Jobs in a group of the user's own must stop with the command too.
        original = SparkContext.setJobGroup

        @functools.wraps(original)
        def set_job_group(context, groupId, *arguments, **options):
            self._users_group = groupId
            return original(context, groupId, *arguments, **options)

        SparkContext.setJobGroup = set_job_group


def quieten():
    """Makes pyspark and py4j fit: threads that wake less often, as hundreds may be idle, and nothing printed unasked."""
    py4j.clientserver.DEFAULT_WORKER_SLEEP_TIME = FINALIZER_SLEEP_SECONDS
    accumulators = pyspark.accumulators
    server = getattr(accumulators, "AccumulatorTCPServer", None) or accumulators.AccumulatorServer  # before Spark 4
    server.serve_forever = functools.partialmethod(server.serve_forever, IDLE_POLL_SECONDS)
    # pyspark prints every SQL error as a line of JSON besides raising it, and says at every turn that it is not sure of
    # this pandas; neither is something that user code did.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        _logger(name).setLevel(logging.CRITICAL)


def _logger(name):
    try:
        from pyspark.logger import PySparkLogger
    except ImportError:  # before Spark 4
        return logging.getLogger(name)
    return PySparkLogger.getLogger(name)


def _ignore_stop(_self=None):
    """Does nothing: the SparkContext is not this context's to stop."""
    print("stop() is ignored: the SparkContext is shared by all contexts of the cluster", file=sys.stderr)
