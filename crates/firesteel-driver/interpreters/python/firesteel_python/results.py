"""All rows of a table, in the file that the driver named: an Arrow stream without its end mark, and an index beside it.

The JVM writes the same for Spark's DataFrames; `docs/protocol.md` has the form.
"""

import os
import struct
import sys

from . import wire

BATCH_ROWS = 10_000
BATCH_BYTES = 1 << 20
# No reader has to hold more at once.
BATCH_BYTES_MAX = 48 << 20

WHOLE, BOUND, FAILED = 0, 1, 2
_END = (1 << 64) - 1


def write(path, columns, schema, bytes_max):
    """Writes `columns`, a list of `(name, pyarrow array)`; `schema` is what the `results` object says of them."""
    pyarrow = sys.modules["pyarrow"]
    fields = [pyarrow.field(name, array.type) for name, array in columns]
    described = pyarrow.schema(fields, metadata={"firesteel.columns": wire.encode(schema)})
    table = pyarrow.Table.from_arrays([array for _, array in columns], schema=described)
    with _File(path, bytes_max) as file:
        file.append(described.serialize(), 0)
        for batch in table.to_batches(max_chunksize=_rows_per_batch(table)):
            if not file.append(batch.serialize(), batch.num_rows):
                return
        file.end(WHOLE, "")


def write_rows(path, rows, schema, bytes_max):
    """Writes rows that are JSON arrays already; their columns are of types that JSON has."""
    with _File(path, bytes_max) as file:
        file.append(wire.encode(schema), 0)
        block, size = [], 0
        for row in rows:
            block.append(row)
            size += len(row) + 1
            if size >= BATCH_BYTES or len(block) == BATCH_ROWS:
                if not file.append(b",".join(block), len(block)):
                    return
                block, size = [], 0
        if not block or file.append(b",".join(block), len(block)):
            file.end(WHOLE, "")


def discard(path):
    """Takes a result away, as far as it is there."""
    for name in (path, path + ".index"):
        try:
            os.unlink(name)
        except OSError:
            pass


def _rows_per_batch(table):
    row = max(table.nbytes // max(table.num_rows, 1), 1)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // row))


class _File:
    """The two files of one result."""

    def __init__(self, path, bytes_max):
        discard(path)  # a command that shows several tables keeps the last
        self._bytes_max = bytes_max
        self._rows = 0
        self._data, self._index = _create(path), _create(path + ".index")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._data.close()
        self._index.close()

    def append(self, message, rows):
        """Appends one message of some rows; `False` where that is not possible, which is the end."""
        size = memoryview(message).nbytes
        if self._data.tell() + size > self._bytes_max:
            return self.end(BOUND, f"one result is kept up to {self._bytes_max} bytes (limits.result_bytes_max)")
        if size > BATCH_BYTES_MAX:
            return self.end(FAILED, f"rows are larger than {BATCH_BYTES_MAX >> 20} MiB")
        self._data.write(message)
        self._data.flush()
        self._rows += rows
        self._index.write(struct.pack(">QQ", self._data.tell(), self._rows))
        return True

    def end(self, kind, reason):
        """Says that nothing more comes."""
        reason = reason.encode()
        self._index.write(struct.pack(">QQ", _END, kind << 32 | len(reason)) + reason)
        return False


def _create(path):
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def storable(array):
    """Returns an array in the type that Spark would store it in, and as text where a table's JSON has it as text."""
    pyarrow = sys.modules["pyarrow"]
    kind = _stored(pyarrow, array.type)
    if kind is not None:
        try:
            return array.cast(kind, safe=False)
        except pyarrow.ArrowException:
            pass  # such as bytes that are no text
    return pyarrow.array([None if cell is None else str(cell) for cell in array.to_pylist()], pyarrow.string())


def _stored(pyarrow, kind):
    types = pyarrow.types
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pyarrow.string()
    if types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
        return pyarrow.binary()
    if types.is_timestamp(kind):
        return pyarrow.timestamp("us", None if kind.tz is None else "UTC")
    if types.is_list(kind) or types.is_large_list(kind):
        inner = _stored(pyarrow, kind.value_type)
        return None if inner is None else pyarrow.list_(inner)
    if types.is_map(kind):
        inner = [_stored(pyarrow, kind.key_type), _stored(pyarrow, kind.item_type)]
        return None if None in inner else pyarrow.map_(*inner)
    if types.is_struct(kind):
        inner = [(kind.field(at).name, _stored(pyarrow, kind.field(at).type)) for at in range(kind.num_fields)]
        return None if any(found is None for _, found in inner) else pyarrow.struct(inner)
    return kind if _is_plain(types, kind) else None


def _is_plain(types, kind):
    of_numbers = types.is_signed_integer(kind) or types.is_decimal128(kind) or types.is_float32(kind) or types.is_float64(kind)
    others = types.is_null(kind) or types.is_boolean(kind) or types.is_date32(kind)
    return of_numbers or others or types.is_string(kind) or types.is_binary(kind)
