"""`--teacher` on a tiny real study: distilled trials, resume, select, and teachers that do not fit."""

import dataclasses
import shutil

import pytest
import torch

from greenshift.artifacts import load_artifact, save_artifact
from greenshift.data import load_dataset
from greenshift.design import Design, Distillation, Optimization, Recipe
from greenshift.models import build_model
from greenshift.networks import train_design
from greenshift.records import DataChoice, file_sha256
from greenshift.store import Store

DIGITS = DataChoice("digits")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """An artifact of a float network, trained for two epochs."""
    design = Design("tiny_cnn", recipe=Recipe(2, 32, Optimization("Adam", 0.01)))
    model, _, _ = train_design(design, DIGITS, epochs=2, seed=3)
    path = tmp_path_factory.mktemp("teacher") / "t.safetensors"
    save_artifact(path, model, design, load_dataset("digits"), {})
    return path


@pytest.fixture
def search(contract, tmp_path):
    """A search without baselines; its last word is left to the test."""
    return *contract, "--no-baselines", "--store", tmp_path / "store", "--budget", "2trials"


def by_trial(folder):
    with Store.open(folder) as store:
        return {(e.trial, tuple(e.fidelity.items())): e for e in store.evaluations()}


def test_a_search_with_a_teacher_from_begin_to_artifact(contract, teacher, call, greenshift, tmp_path):
    folder, own = tmp_path / "store", shutil.copy(teacher, tmp_path / "own.safetensors")
    command = (*contract, "--store", folder, "--teacher", own)
    said = greenshift(*command, "--budget", "3trials")
    assert said.code == 0, said.err
    assert "validation errors may be a little too good" in " ".join(said.err.split())
    with Store.open(folder) as store:
        evaluations, facts = store.evaluations(), store.facts()
    assert facts["teacher"] == {"path": str(own), "backbone": None, "sha256": file_sha256(str(own), "teacher")}
    for evaluation in evaluations:
        assert evaluation.outcome == "ok", evaluation.reason
        expected = Distillation() if evaluation.role == "trial" else None
        assert evaluation.design.recipe.distillation == expected
        assert evaluation.reading.wall_s > 0

    plain = tmp_path / "plain"
    assert call(*contract, "--store", plain, "--no-baselines", "--budget", "3trials").code == 0
    both = by_trial(folder).keys() & by_trial(plain).keys()
    pairs = [(by_trial(folder)[key], by_trial(plain)[key]) for key in both if key[0] >= 0]
    assert pairs
    for distilled, other in pairs:
        assert distilled.configuration == other.configuration
        assert distilled.curve[0].train_loss != other.curve[0].train_loss
        assert dataclasses.replace(distilled.design.recipe, distillation=None) == other.design.recipe

    more = call(*command, "--budget", "4trials")
    assert more.code == 0, more.err
    chosen = call("select", folder, "--seeds", "1", "--output", tmp_path / "a.safetensors", "--json")
    assert chosen.code == 0, chosen.err
    student = load_artifact(tmp_path / "a.safetensors")
    assert student.design.recipe.distillation == Distillation()
    assert student.description["teacher_sha256"] == facts["teacher"]["sha256"]
    assert not any("teacher" in name for name in student.model.state_dict())
    page = call("report", folder)
    assert page.code == 0, page.err
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "; distilled" in html
    assert f"--teacher {own}" in html


def test_a_study_goes_on_with_its_own_teacher_only(search, teacher, call, tmp_path):
    own = shutil.copy(teacher, tmp_path / "own.safetensors")
    assert call(*search, "--teacher", own).code == 0
    for other in ((), ("--teacher", teacher)):
        said = call(*search, *other)
        assert said.code == 2
        assert "holds another study: teacher is" in said.complaint
    content = own.read_bytes()
    own.write_bytes(content[:-4] + bytes(4))
    said = call(*search, "--teacher", own)
    assert said.code == 2
    assert f"teacher: {own} is not the file that the study in this store began with" in said.complaint
    said = call("select", tmp_path / "store", "--seeds", "1")
    assert said.code == 2
    assert f"teacher: {own} has changed since the study began" in said.complaint
    own.write_bytes(content)
    assert call(*search[:-1], "3trials", "--teacher", own).code == 0


def test_a_study_that_began_without_a_teacher_stays_without(search, teacher, call):
    assert call(*search).code == 0
    said = call(*search, "--teacher", teacher)
    assert (said.code, "holds another study: teacher is None there" in said.complaint) == (2, True)


def test_weights_alone_need_the_name_of_their_model(search, call, tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "w.pt"
    torch.save(build_model("tiny_cnn", num_classes=10, in_channels=1, image_size=8).state_dict(), weights)
    said = call(*search, "--teacher", weights)
    assert said.code == 2
    assert f"teacher: {weights}: plain weights do not name their model" in said.complaint
    assert call(*search, "--teacher", weights, "--teacher-model", "tiny_cnn").code == 0


def artifact(path, classes, channels=1, size=8):
    """An untrained network for other images."""
    dataset = load_dataset("digits")
    images = torch.zeros(1, channels, size, size, dtype=torch.uint8)
    other = dataclasses.replace(dataset, classes=tuple(classes), train_images=images)
    model = build_model("tiny_cnn", num_classes=len(classes), in_channels=channels, image_size=size)
    save_artifact(path, model, Design("tiny_cnn"), other, {})


def test_teachers_that_do_not_fit(search, call, tmp_path):
    file = tmp_path / "t.safetensors"
    digits = [*load_dataset("digits").classes]
    cases = [
        (lambda: None, f"teacher: {file} cannot be read (No such file or directory)"),
        (lambda: file.write_bytes(b"nothing"), "cannot be read as safetensors"),
        (lambda: artifact(file, digits[:7]), "7 classes of 1x8x8; what is asked for has 10 of 1x8x8"),
        (lambda: artifact(file, digits, 3, 32), "10 classes of 3x32x32; what is asked for has 10 of 1x8x8"),
        (lambda: artifact(file, digits[::-1]), "classes have other names or another order"),
    ]
    for make, message in cases:
        make()
        said = call(*search, "--teacher", file)
        assert (said.code, message in said.complaint) == (2, True), said.complaint
        assert str(file) in said.complaint
        assert not (tmp_path / "store" / "study.db").exists(), "told before anything is written"
    artifact(file, digits)
    said = call(*search, "--teacher", file, "--teacher-model", "resnet20")
    assert "an artifact of tiny_cnn, not of resnet20" in said.complaint
