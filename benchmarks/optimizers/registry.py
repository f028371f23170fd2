"""Problems by name."""

from collections.abc import Callable
from pathlib import Path

from greenshift.errors import InputError

from .lcbench import HELD_OUT, TUNE, make_lcbench, yahpo_folder
from .problem import BenchmarkProblem
from .recorded import TABLES, make_table
from .synthetic import make_momf, make_pymoo

GROUPS: dict[str, tuple[str, ...]] = {
    "tune": tuple(f"lcbench-{task}" for task in TUNE),
    "held-out": tuple(f"lcbench-{task}" for task in HELD_OUT),
    "tables": tuple(f"table-{name}" for name in TABLES),
    "synthetic": ("momf-branincurrin", "momf-park", "pymoo-zdt1", "pymoo-zdt2", "pymoo-zdt3", "pymoo-dtlz2"),
}

_MAKERS: dict[str, Callable[[str, Path | None], BenchmarkProblem]] = {
    "lcbench": lambda task, yahpo: make_lcbench(task, yahpo_folder(yahpo)),
    "table": lambda name, _: make_table(name),
    "momf": lambda name, _: make_momf(name),
    "pymoo": lambda name, _: make_pymoo(name),
}


def make_problem(name: str, yahpo: Path | None = None) -> BenchmarkProblem:
    """Return a problem by name: a family and, after the first dash, what tells its members apart.

    Args:
        name: Such as `lcbench-168868`.
        yahpo: Folder of the LCBench surrogate, or None to take it from the environment.

    Raises:
        InputError: If the name is unknown or the problem's data are missing.
    """
    family, _, member = name.partition("-")
    if family not in _MAKERS:
        known = ", ".join((*_MAKERS, *GROUPS))
        raise InputError(f"problem: unknown problem '{name}'; known families and groups: {known}")
    return _MAKERS[family](member, yahpo)


def problem_names(text: str) -> tuple[str, ...]:
    """Expand a comma-separated list of problems and groups of problems."""
    names = [name for part in text.split(",") for name in GROUPS.get(part, (part,))]
    return tuple(dict.fromkeys(names))
