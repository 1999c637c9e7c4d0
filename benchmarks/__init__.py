"""Benchmarks: a checkpoint and public data files in, tables, plots and audits out.

`readers/` reads the files, `metrics/` holds modules for `evaluate.load`, `protocols` says under which rules a
score was made, `suite` runs everything, `report` shows it, `audit/` looks for bias and fragility, `ablate` trains
grids.
Nothing is imported here, so that importing the package costs nothing.
"""
