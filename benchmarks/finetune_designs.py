"""What `finetune.py` fine-tunes: designs of ResNet20 by name, with the learning rate that each starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from greenshift.design import Design, OptimizerName, Pruning, Recipe
from greenshift.schemes import Binary, Depth, LayerKey, PowerOfTwo, Scheme, Shift, Ternary, Uniform
from greenshift.space import make_space, named_configuration

DEPTH = 20  # convolutions and linear layers of ResNet20


@dataclass(frozen=True)
class FineTuning:
    """A design and how it is fine-tuned.

    Attributes:
        design: The network; its recipe is replaced.
        lr: Peak learning rate.
        optimizer: SGD is with Nesterov momentum 0.9.
        weight_decay: Less where few bits are left (LSQ: Esser et al., ICLR 2020, section 3).
        trained: False if the network is only calibrated.
        pretrained: Whether it starts from the checkpoint.
        calibration_batches: Batches that it is fitted to before the first step.
        distilled: Whether it learns from the teacher where there is one.
    """

    design: Design
    lr: float = 0.01
    optimizer: OptimizerName = "SGD"
    weight_decay: float = 1e-4
    trained: bool = True
    pretrained: bool = True
    calibration_batches: int = 20
    distilled: bool = True


def _paper(name: str) -> Design:
    values = named_configuration(name, DEPTH)
    space = make_space("paper", depth=DEPTH, fidelity=None)
    return space.to_design(values, backbone="resnet20", quantities={}, epochs=None, base=Recipe())


PAPER: dict[str, Callable[[], Design]] = {
    "POS1": partial(_paper, "paper-pos1"),
    "POS2": partial(_paper, "paper-pos2"),
}


def _whole(scheme: Scheme) -> Design:
    return Design("resnet20", schemes=((Depth(DEPTH), scheme),))


def _inner(scheme: Scheme, backbone: str = "resnet20") -> Design:
    """First and last layer at 8 bits."""
    ends: tuple[tuple[LayerKey, Scheme], ...] = (("conv1", Uniform(8, 8)), ("linear", Uniform(8, 8)))
    return Design(backbone, schemes=(*ends, ("*", scheme)))


DESIGNS: dict[str, FineTuning] = {
    # Larger steps where the exponents have a coarser or a rounded parameter to cross.
    "Q5": FineTuning(_whole(Shift("Q", 5, 16, 16)), calibration_batches=0),
    "Q4": FineTuning(_whole(Shift("Q", 4, 16, 16)), calibration_batches=0),
    "Q3": FineTuning(_whole(Shift("Q", 3, 16, 16)), lr=0.04, calibration_batches=0),
    "PS5": FineTuning(_whole(Shift("PS", 5, 16, 16)), lr=0.05, calibration_batches=0),
    "PS4": FineTuning(_whole(Shift("PS", 4, 16, 16)), lr=0.05, calibration_batches=0),
    "POS1": FineTuning(PAPER["POS1"](), calibration_batches=0),
    "POS2": FineTuning(PAPER["POS2"](), calibration_batches=0),
    "int8-ptq": FineTuning(_whole(Uniform(8, 8)), trained=False),
    "int8-ptq-per-layer": FineTuning(_whole(Uniform(8, 8, per_channel=False)), trained=False),
    "lsq4": FineTuning(_inner(Uniform(4, 8, step="learned"))),
    "lsq4-4": FineTuning(_inner(Uniform(4, 4, step="learned"))),
    "shift4": FineTuning(_inner(PowerOfTwo(4))),
    "shift3": FineTuning(_inner(PowerOfTwo(3)), lr=0.02),
    "shift5-two-terms": FineTuning(_inner(PowerOfTwo(5, terms=2))),
    # Every layer on powers of two: no multiplication in the network.
    "shift4-whole": FineTuning(_whole(PowerOfTwo(4))),
    # What each row of the recipe earns: without the nearest power, the window of least error, the teacher.
    "shift4-log": FineTuning(_inner(PowerOfTwo(4, rounding="log"))),
    "shift4-max": FineTuning(_inner(PowerOfTwo(4, scale="max"))),
    "shift3-log": FineTuning(_inner(PowerOfTwo(3, rounding="log")), lr=0.02),
    "shift3-max": FineTuning(_inner(PowerOfTwo(3, scale="max")), lr=0.02),
    "shift3-alone": FineTuning(_inner(PowerOfTwo(3)), lr=0.02, distilled=False),
    "ternary": FineTuning(_inner(Ternary()), lr=0.03, weight_decay=3e-5),
    "binary-weights": FineTuning(_inner(Binary()), lr=0.05, weight_decay=3e-5),
    # From nothing: there is no float checkpoint of this network.
    "binary": FineTuning(
        _inner(Binary(1), "birealnet20"), lr=0.015, optimizer="Adam", weight_decay=0.0, pretrained=False
    ),
    "binary-plain": FineTuning(_inner(Binary(1)), lr=0.015, optimizer="Adam", weight_decay=0.0, pretrained=False),
    "channels-50": FineTuning(Design("resnet20", pruning=Pruning(0.5, "channels", "one-shot")), lr=0.05),
    "channels-50-gradual": FineTuning(Design("resnet20", pruning=Pruning(0.5, "channels", "gradual")), lr=0.05),
    "2:4": FineTuning(Design("resnet20", pruning=Pruning(0.5, "2:4", keep_first=True)), lr=0.02),
    "unstructured-90": FineTuning(Design("resnet20", pruning=Pruning(0.9)), lr=0.1),
    "unstructured-90-one-shot": FineTuning(Design("resnet20", pruning=Pruning(0.9, schedule="one-shot")), lr=0.1),
}
