"""Python without a server: executes `1+1` each time a line asks for it, and answers with nanoseconds.

    ipython   `run_cell` of an IPython shell without history, as a notebook's kernel has it
    plain     compile, evaluate and represent it
"""

import io
import sys
import time

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


def main():
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    names = {}

    def ipython():
        assert shell.run_cell("1+1").result == 2

    def plain():
        assert repr(eval(compile("1+1", "<bare>", "eval"), names)) == "2"

    what = {"ipython": ipython, "plain": plain}
    answers, sys.stdout = sys.stdout, io.StringIO()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        execute = what[line.strip()]
        begun = time.perf_counter_ns()
        execute()
        took = time.perf_counter_ns() - begun
        # What the shell echoed is not kept.
        sys.stdout.seek(0)
        sys.stdout.truncate()
        print(took, file=answers, flush=True)


main()
