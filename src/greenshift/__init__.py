"""greenshift: which network should I ship, if every joule counts?

The package is a set of verbs on values. A `Design` (see `greenshift.design`) is data: it is built,
profiled, costed, trained, measured and stored. Nothing here imports torch; the modules that do
(`models`, `data`, `compress`, `train`, `evaluate`) are imported where they are needed.
"""

__version__ = "0.1.0"
