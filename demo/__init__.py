"""The page: `emodistill demo` on one's own machine, and the same files as a Hub Space.

A Space runs `app.py` by itself, perhaps without this package, so `app.py`, `scoring.py`, `tables.py` and
`drawing.py` also import one another as plain modules. `serve.py` is the command and needs the package.
"""
