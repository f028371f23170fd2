"""The run folder of a study: a database of what was done, a lock for its one writer, and checkpoints."""

from greenshift.store.store import Store
from greenshift.store.values import PROBE, Claim, Consumption, Session, add_up

__all__ = ["PROBE", "Claim", "Consumption", "Session", "Store", "add_up"]
