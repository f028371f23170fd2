"""The last step of a study: train the chosen design on all training images and test it, once."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from greenshift.artifacts import Artifact, load_network, save_artifact, start_for, teacher_for
from greenshift.design import Design
from greenshift.energy import Reading, meter
from greenshift.networks import image_shape, load_splits, train_design
from greenshift.records import DataChoice, WeightFile
from greenshift.train import choose_compute, error_rate


@dataclass(frozen=True)
class FinalResult:
    """Test errors of one design over several seeds, measured in float32.

    Attributes:
        seeds: The seeds.
        test_errors: Share of wrong test images per seed.
        artifact: File of the network of the first seed; not the best one, which would be chosen on test images.
        reading: What the trainings consumed.
    """

    seeds: tuple[int, ...]
    test_errors: tuple[float, ...]
    artifact: Path
    reading: Reading

    @property
    def mean(self) -> float:
        """Mean test error."""
        return statistics.fmean(self.test_errors)

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the test error, None for one seed."""
        return statistics.stdev(self.test_errors) if len(self.test_errors) > 1 else None


def retrain(
    design: Design,
    data: DataChoice,
    seeds: Sequence[int],
    artifact: Path,
    *,
    epochs: int,
    teacher: WeightFile | None = None,
    init: WeightFile | None = None,
    threads: int = 1,
    cpu_watts: float | None = None,
    on_seed: Callable[[int, float], None] | None = None,
) -> FinalResult:
    """Train a design on training and validation images with several seeds and test each network once.

    Args:
        design: The chosen design.
        data: The study's images; its split decides nothing here but which images are test images.
        seeds: At least one seed.
        artifact: Where to write the network of the first seed.
        epochs: Epochs of each training.
        teacher: What the network learns from if the design's recipe distils.
        init: Float weights that each training starts from, or None for random ones.
        threads: Threads for tensor arithmetic.
        cpu_watts: Watts of a busy core where there is no counter.
        on_seed: Called with every seed and its test error.

    Raises:
        DivergedError: If a training diverges.
        InputError: If the design distils and its teacher is missing or does not fit, or `init` does not fit.
    """
    torch.set_num_threads(threads)
    dataset, splits = load_splits(data, design.resolution)
    about = {} if teacher is None or design.recipe.distillation is None else {"teacher_sha256": teacher.sha256}
    about |= {} if init is None else {"init_sha256": init.sha256}
    errors: list[float] = []
    with meter(cpu_watts) as metered:
        learned_from = teacher_for(design.recipe, teacher, data, design.resolution)
        start = start_for(init, data)
        for seed in seeds:
            model, _, _ = train_design(
                design, data, epochs=epochs, seed=seed, final=True, start=start, teacher=learned_from
            )
            errors.append(error_rate(model, dataset, splits.test, choose_compute("float32")))
            if len(errors) == 1:
                save_artifact(artifact, model, design, dataset, {"seed": seed, "test_error": errors[0], **about})
            if on_seed is not None:
                on_seed(seed, errors[-1])
    return FinalResult(tuple(seeds), tuple(errors), artifact, metered.reading)


def checkpoint_error(checkpoint: Path, model: str | None, data: DataChoice, threads: int) -> tuple[float, int]:
    """Test error of weights from a file.

    Args:
        checkpoint: An artifact of greenshift, or weights (safetensors or a torch state dict) of `model`.
        model: Model name; may be None for an artifact, which knows its own.
        data: Whose test images to use.
        threads: Threads for tensor arithmetic.

    Returns:
        Share of wrong test images, and their number.

    Raises:
        InputError: If the file does not fit the model or the data, or no model is named where one is needed.
    """
    torch.set_num_threads(threads)
    found = load_network(checkpoint, image_shape(data), model, asked=data.name)
    dataset, splits = load_splits(data, found.design.resolution if isinstance(found, Artifact) else None)
    compute = choose_compute("float32")
    network = compute.place(found.model if isinstance(found, Artifact) else found)
    return error_rate(network, dataset, splits.test, compute), len(splits.test)
