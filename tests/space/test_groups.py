"""Layer groups: from names where they tell, else by multiply-accumulates; keys select exactly their layers."""

from fnmatch import fnmatchcase
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from full_samples import float_profile
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.space import layer_groups


def network(*layers):
    """A network of (name, multiply-accumulates); names with `fc` are linear layers."""
    return NetworkProfile(
        tuple(
            LayerProfile(name, "linear", "float", (8,), (4,), macs)
            if "fc" in name
            else LayerProfile(name, "conv", "float", (8, 4, 4), (8, 4, 4), macs)
            for name, macs in layers
        ),
        (8, 4, 4),
    )


def keys(profile):
    return {group.name: group.keys for group in layer_groups(profile)}


def test_resnet_has_its_three_stages():
    assert keys(float_profile("resnet20")) == {
        "stem": ("conv1",),
        "stage1": ("layer1.*",),
        "stage2": ("layer2.*",),
        "stage3": ("layer3.*",),
        "head": ("linear",),
    }
    assert [group.inputs for group in layer_groups(float_profile("resnet20"))] == [3, 16, 16, 32, 64]


def test_other_networks_are_cut_into_thirds_between_their_parts():
    macs = {layer.name: layer.macs for layer in float_profile("mobilenetv2").layers}
    groups = layer_groups(float_profile("mobilenetv2"))
    assert [group.name for group in groups] == ["stem", "stage1", "stage2", "stage3", "head"]
    sums = [sum(macs[name] for name in group.layers) for group in groups if group.is_stage]
    assert all(0.2 < part / sum(sums) < 0.5 for part in sums)
    assert [group.inputs for group in groups if group.is_stage] == [1, 1, 1], "depthwise convolutions have one input"
    blocks = [{name.split(".")[0] for name in group.layers} for group in groups]
    assert not any(a & b for a, b in pairwise(blocks)), "no block is torn apart"


def test_a_shared_prefix_and_four_stages():
    blocks = [(f"net.layer{stage}.{block}", 10) for stage in (1, 2, 3, 4) for block in (0, 1)]
    found = keys(network(("net.conv1", 10), *blocks, ("net.fc", 1)))
    assert found["stage4"] == ("net.layer4.*",)
    assert (found["stem"], found["head"]) == (("net.conv1",), ("net.fc",))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([("fc", 1)], {"head": ("fc",)}),
        ([("conv", 1)], {"stem": ("conv",)}),
        ([("fc1", 6), ("fc2", 3), ("fc3", 1)], {"stage1": ("fc1",), "stage2": ("fc2",), "head": ("fc3",)}),
        ([("a", 1), ("b", 0), ("fc", 1)], {"stem": ("a",), "stage1": ("b",), "head": ("fc",)}),
        ([], {}),
    ],
)
def test_small_networks(layers, expected):
    assert keys(network(*layers)) == expected


@given(
    st.lists(st.tuples(st.sampled_from(["a", "a.b", "c.d", "e"]), st.integers(0, 9), st.integers(0, 100)), max_size=25)
)
@settings(max_examples=100, deadline=None)
def test_every_layer_is_in_one_group_and_its_keys_select_no_other(drawn):
    names = list(dict.fromkeys(f"{prefix}.{number}" for prefix, number, _ in drawn))
    profile = network(*zip(names, (macs for *_, macs in drawn), strict=False))
    groups = layer_groups(profile)
    assert sorted(name for group in groups for name in group.layers) == sorted(names)
    for group in groups:
        assert {name for name in names if any(fnmatchcase(name, key) for key in group.keys)} == set(group.layers)
