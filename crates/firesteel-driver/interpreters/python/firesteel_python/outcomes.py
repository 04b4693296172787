"""What a command came to: the fields and the payload of its `done` message."""

import base64

from . import errors, wire

# A payload frame is at most 64 MiB, and images grow by a third on their way into text.
IMAGE_BYTES_MAX = 40 << 20
ECHO_CHARS_MAX = 4 << 20
ALONE_BYTES_MAX = 32 << 20


class Outcome:
    """`fields` of `done` beyond its type and command, and its payload."""

    __slots__ = ("fields", "payload")

    def __init__(self, kind, payload, **fields):
        self.fields = {"outcome": kind, **fields}
        self.payload = payload


class Shown:
    """What a command displayed so far. The last rich thing wins; images collect."""

    def __init__(self):
        self._kind = None
        self._content = None

    def table(self, results):
        """Shows a table: the JSON text of a `results` object, as bytes."""
        self._kind, self._content = "table", results

    def html(self, text):
        self._kind, self._content = "html", text

    def image(self, png):
        """Shows one PNG image."""
        if self._kind != "images":
            self._kind, self._content = "images", []
        self._content.append(png)

    def outcome(self, echo):
        """Returns the command's outcome, given the text of its trailing expression (`None` without one)."""
        if self._kind == "table":
            return Outcome("table", self._content)
        if self._kind == "images":
            if echo is not None:
                print(echo)  # an image result carries only what was printed
            return images(self._content)
        if self._kind == "html":
            echo = self._content if echo is None else f"{self._content}\n{echo}"
        return text(echo or "")


def text(content, **fields):
    return Outcome("text", _encode(content[:ECHO_CHARS_MAX]), **fields)


def alone(content):
    """The argument of `dbutils.notebook.exit`: the result whatever was printed."""
    payload = _encode(content)
    if len(payload) > ALONE_BYTES_MAX:
        return failure(ValueError(f"dbutils.notebook.exit: {len(payload)} bytes are more than {ALONE_BYTES_MAX}"))
    return Outcome("text", payload, alone=True)


def images(pictures):
    names, room = [], IMAGE_BYTES_MAX
    for picture in pictures:
        room -= len(picture)
        if room < 0:
            print(f"{len(pictures) - len(names)} images left out: together they are too large")
            break
        names.append("data:image/png;base64," + base64.b64encode(picture).decode())
    return Outcome("images", wire.encode({"data": None, "fileNames": names, "resultType": "images"}))


def cancelled():
    return Outcome("cancelled", None)


def failure(error):
    """An error outcome for what user code raised."""
    return _error(*errors.describe(error))


def plain_failure(error):
    """An error outcome where even describing the error failed."""
    name = type(error).__name__
    return _error(f"<span class='ansi-red-fg'>{name}</span>: ", f"{name}: <unprintable>")


def _error(summary, cause):
    return Outcome("error", wire.encode({"cause": cause, "resultType": "error", "summary": summary}))


def _encode(content):
    return content.encode("utf-8", "backslashreplace")
