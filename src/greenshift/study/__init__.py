"""The loop of a study: ask, refuse or evaluate, record, tell; budgets, resume, interruption.

`run_study(config, folder, on_event=...)` is the whole interface; `Event` is what it tells while it runs.
"""

from greenshift.study.evaluator import Evaluator, torch_evaluator
from greenshift.study.loop import run_study
from greenshift.study.values import Event, Progress, StopReason, StudyInterrupted, StudySummary

__all__ = [
    "Evaluator",
    "Event",
    "Progress",
    "StopReason",
    "StudyInterrupted",
    "StudySummary",
    "run_study",
    "torch_evaluator",
]
