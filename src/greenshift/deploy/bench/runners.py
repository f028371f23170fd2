"""How each runtime loads a network and runs a batch: what a worker does with its share of a comparison."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """What one worker runs.

    Attributes:
        runner: A name of `RUNNERS`.
        file: The network: packed, or ONNX.
        images: NumPy file of a batch of images as the runner takes them, as large as the largest batch.
        threads: Threads that the runner may use.
        options: Of the runner: OpenVINO's properties.
    """

    runner: str
    file: str
    images: str
    threads: int
    options: Mapping[str, str]


@dataclass(frozen=True)
class Loaded:
    """A network ready to run.

    Attributes:
        kernel: What computes, in a word or two.
        version: Version of the runtime, or None for greenshift itself.
        prepare: Returns what runs the first images of a batch of the given size once and returns their logits.
    """

    kernel: str
    version: str | None
    prepare: Callable[[int], Run]


def load_job(job: Job) -> Loaded:
    """Load the network of a job."""
    return RUNNERS[job.runner](job, np.load(job.images))


def _greenshift(job: Job, images: NDArray[Any]) -> Loaded:
    from greenshift.deploy.file import read_network
    from greenshift.deploy.runtime import Runtime

    runtime = Runtime(read_network(Path(job.file)))

    def prepare(batch: int) -> Run:
        part = np.ascontiguousarray(images[:batch])
        return lambda: runtime.run(part)

    return Loaded(runtime.kernel, None, prepare)


def _torch(job: Job, images: NDArray[Any]) -> Loaded:
    import torch

    from greenshift.deploy.bench.torch_float import float_network
    from greenshift.deploy.file import read_network

    torch.set_num_threads(job.threads)
    network = float_network(read_network(Path(job.file)))

    def prepare(batch: int) -> Run:
        part = torch.from_numpy(images[:batch]).contiguous(memory_format=torch.channels_last)

        def run() -> NDArray[np.float32]:
            with torch.inference_mode():
                return network(part).numpy()

        return run

    capability = torch.backends.cpu.get_cpu_capability()
    return Loaded(f"eager float32, channels_last, {capability}", torch.__version__, prepare)


def _onnxruntime(job: Job, images: NDArray[Any]) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(job.file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def prepare(batch: int) -> Run:
        part = {name: np.ascontiguousarray(images[:batch])}
        return lambda: np.asarray(session.run(None, part)[0])

    return Loaded("CPUExecutionProvider", onnxruntime.__version__, prepare)


def _openvino(job: Job, images: NDArray[Any]) -> Loaded:
    import openvino

    core = openvino.Core()
    properties = {"INFERENCE_NUM_THREADS": job.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}

    def prepare(batch: int) -> Run:
        part = np.ascontiguousarray(images[:batch])
        model = core.read_model(job.file)
        model.reshape(list(part.shape))
        request = core.compile_model(model, "CPU", {**properties, **job.options}).create_infer_request()
        request.set_input_tensor(openvino.Tensor(part, shared_memory=True))

        def run() -> NDArray[np.float32]:
            request.infer(share_outputs=True)
            return np.asarray(request.get_output_tensor().data)

        return run

    return Loaded("CPU plugin", openvino.__version__, prepare)


RUNNERS: dict[str, Callable[[Job, NDArray[Any]], Loaded]] = {
    "greenshift": _greenshift,
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
