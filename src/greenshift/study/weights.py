"""The trained weights that a study uses: looked up before anything is written, and the same in every run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.records import WeightFile, WeightRole


def find_weights(config: StudyConfig, role: WeightRole, facts: Mapping[str, Any]) -> WeightFile | None:
    """Return the file that a study uses in a role, None if it has none.

    Its name is part of the study's identity; what the file holds is held against what the first run found.

    Args:
        config: The study.
        role: `teacher` or `init`, which is also the name of the fact.
        facts: `Store.facts()` of its own store, empty before the first run.

    Raises:
        InputError: If the file cannot be read, or is not what it was when the study began.
    """
    file = WeightFile.of(config, role)
    began = WeightFile.recorded(facts, role)
    if file is not None and began is not None and file.sha256 != began.sha256:
        raise InputError(
            f"{role}: {file.path} is not the file that the study in this store began with (SHA-256 "
            f"{file.sha256[:12]} instead of {began.sha256[:12]}); restore it or use another store"
        )
    return file


def weight_facts(files: Mapping[WeightRole, WeightFile | None]) -> dict[str, Any]:
    """Return the facts of a store that `WeightFile.recorded` reads, by role."""
    return {role: None if file is None else dataclasses.asdict(file) for role, file in files.items()}


def weight_notes(teacher: WeightFile | None, init: WeightFile | None) -> tuple[str, ...]:
    """Say what a search with trained weights should be read with.

    A teacher's outputs on training images carry a trace of whatever else it was trained on, and weights to start
    from carry more than a trace.
    """
    notes = []
    if teacher is not None:
        notes.append(
            f"teacher: {teacher.path}; if it was trained on the validation images, as one from greenshift select "
            "was, validation errors may be a little too good (the test error of select is not touched by that)"
        )
    if init is not None:
        notes.append(
            f"init: {init.path}; trials and baselines start from it, but for the narrow float32 baseline, which it "
            "does not fit and which is left out; what its own training took is not counted; if it was trained on the "
            "validation images, validation errors are too good, and more so after few epochs (the test error of "
            "select is not touched by that)"
        )
    return tuple(notes)
