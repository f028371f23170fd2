"""A ResNet20 for CIFAR-10 with random shift weights: what kernels are timed on. Its logits mean nothing."""

from dataclasses import dataclass, field

import numpy as np

from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Convolution,
    Grid,
    Input,
    Network,
    Step,
    Storage,
    Subsampling,
)

SHIFT4 = Storage("shift", 4)
BYTES = Grid(-5)
CENTRED = Grid(-4, 128)


@dataclass
class _Layers:
    rng: np.random.Generator
    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def convolution(
        self, source: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, grid: Grid | None = BYTES
    ) -> int:
        """Weights are powers of two with a tenth of zeros; multipliers keep outputs within the bytes."""
        height, width, inputs = self.steps[source].shape
        shape = ((height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1, outputs)
        sizes = 1 << self.rng.integers(0, SHIFT4.largest.bit_length(), (outputs, kernel, kernel, inputs))
        signs = self.rng.choice([-1, 0, 1], sizes.shape, p=[0.45, 0.1, 0.45])
        spread = 60.0 * np.sqrt(np.square(sizes * signs, dtype=np.float64).sum(axis=(1, 2, 3)))
        multiplier = np.float16(1) / 2.0 ** np.round(np.log2(spread))
        return self.add(
            Convolution(
                name=f"conv{len(self.steps)}",
                sources=(source,),
                shape=shape,
                grid=grid,
                weight=(sizes * signs).astype(np.int16),
                bias=self.rng.normal(0, 0.5 * spread).astype(np.int32),
                multiplier=multiplier.astype(np.float32),
                storage=SHIFT4,
                stride=(stride, stride),
                padding=(padding,) * 4,
            )
        )

    def block(self, source: int, channels: int, stride: int) -> int:
        """Two convolutions and a shortcut without parameters."""
        inner = self.convolution(self.convolution(source, channels, 3, stride, 1), channels, 3, 1, 1, CENTRED)
        if stride > 1:
            shape = self.steps[inner].shape
            before = (channels - self.steps[source].shape[2]) // 2
            source = self.add(Subsampling(f"shortcut{len(self.steps)}", (source,), shape, BYTES, stride, before))
        return self.add(Addition(f"add{len(self.steps)}", (inner, source), self.steps[inner].shape, BYTES))


def random_resnet20(seed: int = 0, blocks: int = 3, width: int = 16) -> Network:
    """Return the network: 6 * blocks + 2 layers on 32 x 32 x 3 bytes, 10 classes."""
    layers = _Layers(np.random.default_rng(seed))
    table = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    x = layers.convolution(layers.add(Input("input", (32, 32, 3), Grid(-6, 128), table)), width, 3, 1, 1)
    for stage in range(3):
        for block in range(blocks):
            x = layers.block(x, width << stage, 2 if stage and not block else 1)
    x = layers.add(AveragePooling("pool", (x,), (1, 1, width * 4), BYTES, (8, 8), (1, 1)))
    layers.convolution(x, 10, 1, grid=None)
    return Network(tuple(layers.steps), {"name": "resnet20"})
