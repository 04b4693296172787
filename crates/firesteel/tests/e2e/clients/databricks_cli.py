"""Cases for the old command line, `databricks-cli`: `databricks_cli.py CASE FACTS`. It drops the port of its host, so something on port 443 must
pass on what it says."""

import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid


def databricks(*arguments):
    program = os.path.join(os.path.dirname(sys.executable), "databricks")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def files_are_copied():
    place = f"dbfs:/e2e/cli-{uuid.uuid4()}"
    with tempfile.TemporaryDirectory() as folder:
        sent, got = os.path.join(folder, "sent"), os.path.join(folder, "got")
        with open(sent, "wb") as file:
            file.write(os.urandom(3_000_000))
        databricks("fs", "mkdirs", place)
        databricks("fs", "cp", sent, f"{place}/file")
        databricks("fs", "cp", "--overwrite", sent, f"{place}/file")
        databricks("fs", "cp", f"{place}/file", got)
        assert filecmp.cmp(sent, got, shallow=False)
    assert databricks("fs", "ls", place).split() == ["file"]
    databricks("fs", "mv", f"{place}/file", f"{place}/moved")
    assert databricks("fs", "ls", place).split() == ["moved"]
    databricks("fs", "rm", "-r", place)
    scope = f"cli-{uuid.uuid4()}"
    databricks("secrets", "create-scope", "--scope", scope)
    databricks("secrets", "put", "--scope", scope, "--key", "k", "--string-value", "v")
    assert "k" in databricks("secrets", "list", "--scope", scope)
    databricks("secrets", "delete-scope", "--scope", scope)
    assert "Shared" in databricks("workspace", "ls", "/").split()


def libraries_are_installed():
    cluster, package = json.loads(sys.argv[2])["cluster"], "toolz==0.12.1"
    databricks("libraries", "install", "--cluster-id", cluster, "--pypi-package", package)
    status = wait_installed(cluster, package)
    assert status == {"library": {"pypi": {"package": package}}, "status": "INSTALLED", "messages": [],
                      "is_library_for_all_clusters": False}, status
    assert cluster in databricks("libraries", "list")
    databricks("libraries", "uninstall", "--cluster-id", cluster, "--pypi-package", package)
    assert find(cluster, package)["status"] == "UNINSTALL_ON_RESTART"
    # Other clients wait until nothing of the cluster is to go.
    databricks("libraries", "install", "--cluster-id", cluster, "--pypi-package", package)
    assert wait_installed(cluster, package)["status"] == "INSTALLED"


def find(cluster, package):
    said = json.loads(databricks("libraries", "cluster-status", "--cluster-id", cluster))
    return next(one for one in said["library_statuses"] if one["library"] == {"pypi": {"package": package}})


def wait_installed(cluster, package):
    deadline = time.monotonic() + 300
    status = find(cluster, package)
    while status["status"] in ("PENDING", "INSTALLING") and time.monotonic() < deadline:
        time.sleep(0.2)
        status = find(cluster, package)
    return status


if __name__ == "__main__":
    globals()[sys.argv[1]]()
