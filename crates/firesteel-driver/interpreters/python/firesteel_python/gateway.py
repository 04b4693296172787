"""The py4j client of an interpreter: one connection per Python thread, each pinned to a thread of the JVM.

py4j's own client is left in an unknown state when an interrupt arrives while it waits for an answer. This one waits where an
interrupt leaves nothing half-read, then takes the outstanding answer, so that the same connection serves the next call; if no
answer comes, the connection is given up.
"""

import select
import threading
import time

import pyspark
from py4j.clientserver import (
    ClientServer,
    ClientServerConnection,
    FinalizerWorker,
    JavaClient,
    JavaParameters,
    PythonParameters,
)
from py4j.java_gateway import java_import

from .interrupts import GATE, Stopped, in_main_thread

SETTLE_SECONDS = 3.0
READ_BYTES = 1 << 18

_SQL_NAMES = {
    3: ("org.apache.spark.sql.*",),
    4: (
        "org.apache.spark.sql.Encoders",
        "org.apache.spark.sql.OnSuccessCall",
        "org.apache.spark.sql.functions",
        "org.apache.spark.sql.classic.*",
    ),
}
_NAMES = (
    "org.apache.spark.SparkConf",
    "org.apache.spark.api.java.*",
    "org.apache.spark.api.python.*",
    "org.apache.spark.ml.python.*",
    "org.apache.spark.mllib.api.python.*",
    "org.apache.spark.resource.*",
    "org.apache.spark.sql.api.python.*",
    "org.apache.spark.sql.hive.*",
    "scala.Tuple2",
)


def connect(port, token):
    """Returns the gateway to the JVM at 127.0.0.1:`port`, with the names that pyspark expects imported."""
    gateway = Gateway(
        java_parameters=JavaParameters(port=port, auth_token=token, auto_convert=True),
        python_parameters=PythonParameters(port=0, eager_load=False),
    )
    gateway.proc = None
    major = min(int(pyspark.__version__.split(".")[0]), 4)
    for name in _NAMES + _SQL_NAMES[major]:
        java_import(gateway.jvm, name)
    return gateway


class Gateway(ClientServer):
    """What pyspark knows as its gateway."""

    def _create_gateway_client(self):
        return Client(self.java_parameters, self.python_parameters, finalizer_deque=self._create_finalizer_worker())

    @property
    def client(self):
        return self._gateway_client


class Client(JavaClient):
    """Sends calls; interruptible in the main thread."""

    # Set later by `spark`: tells each new connection's thread in the JVM what it must know.
    on_connect = None
    # Set by `spark` as a command starts: what the JVM must know before the command's first call of the main thread. A command that makes
    # none is spared it.
    before_next = None

    def send_command(self, command, retry=True, binary=False):
        if not in_main_thread():
            return super().send_command(command, retry, binary)
        if self.before_next is not None:
            say, self.before_next = self.before_next, None
            say()
        depth = GATE.held
        try:
            GATE.held = depth + 1
            answer = super().send_command(command, retry, binary)
        except _Interrupted as interrupted:
            GATE.held = depth + 1
            self._settle(interrupted.connection)
            GATE.owed = False
            raise interrupted.error from None
        finally:
            GATE.held = depth
        GATE.pay()
        return answer

    def _create_new_connection(self):
        connection = Connection(self.java_parameters, self.python_parameters, self.gateway_property, self)
        connection.connect_to_java_server()
        self.set_thread_connection(connection)
        if self.on_connect is not None and not isinstance(threading.current_thread(), FinalizerWorker):
            try:
                self.on_connect()
                self.deque.remove(connection)  # given back by that call, and not yet by the one it was made for
            except BaseException:
                connection.close()
                raise
        return connection

    def _settle(self, connection):
        # The jobs are being cancelled, so the answer should come soon.
        if connection.socket is None:
            return
        if connection.stream.take_answer(time.monotonic() + SETTLE_SECONDS):
            self._give_back_connection(connection)
        else:
            connection.close()


class Connection(ClientServerConnection):
    """A connection whose answers are read by `AnswerStream`."""

    def _authenticate_connection(self):
        self.stream.close()
        self.stream = AnswerStream(self.socket)
        super()._authenticate_connection()

    def send_command(self, command):
        try:
            return super().send_command(command)
        except (KeyboardInterrupt, Stopped) as error:
            # Under another name, because py4j logs a KeyboardInterrupt to the user's standard error.
            raise _Interrupted(self, error) from None


class AnswerStream:
    """Reads lines. An interrupt can only come between two reads, and what was read is kept."""

    def __init__(self, socket):
        self._socket = socket
        self._poll = select.poll()
        self._poll.register(socket, select.POLLIN)
        self._buffer = bytearray()
        self._searched = 0

    def readline(self):
        while (line := self._line()) is None:
            self._wait()
            if not self._fill():
                line, self._buffer = bytes(self._buffer), bytearray()
                return line
        return line

    def take_answer(self, deadline):
        """Reads and drops one line; `False` if none comes in time. The driver may interrupt again meanwhile."""
        while (line := self._line()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._poll.poll(min(left, 0.1) * 1000) and not self._fill():
                return False
        return line.startswith(b"!")  # anything else is a call in the other direction

    def close(self):
        """The socket is closed by its connection."""

    def _line(self):
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def _fill(self):
        piece = self._socket.recv(READ_BYTES)
        self._buffer += piece
        return bool(piece)

    def _wait(self):
        if not in_main_thread():
            self._poll.poll()
            return
        held = GATE.held
        try:
            GATE.held = 0
            GATE.pay()
            self._poll.poll()
        finally:
            GATE.held = held


class _Interrupted(BaseException):
    def __init__(self, connection, error):
        super().__init__()
        self.connection = connection
        self.error = error
