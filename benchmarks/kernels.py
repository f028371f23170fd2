"""Microseconds per image of a ResNet20 with random 4-bit shift weights, on every instruction set of this processor.

The instruction sets take turns, so that a drift of the machine's speed cancels in the ratios. Process time, one thread.

    python benchmarks/kernels.py --batch 1,64 --rounds 15 --layers
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.runtime import Runtime, available_isas
from random_resnet import random_resnet20

ROUND_S = 0.05


def time_rounds(runtimes: dict[str, Runtime], images: NDArray[np.uint8], rounds: int) -> dict[str, list[float]]:
    """Return process seconds per image of every round, the runtimes taking turns."""
    calls = {}
    for isa, runtime in runtimes.items():
        runtime.run(images)
        started = time.process_time()
        runtime.run(images)
        calls[isa] = max(1, round(ROUND_S / max(time.process_time() - started, 1e-6)))
    seconds: dict[str, list[float]] = {isa: [] for isa in runtimes}
    for _ in range(rounds):
        for isa, runtime in runtimes.items():
            started = time.process_time()
            for _ in range(calls[isa]):
                runtime.run(images)
            seconds[isa].append((time.process_time() - started) / calls[isa] / len(images))
    return seconds


def summarise(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return medians in microseconds, and how many times faster than the plain C each is, round by round."""
    plain = seconds.get("reference", [])
    return {
        isa: {
            "median_us": statistics.median(values) * 1e6,
            "least_us": min(values) * 1e6,
            "times_reference": statistics.median(p / v for p, v in zip(plain, values, strict=True)) if plain else None,
        }
        for isa, values in seconds.items()
    }


def main() -> None:
    """Time the instruction sets in turns and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", default="1,64", help="images per call, with commas")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--isa", default=None, help="instruction sets, with commas; all of this processor by default")
    parser.add_argument("--layers", action="store_true", help="also the median microseconds of every step at batch 1")
    args = parser.parse_args()
    network = random_resnet20()
    names = args.isa.split(",") if args.isa else available_isas()
    runtimes = {isa: Runtime(network, isa) for isa in names}
    batches = [int(batch) for batch in args.batch.split(",")]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (max([*batches, 1]), *network.input.shape)).astype(np.uint8)
    printed: dict[str, Any] = {
        "network": "ResNet20, 32x32x3, 4-bit shift, random weights",
        "macs": network.macs,
        "rounds": args.rounds,
        "us_per_image": {
            str(batch): summarise(time_rounds(runtimes, images[:batch], args.rounds)) for batch in batches
        },
    }
    if args.layers:
        printed["us_per_step"] = {
            isa: {name: [kernel, seconds * 1e6] for name, kernel, seconds in runtime.profile(images[:1])}
            for isa, runtime in runtimes.items()
            if isa != "reference"
        }
    print(json.dumps(printed, indent=2))


if __name__ == "__main__":
    main()
