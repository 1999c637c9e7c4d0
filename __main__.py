"""`python -m emodistill`: the command line."""

import os
import sys

# Python puts the working folder first, and would take a `torch.py` or `json.py` of somebody's for the library.
_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
try:
    _HERE = os.getcwd()
except FileNotFoundError:  # somebody has removed it
    _HERE = ""
if __name__ == "__main__" and sys.path and sys.path[0] in ("", _HERE) and _HERE != _FOLDER:
    del sys.path[0]

from .cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
