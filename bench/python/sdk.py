"""The stock SDK: executes `1+1` in one context each time a line asks for it, and answers with nanoseconds.

    sdk        `execute(…).result()`
    requests   the two calls beneath it, made with the HTTP library that the SDK uses
"""

import os
import sys
import time

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import Language


def main():
    cluster = os.environ["BENCH_CLUSTER"]
    workspace = WorkspaceClient()
    commands = workspace.command_execution
    context = commands.create(cluster_id=cluster, language=Language.PYTHON).result().id

    def sdk():
        done = commands.execute(
            cluster_id=cluster, context_id=context, language=Language.PYTHON, command="1+1"
        ).result()
        assert done.results.data == "2", done

    http = requests.Session()
    http.headers.update(workspace.config.authenticate())
    calls = f"{workspace.config.host}/api/1.2/commands/"
    ids = {"clusterId": cluster, "contextId": context}

    def bare_requests():
        command = http.post(calls + "execute", json={**ids, "language": "python", "command": "1+1"}).json()["id"]
        status = http.get(calls + "status", params={**ids, "commandId": command}).json()
        assert status["results"]["data"] == "2", status

    what = {"sdk": sdk, "requests": bare_requests}
    print("ready", flush=True)
    for line in sys.stdin:
        execute = what[line.strip()]
        begun = time.perf_counter_ns()
        execute()
        print(time.perf_counter_ns() - begun, flush=True)
    commands.destroy(cluster, context)


main()
