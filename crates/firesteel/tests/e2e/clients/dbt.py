"""Cases for the command API of `dbt-databricks`, used as a library: `dbt.py CASE FACTS`."""

import json
import sys
import warnings

# Its own dependencies warn of each other.
warnings.simplefilter("ignore")

# This file's own folder would be taken for the package.
sys.path = [path for path in sys.path if not path.endswith("clients")]

from databricks.sdk import WorkspaceClient  # noqa: E402
from dbt.adapters.databricks.api_client import ClusterApi, CommandApi, CommandContextApi, LibraryApi  # noqa: E402
from dbt.adapters.databricks.logging import logger  # noqa: E402
from dbt_common.exceptions import DbtRuntimeError  # noqa: E402

# It says on the standard output that a context has come up.
logger.info = lambda *_: None

FACTS = json.loads(sys.argv[2])
CLUSTER = FACTS["cluster"]


class Submission:
    """What a Python model is submitted through."""

    def __init__(self):
        client = WorkspaceClient()
        libraries = LibraryApi(client)
        self.contexts = CommandContextApi(client, ClusterApi(client, libraries), libraries)
        self.commands = CommandApi(client, polling_interval=0, timeout=100)
        self.context = self.contexts.create(CLUSTER)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.contexts.destroy(CLUSTER, self.context)

    def start(self, code):
        return self.commands.execute(CLUSTER, self.context, code)

    def run(self, code):
        self.commands.poll_for_completion(self.start(code))


def a_model_runs():
    with Submission() as submission:
        submission.run("frame = spark.range(5).toDF('n')\nframe.createOrReplaceTempView('model')\nprint(frame.count())")
        submission.run("assert spark.table('model').count() == 5")


def a_model_that_fails_is_shown_with_its_trace():
    with Submission() as submission:
        try:
            submission.run("def model(dbt, session):\n    return 1 / 0\nmodel(None, spark)")
        except DbtRuntimeError as error:
            said = str(error)
            assert "Python model failed with traceback as:" in said and "ZeroDivisionError: division by zero" in said, said
            assert "return 1 / 0" in said and "\x1b" not in said, said
        else:
            raise AssertionError("the model did not fail")
        submission.run("print(1)")


def a_model_is_cancelled():
    with Submission() as submission:
        command = submission.start("import time; time.sleep(600)")
        submission.commands.cancel(command)
        try:
            submission.commands.poll_for_completion(command)
        except DbtRuntimeError as error:
            assert "CANCELLED" in str(error).upper(), error
        else:
            raise AssertionError("the command was not cancelled")
        submission.run("print(2)")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
