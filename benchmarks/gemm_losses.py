"""Where this runtime does not win, or its small weights gain nothing: printed beside where it does.

- Products of matrices of the size of ResNet20's layers over 16 images, and a larger one, against ONNX Runtime: a layer
  of ours is a fused convolution, and as a bare product it has nothing to fuse.
- Binary and 4-bit weights against int8 in the same convolution: they run through the same integer multiplications, so
  they save memory, not time. Kernels on packed bits are not a part of this runtime.

Ours are the kernel's own wall time (`Runtime.profile`), which leaves the look-up of the image out; ONNX Runtime's are
the processor time of whole calls, in which the call itself takes a few microseconds. On a busy machine this favours it.

    OMP_NUM_THREADS=1 python benchmarks/gemm_losses.py --rounds 21
"""

import argparse
import json
import os
import statistics
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import torch

import ort_matmul
from greenshift.deploy.native import load_library
from greenshift.deploy.network import Storage
from greenshift.deploy.runtime import Runtime, available_isas
from one_layer import BINARY, INT8, SHIFT4, one_layer
from side_by_side import Call, take_turns

IMAGES = 16
PRODUCTS = ((32, 16, 144), (16, 32, 288), (8, 64, 576), (8, 1024, 1024))  # side of a map, outputs, inputs
CONVOLUTIONS = ((32, 16), (16, 32), (8, 64))  # side of a map, channels


def kernel_seconds(side: int, inputs: int, outputs: int, kernel: int, storage: Storage, isa: str) -> Call:
    """Return a call that gives the seconds of the layer's kernel over 16 images."""
    runtime = Runtime(one_layer((side + kernel - 1, side + kernel - 1, inputs), outputs, kernel, storage), isa)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, *runtime.network.input.shape), dtype=np.uint8)
    return lambda: runtime.profile(images)[-1][2]


def own_times(calls: dict[str, Call], others: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every round: what our calls give, and how long the others take."""
    own: dict[str, list[float]] = {name: [] for name in calls}

    def noted(name: str, call: Call) -> Call:
        def run() -> None:
            value = call()
            assert isinstance(value, float)
            own[name].append(value)

        return run

    wrapped = {name: [noted(name, call)] for name, call in calls.items()}
    seconds = take_turns(wrapped | {name: [call] for name, call in others.items()}, rounds, 2)
    # A turn is one call to warm up and two that count.
    counted = {name: [statistics.mean(own[name][i + 1 : i + 3]) for i in range(0, len(own[name]), 3)] for name in calls}
    return {name: counted.get(name, values) for name, values in seconds.items()}


def product(side: int, outputs: int, inputs: int, isa: str, rounds: int) -> dict[str, Any]:
    """Compare one product of matrices; throughput counts a multiplication and an addition as two."""
    rng = np.random.default_rng(0)
    rows = IMAGES * side * side
    weight = rng.integers(-64, 65, (inputs, outputs), dtype=np.int8)
    floats, image = rng.random((rows, inputs), np.float32), rng.integers(0, 256, (rows, inputs), dtype=np.uint8)
    float32, integer, quantized = (
        ort_matmul.matmul_float32(weight),
        ort_matmul.matmul_integer(weight),
        ort_matmul.matmul_quantized(weight),
    )
    tensor, matrix = torch.from_numpy(floats), torch.from_numpy(weight.astype(np.float32))
    others: dict[str, Call] = {
        "torch float32": lambda: tensor @ matrix,
        "onnxruntime float32": lambda: float32(floats),
        "onnxruntime int8 (MatMulInteger)": lambda: integer(image),
        "onnxruntime int8 (QLinearMatMul)": lambda: quantized(image),
    }
    seconds = own_times({"shift4": kernel_seconds(side, inputs, outputs, 1, SHIFT4, isa)}, others, rounds)
    return {
        "rows": rows,
        "outputs": outputs,
        "inputs": inputs,
        "gop_per_s": {
            name: round(2e-9 * rows * outputs * inputs / statistics.median(values), 1)
            for name, values in seconds.items()
        },
    }


def kinds_of_weights(side: int, channels: int, isa: str, rounds: int) -> dict[str, Any]:
    """Compare int8, 4-bit shift and binary weights in one 3x3 convolution."""
    kinds = {"int8": INT8, "shift4": SHIFT4, "binary": BINARY}
    calls = {name: kernel_seconds(side, channels, channels, 3, storage, isa) for name, storage in kinds.items()}
    seconds = own_times(calls, {}, rounds)
    return {
        "map": [side, side],
        "channels": channels,
        "median_us": {name: round(1e6 * statistics.median(values), 1) for name, values in seconds.items()},
        "weight_bytes": {name: 9 * channels**2 * storage.bits // 8 for name, storage in kinds.items()},
    }


def main() -> None:
    """Time everything and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--isa", help="instruction set of the runtime; the best one if left out")
    args = parser.parse_args()
    if isinstance(reason := load_library(), str):
        parser.error(f"nothing to time: {reason}")
    torch.set_num_threads(1)
    isa = args.isa or available_isas()[0]
    products = [product(*sizes, isa, args.rounds) for sizes in PRODUCTS]
    convolutions = [kinds_of_weights(*sizes, isa, args.rounds) for sizes in CONVOLUTIONS]
    print(json.dumps({"isa": isa, "products": products, "kinds_of_weights": convolutions}, indent=1))


if __name__ == "__main__":
    main()
