"""Distillation: its loss by hand, its gradients, and teachers that do not fit."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from greenshift.data import load_dataset, split
from greenshift.design import Design, Distillation, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.models import build_model
from greenshift.networks import build_network, image_shape, train_design
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift
from greenshift.train import Compute, Training, check_teacher, soft_divergence, train
from greenshift.train.distillation import make_loss

CPU = torch.device("cpu")
DIGITS = DataChoice("digits", train_limit=200)
DATASET = load_dataset("digits")
IMAGES = torch.zeros(2, 1)


class Fixed(nn.Module):
    """The same logits whatever it is shown; notes in which mode and how it was asked."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.asked = []

    def forward(self, images):
        self.asked.append((self.training, torch.is_grad_enabled(), images.clone()))
        return self.logits.expand(len(images), -1)


def recipe(weight=0.5, temperature=4.0, **others):
    return Recipe(3, 32, Optimization("SGD", 0.05), distillation=Distillation(temperature, weight), **others)


def network(scheme=None, seed=1):
    torch.manual_seed(seed)
    design = Design("tiny_cnn", schemes=() if scheme is None else ((Depth(99), scheme),))
    return build_network(design, image_shape(DIGITS))


def training(chosen, precision="float32"):
    splits = split(DATASET, DIGITS)
    return Training(DATASET, splits.train, splits.validation, chosen, 7, Compute(CPU, precision))


def test_the_loss_is_the_one_worked_out_by_hand():
    """Two classes at T = 2: the teacher says 3/4 and 1/4, the student 1/2 each; the label is the first class."""
    student = torch.zeros(1, 2)
    teacher = torch.tensor([[2 * math.log(3), 0.0]])
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert soft_divergence(student, teacher, 2.0).item() == pytest.approx(4 * divergence, rel=1e-6)
    loss = make_loss(recipe(0.25, 2.0), Fixed(teacher))(IMAGES[:1], student, torch.tensor([0]))
    assert loss.item() == pytest.approx(0.75 * math.log(2) + 0.25 * 4 * divergence, rel=1e-6)


def test_the_gradient_is_the_one_of_the_paper():
    """d/dz of T^2 KL is T (softmax(z / T) - softmax(v / T)); over N images the mean (equation 2 of the paper)."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(5, 4, generator=generator) for _ in range(2))
    student.requires_grad_()
    soft_divergence(student, teacher, 3.0).backward()
    expected = 3.0 * ((student / 3).softmax(1) - (teacher / 3).softmax(1)) / 5
    assert torch.allclose(student.grad, expected, atol=1e-6)


@given(st.integers(0, 999), st.floats(0.5, 20))
def test_the_divergence_is_zero_for_equals_and_positive_for_others(seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    one, other = (torch.randn(3, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    assert soft_divergence(one, one + 2.5, temperature).item() == pytest.approx(0, abs=1e-9)  # softmax forgets shifts
    assert soft_divergence(one, other, temperature).item() > 0


def test_weight_zero_is_the_plain_loss_and_weight_one_forgets_the_labels():
    logits, labels = torch.randn(2, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([2, 0])
    teacher = Fixed(torch.tensor([[1.0, -1.0, 0.5]]))
    plain = make_loss(Recipe(label_smoothing=0.1), None)(IMAGES, logits, labels)
    assert torch.equal(make_loss(recipe(0.0, label_smoothing=0.1), teacher)(IMAGES, logits, labels), plain)
    alone = make_loss(recipe(1.0), teacher)
    assert torch.equal(alone(IMAGES, logits, labels), alone(IMAGES, logits, labels.flip(0)))


def test_weight_zero_trains_the_same_network_as_no_teacher():
    plain, distilled = network(), network()
    curve = train(plain, training(Recipe(3, 32, Optimization("SGD", 0.05), augment="crop")), 2)
    again = train(distilled, training(recipe(0.0, augment="crop")), 2, teacher=network(seed=9))
    assert [e.train_loss for e in again] == [e.train_loss for e in curve]
    pairs = zip(plain.state_dict().values(), distilled.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_changes_the_student_only(precision):
    teacher, student = network(seed=9), network(Shift("Q", 4, 8, 8), seed=1)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    start = [parameter.detach().clone() for parameter in student.parameters()]
    curve = train(student, training(recipe(), precision), 2, teacher=teacher.train())
    assert curve[1].train_loss < curve[0].train_loss
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any(torch.equal(one, other) for one, other in zip(student.parameters(), start, strict=True))
    assert {p.dtype for p in student.parameters()} == {torch.float32}


def test_the_teacher_sees_the_images_that_the_student_sees():
    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = network(), []

        def forward(self, images):
            if self.training:
                self.seen.append(images.clone())
            return self.inner(images)

    student, teacher = Watched(), Fixed(torch.zeros(1, 10))
    train(student, training(recipe(augment="crop")), 1, teacher=teacher)
    shown = teacher.asked[1:]  # the first was the check
    assert len(shown) == len(student.seen) == math.ceil(200 / 32)
    assert all(torch.equal(one, other) for (_, _, one), other in zip(shown, student.seen, strict=True))
    assert all(not is_training and not with_gradient for is_training, with_gradient, _ in teacher.asked)


def test_a_student_of_the_teacher_alone_comes_to_agree_with_it():
    teacher = network(seed=9)
    train(teacher, training(Recipe(3, 32, Optimization("Adam", 0.01))), 3)
    student = network()
    chosen = Recipe(6, 32, Optimization("Adam", 0.01), distillation=Distillation(4.0, 1.0))
    curve = train(student, training(chosen), 6, teacher=teacher)
    assert curve[-1].train_loss < 0.3 * curve[0].train_loss  # T^2 KL to the teacher, and nothing else


def test_a_resumed_training_ends_with_the_same_weights(tmp_path):
    teacher, whole, part, rest = network(seed=9), network(), network(), network(seed=5)
    chosen, file = training(recipe(augment="crop")), tmp_path / "c.safetensors"
    train(whole, chosen, 3, teacher=teacher)
    train(part, chosen, 1, teacher=teacher, checkpoint=file)
    train(rest, chosen, 3, teacher=teacher, checkpoint=file)
    pairs = zip(whole.state_dict().values(), rest.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (lambda: None, "recipe: distillation needs a teacher"),
        (
            lambda: build_model("tiny_cnn", num_classes=7, in_channels=1, image_size=8),
            r"teacher: gives \(7,\) outputs for an image, and digits has 10 classes",
        ),
        (
            lambda: build_model("tiny_cnn", num_classes=10, in_channels=3, image_size=32),
            "teacher: does not take 1x8x8 images of digits",
        ),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), "teacher: does not take 1x8x8 images of digits"),
    ],
)
def test_teachers_that_do_not_fit_are_refused_before_training(teacher, message):
    student = network()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    with pytest.raises(InputError, match=message) as refused:
        train(student, training(recipe()), 1, teacher=teacher())
    assert "\n" not in str(refused.value)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_a_teacher_without_distillation_is_refused():
    with pytest.raises(InputError, match="a teacher is given, but no distillation"):
        check_teacher(Recipe(), network(), DATASET, CPU)


def test_a_design_is_trained_with_a_teacher():
    design = Design("tiny_cnn", recipe=recipe())
    with pytest.raises(InputError, match="distillation needs a teacher"):
        train_design(design, DIGITS, epochs=1, seed=0)
    _, _, one = train_design(design, DIGITS, epochs=1, seed=0, teacher=network(seed=9))
    _, _, other = train_design(design, DIGITS, epochs=1, seed=0, teacher=network(seed=8))
    assert one[0].train_loss != other[0].train_loss
