"""What `finetune.py` fine-tunes: designs of ResNet20 by name, with the learning rate that each starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from greenshift.design import Design, Pruning, Recipe
from greenshift.schemes import Binary, Depth, LayerKey, PowerOfTwo, Scheme, Shift, Ternary, Uniform
from greenshift.space import make_space, named_configuration

DEPTH = 20  # convolutions and linear layers of ResNet20


@dataclass(frozen=True)
class Start:
    """A design and how its fine-tuning starts.

    Attributes:
        design: The network; its recipe is replaced.
        lr: Peak learning rate.
        weight_decay: Less where few bits are left (LSQ: Esser et al., ICLR 2020, section 3).
        trained: False if the network is only calibrated.
        pretrained: Whether it starts from the checkpoint.
    """

    design: Design
    lr: float = 0.01
    weight_decay: float = 1e-4
    trained: bool = True
    pretrained: bool = True


def _paper(name: str) -> Design:
    values = named_configuration(name, DEPTH)
    space = make_space("paper", depth=DEPTH, fidelity=None)
    return space.to_design(values, backbone="resnet20", fidelity=None, epochs=None, base=Recipe())


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


DESIGNS: dict[str, Start] = {
    # Larger steps where the exponents have a coarser or a rounded parameter to cross.
    "Q5": Start(_whole(Shift("Q", 5, 16, 16))),
    "Q4": Start(_whole(Shift("Q", 4, 16, 16))),
    "Q3": Start(_whole(Shift("Q", 3, 16, 16)), lr=0.04),
    "PS5": Start(_whole(Shift("PS", 5, 16, 16)), lr=0.05),
    "PS4": Start(_whole(Shift("PS", 4, 16, 16)), lr=0.05),
    "POS1": Start(PAPER["POS1"]()),
    "POS2": Start(PAPER["POS2"]()),
    "int8-ptq": Start(_whole(Uniform(8, 8)), trained=False),
    "int8-ptq-per-layer": Start(_whole(Uniform(8, 8, per_channel=False)), trained=False),
    "lsq4": Start(_inner(Uniform(4, 8, step="learned"))),
    "lsq4-4": Start(_inner(Uniform(4, 4, step="learned"))),
    "shift4": Start(_inner(PowerOfTwo(4))),
    "shift3": Start(_inner(PowerOfTwo(3)), lr=0.02),
    "shift5-two-terms": Start(_inner(PowerOfTwo(5, terms=2))),
    # Every layer on powers of two: no multiplication in the network.
    "shift4-whole": Start(_whole(PowerOfTwo(4))),
    # What each row of the recipe earns: without the nearest power, without the window of least error.
    "shift4-log": Start(_inner(PowerOfTwo(4, rounding="log"))),
    "shift4-max": Start(_inner(PowerOfTwo(4, scale="max"))),
    "shift3-log": Start(_inner(PowerOfTwo(3, rounding="log")), lr=0.02),
    "shift3-max": Start(_inner(PowerOfTwo(3, scale="max")), lr=0.02),
    "ternary": Start(_inner(Ternary()), lr=0.03, weight_decay=3e-5),
    "binary-weights": Start(_inner(Binary()), lr=0.05, weight_decay=3e-5),
    # Starts from nothing: there is no float checkpoint of this network.
    "binary": Start(_inner(Binary(1), "birealnet20"), lr=0.1, weight_decay=0.0, pretrained=False),
    "binary-plain": Start(_inner(Binary(1)), lr=0.05, weight_decay=0.0),
    "channels-50": Start(Design("resnet20", pruning=Pruning(0.5, "channels", "one-shot")), lr=0.05),
    "2:4": Start(Design("resnet20", pruning=Pruning(0.5, "2:4", keep_first=True)), lr=0.02),
    "unstructured-90": Start(Design("resnet20", pruning=Pruning(0.9)), lr=0.03),
}
