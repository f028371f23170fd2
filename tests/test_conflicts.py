"""Mixtures that contradict themselves, their network or their target: one clear line each, through the command line."""

import json

import pytest

from greenshift.artifacts import save_artifact
from greenshift.data import load_dataset
from greenshift.design import Design
from greenshift.models import build_model

_COST = ("cost", "--space", "full", "--data", "digits")
_PRUNED = {"prune": "on", "prune_pattern": "2:4"}


@pytest.fixture
def teacher(tmp_path):
    """An artifact that tells seven classes apart."""
    dataset = load_dataset("digits")
    model = build_model("tiny_cnn", num_classes=7, in_channels=1, image_size=8)
    path = tmp_path / "t.safetensors"
    save_artifact(path, model, Design("tiny_cnn"), dataset, {"classes": list(dataset.classes[:7])})
    return path


@pytest.mark.parametrize(
    ("arguments", "configuration", "message"),
    [
        pytest.param(
            (*_COST, "--model", "tiny_cnn", "--target", "gpu-a100"),
            {"scheme_stage1": "binary"},
            "scheme_stage1 cannot be 'binary': binary of 1-bit weights takes 1.00 of int8's energy with 8-bit "
            "activations and no popcount kernel; choose another value",
            id="binary weights, bytes as activations, no popcount",
        ),
        pytest.param(
            (*_COST, "--model", "tiny_cnn", "--target", "gpu-a100"),
            {"scheme_stage1": "sign"},
            "scheme_stage1 cannot be 'sign': ",
            id="signs, no popcount",
        ),
        pytest.param(
            (*_COST, "--model", "mobilenetv2", "--target", "cortex-m0"),
            _PRUNED,
            "prune_pattern cannot be '2:4': it needs 4 inputs per output, and a layer of stage1 has 1 input per output",
            id="a depthwise layer's groups apart",
        ),
        pytest.param(
            (*_COST, "--model", "resnet20", "--target", "cortex-m0"),
            {**_PRUNED, "blocks": "separable"},
            "'prune_pattern' is not used with the other values: it counts where prune is on and the blocks are not "
            "separable, which have layers of one input; remove it",
            id="depthwise layers by choice",
        ),
        pytest.param(
            (*_COST, "--model", "scope_models:thin", "--target", "cortex-m0"),
            _PRUNED,
            "prune_pattern cannot be '2:4': it needs 4 inputs per output, and a layer of stage1 has 2 inputs per out",
            id="N:M with too few inputs",
        ),
        pytest.param(
            (*_COST, "--model", "lenet5", "--data", "fashion-mnist"),
            {"prune_channels": 0.75},
            "prune_channels is 0.75; allowed is one of 0, 0.25, 0.5",
            id="more channels than the network can lose",
        ),
        pytest.param(
            ("search", "--data", "digits", "--model", "tiny_cnn", "--space", "full", "--techniques", "distill"),
            None,
            "7 classes of 1x8x8; what is asked for has 10 of 1x8x8",
            id="a teacher of other classes",
        ),
    ],
)
def test_a_conflict_is_one_clear_line(arguments, configuration, message, teacher, tmp_path, call):
    file = tmp_path / "c.json"
    file.write_text(json.dumps(configuration))
    taught = ("--teacher", teacher, "--store", tmp_path / "store")
    said = call(*arguments, *(taught if configuration is None else ("--configuration", file)))
    assert said.code == 2
    assert message in said.complaint
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("scheme", "target", "words"),
    [
        ("binary", "gpu-a100", "1-bit weights and 8-bit activations over int8, as it has no kernel that counts bits"),
        ("sign", "gpu-a100", "1-bit weights and 1-bit activations over int8, as it has no kernel that counts bits"),
        ("binary", "cpu-vnni", "1-bit weights and 8-bit activations over int8; only the file gets smaller"),
        ("sign", "cpu-vnni", None),
    ],
)
def test_what_runs_but_gains_nothing_is_said(scheme, target, words, tmp_path, call):
    """Named techniques are searched all the same, so that their designs can be costed: with a note."""
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"scheme_stage1": scheme}))
    named = ("--techniques", "binary,uniform", "--model", "tiny_cnn", "--target", target, "--configuration", file)
    said = call(*_COST, *named)
    assert said.code == 0, said.err
    notes = [line for line in said.out.splitlines() if line.startswith("note: ")]
    assert len(notes) == (words is not None)
    assert all(words in note for note in notes)
    found = json.loads(call(*_COST, *named, "--json").out)
    assert [f"note: {reason}" for reason in found["no_gain"]] == notes
