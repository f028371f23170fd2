import pytest
import torch

from greenshift.compress import Shift, Uniform
from greenshift.data import load_dataset, split
from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.networks import build_network, image_shape
from greenshift.records import DataChoice
from greenshift.schemes import Depth
from greenshift.train import Compute, DivergedError, Training, error_rate, reestimate_normalisation, train

CPU = Compute(torch.device("cpu"), "float32")
DIGITS = DataChoice("digits", train_limit=300)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def setting(optimizer="SGD", lr=0.05, kind="Q", rounding="stochastic", epochs=4, compute=CPU):
    dataset = load_dataset("digits")
    splits = split(dataset, DIGITS)
    recipe = Recipe(epochs, 32, Optimization(optimizer, lr, 0.9, 1e-4, "cosine"), augment="crop")
    design = Design("tiny_cnn", schemes=((Depth(5), Shift(kind, 4, 8, 8, rounding)),), recipe=recipe)
    torch.manual_seed(3)
    model = build_network(design, image_shape(DIGITS))
    return model, Training(dataset, splits.train, splits.validation, recipe, 7, compute)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "RAdam", "Ranger"])
def test_a_resumed_training_ends_with_the_same_weights(optimizer, tmp_path):
    kind = "PS" if optimizer in ("SGD", "Ranger") else "Q"
    whole, training = setting(optimizer, 0.01, kind)
    curve = train(whole, training, 3)
    part, training = setting(optimizer, 0.01, kind)
    train(part, training, 1, checkpoint=tmp_path / "c.safetensors")
    torch.manual_seed(99)
    rest, training = setting(optimizer, 0.01, kind)
    torch.nn.init.zeros_(next(rest.parameters()))
    resumed = train(rest, training, 3, checkpoint=tmp_path / "c.safetensors")
    assert [e.train_loss for e in resumed] == [e.train_loss for e in curve]
    for (name, expected), actual in zip(whole.state_dict().items(), rest.state_dict().values(), strict=True):
        assert torch.equal(expected, actual), name


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_learned_steps_resume_too(optimizer, tmp_path):
    def start():
        _, training = setting(optimizer, 0.01)
        design = Design("tiny_cnn", schemes=(("*", Uniform(4, 4, True, "learned")),), recipe=training.recipe)
        torch.manual_seed(3)
        return build_network(design, image_shape(DIGITS)), training

    whole, training = start()
    train(whole, training, 2)
    part, _ = start()
    train(part, training, 1, checkpoint=tmp_path / "c.safetensors")
    rest, _ = start()
    train(rest, training, 2, checkpoint=tmp_path / "c.safetensors")
    for (name, expected), actual in zip(whole.state_dict().items(), rest.state_dict().values(), strict=True):
        assert torch.equal(expected, actual), name


def test_learns_digits_with_shift_layers():
    model, training = setting(epochs=6, rounding="deterministic")
    curve = train(model, training, 6)
    assert [epoch.epoch for epoch in curve] == [1, 2, 3, 4, 5, 6]
    assert curve[-1].train_loss < 0.6 * curve[0].train_loss
    assert curve[-1].val_error < 0.4
    assert curve[-1].val_error == error_rate(model, training.dataset, training.validation, CPU)


def test_bfloat16_learns_too_and_keeps_float32_parameters():
    model, training = setting(epochs=3, rounding="deterministic", compute=Compute(torch.device("cpu"), "bfloat16"))
    curve = train(model, training, 3)
    assert curve[-1].train_loss < curve[0].train_loss
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_divergence_carries_its_reason_and_curve():
    model, training = setting("SGD", lr=1e18, rounding="deterministic")
    with pytest.raises(DivergedError, match=r"diverged: loss is (nan|inf) in epoch \d, step \d+ of \d+, at lr") as info:
        train(model, training, 4)
    assert isinstance(info.value.curve, tuple)


def test_checkpoint_of_another_design_is_refused(tmp_path):
    model, training = setting(kind="Q")
    train(model, training, 1, checkpoint=tmp_path / "c.safetensors")
    other, training = setting(kind="PS")
    with pytest.raises(InputError, match="another design"):
        train(other, training, 2, checkpoint=tmp_path / "c.safetensors")


def test_a_truncated_checkpoint_is_refused(tmp_path):
    model, training = setting()
    path = tmp_path / "c.safetensors"
    train(model, training, 1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        train(model, training, 2, checkpoint=path)


def test_reestimation_makes_statistics_those_of_the_data():
    model, training = setting(rounding="deterministic")
    train(model, training, 1)
    before = {name: value.clone() for name, value in model.state_dict().items() if "running_mean" in name}
    reestimate_normalisation(model, training, 5)
    after = model.state_dict()
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    again = {name: after[name].clone() for name in before}
    reestimate_normalisation(model, training, 5)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in again.items())
