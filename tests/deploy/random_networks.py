"""Random valid networks: every kind of step, odd shapes, both zeros, all weight kinds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Grid,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Storage,
    Subsampling,
)

SHIFT4, SHIFT5, INT8 = Storage("shift", 4), Storage("shift", 5), Storage("int8", 8)
TERNARY, BINARY = Storage("ternary", 2), Storage("binary", 1)
STORAGES = (SHIFT4, SHIFT5, INT8, TERNARY, BINARY)


def random_weights(rng: np.random.Generator, shape: tuple[int, ...], storage: Storage) -> np.ndarray:
    if storage.kind == "shift":
        sizes = 1 << rng.integers(0, storage.largest.bit_length(), shape)
        return (sizes * rng.choice([-1, 0, 1], shape, p=[0.45, 0.1, 0.45])).astype(np.int16)
    if storage.kind == "int8":
        return rng.integers(-127, 128, shape).astype(np.int16)
    return rng.choice([-1, 1] if storage.kind == "binary" else [-1, 0, 1], shape).astype(np.int16)


def two_byte_float(value: np.ndarray) -> np.ndarray:
    """Round to 11 significant bits, as multipliers are."""
    mantissa, exponent = np.frexp(value)
    return np.ldexp(np.rint(mantissa * 2048) / 2048, exponent).astype(np.float32)


@dataclass
class Builder:
    """Appends steps with random numbers; every method returns the new step's index."""

    rng: np.random.Generator
    steps: list[Any] = field(default_factory=list)

    def input(self, height: int, width: int, channels: int, zero: int = 128) -> int:
        table = np.sort(self.rng.integers(0, 256, (channels, 256)), axis=1).astype(np.uint8)
        return self._add(Input("input", (height, width, channels), Grid(-6, zero), table))

    def conv(
        self,
        source: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        storage: Storage = SHIFT4,
        grid: Grid | None = Grid(-5),
        high: int = 255,
    ) -> int:
        height, width, channels = self.steps[source].shape
        pad = kernel // 2 if padding is None else padding
        shape = (outputs, kernel, kernel, channels // groups)
        size = tuple((length + 2 * pad - kernel) // stride + 1 for length in (height, width))
        return self._weighted(
            source, shape, (*size, outputs), storage, grid, (stride, stride), (pad,) * 4, groups, high
        )

    def linear(self, source: int, outputs: int, storage: Storage = SHIFT4, grid: Grid | None = None) -> int:
        shape = (outputs, *self.steps[source].shape)
        return self._weighted(source, shape, (1, 1, outputs), storage, grid, (1, 1), (0,) * 4, 1, 255)

    def add(self, left: int, right: int, grid: Grid = Grid(-4), low: int = 0, high: int = 255) -> int:
        return self._add(Addition(self._name("add"), (left, right), self.steps[left].shape, grid, low, high))

    def max_pool(self, source: int, kernel: int = 2, stride: int = 2, padding: int = 0) -> int:
        shape = self._pooled(source, kernel, stride, padding)
        grid = self.steps[source].grid
        return self._add(
            MaxPooling(self._name("max"), (source,), shape, grid, (kernel,) * 2, (stride,) * 2, (padding,) * 4)
        )

    def average_pool(self, source: int, kernel: int, stride: int = 1, grid: Grid = Grid(-6)) -> int:
        shape = self._pooled(source, kernel, stride, 0)
        return self._add(AveragePooling(self._name("average"), (source,), shape, grid, (kernel,) * 2, (stride,) * 2))

    def lookup(self, source: int, grid: Grid = Grid(-5, 128)) -> int:
        table = self.rng.integers(0, 256, 256).astype(np.uint8)
        return self._add(Lookup(self._name("lookup"), (source,), self.steps[source].shape, grid, table))

    def signs(self, source: int, threshold: int = 100, unit: int = 16) -> int:
        table = np.where(np.arange(256) < threshold, 128 - unit, 128 + unit).astype(np.uint8)
        return self._add(Lookup(self._name("signs"), (source,), self.steps[source].shape, Grid(-4, 128), table))

    def subsample(self, source: int, stride: int, before: int, after: int) -> int:
        height, width, channels = self.steps[source].shape
        shape = (-(-height // stride), -(-width // stride), before + channels + after)
        return self._add(
            Subsampling(self._name("subsample"), (source,), shape, self.steps[source].grid, stride, before)
        )

    def concat(self, *sources: int) -> int:
        height, width, _ = self.steps[sources[0]].shape
        shape = (height, width, sum(self.steps[source].shape[2] for source in sources))
        return self._add(Concatenation(self._name("concat"), sources, shape, self.steps[sources[0]].grid))

    def network(self) -> Network:
        return Network(tuple(self.steps), {"name": "random"})

    def _weighted(self, source, shape, out_shape, storage, grid, stride, padding, groups, high) -> int:
        weight = random_weights(self.rng, shape, storage)
        spread = 60.0 * np.sqrt(np.square(weight.astype(float)).sum(axis=(1, 2, 3))) + 1
        multiplier = two_byte_float(self.rng.uniform(0.5, 1.5, shape[0]) * (1.0 if grid is None else 70.0) / spread)
        bias = (self.rng.normal(0, 0.5, shape[0]) * spread).astype(np.int32)
        return self._add(
            Convolution(
                self._name("conv"),
                (source,),
                out_shape,
                grid,
                weight,
                bias,
                multiplier,
                storage,
                stride,
                padding,
                groups,
                0,
                high,
            )
        )

    def _pooled(self, source: int, kernel: int, stride: int, padding: int) -> tuple[int, int, int]:
        height, width, channels = self.steps[source].shape
        size = [(length + 2 * padding - kernel) // stride + 1 for length in (height, width)]
        return (size[0], size[1], channels)

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.steps)}"

    def _add(self, step: Any) -> int:
        self.steps.append(step)
        return len(self.steps) - 1


def everything(seed: int = 0) -> Network:
    """A small network with every kind of step, odd channel counts and all weight kinds."""
    b = Builder(np.random.default_rng(seed))
    x = b.input(13, 11, 3)
    x = b.conv(x, 16, storage=INT8)
    y = b.conv(x, 16, groups=16, storage=SHIFT4, high=192)
    y = b.conv(y, 16, kernel=1, grid=Grid(-5, 128), storage=TERNARY)
    x = b.add(x, y)
    x = b.max_pool(x, 3, 2, 1)
    y = b.conv(x, 27, stride=2, grid=Grid(-4, 128), storage=SHIFT5)
    z = b.subsample(x, 2, 5, 6)
    x = b.add(y, z, Grid(-4, 128))
    x = b.lookup(x, Grid(-5))
    x = b.concat(b.conv(x, 10, kernel=1, storage=BINARY), b.conv(x, 7, groups=1, storage=SHIFT4))
    x = b.conv(x, 34, groups=17, kernel=3)
    x = b.average_pool(x, 2, 1)
    x = b.linear(x, 33, grid=Grid(-4), storage=SHIFT4)
    b.linear(x, 10, storage=INT8)
    return b.network()


def residual(seed: int = 0, blocks: int = 3, channels: int = 16, size: int = 32, storage: Storage = SHIFT4) -> Network:
    """ResNet of 6 blocks + 2 layers on size x size x 3 images with option-A shortcuts: 20 layers for 3 blocks."""
    b = Builder(np.random.default_rng(seed))
    x = b.conv(b.input(size, size, 3), channels, storage=storage)
    for stage in range(3):
        width = channels << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = b.conv(x, width, stride=stride, storage=storage)
            y = b.conv(y, width, grid=Grid(-4, 128), storage=storage)
            if stride == 2:
                x = b.subsample(x, 2, width // 4, width // 4)
            x = b.add(y, x, Grid(-5 + (stage > 1)))
    x = b.average_pool(x, b.steps[x].shape[0])
    b.linear(x, 10, storage=storage)
    return b.network()
