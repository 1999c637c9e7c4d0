"""Experiments: many trainings compared, which the benchmarks then measure.

`grid` reads a grid of variants (`grids/` holds those that come with the package), `descriptor_variants` makes the data
that a variant trains on, `ablate` trains and measures, `grid_report` shows what came out.
`recipe` runs the stages that make one model.
Nothing is imported here, so that importing the package costs nothing.
"""
