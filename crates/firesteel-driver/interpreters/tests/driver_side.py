"""What every played driver needs, whichever side it plays it for: frames, limits, and a command's end."""

import json
import struct

VERSION = 2
LIMITS = {
    "rows_max": 10000,
    "table_bytes_max": 2000000,
    "text_chars_max": 50000,
    "result_bytes_max": 2 << 30,
    "result_seconds_max": 600,
}
SECONDS_MAX = 30
FRAME_BYTES_MAX = 64 << 20


class Lost(Exception):
    """The other side hung up."""


def frame(content):
    return struct.pack(">I", len(content)) + content


def frames_of(message, payload=None):
    """A message as it goes over the wire, its payload behind it."""
    if payload is None:
        return frame(json.dumps(message).encode())
    return frame(json.dumps({**message, "payload": True}).encode()) + frame(payload)


def read_message(take):
    """The next message and its payload; `take` reads so many bytes."""
    message = json.loads(_read_frame(take))
    return message, _read_frame(take) if message.get("payload") else None


def _read_frame(take):
    (length,) = struct.unpack(">I", take(4))
    if length > FRAME_BYTES_MAX:
        raise Lost("garbage")
    return take(length)


class Done:
    """A command's end, as the driver would see it."""

    def __init__(self, message, payload, printed):
        self.message, self.payload, self.printed = message, payload, printed
        self.outcome = message["outcome"]

    @property
    def text(self):
        """The text result as a client gets it."""
        assert self.outcome == "text", (self.message, self.payload, self.printed)
        before = "" if self.message.get("alone") else self.printed
        return (before + self.payload.decode()).rstrip("\n")

    @property
    def results(self):
        assert self.outcome in ("table", "images", "error"), (self.message, self.payload, self.printed)
        results = json.loads(self.payload)
        assert results.get("resultType", self.outcome) == self.outcome, results
        return results

    @property
    def summary(self):
        assert self.outcome == "error", (self.message, self.payload, self.printed)
        return self.results["summary"]

    @property
    def cause(self):
        assert self.outcome == "error", (self.message, self.payload, self.printed)
        return self.results["cause"]
