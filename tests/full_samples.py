"""Full spaces of known networks, for tests."""

from functools import lru_cache

from greenshift.config import StudyConfig
from greenshift.design import Design
from greenshift.networks import profile_design, weighted_layers
from greenshift.records import DataChoice
from greenshift.scoping import study_scope
from greenshift.space import make_space
from greenshift.targets import load_target


@lru_cache
def float_profile(model="resnet20", data="cifar10"):
    return profile_design(Design(model), DataChoice(data))


def scope(model="resnet20", data="cifar10", **fields):
    """The scope of a study; a teacher needs no file here."""
    config = StudyConfig(data=data, model=model, space="full", **fields)
    return study_scope(config, lambda design: profile_design(design, DataChoice(data)), load_target(config.target))


def full_space(model="resnet20", data="cifar10", *, seed=0, **fields):
    depth = weighted_layers(model, DataChoice(data))
    return make_space("full", depth=depth, fidelity=None, seed=seed, scope=scope(model, data, **fields))


# Everything there is: storage counts, so that no scheme is left out, and the target skips zeros.
EVERYTHING = {"target": "cortex-m0", "teacher": "t.safetensors", "objectives": ("error", "size_bytes")}
