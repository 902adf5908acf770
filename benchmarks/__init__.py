"""Timings of jaxviz against its rivals: `python -m benchmarks --out DIR`."""
