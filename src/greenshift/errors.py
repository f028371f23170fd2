"""The two ways greenshift says no."""


class InputError(ValueError):
    """Something the user gave is wrong: one line that says what, where and what to do (exit code 2)."""


class StudyError(RuntimeError):
    """The study ran but failed, for example because most of its trials failed (exit code 1)."""
