"""`python -m emodistill.benchmarks.speed`"""

import sys

from .cli import main

sys.exit(main())
