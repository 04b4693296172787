"""Cases for the libraries of Databricks Labs: `labs.py CASE FACTS`."""

import contextlib
import io
import json
import sys

from databricks.labs.blueprint.commands import CommandExecutor
from databricks.labs.lsql.backends import CommandExecutionBackend
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import DatabricksError

FACTS = json.loads(sys.argv[2])
CLUSTER = FACTS["cluster"]


def executor(client):
    return CommandExecutor(client.clusters, client.command_execution, lambda: CLUSTER)


def leave(client, commands):
    """They never do this themselves."""
    client.command_execution.destroy(CLUSTER, commands._ctx.id)


def refused(function, *arguments):
    """What a call is refused with; these libraries also write the cause to the standard error."""
    cause = io.StringIO()
    try:
        with contextlib.redirect_stderr(cause):
            function(*arguments)
    except DatabricksError as error:
        return str(error), cause.getvalue()
    raise AssertionError("it was not refused")


def blueprint_runs_code_and_returns_what_it_returns():
    client = WorkspaceClient()
    commands = executor(client)
    assert commands.run("return [1]") == [1]
    found = commands.run(
        """
        names = {"a": spark.range(3).count()}
        return names
        """
    )
    assert found == {"a": 3}, found
    assert commands.run("print('printed')") == "printed"
    leave(client, commands)


def blueprint_raises_what_the_code_raised():
    client = WorkspaceClient()
    commands = executor(client)
    said, cause = refused(commands.run, "raise Exception('juhu')")
    assert said == "juhu" and cause.rstrip().endswith("Exception: juhu"), (said, cause)
    assert "\x1b" not in cause, cause
    assert commands.run("return 2") == 2
    leave(client, commands)


def blueprint_restarts_python():
    client = WorkspaceClient()
    commands = executor(client)
    commands.run("kept = 1")
    commands.run("dbutils.library.restartPython()")
    assert commands.run("return 'kept' in globals()") is False
    leave(client, commands)


def lsql_fetches_rows():
    client = WorkspaceClient()
    backend = CommandExecutionBackend(client, CLUSTER)
    assert backend.fetch("select 1") == [[1]]
    assert backend.fetch("select id, cast(id as string) s, null n from range(2)") == [[0, "0", None], [1, "1", None]]
    backend.execute("create temporary view seen as select 7 as a")
    assert backend.fetch("select a from seen") == [[7]]
    leave(client, backend._sql)


def lsql_raises_what_sql_refuses():
    client = WorkspaceClient()
    backend = CommandExecutionBackend(client, CLUSTER)
    said, _ = refused(backend.execute, "select * from nope")
    assert "TABLE_OR_VIEW_NOT_FOUND" in said and "AnalysisException" not in said, said
    said, _ = refused(backend.fetch, "selec 1")
    assert "PARSE_SYNTAX_ERROR" in said, said
    assert backend.fetch("select 2") == [[2]]
    leave(client, backend._sql)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
