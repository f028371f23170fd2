"""ResNet20 with 4-bit shift weights, packed, beside the runtimes that people use: time, bytes, cold start.

Everybody takes turns in one run, one thread each: at the best instruction set of the processor, and then again with
ours and all peers that can be kept to it at each narrower one. The network's weights are random unless a packed file
is given: the work does not depend on them. Cases that are lost stay in the output.

    OMP_NUM_THREADS=1 python benchmarks/inference.py
    OMP_NUM_THREADS=1 python benchmarks/inference.py --artifact trial-3.packed --rounds 15
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

from greenshift.deploy.bench.comparison import compare
from greenshift.deploy.bench.onnx_float import export_float_onnx
from greenshift.deploy.bench.peers import PEERS, get_peers
from greenshift.deploy.file import read_network, write_network
from greenshift.deploy.onnx import export_onnx
from greenshift.deploy.runtime import available_isas
from greenshift.energy import machine
from greenshift.errors import InputError

_STARTS = 7

# What each runtime does from its import to its first logits, given the file.
_FIRST_RUN = {
    "greenshift": """
import numpy as np
from greenshift.deploy import load
network = load(path)
network.run(np.zeros((1, *network.network.input.shape), np.uint8))""",
    "onnxruntime": """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
entry = session.get_inputs()[0]
dtype = np.uint8 if "uint8" in entry.type else np.float32
session.run(None, {entry.name: np.zeros((1, *entry.shape[1:]), dtype)})""",
    "openvino": """
import numpy as np, openvino
core = openvino.Core()
compiled = core.compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 1})
entry = compiled.input(0)
dtype = np.uint8 if "u8" in str(entry.element_type) else np.float32
compiled(np.zeros((1, *(size.get_length() for size in list(entry.partial_shape)[1:])), dtype))""",
}
_COLD_START = """
import time
start, cpu_start = time.perf_counter(), time.process_time()
path = {path!r}
{first_run}
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
import json, sys
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
found = {{"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": 1024 * int(peak.split()[1])}}
print(json.dumps({{**found, "torch": "torch" in sys.modules}}))
"""


def write_resnet20(path: Path) -> None:
    """Write ResNet20 for 32 x 32 images, 4-bit shift weights in every layer, untrained."""
    import torch

    from greenshift.deploy.packing import to_network
    from greenshift.design import Design
    from greenshift.networks import ImageShape, build_network
    from greenshift.schemes import Shift

    torch.manual_seed(0)
    model = build_network(Design("resnet20", schemes=(("*", Shift("Q", 4, 8, 8)),)), ImageShape(10, 3, 32))
    # Untrained weights have exponents below the window of 7: a trained network would have learned to do without.
    write_network(path, to_network(model.eval(), torch.rand(64, 3, 32, 32), allow_rounding=True)[0])


def cold_starts(files: dict[str, tuple[str, Path]]) -> dict[str, Any]:
    """Return seconds from the import to the first logits, and peak memory, of fresh processes in turns."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(_STARTS):
        for name, (runner, path) in files.items():
            code = _COLD_START.format(path=str(path), first_run=_FIRST_RUN[runner])
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            if result.returncode == 0:
                found.setdefault(name, []).append(json.loads(result.stdout.splitlines()[-1]))
    return {
        name: {
            "seconds": statistics.median(start["seconds"] for start in starts),
            "cpu_seconds": statistics.median(start["cpu_seconds"] for start in starts),
            "peak_mb": statistics.median(start["peak_bytes"] for start in starts) / 1e6,
            "imports_torch": any(start["torch"] for start in starts),
        }
        for name, starts in found.items()
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--artifact", type=Path, help="packed file; ResNet20 with random weights if left out")
    parser.add_argument("--batches", default="1,64")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    batches = [int(size) for size in arguments.batches.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.artifact or Path(folder, "resnet20.packed")
        if arguments.artifact is None:
            write_resnet20(path)
        network = read_network(path)
        files = {"greenshift": ("greenshift", path)}
        for form, export in (("float32", export_float_onnx), ("int8", export_onnx)):
            try:
                export(network, Path(folder, f"{form}.onnx"))
            except InputError:
                continue  # `absent` of every comparison says why
            files[f"onnxruntime-{form}"] = "onnxruntime", Path(folder, f"{form}.onnx")
            files[f"openvino-{form}"] = "openvino", Path(folder, f"{form}.onnx")
        isas = [isa for isa in available_isas() if isa != "reference"]
        results = {
            isa or "default": compare(
                path, get_peers(list(PEERS)), batches=batches, rounds=arguments.rounds, isa=isa
            ).to_json()
            for isa in (None, *isas)
        }
        found = {
            "machine": machine().cpu,
            "network": str(arguments.artifact or "ResNet20, 32 x 32 x 3, 4-bit shift, random weights"),
            "macs": network.macs,
            "comparisons": results,
            "cold_start": cold_starts(files),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
