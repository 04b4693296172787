"""Tests of the R interpreter: a fake driver on real pipes, and queries answered by the test itself."""

import os
import sys

# What the tests of all languages share.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests"))
