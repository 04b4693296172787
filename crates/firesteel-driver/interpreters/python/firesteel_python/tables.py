"""DataFrames as table results: Spark's are encoded by the JVM, pandas' and pyarrow's here, in the same shape."""

import base64
import datetime
import decimal
import math
import sys

from . import wire


def encode(value, spark, rows_max, bytes_max):
    """Returns the JSON text of the `results` object for a DataFrame of any kind, or `None` for anything else."""
    if _is(value, "pyspark.sql.dataframe", "DataFrame"):
        return spark.table(value, rows_max, bytes_max)
    if _is(value, "pyspark.pandas", "DataFrame") or _is(value, "pyspark.pandas", "Series"):
        frame = value if hasattr(value, "to_spark") else value.to_frame()
        return spark.table(frame.to_spark(), rows_max, bytes_max)
    if _is(value, "pandas", "Series"):
        value = value.to_frame()
    if _is(value, "pandas", "DataFrame"):
        columns = [(str(name), _column(value.iloc[:rows_max, at])) for at, name in enumerate(value.columns)]
        return _encode(columns, len(value), rows_max, bytes_max)
    if _is(value, "pyarrow", "Table"):
        cut = value.slice(0, rows_max)
        columns = [(name, _from_arrow(cut.column(at))) for at, name in enumerate(cut.column_names)]
        return _encode(columns, value.num_rows, rows_max, bytes_max)
    return None


def _is(value, module, name):
    # Nothing can be an instance of a class whose module nobody imported.
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(value, found)


def _encode(columns, height, rows_max, bytes_max):
    schema = [{"name": name, "type": kind, "metadata": "{}"} for name, (kind, _) in columns]
    rows, room = [], bytes_max
    for row in zip(*(cells for _, (_, cells) in columns)):
        encoded = wire.encode([_cell(cell) for cell in row])
        room -= len(encoded)
        if room < 0:
            break
        rows.append(encoded)
    truncated = bool(columns) and len(rows) < height
    head = wire.encode({"isJsonSchema": True, "resultType": "table", "schema": schema, "truncated": truncated})
    return b'{"data":[' + b",".join(rows) + b"]," + head[1:]


def _column(series):
    """Returns `(type, cells)`: the Spark type as JSON text, the cells as Python values."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        return _as_text(series)
    try:
        return _from_arrow(pyarrow.Array.from_pandas(series))
    except (pyarrow.ArrowException, TypeError, ValueError):
        return _as_text(series)  # a mixture that has no one type


def _from_arrow(array):
    from pyspark.sql.pandas.types import from_arrow_type

    try:
        kind = from_arrow_type(array.type).json()
    except Exception:  # a type Spark does not have; the class of the error differs between versions
        return '"string"', [None if cell is None else str(cell) for cell in array.to_pylist()]
    return kind, array.to_pylist()


def _as_text(series):
    missing = series.isna()
    return '"string"', [None if gone else str(cell) for gone, cell in zip(missing, series)]


def _cell(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _not_finite(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return _instant(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _cell(inner) for key, inner in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(pair, tuple) for pair in value):  # pyarrow's form of a map
            return {str(key): _cell(inner) for key, inner in value}
        return [_cell(inner) for inner in value]
    return str(value)


def _not_finite(value):
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _instant(value):
    utc = datetime.timezone.utc
    value = value.replace(tzinfo=utc) if value.tzinfo is None else value.astimezone(utc)
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
