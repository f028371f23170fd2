"""The ways greenshift ends otherwise than well, each with an exit code of its own."""


class InputError(ValueError):
    """Something the user gave is wrong: one line that says what, where and what to do (exit code 2)."""


class StudyError(RuntimeError):
    """The study ran but failed, for example because most of its trials failed (exit code 1)."""


class StoppedError(Exception):
    """A signal stopped a command; the message says where what had finished is (exit code 130).

    Not a KeyboardInterrupt: typer would end on that without a word.
    """
