"""Starts the parent: `python <this folder>`, told where to connect by one line of JSON on standard input."""

import os
import sys

# Python puts this folder itself on the path. The package is imported from the folder above, and user code then finds
# the working directory first, as in any Python prompt.
_here = sys.path[0]
sys.path[0] = os.path.dirname(os.path.abspath(_here))
from firesteel_python import parent  # noqa: E402

sys.path[0] = ""
sys.argv = [""]
sys.exit(parent.main())
