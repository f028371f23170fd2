"""Modelled time and energy of MLPerf Tiny's ResNet-8 in int8 beside what boards were published with.

Says for each row which figures of the target were fitted to published ones, and which were not: those rows test
the model. Prints JSON. Usage: python benchmarks/mlperf_tiny.py
"""

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from greenshift.compress import Uniform, convert
from greenshift.compress.profiling import profile
from greenshift.profile import NetworkProfile
from greenshift.targets import cost, load_target


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Take the channel counts and the stride of the first convolution."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


def resnet8() -> nn.Module:
    """Image classification network of MLPerf Tiny (Banbury et al., 2021): three stacks of one block each."""
    stem = [nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def int8_profile() -> NetworkProfile:
    """Profile of the network with int8 weights and activations throughout."""
    shape = (3, 32, 32)
    network, _ = convert(resnet8(), {"*": Uniform(8, 8)}, torch.zeros(1, *shape))
    return profile(network, shape)


@dataclass(frozen=True)
class Row:
    """One published result, or a range of results of one board and clock.

    Attributes:
        board: The board, its supply and software.
        target: Target that stands for it.
        latency_ms: Lowest and highest published time.
        energy_mj: Lowest and highest published energy.
        fitted: Which figures of the target come from this row; empty if it was predicted.
    """

    board: str
    target: str
    latency_ms: tuple[float, float]
    energy_mj: tuple[float, float]
    fitted: tuple[str, ...] = ()


# MLPerf Tiny results repositories, v1.0 to v1.3, image classification.
ROWS = (
    Row("L4R5, 120 MHz, 1.8 V, X-CUBE-AI", "cortex-m4", (165, 227), (6.9, 10.7), ("power",)),
    Row("L4R5, 3.0 V, Krai", "cortex-m4:3v", (222, 227), (17.3, 17.8)),
    Row("L4R5, 3 V and external switching supply", "cortex-m4:smps", (166, 166), (5.5, 5.5)),
    Row("L4R5, microTVM, supply not stated", "cortex-m4", (389, 389), (20.2, 21.3)),
    Row("H7A3, 280 MHz", "cortex-m7", (41, 52), (5.1, 6.3), ("cycles", "power")),
    Row("U575, 160 MHz", "cortex-m33-u575", (110, 127), (2.6, 3.4), ("cycles", "power")),
    Row("U385, 96 MHz", "cortex-m33-u575:u385", (182, 182), (0.97, 0.97), ("power",)),
    Row("Syntiant 9120, 98 MHz", "npu-syntiant", (5, 5), (0.139, 0.139), ("cycles", "energy")),
    Row("Syntiant 9120, 30 MHz", "npu-syntiant:30mhz", (16, 16), (0.102, 0.102)),
)


def compare(row: Row, network: NetworkProfile) -> dict[str, Any]:
    """Set the modelled cost of a row beside the published one."""
    modelled = cost(network, load_target(row.target))
    return {
        "board": row.board,
        "target": row.target,
        "fitted": list(row.fitted),
        "latency_ms": _beside(modelled.latency_s * 1e3, row.latency_ms, modelled.latency_uncertainty_factor),
        "energy_mj": _beside(modelled.energy_j * 1e3, row.energy_mj, modelled.uncertainty_factor),
    }


def _beside(modelled: float, published: tuple[float, float], factor: float) -> dict[str, Any]:
    """`off` is the largest ratio between the modelled value and a published one, whichever way."""
    off = max(modelled / published[0], published[1] / modelled)
    return {"published": published, "modelled": modelled, "factor": factor, "off": off, "within": off <= factor}


def main() -> None:
    """Print the network and the comparison of every row."""
    network = int8_profile()
    print(json.dumps({"macs": network.macs, "rows": [compare(row, network) for row in ROWS]}, indent=2))


if __name__ == "__main__":
    main()
