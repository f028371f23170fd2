"""Whether something can be used here, and why not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """Whether something can be used here.

    Attributes:
        available: True if it can.
        reason: What is there, or what is missing and what to do about it.
    """

    available: bool
    reason: str
