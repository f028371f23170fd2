"""`search --init` on a tiny real study: where trainings start, resume, select, and weights that do not fit."""

import dataclasses
import shutil

import pytest
import torch

from greenshift.artifacts import load_artifact, save_artifact
from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Recipe
from greenshift.models import build_model
from greenshift.networks import train_design
from greenshift.records import DataChoice, file_sha256
from greenshift.schemes import Uniform
from greenshift.store import Store

DIGITS = DataChoice("digits")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An artifact of a float network, trained for six epochs."""
    design = Design("tiny_cnn", recipe=Recipe(6, 32, Optimization("Adam", 0.01)))
    model, _, _ = train_design(design, DIGITS, epochs=6, seed=3)
    path = tmp_path_factory.mktemp("init") / "float.safetensors"
    save_artifact(path, model, design, load_dataset("digits"), {})
    return path


def first_losses(folder):
    with Store.open(folder) as store:
        return {e.label or e.trial: e.curve[0].train_loss for e in store.evaluations() if e.outcome == "ok"}


def test_a_search_from_weights_from_begin_to_artifact(contract, trained, call, greenshift, tmp_path):
    folder, plain, own = tmp_path / "store", tmp_path / "plain", shutil.copy(trained, tmp_path / "own.safetensors")
    command = (*contract, "--store", folder, "--init", own)
    said = greenshift(*command, "--budget", "2trials")
    assert said.code == 0, said.err
    note = " ".join(said.err.split())
    assert f"init: {own}; trials and baselines start from it" in note
    assert "validation errors are too good" in note
    with Store.open(folder) as store:
        facts = store.facts()
    assert facts["init"] == {"path": str(own), "backbone": "tiny_cnn", "sha256": file_sha256(str(own), "init")}

    assert call(*contract, "--store", plain, "--budget", "1trials").code == 0
    started, random = first_losses(folder), first_losses(plain)
    assert "float32 half width" in random, "the narrow baseline has another shape"
    assert "float32 half width" not in started
    for label in ("float32", "int8", "expert default"):
        assert started[label] < 0.5 * random[label]

    assert call(*command, "--budget", "3trials").code == 0
    chosen = call("select", folder, "--seeds", "1", "--output", tmp_path / "a.safetensors", "--json")
    assert chosen.code == 0, chosen.err
    assert load_artifact(tmp_path / "a.safetensors").description["init_sha256"] == facts["init"]["sha256"]


def test_a_study_goes_on_with_the_same_weights_only(contract, trained, call, tmp_path):
    own = shutil.copy(trained, tmp_path / "own.safetensors")
    search = (*contract, "--no-baselines", "--store", tmp_path / "store", "--budget", "1trials")
    assert call(*search, "--init", own).code == 0
    assert "holds another study: init is" in call(*search).complaint
    content = own.read_bytes()
    own.write_bytes(content[:-4] + bytes(4))
    said = call(*search, "--init", own)
    assert (said.code, f"init: {own} is not the file that the study" in said.complaint) == (2, True), said.complaint
    said = call("select", tmp_path / "store", "--seeds", "1")
    assert (said.code, f"init: {own} has changed since the study began" in said.complaint) == (2, True), said.complaint


def write(path, design, classes, channels=1):
    """An untrained network of a design, for images with that many channels."""
    from greenshift.networks import ImageShape, build_network

    dataset = load_dataset("digits")
    images = torch.zeros(1, channels, 8, 8, dtype=torch.uint8)
    other = dataclasses.replace(dataset, classes=tuple(classes), train_images=images)
    save_artifact(path, build_network(design, ImageShape(len(classes), channels, 8)), design, other, {})


def test_weights_that_do_not_fit(contract, call, tmp_path):
    search = (*contract, "--no-baselines", "--store", tmp_path / "store", "--budget", "1trials")
    file, digits = tmp_path / "t.safetensors", [*load_dataset("digits").classes]
    int8 = Design("tiny_cnn", schemes=(("*", Uniform()),))
    cases = [
        (lambda: None, f"init: {file} cannot be read (No such file or directory)"),
        (lambda: file.write_bytes(b"nothing"), "init: "),
        (lambda: write(file, Design("tiny_cnn"), digits[:7]), "7 classes of 1x8x8; what is asked for has 10"),
        (lambda: write(file, Design("tiny_cnn"), digits, 3), "10 classes of 3x8x8; what is asked for has 10 of 1x8x8"),
        (lambda: write(file, Design("tiny_cnn"), digits[::-1]), "classes have other names or another order"),
        (lambda: write(file, Design("resnet20"), digits), "an artifact of resnet20, not of tiny_cnn"),
        (lambda: write(file, int8, digits), "its network is not the plain float32 tiny_cnn"),
        (lambda: write(file, Design("tiny_cnn", width=0.5), digits), "its network is not the plain float32 tiny_cnn"),
    ]
    for make, message in cases:
        make()
        said = call(*search, "--init", file)
        assert (said.code, message in said.complaint) == (2, True), said.complaint
        assert not (tmp_path / "store" / "study.db").exists(), "told before anything is written"


def test_weights_alone_are_those_of_the_study_s_model(contract, call, tmp_path):
    search = (*contract, "--no-baselines", "--store", tmp_path / "store", "--budget", "1trials")
    for name in ("resnet20", "tiny_cnn"):
        model = build_model(name, num_classes=10, in_channels=1, image_size=8)
        torch.save({"state_dict": model.state_dict()}, tmp_path / f"{name}.pt")
    said = call(*search, "--init", tmp_path / "resnet20.pt")
    assert (said.code, "is of another model: missing" in said.complaint) == (2, True), said.complaint
    assert call(*search, "--init", tmp_path / "tiny_cnn.pt").code == 0
