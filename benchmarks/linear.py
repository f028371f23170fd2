"""A large linear layer at batch 1: 4-bit shift codes against float32, int8 and ONNX Runtime's 4 bits, one thread.

Twice: `repeated`, the same layer again and again, as far as it fits the caches; and `from_memory`, after everybody
else's weights have gone through them, as in a network with many such layers. Ours are whole calls, the copy of the
image included; the kernel that ran is named.

    OMP_NUM_THREADS=1 python benchmarks/linear.py --rounds 21
"""

import argparse
import importlib.util
import json
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import torch

from greenshift.deploy.native import load_library
from greenshift.deploy.runtime import Runtime, available_isas
from one_layer import INT8, SHIFT4, one_layer
from side_by_side import Call, medians_us, take_turns, times_faster

SIDE = 32  # an image of 32 x 32, so that a look-up per channel costs nothing
Makers = dict[str, Callable[[int], Call]]


def ours(inputs: int, outputs: int, image: Any) -> tuple[Makers, dict[str, str]]:
    """Return how to make a call of the runtime for each kind of weights and instruction set, and the kernels' names."""
    makers: Makers = {}
    kernels: dict[str, str] = {}
    for isa in available_isas():
        for name, storage in (("shift4", SHIFT4), ("int8", INT8)):
            if isa == "reference":
                continue

            def make(seed: int, storage: Any = storage, isa: str = isa) -> Call:
                runtime = Runtime(one_layer((SIDE, SIDE, inputs // SIDE**2), outputs, SIDE, storage, seed), isa)
                return lambda: runtime.run(image)

            label = f"{name} ({isa})"
            makers[label] = make
            probe = Runtime(one_layer((SIDE, SIDE, inputs // SIDE**2), outputs, SIDE, storage), isa)
            kernels[label] = probe.profile(image)[-1][1]
    return makers, kernels


def peers(inputs: int, outputs: int) -> Makers:
    """Return how to make a call of each peer that is installed."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-64, 65, (inputs, outputs), dtype=np.int8)
    floats, image = rng.random((1, inputs), np.float32), rng.integers(0, 256, (1, inputs), dtype=np.uint8)

    def torch_float32(seed: int) -> Call:
        torch.manual_seed(seed)
        layer, x = torch.nn.Linear(inputs, outputs).eval(), torch.from_numpy(floats)

        def run() -> object:
            with torch.inference_mode():
                return layer(x)

        return run

    found: Makers = {"torch float32": torch_float32}
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        import ort_matmul

        def bound(make: Callable[[], ort_matmul.Product], x: Any) -> Callable[[int], Call]:
            def maker(_: int) -> Call:
                product = make()
                return lambda: product(x)

            return maker

        found["onnxruntime float32"] = bound(lambda: ort_matmul.matmul_float32(weight), floats)
        found["onnxruntime int8 (MatMulInteger)"] = bound(lambda: ort_matmul.matmul_integer(weight), image)
        found["onnxruntime 4 bits (MatMulNBits)"] = bound(lambda: ort_matmul.matmul_4bit(inputs, outputs), floats)
    return found


def main() -> None:
    """Time everybody in turns and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=4096, help=f"a multiple of {SIDE**2}")
    parser.add_argument("--outputs", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--copies", type=int, default=4, help="sets of weights that take turns in `from_memory`")
    args = parser.parse_args()
    if isinstance(reason := load_library(), str):
        parser.error(f"nothing to time: {reason}")
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, args.inputs // SIDE**2), dtype=np.uint8)
    makers, kernels = ours(args.inputs, args.outputs, image)
    makers |= peers(args.inputs, args.outputs)
    calls = {name: [make(seed) for seed in range(args.copies)] for name, make in makers.items()}
    result: dict[str, Any] = {"inputs": args.inputs, "outputs": args.outputs, "batch": 1, "kernels": kernels}
    for case, repeats in (("repeated", 5), ("from_memory", 1)):
        turns = {name: copies[:1] if repeats > 1 else copies for name, copies in calls.items()}
        seconds = take_turns(turns, args.rounds, repeats)
        ratios = {name: times_faster(seconds, name) for name in kernels if name.startswith("shift4")}
        result[case] = {"median_us": medians_us(seconds), "times_faster": ratios}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
