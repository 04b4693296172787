"""JSON that every client can read: UTF-8, and without the lone surrogates that Python's strings may hold."""

import json


def encode(value):
    """Returns a value as JSON in UTF-8. A lone surrogate, which no strict reader takes, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
