"""Runs a network with the compiled library: one call for a whole batch, and the same bytes on every processor."""

import ctypes
import math
import os
import threading
import weakref
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.native import KEEP_MAPS, NO_FUSION, create, load_library
from greenshift.deploy.network import Bytes, Network
from greenshift.deploy.reference import Floats, run_reference, run_steps
from greenshift.errors import InputError

ISA_VARIABLE = "GREENSHIFT_ISA"
_ALIGNMENT = 64


class Runtime:
    """A network ready to run. Any number of threads may run one at the same time.

    Without the compiled library it runs on NumPy, thousands of times slower, and `kernel` says so and why.

    Args:
        network: A valid network.
        isa: `reference`, `avx2`, `vnni` or `amx`; None for what GREENSHIFT_ISA says or else the best of the processor.
        keep_maps: Keep the output of every step, for `step_output`.
        fuse: Let convolutions do the additions that follow them.

    Raises:
        InputError: The processor lacks the instruction set, there is no library that could have it, or the network
            is not valid.
    """

    def __init__(self, network: Network, isa: str | None = None, *, keep_maps: bool = False, fuse: bool = True) -> None:
        self.network = network
        self._image_shape = network.input.shape
        self._logits_each = math.prod(network.steps[-1].shape)
        self._keep_maps = keep_maps
        self._threads = threading.local()
        self._handle: int | None = None
        isa = isa or os.environ.get(ISA_VARIABLE) or None
        library = load_library()
        if isinstance(library, str):
            if isa is not None:
                raise InputError(f"{isa} was asked for ({ISA_VARIABLE}), but {library}: unset it to run on NumPy")
            self.kernel = f"numpy reference: {library}"
            return
        self._library = library
        flags = KEEP_MAPS * keep_maps | NO_FUSION * (not fuse)
        self._handle = create(library, network, isa, flags)
        weakref.finalize(self, library.gs_destroy, self._handle)
        self.kernel = cast(bytes, library.gs_kernel(self._handle)).decode()

    def run(self, images: Bytes) -> Floats:
        """Return the logits of images.

        Args:
            images: uint8 (batch, height, width, channels).

        Returns:
            float32 (batch, classes).

        Raises:
            InputError: The images are of another shape or type.
        """
        images = self._checked(images)
        if self._handle is None:
            return run_reference(self.network, images)
        batch = len(images)
        logits = np.empty((batch, self._logits_each), np.float32)
        self._library.gs_run(self._handle, _address(images), _address(logits), batch, self._arena(batch))
        return logits

    def profile(self, images: Bytes, repeats: int = 100) -> list[tuple[str, str, float]]:
        """Return name, kernel and median seconds of every step that runs, for all of these images.

        Raises:
            InputError: There is no compiled library, or the images are of another shape or type.
        """
        images = self._checked(images)
        if self._handle is None:
            raise InputError(f"steps cannot be timed on the {self.kernel}")
        times_ns = np.zeros((repeats, len(self.network.steps)), np.int64)
        logits, arena = np.empty((len(images), self._logits_each), np.float32), self._arena(len(images))
        for row in times_ns:
            addresses = _address(images), _address(logits), len(images), arena, _address(row)
            self._library.gs_profile(self._handle, *addresses)
        kernels = [self._library.gs_step_kernel(self._handle, i) for i in range(len(self.network.steps))]
        return [
            (step.name, kernel.decode(), float(time_ns) * 1e-9)
            for step, kernel, time_ns in zip(self.network.steps, kernels, np.median(times_ns, axis=0), strict=True)
            if kernel is not None
        ]

    def step_output(self, images: Bytes, step: int) -> Bytes | None:
        """Run images and return the map of one step, or None if the step before it does its work.

        Args:
            images: uint8 (batch, height, width, channels).
            step: Index of a step other than the last, whose output `run` gives.

        Raises:
            InputError: The runtime was made without `keep_maps`, or the images are of another shape or type.
        """
        if not self._keep_maps:
            raise InputError("outputs of steps are only there in a runtime that was made with keep_maps=True")
        images = self._checked(images)
        if self._handle is None:
            return cast(Bytes, run_steps(self.network, images)[step])
        self.run(images)
        output = np.empty((len(images), *self.network.steps[step].shape), np.uint8)
        batch, arena = len(images), self._arena(len(images))
        found = self._library.gs_step_output(self._handle, arena, batch, step, _address(output))
        return None if found < 0 else output

    def _checked(self, images: Bytes) -> Bytes:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self._image_shape:
            wanted = ", ".join(str(length) for length in self._image_shape)
            raise InputError(
                f"images are {images.dtype} {images.shape}, but the network takes uint8 (batch, {wanted}): "
                "height, width, channels"
            )
        return images if images.flags.c_contiguous else np.ascontiguousarray(images)

    def _arena(self, batch: int) -> int:
        """Return the address of this thread's arena, which fits at least `batch` images."""
        if batch > getattr(self._threads, "batch", -1):
            size_bytes = self._library.gs_arena_bytes(self._handle, batch)
            memory = np.empty(size_bytes + _ALIGNMENT, np.uint8)
            address = -(-_address(memory) // _ALIGNMENT) * _ALIGNMENT
            self._library.gs_arena_prepare(self._handle, batch, address)
            self._threads.memory, self._threads.address, self._threads.batch = memory, address, batch
        return cast(int, self._threads.address)


def _address(values: NDArray[Any]) -> int:
    # values.ctypes.data takes several microseconds, four times as long; a buffer must be writable and not empty.
    if values.flags.writeable and values.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(cast(bytearray, values)))
    return values.ctypes.data


def available_isas() -> list[str]:
    """Return the instruction sets that this processor and library have, the best one first."""
    library = load_library()
    if isinstance(library, str):
        return []
    return [isa for isa in ("amx", "vnni", "avx2", "reference") if library.gs_has_isa(isa.encode())]
