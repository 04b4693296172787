"""The parent of an executor's Python workers: Spark's own, started anew without the secret that Spark hands to executors.

`python -m firesteel_python.daemon MODULE`, as Spark starts `pyspark.daemon`. Only a fresh program image has a clean environment: what is
taken out of a running one can still be read from the system.
"""

import os
import sys

SECRET = "_SPARK_AUTH_SECRET"

if __name__ == "__main__":
    environment = {name: value for name, value in os.environ.items() if name != SECRET}
    os.execve(sys.executable, [sys.executable, "-m", "pyspark.daemon", *sys.argv[1:]], environment)
