import pytest
import torch
from torch import nn

from greenshift.activations import Activation
from greenshift.compress import Shift, Ternary, Uniform, convert
from greenshift.compress.activations import ScaledActivation
from greenshift.compress.shift import ShiftLinear
from greenshift.design import Optimization
from greenshift.train.optimizers import build_optimizer, learning_rate

NAMES = ["SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "RAdam", "Ranger"]


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_learns_a_line(name):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = build_optimizer(model, Optimization(name, lr=1.0 if name == "Adadelta" else 0.05, weight_decay=0.0))
    x = torch.randn(64, 3)
    y = x @ torch.tensor([[0.5], [-0.3], [0.2]])
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_spares_exponents_and_signs(name):
    model = nn.Sequential(nn.Linear(2, 2), ShiftLinear(2, 2, scheme=Shift("PS")))
    optimizer = build_optimizer(model, Optimization(name, lr=0.1, weight_decay=0.5))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay[id(model[1].shift)] == decay[id(model[1].sign)] == 0.0
    assert decay[id(model[0].weight)] == decay[id(model[1].bias)] == 0.5


@pytest.mark.parametrize(
    ("scheme", "names"),
    [(Ternary(), ["weight_scale"]), (Uniform(4, 4, step="learned"), ["weight_step", "range.step"])],
)
def test_weight_decay_spares_learned_scales_and_steps(scheme, names):
    layer, _ = convert(nn.Linear(4, 2), {"*": scheme}, torch.zeros(1, 4))
    optimizer = build_optimizer(layer, Optimization(lr=0.1, weight_decay=0.5))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name for name, p in layer.named_parameters() if decay[id(p)] == 0} == set(names)
    assert decay[id(layer.weight)] == decay[id(layer.bias)] == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_spares_the_scales_of_activations(name):
    model = nn.Sequential(nn.Linear(2, 2), ScaledActivation(Activation("elu", trained=True)))
    optimizer = build_optimizer(model, Optimization(name, lr=0.1, weight_decay=0.5))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay[id(model[1].scales)] == 0.0
    assert decay[id(model[0].weight)] == 0.5


def test_schedules():
    constant = Optimization(lr=0.2)
    assert {learning_rate(constant, p) for p in (0.0, 0.5, 0.99)} == {0.2}
    step = Optimization(lr=1.0, schedule="step")
    assert [learning_rate(step, p) for p in (0.39, 0.4, 0.6, 0.8, 0.95)] == pytest.approx([1, 0.1, 1e-2, 1e-3, 1e-4])
    cosine = Optimization(lr=1.0, schedule="cosine", warmup=0.1)
    assert learning_rate(cosine, 0.05) == pytest.approx(0.5)
    assert learning_rate(cosine, 0.1) == pytest.approx(1.0)
    assert learning_rate(cosine, 0.55) == pytest.approx(0.5)
    assert learning_rate(cosine, 1.0) == pytest.approx(0.0, abs=1e-9)
