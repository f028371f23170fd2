"""Benchmarks of packed networks: beside other runtimes, layer by layer, and as an objective."""
