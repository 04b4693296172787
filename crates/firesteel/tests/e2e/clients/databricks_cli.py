"""Cases for the old command line, `databricks-cli`: `databricks_cli.py CASE FACTS`. It drops the port of its host, so something on port 443 must
pass on what it says."""

import filecmp
import os
import subprocess
import sys
import tempfile
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


if __name__ == "__main__":
    globals()[sys.argv[1]]()
