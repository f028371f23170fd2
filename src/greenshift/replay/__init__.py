"""Recorded tables: every configuration of a grid, trained once, so that a search over it is replayed in seconds.

`load_table(path)` gives the grid as a ConfigSpace and what any configuration came to after any number of
epochs; `Replay(table)` evaluates the tasks of a study from it, and meters what they would have consumed.
"""

from greenshift.replay.evaluation import Replay
from greenshift.replay.files import load_table, save_table
from greenshift.replay.settings import check_settings, with_table
from greenshift.replay.table import Network, Recording, Table, Training

__all__ = [
    "Network",
    "Recording",
    "Replay",
    "Table",
    "Training",
    "check_settings",
    "load_table",
    "save_table",
    "with_table",
]
