"""How fast the panel is, as ratios to the bare work it contains.

`python -m tests.bench` measures all of it, `python -m tests.bench.bench_export` one part. Nothing
here is a test: figures are reported, and RESULTS.md keeps the last ones.
"""
