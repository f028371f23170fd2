"""What a study's full space searches: by name, by what is there, and by what pays on the target."""

import pytest

from full_samples import scope
from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.scoping import judge, judge_scheme, study_scope
from greenshift.space.scheme_choices import CHOICES
from greenshift.space.techniques import TECHNIQUES
from greenshift.targets import capabilities, cost, load_target, target_names


def convolution(arithmetic, weight_bits, act_bits, levels):
    """The convolution that schemes are judged by, once more."""
    layer = LayerProfile(
        "conv",
        "conv",
        arithmetic,
        (16, 16, 16),
        (16, 16, 16),
        16 * 16 * 9 * 16 * 16,
        weights=16 * 16 * 9,
        weight_bits=weight_bits,
        act_bits=act_bits,
        output_bits=8 if arithmetic == "binary" else act_bits,
        parameter_bytes=16 * 16 * 9 * weight_bits // 8,
        weight_levels=levels,
    )
    return NetworkProfile((layer,), layer.input_shape)


@pytest.mark.parametrize("name", target_names())
def test_verdicts_are_the_cost_models(name):
    target = load_target(name)
    int8 = cost(convolution("int", 8, 8, 0), target).energy_j
    for choice in CHOICES.values():
        try:
            energy = cost(convolution(*(choice.most or choice.stored)), target).energy_j
            energy = cost(convolution(*choice.stored), target).energy_j
        except InputError:
            assert not judge_scheme(choice.name, target).runs
            continue
        verdict = judge_scheme(choice.name, target)
        assert verdict.runs
        if choice.name != "int8":
            assert verdict.profits == (energy < 0.995 * int8), choice.name
            assert f"{energy / int8:.2f}" in verdict.reason
    assert judge("prune", target).profits
    assert ("zeros are skipped" in judge("prune", target).reason) == capabilities(target).sparsity
    activation = judge("activation", target)
    assert activation.profits == activation.runs
    assert "accuracy, not energy" in activation.reason or not activation.runs


def test_targets_differ():
    """Shift pays on a microcontroller and not on VNNI; int8 nearly everywhere; fewer channels everywhere."""
    m0, vnni = load_target("cortex-m0"), load_target("cpu-vnni")
    assert [judge(name, m0).profits for name in ("shift", "uniform", "prune", "compact")] == [True] * 4
    profits = [judge(name, vnni).profits for name in ("shift", "uniform", "prune", "compact")]
    assert profits == [False, True, True, True]
    assert all(judge(name, target).reason for name in TECHNIQUES for target in (m0, vnni))


def test_what_does_not_pay_is_left_out_and_said_so():
    found = scope(target="cpu-vnni")
    assert found.techniques == ("uniform", "binary", "prune", "activation", "compact")
    assert found.schemes == ("int8", "sign", "float"), "bits are counted there; 8-bit activations gain nothing"
    assert found.left_out.keys() == {"lowbit", "shift", "ternary", "binary", "unstructured", "2:4", "distill"}
    assert (found.patterns, found.forms.channels) == ((), (0.25, 0.5, 0.75))
    line = str(found)
    assert "\n" not in line
    assert "left out for cpu-vnni: distill (no teacher is given), lowbit (" in line
    assert "unstructured and 2:4 (zeros cost as much as other weights)" in line


def test_named_techniques_are_searched_if_they_run():
    found = scope(target="cpu-vnni", techniques=("prune", "shift"))
    assert found.techniques == ("shift", "prune")
    assert found.schemes == ("shift", "float")
    assert found.idle.keys() == {"shift", "unstructured", "2:4"}
    assert not found.left_out
    assert "unstructured and 2:4 (zeros cost as much" in str(found).partition("searched because named: ")[2]


@pytest.mark.parametrize("fields", [{"objectives": ("error", "size_bytes")}, {"max_size": "100kB"}])
def test_where_storage_counts_fewer_bits_pay(fields):
    found = scope(target="cpu-vnni", **fields)
    assert found.schemes == tuple(CHOICES)
    assert {"unstructured", "2:4"} <= found.left_out.keys(), "zeros are stored like other weights"


def test_distillation_needs_a_teacher():
    assert "distill" in scope(teacher="t.safetensors").techniques
    with pytest.raises(InputError, match="distill needs a teacher; name its file with teacher"):
        scope(techniques=("distill",))


def test_a_model_from_elsewhere_has_what_it_has():
    """This one takes no width, and its convolutions are 5x5."""
    found = scope("scope_models:small", "digits", target="cortex-m0")
    assert {"width", "depth", "blocks"} <= found.left_out.keys()
    assert found.forms.pixels == {0.5: 4, 0.75: 6, 1.0: None}
    assert found.forms.activation == "own", "a GELU, as it happens"
    assert {"prune", "activation", "compact"} <= set(found.techniques)


def test_a_network_that_starts_from_weights_stays_whole():
    found = scope(init="w.safetensors")
    assert {"width", "depth", "blocks"} <= found.left_out.keys()
    assert (found.forms.widths, found.forms.depths, found.forms.blocks) == ((), (), ())
    assert tuple(found.forms.pixels.values()) == (16, 24, None)
    assert found.forms.channels
    line = "width and depth and blocks (init has weights for the whole network only)"
    assert line in str(found)
    with pytest.raises(InputError, match=r"compact has nothing to search here .*init has weights"):
        scope("tiny_cnn", "digits", init="w.safetensors", techniques=("compact",))


def test_a_teacher_of_every_trial_decides_the_size_of_images():
    taught = scope(teacher="t", techniques=("compact", "uniform"))
    assert taught.forms.pixels == {}
    assert "teacher of every trial" in taught.left_out["resolution"]
    assert scope(teacher="t").forms.pixels


def test_a_network_without_what_a_technique_changes():
    found = scope("birealnet20")
    assert "selects no activation module" in found.left_out["activation"]
    assert "at most 0.0%" in found.left_out["channels"]
    assert "activation" not in found.techniques
    assert not scope("lenet5", "fashion-mnist").forms.depths


def test_weights_to_start_from_have_to_fit_smaller_images():
    assert scope("lenet5", "fashion-mnist").forms.pixels
    started = scope("lenet5", "fashion-mnist", init="w.safetensors")
    assert started.forms.pixels == {}
    assert "resolution (init has weights for images of the data's own size only)" in started.left_out["compact"]
    assert scope("resnet20", "fashion-mnist", init="w.safetensors").forms.pixels


def test_lenet_offers_the_shares_that_it_can_lose():
    assert scope("lenet5", "fashion-mnist").forms.channels == (0.25, 0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"techniques": ("prunes",)}, "unknown technique 'prunes'; known: shift, uniform, binary, ternary, prune"),
        ({"techniques": ("fuse",)}, r"nothing is left to search on cortex-m4 \(fuse: always on\)"),
        (
            {"techniques": ("prune",), "target": "npu-syntiant"},
            "float32 layers do not run on npu-s.*; add uniform",
        ),
    ],
)
def test_refusals_are_one_line(fields, message):
    with pytest.raises(InputError, match=message) as error:
        scope(**fields)
    assert "\n" not in str(error.value)


def test_another_space_has_no_scope():
    from full_samples import float_profile

    assert study_scope(StudyConfig(), lambda _: float_profile(), load_target("cortex-m4")) is None
    with pytest.raises(InputError, match="techniques: space paper has none to choose from"):
        StudyConfig(techniques=("shift",))


def test_a_network_whose_stages_have_no_activations():
    found = scope("scope_models:bare")
    assert found.left_out["activation"] == "no stage has activation modules in every form of the network"
    assert found.forms.activation is None
    assert "activation" not in found.techniques
