"""Building optimizers: names, bad input, and what is imported when."""

import subprocess
import sys

import pytest
from ConfigSpace import ConfigurationSpace, Float

from greenshift.errors import InputError
from greenshift.objectives import get_objectives
from greenshift.optimize import Fidelity, make_fidelity, make_optimizer, optimizer_names


def space():
    space = ConfigurationSpace()
    space.add(Float("x", (0, 1)))
    return space


def arguments(**changes):
    return {"name": "random", "space": space(), "objectives": get_objectives(("error",)), **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "smak"}, "unknown optimizer 'smak'; known: freezethaw, random, smac, hyperband, nsga2"),
        ({"objectives": ()}, "at least one objective"),
        ({"max_trials": 0}, "max_trials must be at least 1, not 0"),
        ({"seed": -1}, "seed must be from 0 to 4294967295, not -1"),
    ],
)
def test_bad_input_is_one_clear_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        make_optimizer(**arguments(**changes))
    assert "\n" not in str(error.value)


def test_names_are_those_of_the_contract():
    assert {"random", "smac", "hyperband", "nsga2"} <= set(optimizer_names())


@pytest.mark.parametrize(("name", "library"), [("smac", "smac"), ("nsga2", "pymoo")])
def test_a_missing_library_says_how_to_get_it(name, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"pip install 'greenshift\[{name}\]'"):
        make_optimizer(**arguments(name=name))


def test_smac_and_torch_are_imported_only_when_asked_for():
    script = (
        "import sys, greenshift.space, greenshift.optimize as o, greenshift.objectives as g\n"
        "s = greenshift.space.make_space('paper', depth=20, fidelity=None)\n"
        "o.make_optimizer('random', space=s.configspace, objectives=g.get_objectives(('error',))).ask(1)\n"
        "assert not {'smac', 'torch', 'sklearn', 'pymoo'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_make_fidelity():
    assert make_fidelity("epochs", 1, 27) == Fidelity("epochs", 1, 27, 3)
    assert make_fidelity("shift_depth", 1, 20, 2, depth=20) == Fidelity("shift_depth", 1, 20, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("epochs", 0, 9), "fidelity epochs: 1 <= minimum <= maximum is needed, not 0 and 9"),
        (("epochs", 10, 9), "not 10 and 9"),
        (("epochs", float("nan"), 9), "not nan and 9"),
        (("epochs", 1, float("inf")), "not 1 and inf"),
        (("epochs", 1, 9, 1), "at least 2, not 1"),
    ],
)
def test_make_fidelity_refuses(values, message):
    with pytest.raises(InputError, match=message):
        make_fidelity(*values)


def test_shift_depth_is_bounded_by_the_network():
    with pytest.raises(InputError, match="maximum 21 is more than the 20 layers"):
        make_fidelity("shift_depth", 1, 21, depth=20)
