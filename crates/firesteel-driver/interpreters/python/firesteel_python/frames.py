"""Length-prefixed frames over a Unix socket: one JSON message, then an optional payload of raw bytes.

A `Connection` owns a descriptor with a high number that no child inherits, so that code which closes or reuses
descriptors by number is unlikely to touch it, and it notices when that happened all the same.
"""

import fcntl
import json
import os
import socket
import struct

VERSION = 2
JSON_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_MAX = 64 << 20
DESCRIPTOR_MIN = 200
READ_BYTES = 1 << 16

_LENGTH = struct.Struct(">I")

# Bound now: user code may replace them in their modules.
_read, _writev, _fstat, _close = os.read, os.writev, os.fstat, os.close
_loads, _dumps = json.loads, json.dumps


class Broken(Exception):
    """The connection can no longer be used: garbage on it, or its descriptor is gone."""


class Connection:
    """One end of a connection to the driver."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._identity = _identity(descriptor)
        self._buffer = bytearray()

    @classmethod
    def open(cls, path):
        """Connects to the socket at `path`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.connect(path)
            return cls(keep_high(link.fileno()))

    def fileno(self):
        return self._descriptor

    def pending(self):
        """Whether something that was read is still to be received."""
        return bool(self._buffer)

    def close(self):
        """Closes the descriptor if it is still this connection's."""
        try:
            self._check()
            _close(self._descriptor)
        except (Broken, OSError):
            pass

    def receive(self):
        """Returns the next `(message, payload)`, or `None` at the end of the connection."""
        header = self._take(_LENGTH.size)
        if header is None:
            return None
        message = _parse(self._frame(header, JSON_BYTES_MAX))
        if message.get("payload") is not True:
            return message, None
        return message, self._frame(self._take(_LENGTH.size), PAYLOAD_BYTES_MAX)

    def send(self, message, payload=None):
        """Sends a message; with a payload, both frames."""
        if payload is not None:
            if len(payload) > PAYLOAD_BYTES_MAX:
                raise ValueError(f"a payload of {len(payload)} bytes is too long")
            message = {**message, "payload": True}
        text = _dumps(message).encode()
        parts = [_LENGTH.pack(len(text)), text]
        if payload is not None:
            parts += [_LENGTH.pack(len(payload)), payload]
        self._check()
        _write_all(self._descriptor, parts)

    def greet(self, **hello):
        """Says hello and returns the driver's welcome; raises `Broken` when refused."""
        self.send({"type": "hello", "version": VERSION, **hello})
        answer = self.receive()
        if answer is None:
            raise Broken("the driver hung up without a welcome")
        if answer[0]["type"] != "welcome":
            raise Broken(f"the driver refused: {answer[0].get('reason')}")
        return answer[0]

    def _frame(self, header, bytes_max):
        if header is None:
            raise Broken("the connection ended inside a message")
        (length,) = _LENGTH.unpack(header)
        if length > bytes_max:
            raise Broken(f"a frame of {length} bytes is too long")
        content = self._take(length)
        if content is None:
            raise Broken("the connection ended inside a frame")
        return content

    def _take(self, count):
        buffer = self._buffer
        while len(buffer) < count:
            self._check()
            try:
                piece = _read(self._descriptor, READ_BYTES)
            except ConnectionResetError:
                return None
            if not piece:
                return None
            buffer += piece
        content = bytes(buffer[:count])
        del buffer[:count]
        return content

    def _check(self):
        # User code can close any descriptor, and the number may then belong to a file of its own.
        try:
            same = _identity(self._descriptor) == self._identity
        except OSError:
            same = False
        if not same:
            raise Broken("the connection's descriptor was closed by user code")


def keep_high(descriptor):
    """Returns a duplicate above the numbers that user code normally meets; no child process inherits it."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, DESCRIPTOR_MIN)
    except OSError:  # the limit on open files is below that number
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _identity(descriptor):
    found = _fstat(descriptor)
    return found.st_dev, found.st_ino


def _parse(content):
    try:
        message = _loads(content)
    except ValueError as error:
        raise Broken(f"a message is not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Broken("a message has no type")
    return message


def _write_all(descriptor, parts):
    parts = [memoryview(part) for part in parts]
    while parts:
        written = _writev(descriptor, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]
