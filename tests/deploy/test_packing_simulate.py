"""The float simulation gives the bytes of the reference."""

import numpy as np
import pytest
import torch
from random_networks import INT8, SHIFT4, SHIFT5, everything, residual

from greenshift.deploy.packing import simulate
from greenshift.deploy.reference import run_reference, run_steps

NETWORKS = {
    "everything": everything,
    "residual": lambda seed: residual(seed, blocks=1, size=16),
    "residual of 5 bits": lambda seed: residual(seed, blocks=1, size=8, storage=SHIFT5),
    "wide residual of int8": lambda seed: residual(seed, blocks=1, channels=48, size=8, storage=INT8),
    "wide residual": lambda seed: residual(seed, blocks=1, channels=96, size=4, storage=SHIFT4),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_map_has_the_bytes_of_the_reference(name, seed):
    network = NETWORKS[name](seed)
    raw = np.random.default_rng(seed).integers(0, 256, (3, *network.input.shape)).astype(np.uint8)
    images = torch.from_numpy(raw).permute(0, 3, 1, 2).float() / 255
    simulated = simulate(network)
    with torch.no_grad():
        maps = simulated.maps(images)
    for step, found, wanted in zip(network.steps, maps, run_steps(network, raw), strict=True):
        values = found.permute(0, 2, 3, 1).numpy()
        if step.grid is not None:
            values = values * 2.0**-step.grid.exponent + step.grid.zero
        np.testing.assert_array_equal(values, wanted, err_msg=step.name)
    with torch.no_grad():
        logits = simulated(images).numpy()
    wanted = run_reference(network, raw)
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_sums_that_float32_cannot_hold_are_in_float64():
    network = residual(0, blocks=1, channels=16, size=8, storage=SHIFT5)
    weights = {name: value.dtype for name, value in simulate(network).named_buffers() if name.startswith("weight")}
    assert torch.float64 in weights.values()
    weights = {value.dtype for _, value in simulate(residual(0, blocks=1, size=8)).named_buffers()}
    assert weights == {torch.float32}
