"""The page: `emodistill demo` on one's own machine, and a Hub Space that `emodistill demo --space FOLDER` writes.

A Space runs without this package, so `app.py`, `scoring.py`, `uploads.py` and `drawing.py` import of it only what
`space.py` copies beside them. `serve.py`, `space.py` and `proxies.py` belong to the command.
"""
