"""Starts the stand-in JVM: one for the whole suite, compiled once per Spark version with Spark's own compiler."""

import atexit
import functools
import glob
import hashlib
import os
import secrets
import subprocess
import sys
import tempfile
import zipfile

import pyspark

SPARK_HOME = os.path.dirname(pyspark.__file__)
HERE = os.path.dirname(os.path.abspath(__file__))
# The stand-in, and what Python calls in the real JVM side.
SOURCES = [os.path.join(HERE, "StandIn.scala")] + [
    os.path.join(HERE, "..", "..", "scala", "src", name) for name in ("Accumulators.scala", "Dbfs.scala", "FileUtils.scala", "Json.scala", "LateJobs.scala", "Mounts.scala")
]


class StandIn:
    """A JVM with Spark in local mode."""

    def __init__(self):
        self.logs = tempfile.TemporaryFile()
        self.files = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [
                os.path.join(SPARK_HOME, "bin", "spark-submit"),
                *("--master", "local[2]", "--driver-memory", "1g"),
                *("--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2"),
                *("--conf", "spark.driver.bindAddress=127.0.0.1", "--conf", "spark.driver.host=127.0.0.1"),
                *("--conf", "spark.hadoop.fs.dbfs.impl=firesteel.DbfsFileSystem"),
                *("--conf", f"spark.hadoop.fs.dbfs.root={self.files.name}"),
                *("--class", "standin.StandIn", _compiled()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.logs,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            cwd=tempfile.gettempdir(),
            text=True,
        )
        atexit.register(self.end)
        assert self._answer() == "ready"

    def gateway(self):
        """A py4j server of one's own: `(port, token)`."""
        token = secrets.token_hex(16)
        return int(self.ask(f"gateway {token}")), token

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.logs.close()
        self.files.cleanup()

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
        self.logs.seek(0)
        raise AssertionError("the stand-in JVM ended: " + self.logs.read().decode()[-4000:])


@functools.cache
def stand_in():
    return StandIn()


def _compiled():
    digest = hashlib.sha256(pyspark.__version__.encode())
    for path in SOURCES:
        with open(path, "rb") as source:
            digest.update(source.read())
    digest = digest.hexdigest()[:12]
    jar = os.path.join(tempfile.gettempdir(), f"firesteel-stand-in-{os.getuid()}-{digest}.jar")
    if not os.path.exists(jar):
        _compile(jar)
    return jar


def _compile(jar):
    jars = ":".join(glob.glob(os.path.join(SPARK_HOME, "jars", "*.jar")))
    with tempfile.TemporaryDirectory() as classes:
        subprocess.run(
            ["java", "-cp", jars, "scala.tools.nsc.Main", "-usejavacp", "-nowarn", "-d", classes, *SOURCES], check=True
        )
        with zipfile.ZipFile(jar + ".new", "w") as archive:
            for folder, _, names in os.walk(classes):
                for name in names:
                    path = os.path.join(folder, name)
                    archive.write(path, os.path.relpath(path, classes))
    os.rename(jar + ".new", jar)
