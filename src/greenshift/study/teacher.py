"""What a study's networks learn from: looked up before anything is written, and the same in every run."""

from collections.abc import Mapping
from typing import Any

from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.records import TeacherFile

TEACHER_FACT = "teacher"


def find_teacher(config: StudyConfig, facts: Mapping[str, Any]) -> TeacherFile | None:
    """Return the teacher of a study, None if it has none.

    Its name is part of the study's identity; what the file holds is held against what the first run found.

    Args:
        config: The study.
        facts: `Store.facts()` of its own store, empty before the first run.

    Raises:
        InputError: If the file cannot be read, or is not what it was when the study began.
    """
    teacher = TeacherFile.of(config)
    began = facts.get(TEACHER_FACT)
    if teacher is not None and began is not None and teacher.sha256 != began["sha256"]:
        raise InputError(
            f"teacher: {teacher.path} is not the file that the study in this store began with (SHA-256 "
            f"{teacher.sha256[:12]} instead of {began['sha256'][:12]}); restore it or use another store"
        )
    return teacher


def teacher_note(teacher: TeacherFile) -> str:
    """Say what a search with a teacher should be read with.

    A teacher's outputs on training images carry a trace of whatever else it was trained on.
    """
    return (
        f"teacher: {teacher.path}; if it was trained on the validation images, as one from greenshift select was, "
        "validation errors may be a little too good (the test error of select is not touched by that)"
    )
