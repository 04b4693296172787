"""Starts the parent: `python <this folder> [environment]`, told where to connect by one line of JSON on standard input.

The last argument `--cold` starts one interpreter instead: a child of the parent for which a fork of it would be of no use.
"""

import os
import sys

# Python puts this folder itself on the path. The package is imported from the folder above, and user code then finds
# the working directory first, as in any Python prompt.
_here = sys.path[0]
sys.path[0] = os.path.dirname(os.path.abspath(_here))
from firesteel_python import environment  # noqa: E402

_arguments = sys.argv[1:]
_cold = _arguments[-1:] == [environment.COLD]
if not _cold and _arguments:
    environment.enter(_arguments[0])

from firesteel_python import parent  # noqa: E402

sys.path[0] = ""
sys.argv = [""]
sys.exit(parent.become_interpreter() if _cold else parent.main())
