"""One packed network on a whole test set in four ways: this runtime, ONNX Runtime, exported C, and the reference.

Prints JSON: test accuracy of each, for how many images the logits are the runtime's to the bit, and how many classes
differ. The C is compiled for this host with -O2 and reads the images from a pipe.

    greenshift pack trial-7.safetensors -o network.safetensors
    OMP_NUM_THREADS=1 python benchmarks/four_ways.py network.safetensors --data fashion-mnist
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from greenshift.data import load_dataset
from greenshift.deploy.c_export import export_c
from greenshift.deploy.file import read_network
from greenshift.deploy.network import Bytes, Network
from greenshift.deploy.onnx import export_onnx
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import Runtime, available_isas
from greenshift.targets import load_target

Logits = NDArray[np.float32]
BATCH = 250

DRIVER = """
#include <stdio.h>
#include "network.h"
int main(void)
{
    static uint8_t image[NETWORK_HEIGHT * NETWORK_WIDTH * NETWORK_CHANNELS];
    float logits[NETWORK_CLASSES];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        network_predict(image, logits);
        if (fwrite(logits, sizeof logits, 1, stdout) != 1)
            return 1;
    }
    return 0;
}
"""


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="packed file")
    parser.add_argument("--data", required=True, help="dataset whose test images are run")
    parser.add_argument("--data-dir", help="folder that holds the official dataset folders")
    parser.add_argument("--target", default="cortex-m7", help="device for which the C is written")
    parser.add_argument("--images", type=int, help="only so many test images")
    args = parser.parse_args()
    network = read_network(args.network)
    dataset = load_dataset(args.data, args.data_dir)
    images = np.ascontiguousarray(dataset.test_images[: args.images].permute(0, 2, 3, 1).numpy())
    labels = dataset.test_labels[: args.images].numpy()
    found = dict(all_ways(network, images, args.target))
    right = found["runtime"]
    print(
        json.dumps(
            {
                "network": args.network.name,
                "images": len(images),
                "runtime": Runtime(network).kernel,
                "ways": {name: compare(logits, right, labels) for name, logits in found.items()},
            },
            indent=1,
        )
    )


def all_ways(network: Network, images: Bytes, target: str) -> Iterator[tuple[str, Logits]]:
    """Yield the logits of every way of running a network, the runtime's first."""
    yield "runtime", batched(Runtime(network).run, images)
    for isa in available_isas():
        yield f"runtime {isa}", batched(Runtime(network, isa).run, images)
    with tempfile.TemporaryDirectory() as scratch:
        yield "onnx", batched(onnx_runner(network, Path(scratch)), images)
        yield "c", run_c(network, images, Path(scratch) / "c", target)
    yield "numpy reference", batched(lambda batch: run_reference(network, batch), images)


def batched(run: Callable[[Bytes], Logits], images: Bytes) -> Logits:
    """Return what `run` gives for all images, batch by batch."""
    return np.concatenate([run(images[at : at + BATCH]) for at in range(0, len(images), BATCH)])


def onnx_runner(network: Network, folder: Path) -> Callable[[Bytes], Logits]:
    """Return ONNX Runtime's default session of the exported network."""
    export_onnx(network, folder / "network.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: np.ascontiguousarray(batch.transpose(0, 3, 1, 2))})[0]


def run_c(network: Network, images: Bytes, folder: Path, target: str) -> Logits:
    """Return the logits of the exported C, compiled for this host."""
    export_c(network, load_target(target), folder)
    (folder / "main.c").write_text(DRIVER, encoding="utf-8")
    program = folder / "main"
    sources = [str(folder / name) for name in ("main.c", "network.c")]
    subprocess.run(["gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, *sources], check=True)
    done = subprocess.run([program], input=images.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(images), -1)


def compare(logits: Logits, right: Logits, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return accuracy, and how the logits differ from the runtime's."""
    classes = logits.argmax(axis=1)
    return {
        "correct": int((classes == labels).sum()),
        "accuracy": float((classes == labels).mean()),
        "other_class": int((classes != right.argmax(axis=1)).sum()),
        "logits_equal": int((logits == right).all(axis=1).sum()),
    }


if __name__ == "__main__":
    main()
