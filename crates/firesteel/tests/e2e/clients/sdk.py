"""Cases for the stock SDK: `sdk.py CASE FACTS`. The host and the token come from the environment, as its users have them."""

import base64
import contextlib
import io
import json
import sys
import time
import uuid

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config, DatabricksError
from databricks.sdk.dbutils import RemoteDbUtils
from databricks.sdk.errors import ResourceDoesNotExist
from databricks.sdk.service.compute import (
    CommandStatus,
    ContextStatus,
    Language,
    Library,
    LibraryInstallStatus,
    PythonPyPiLibrary,
    ResultType,
)
from databricks.sdk.service.workspace import ImportFormat

FACTS = json.loads(sys.argv[2])
CLUSTER = FACTS["cluster"]


class Context:
    """An execution context and what runs in it."""

    def __init__(self, api, language):
        self._api, self._language = api, language
        view = api.create(cluster_id=CLUSTER, language=language).result()
        assert view.status == ContextStatus.RUNNING, view
        self.id = view.id

    def start(self, code, language=None):
        return self._api.execute(
            cluster_id=CLUSTER, context_id=self.id, language=language or self._language, command=code
        )

    def run(self, code, language=None):
        view = self.start(code, language).result()
        assert view.status == CommandStatus.FINISHED, view
        return view.results


@contextlib.contextmanager
def context(client, language=Language.PYTHON):
    found = Context(client.command_execution, language)
    try:
        yield found
    finally:
        client.command_execution.destroy(cluster_id=CLUSTER, context_id=found.id)


def a_command_runs_and_its_context_is_destroyed(client=None):
    client = client or WorkspaceClient()
    with context(client) as python:
        results = python.run("print(1)")
        assert (results.result_type, results.data) == (ResultType.TEXT, "1"), results
        assert client.command_execution.context_status(CLUSTER, python.id).status == ContextStatus.RUNNING
    try:
        client.command_execution.context_status(CLUSTER, python.id)
    except DatabricksError as error:
        assert str(error) == f"ContextNotFound: {python.id}", error
    else:
        raise AssertionError("the context is still there")


def what_raises_is_an_error_result():
    with context(WorkspaceClient()) as python:
        results = python.run("1/0")
        assert results.result_type == ResultType.ERROR, results
        assert "<span class='ansi-red-fg'>ZeroDivisionError</span>" in results.summary, results.summary
        assert results.cause.splitlines()[-1] == "ZeroDivisionError: division by zero", results.cause


def a_missing_context_is_named_without_a_code():
    try:
        WorkspaceClient().command_execution.execute(
            cluster_id=CLUSTER, context_id="", language=Language.PYTHON, command="print(1)"
        )
    except DatabricksError as error:
        assert "requirement failed: missing contextId" in str(error), error
        assert error.error_code is None, error.error_code
    else:
        raise AssertionError("a command ran in no context")


def a_cancel_ends_in_cancelled():
    client = WorkspaceClient()
    with context(client) as python:
        for code in ("import time; time.sleep(600)", "while True: pass"):
            command = python.start(code)
            ended = client.command_execution.cancel(
                cluster_id=CLUSTER, context_id=python.id, command_id=command.command_id
            ).result()
            assert ended.status == CommandStatus.CANCELLED, ended
        assert python.run("print(2)").data == "2"


def an_unknown_cluster_does_not_exist():
    client = WorkspaceClient()
    assert client.clusters.get(CLUSTER).cluster_id == CLUSTER
    try:
        client.clusters.get("nope")
    except ResourceDoesNotExist:
        pass
    else:
        raise AssertionError("there is a cluster `nope`")


def remote_dbutils_list_the_mounts():
    dbutils = RemoteDbUtils(Config(cluster_id=CLUSTER))
    mounts = dbutils.fs.mounts()
    assert mounts[0].mountPoint == "/", mounts
    # It never does this itself: its context is there until the cluster has no room for more.
    WorkspaceClient().command_execution.destroy(CLUSTER, dbutils._ctx.id)


def sql_gives_a_table():
    with context(WorkspaceClient(), Language.SQL) as sql:
        results = sql.run("select 1 as a, null as b, 'x' as c")
        assert results.result_type == ResultType.TABLE, results
        types = [column["type"] for column in results.schema]
        assert (types[0], types[2]) == ('"integer"', '"string"'), types
        assert results.data == [[1, None, "x"]], results.data
        assert results.truncated in (False, None) and results.is_json_schema is True, results
        failed = sql.run("select * from nope")
        assert failed.result_type == ResultType.ERROR and "`nope`" in failed.summary, failed


def state_is_shared_in_a_context_and_not_beyond():
    client = WorkspaceClient()
    with context(client) as one, context(client) as other:
        assert one.run("x = 1").data == ""
        assert one.run("x + 1").data == "2"
        assert "NameError" in other.run("x + 1").summary
        assert one.run("val y = 2", Language.SCALA).data == "y: Int = 2"
        assert one.run("y * 2", Language.SCALA).data.endswith(" = 4")


def a_user_with_a_password_gets_through():
    client = WorkspaceClient(
        host=FACTS["host"], username=FACTS["user"], password=FACTS["password"], auth_type="basic"
    )
    a_command_runs_and_its_context_is_destroyed(client)


def files_go_up_and_down():
    client = WorkspaceClient()
    place = f"/e2e/sdk-{uuid.uuid4()}"
    # More than one block.
    content = bytes(range(256)) * 5000
    client.dbfs.upload(f"{place}/a.bin", io.BytesIO(content))
    try:
        client.dbfs.upload(f"{place}/a.bin", io.BytesIO(content))
    except DatabricksError as error:
        assert error.error_code == "RESOURCE_ALREADY_EXISTS", error.error_code
    else:
        raise AssertionError("a file was replaced unasked")
    assert client.dbfs.download(f"{place}/a.bin").read() == content
    assert client.dbfs.exists(f"{place}/a.bin") and not client.dbfs.exists(f"{place}/nope")
    client.dbfs.copy(f"dbfs:{place}/a.bin", f"dbfs:{place}/b.bin")
    client.dbfs.move_(f"dbfs:{place}/b.bin", f"dbfs:{place}/c.bin")
    seen = sorted((entry.path, entry.file_size) for entry in client.dbfs.list(place))
    assert seen == [(f"{place}/a.bin", len(content)), (f"{place}/c.bin", len(content))], seen
    dbutils = RemoteDbUtils(Config(cluster_id=CLUSTER))
    dbutils.fs.put(f"{place}/t.txt", "text", True)
    assert dbutils.fs.head(f"{place}/t.txt") == "text"
    assert [entry.name for entry in dbutils.fs.ls(f"{place}/t.txt")] == ["t.txt"]
    dbutils.fs.rm(place, True)
    assert not client.dbfs.exists(place)


def a_notebook_and_a_file_are_uploaded():
    workspace = WorkspaceClient().workspace
    place = f"/Users/admin/e2e-{uuid.uuid4()}"
    workspace.mkdirs(place)
    workspace.upload(f"{place}/nb.py", io.BytesIO(b"print(1)\n"), overwrite=True)
    workspace.upload(f"{place}/raw.bin", io.BytesIO(bytes(range(256))), format=ImportFormat.AUTO)
    seen = sorted((node.path, node.object_type.value) for node in workspace.list(place))
    assert seen == [(f"{place}/nb.py", "NOTEBOOK"), (f"{place}/raw.bin", "FILE")], seen
    assert workspace.download(f"{place}/raw.bin").read() == bytes(range(256))
    assert workspace.download(f"{place}/nb.py").read() == b"# Databricks notebook source\nprint(1)\n"
    assert workspace.get_status(f"{place}/nb.py").object_id > 0
    try:
        workspace.upload(f"{place}/nb.py", io.BytesIO(b""))
    except DatabricksError as error:
        assert error.error_code == "RESOURCE_ALREADY_EXISTS", error.error_code
    else:
        raise AssertionError("a notebook was replaced unasked")
    workspace.delete(place, recursive=True)


def secrets_are_kept():
    client = WorkspaceClient()
    scope = f"sdk-{uuid.uuid4()}"
    client.secrets.create_scope(scope)
    client.secrets.put_secret(scope, "k", string_value="v\u00e9")
    assert scope in [found.name for found in client.secrets.list_scopes()]
    assert [found.key for found in client.secrets.list_secrets(scope)] == ["k"]
    assert base64.b64decode(client.secrets.get_secret(scope, "k").value).decode() == "v\u00e9"
    dbutils = RemoteDbUtils(Config(cluster_id=CLUSTER))
    assert dbutils.secrets.get(scope, "k") == "v\u00e9"
    assert [found.permission.value for found in client.secrets.list_acls(scope)] == ["MANAGE"]
    client.secrets.delete_secret(scope, "k")
    client.secrets.delete_scope(scope)


def libraries_are_installed():
    libraries = WorkspaceClient().libraries
    # A spelling of its own, as another run may have one that is to go.
    wanted = Library(pypi=PythonPyPiLibrary(package=f"parse!=0.{uuid.uuid4().int % 10**9}"))

    def status():
        return next((one for one in libraries.cluster_status(CLUSTER) if one.library == wanted), None)

    assert status() is None
    libraries.install(CLUSTER, [wanted])
    deadline = time.monotonic() + 300
    while status().status in (LibraryInstallStatus.PENDING, LibraryInstallStatus.INSTALLING):
        assert time.monotonic() < deadline, status()
        time.sleep(0.2)
    assert status().status == LibraryInstallStatus.INSTALLED, status()
    assert CLUSTER in [one.cluster_id for one in libraries.all_cluster_statuses()]
    libraries.uninstall(CLUSTER, [wanted])
    assert status().status == LibraryInstallStatus.UNINSTALL_ON_RESTART, status()
    # Other clients wait until nothing of the cluster is to go.
    libraries.install(CLUSTER, [wanted])
    try:
        libraries.install("nope", [wanted])
    except ResourceDoesNotExist:
        pass
    except DatabricksError as error:
        assert "Cluster nope does not exist" in str(error), error
    else:
        raise AssertionError("a cluster that is not there took a library")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
