"""Every optimizer on the full space: its conditional hyperparameters have to reach all of them."""

import pytest

from full_samples import EVERYTHING, full_space
from greenshift.objectives import get_objectives
from greenshift.optimize import make_fidelity, make_optimizer, optimizer_names


def score(values):
    """An error that every part of a configuration moves, and an energy that its schemes decide."""
    bits = [
        {"float": 32, "int8": 8, "ternary": 2, "binary": 1, "sign": 1}.get(scheme)
        or next(value for name, value in values.items() if name.endswith(f"_bits_{group}") and name[0] in "ls")
        for group in ("stem", "stage1", "stage2", "stage3", "head")
        for scheme in [values[f"scheme_{group}"]]
    ]
    error = 0.1 + sum(0.3 / bit for bit in bits) / 5 + abs(values["lr"] - 0.02) + 0.1 * values.get("sparsity", 0)
    return {
        "error": min(error, 1.0),
        "energy_j": sum(bits) * values.get("width", 1.0) * (1 - values.get("sparsity", 0.0)),
    }


@pytest.mark.parametrize("fidelity", [None, "epochs"])
@pytest.mark.parametrize("name", optimizer_names())
def test_proposals_are_legal_and_repeat(name, fidelity):
    space = full_space(**EVERYTHING)

    def proposals(told):
        optimizer = make_optimizer(
            name,
            space=space.configspace,
            objectives=get_objectives(("error", "energy_j")),
            fidelity=None if fidelity is None else make_fidelity(fidelity, 1, 9),
            known=lambda values: {"energy_j": score(values)["energy_j"]},
            seed=3,
            max_trials=16,
        )
        made = []
        for step in range(16):
            proposal = (*optimizer.ask(1), None)[0]
            if proposal is None:
                break
            assert space.validate(proposal.configuration) == proposal.configuration, "only what is active, all of it"
            made.append((proposal.configuration, proposal.fidelity))
            optimizer.tell(
                trial=proposal.trial,
                fidelity=proposal.fidelity,
                objectives=score(proposal.configuration),
                cost_s=float(step % 3 + 1),
                configuration=proposal.configuration if told else None,
            )
        return made

    made = proposals(told=False)
    assert len(made) == 16
    assert len({tuple(sorted(values)) for values, _ in made}) > 4, "configurations of many shapes"
    assert proposals(told=True) == made
