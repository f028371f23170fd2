"""Kept answers of a teacher: computed once, for these very images, by this very teacher."""

import pytest
import torch

from greenshift.data import load_dataset
from greenshift.design import Design, Distillation, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.networks import build_network, image_shape, train_design
from greenshift.records import DataChoice
from greenshift.train.answers import KeptAnswers

DIGITS = DataChoice("digits", train_limit=200)


def teacher(seed=0):
    load_dataset("digits")
    torch.manual_seed(seed)
    return build_network(Design("tiny_cnn"), image_shape(DIGITS)).eval()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "answers.sqlite"


def test_a_batch_is_computed_once_and_answered_alike_ever_after(file):
    network, images = teacher(), torch.randn(5, 1, 8, 8)
    first = KeptAnswers(network, file)
    with torch.no_grad():
        computed, looked_up = first(images), first(images)
        again = KeptAnswers(network, file)
        from_file = again(images.contiguous(memory_format=torch.channels_last))
        expected = network(images)
    assert (first.computed, again.computed) == (1, 0)
    assert torch.equal(computed, looked_up)
    assert torch.equal(computed, from_file)
    assert computed.dtype == torch.float32
    torch.testing.assert_close(computed, expected, rtol=1e-3, atol=1e-3)


def test_other_images_get_no_kept_answer(file):
    kept, images = KeptAnswers(teacher(), file), torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        kept(images)
        changed = images.clone()
        changed[4, 0, 7, 7] += 1e-6
        kept(changed)
        kept(images.flip(0))
    assert kept.computed == 3


def test_the_answers_of_another_teacher_are_refused(file):
    KeptAnswers(teacher(0), file)
    with pytest.raises(InputError, match="holds the answers of another teacher"):
        KeptAnswers(teacher(1), file)


def test_a_file_of_another_kind_is_refused_and_kept(file):
    file.write_text("not a database, but somebody's notes" * 30)
    before = file.read_bytes()
    with pytest.raises(InputError, match="cannot keep a teacher's answers there"):
        KeptAnswers(teacher(), file)
    assert file.read_bytes() == before


def test_a_second_student_asks_nothing_and_the_same_student_ends_alike(file):
    recipe = Recipe(2, 32, Optimization("SGD", 0.05), augment="crop", distillation=Distillation())
    ends = []
    for width in (1.0, 1.0, 2.0):
        kept = KeptAnswers(teacher(), file)
        model, _, _ = train_design(Design("tiny_cnn", width, recipe=recipe), DIGITS, epochs=2, seed=3, teacher=kept)
        ends.append((kept.computed, model.state_dict()))
    # One blank image beside the batches: the check that the teacher fits.
    assert ends[0][0] > 1
    assert ends[1][0] == ends[2][0] == 0
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1].values(), ends[1][1].values(), strict=True))
