"""Figures of the cost models that the documents quote: designs by target, shift against int8, agreement of tables.

Nothing is trained and nothing is measured. Prints JSON.

    python benchmarks/target_tables.py
"""

import json
from dataclasses import asdict

from greenshift.design import Design, Recipe
from greenshift.networks import profile_design
from greenshift.profile import NetworkProfile
from greenshift.records import DataChoice
from greenshift.schemes import Depth, LayerKey, Scheme, Shift, Uniform
from greenshift.space import make_space
from greenshift.targets import capabilities, cost, load_target, load_variants, rank_stability, target_names

DATA = DataChoice("cifar10")
DEPTH = 20  # convolutions and linear layers of ResNet20
DESIGNS: dict[str, tuple[tuple[LayerKey, Scheme], ...]] = {
    "float32": (),
    "int8": (("*", Uniform(8, 8)),),
    "shift Q4, activations 16.16": ((Depth(DEPTH), Shift("Q", 4, 16, 16)),),
    "shift Q4, activations 8.8": ((Depth(DEPTH), Shift("Q", 4, 8, 8)),),
}


def designs_by_target() -> dict[str, dict[str, dict[str, float]]]:
    """Energy and storage of ResNet20 in a few designs."""
    profiles = {name: profile_design(Design("resnet20", schemes=schemes), DATA) for name, schemes in DESIGNS.items()}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for target in ("asic-45nm", "cortex-m4"):
        costs = {name: cost(profile, load_target(target)) for name, profile in profiles.items()}
        found[target] = {n: {"energy_j": c.energy_j, "size_bytes": c.size_bytes} for n, c in costs.items()}
    return found


def random_profiles(count: int) -> list[NetworkProfile]:
    """Profiles of random configurations of the paper's space, by seed 0."""
    space = make_space("paper", depth=DEPTH, fidelity=None)
    space.configspace.seed(0)
    drawn = [dict(sample) for sample in space.configspace.sample_configuration(count)]
    designs = [space.to_design(c, backbone="resnet20", quantities={}, epochs=None, base=Recipe()) for c in drawn]
    return [profile_design(design, DATA) for design in designs]


def main() -> None:
    """Print everything."""
    profiles = random_profiles(200)
    kinds = [load_target(name) for name in ("asic-45nm", "cortex-m4", "cpu-amx")]
    agreements = [*rank_stability(profiles, load_variants("asic-45nm")), *rank_stability(profiles, kinds)]
    shift = {name: capabilities(load_target(name)).energy_over_int8["shift4"] for name in target_names()}
    found = {
        "resnet20": designs_by_target(),
        "shift4_over_int8": shift,
        "rank_agreement_of_200_configurations": [asdict(agreement) for agreement in agreements],
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
