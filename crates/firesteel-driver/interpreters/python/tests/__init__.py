"""Tests of the Python interpreters: a fake driver on real sockets and pipes, and a real Spark behind a stand-in JVM."""

import os
import sys

# What the tests of all languages share.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests"))
