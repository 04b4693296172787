"""Reads an Arrow stream as any client would, with pyarrow, and says as JSON what is in it: `arrow.py FUNCTION FILE`."""

import datetime
import decimal
import json
import sys

import pyarrow as pa


def count(table):
    """How many rows, and the sum of the column `id`."""
    return [table.num_rows, sum(table.column("id").to_pylist())]


def texts(table):
    """What the column `s` has."""
    return sorted(set(table.column("s").to_pylist()))


def columns(table):
    return table.schema.names


def every_type(table):
    """The row of the case of that name, as values of Python."""
    utc = datetime.timezone.utc
    inside = {"z": decimal.Decimal("1.50")}
    expected = [
        (pa.int8(), -128), (pa.int16(), 32767), (pa.int64(), 9007199254740993), (pa.float32(), None),
        (pa.float64(), float("-inf")), (pa.float32(), None),
        (pa.decimal128(38, 0), decimal.Decimal("-12345678901234567890123456789012345678")),
        (pa.decimal128(38, 38), decimal.Decimal("0.5")), (pa.bool_(), True), (pa.string(), 'a"b,\n\x01😀'), (pa.string(), ""),
        (pa.binary(), b"\x00\xff"), (pa.date32(), datetime.date(1, 1, 1)), (pa.date32(), datetime.date(1899, 12, 31)),
        (pa.date32(), None),
        (pa.timestamp("us", "UTC"), datetime.datetime(1800, 1, 1, 4, 56, 2, tzinfo=utc)),
        (pa.timestamp("us", "UTC"), datetime.datetime(2026, 8, 9, 18, 13, 17, 123456, utc)),
        (pa.timestamp("us"), datetime.datetime(1800, 1, 1, 0, 0, 0, 1)),
        (pa.string(), "12:34:56.789"), (pa.string(), "INTERVAL '1 02:03:04.5' DAY TO SECOND"),
        (pa.string(), "INTERVAL '1-2' YEAR TO MONTH"), (pa.string(), "1 months 2 days"), (None, [["a", None], None]),
        (None, [(1, "x")]), (None, [(datetime.date(2026, 8, 9), [1.5, None])]), (None, {"x": None, "y": inside}),
        (None, ["INTERVAL '1' DAY"]), (pa.string(), '{"a":[1,null]}'), (pa.null(), None), (None, None),
    ]  # fmt: skip
    assert table.num_rows == 1 and table.num_columns == len(expected), table.schema
    for at, (kind, value) in enumerate(expected):
        column = table.column(at)
        assert kind is None or column.type == kind, (at, column.type)
        # A float of 32 bits, and a year that Python does not have.
        if at not in (3, 5, 14):
            assert column[0].as_py() == value, (at, column[0].as_py())
    assert abs(table.column(3)[0].as_py() - 0.1) < 1e-7
    assert table.column(5)[0].as_py() != table.column(5)[0].as_py()
    assert table.column(14).cast(pa.int32())[0].as_py() == 2932897
    return "as expected"


if __name__ == "__main__":
    with pa.ipc.open_stream(sys.argv[2]) as stream:
        json.dump(globals()[sys.argv[1]](stream.read_all()), sys.stdout)
