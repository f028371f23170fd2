"""Large linear layers: kept as 4-bit codes where their weights allow it, and always the reference's sums."""

import numpy as np
import pytest

from deploy.random_networks import BINARY, INT8, SHIFT4, SHIFT5, TERNARY, random_weights
from greenshift.deploy.network import Convolution, Grid, Input, Network
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import Runtime, available_isas

FROM_CODES = "linear from 4-bit codes"
SIMD = [isa for isa in available_isas() if isa != "reference"]


def large_linear(storage, outputs=1030):
    """33 channels of a 6 x 6 map, so that neither a row of the map nor the outputs fill whole registers."""
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (33, 256), dtype=np.uint8)
    layer = Convolution(
        "linear",
        (0,),
        (1, 1, outputs),
        None,
        random_weights(rng, (outputs, 6, 6, 33), storage),
        rng.integers(-1000, 1000, outputs, dtype=np.int32),
        np.full(outputs, 2.0**-9, np.float32),
        storage,
    )
    return Network((Input("input", (6, 6, 33), Grid(-6, 128), table), layer))


@pytest.mark.skipif(not SIMD, reason="the compiled library is missing or has no SIMD for this processor")
@pytest.mark.parametrize("isa", SIMD)
@pytest.mark.parametrize("storage", [SHIFT4, SHIFT5, INT8, TERNARY, BINARY], ids=lambda s: f"{s.kind}{s.bits}")
def test_large_layers_give_the_sums_of_the_reference(storage, isa):
    network = large_linear(storage)
    images = np.random.default_rng(1).integers(0, 256, (5, 6, 6, 33), dtype=np.uint8)
    runtime = Runtime(network, isa)
    assert (runtime.profile(images)[-1][1] == FROM_CODES) == (storage not in (SHIFT5, INT8))
    wanted = run_reference(network, images)
    for batch in range(1, 6):
        np.testing.assert_array_equal(runtime.run(images[:batch]), wanted[:batch])


@pytest.mark.skipif(not SIMD, reason="the compiled library is missing or has no SIMD for this processor")
def test_a_layer_that_fits_the_cache_is_kept_as_bytes():
    runtime = Runtime(large_linear(SHIFT4, outputs=64))
    assert runtime.profile(np.zeros((1, 6, 6, 33), np.uint8))[-1][1] != FROM_CODES
