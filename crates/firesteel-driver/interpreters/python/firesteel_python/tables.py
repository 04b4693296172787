"""DataFrames as table results: Spark's are encoded by the JVM, pandas' and pyarrow's here, in the same shape."""

import base64
import datetime
import decimal
import math
import sys

from . import results, wire


def encode(value, spark, limits, result):
    """Returns the JSON text of the `results` object for a DataFrame of any kind, or `None` for anything else.

    All of its rows go to the file `result`, unless that is `None`.
    """
    if _is(value, "pyspark.sql.dataframe", "DataFrame"):
        return spark.table(value, result)
    if _is(value, "pyspark.pandas", "DataFrame") or _is(value, "pyspark.pandas", "Series"):
        frame = value if hasattr(value, "to_spark") else value.to_frame()
        return spark.table(frame.to_spark(), result)
    if _is(value, "pandas", "Series"):
        value = value.to_frame()
    if _is(value, "pandas", "DataFrame"):
        columns = [(str(name), _column(value.iloc[:, at])) for at, name in enumerate(value.columns)]
        return _encode(columns, len(value), limits, result)
    if _is(value, "pyarrow", "Table"):
        columns = [(name, value.column(at)) for at, name in enumerate(value.column_names)]
        return _encode(columns, value.num_rows, limits, result)
    return None


def _is(value, module, name):
    # Nothing can be an instance of a class whose module nobody imported.
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(value, found)


def _encode(columns, height, limits, result):
    """`columns` are `(name, column)`."""
    columns = [(name, *_head(column, limits["rows_max"])) for name, column in columns]
    schema = [{"name": name, "type": kind, "metadata": "{}"} for name, kind, _, _ in columns]
    _keep(columns, schema, limits, result)
    rows, room = [], limits["table_bytes_max"]
    for row in zip(*(cells for _, _, cells, _ in columns)):
        encoded = wire.encode([_cell(cell) for cell in row])
        room -= len(encoded)
        if room < 0:
            break
        rows.append(encoded)
    truncated = bool(columns) and len(rows) < height
    head = wire.encode({"isJsonSchema": True, "resultType": "table", "schema": schema, "truncated": truncated})
    return b'{"data":[' + b",".join(rows) + b"]," + head[1:]


def _keep(columns, schema, limits, result):
    bytes_max = limits.get("result_bytes_max")
    if result is None or not bytes_max or not columns:
        return
    try:
        if isinstance(columns[0][3], list):  # there is no pyarrow, so all columns are texts
            rows = (wire.encode(list(row)) for row in zip(*(column for _, _, _, column in columns)))
            results.write_rows(result, rows, schema, bytes_max)
        else:
            arrays = [(name, results.storable(column)) for name, _, _, column in columns]
            results.write(result, arrays, schema, bytes_max)
    except OSError:
        results.discard(result)  # a table is shown also where its rows cannot be kept


def _column(series):
    """Returns a pandas column as an Arrow array, as a list of texts where it has no one type."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None:
        try:
            return pyarrow.Array.from_pandas(series)
        except (pyarrow.ArrowException, TypeError, ValueError):
            pass  # a mixture
    texts = [None if gone else str(cell) for gone, cell in zip(series.isna(), series)]
    return texts if pyarrow is None else pyarrow.array(texts, pyarrow.string())


def _head(column, rows_max):
    """Returns the Spark type of a column as JSON text, its first cells as Python values, and the column."""
    cells = column[:rows_max]
    if isinstance(column, list):
        return '"string"', cells, column
    from pyspark.sql.pandas.types import from_arrow_type

    try:
        kind = from_arrow_type(column.type).json()
    except Exception:  # a type Spark does not have; the class of the error differs between versions
        return '"string"', [None if cell is None else str(cell) for cell in cells.to_pylist()], column
    return kind, cells.to_pylist(), column


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
    if value.tzinfo is None:  # a time of no zone stays one
        return value.isoformat(timespec="milliseconds")
    return value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
