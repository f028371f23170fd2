"""Power-of-two layers: packed integers are those that were trained, and every runtime gives the simulated logits."""

import pytest
import torch
from packing_models import check_runtimes, converted, difference, images, packed

from greenshift.compress import PowerOfTwo
from greenshift.compress.power_of_two import power_of_two_weight
from greenshift.deploy.packing.layers import codes
from greenshift.deploy.validity import check
from greenshift.errors import InputError

X = images()
STORED = {
    PowerOfTwo(2): ("ternary", 2),
    PowerOfTwo(3): ("shift", 4),
    PowerOfTwo(4): ("shift", 4),
    PowerOfTwo(4, 4, rounding="log", scale="max"): ("shift", 4),
    PowerOfTwo(4, 8, step="learned"): ("shift", 4),
    PowerOfTwo(4, terms=2): ("int8", 8),
    PowerOfTwo(5, 4, terms=2): ("int8", 8),
    PowerOfTwo(7, terms=2): ("int8", 8),
}


@pytest.mark.parametrize("scheme", STORED)
def test_codes_are_what_the_layer_multiplies_by(scheme):
    head = converted(scheme, X)[6]
    found = codes(head, "head", allow_rounding=False)
    assert torch.equal((found.values * found.scale[:, None]).float(), power_of_two_weight(head).detach())
    assert set(found.values.abs().flatten().tolist()) <= set(map(float, scheme.magnitudes))
    assert (found.storage.kind, found.storage.bits) == STORED[scheme]
    assert (found.rounded, found.scheme[:19]) == (0, f"power of two, {scheme.weight_bits}-bit")


@pytest.mark.parametrize("scheme", STORED)
def test_the_packed_file_gives_the_simulated_logits_on_every_runtime(scheme, tmp_path):
    trained = converted(scheme, X)
    network, report = packed(trained, X)
    check(network)
    assert {(layer.kind, layer.rounded) for layer in report.layers} == {(STORED[scheme][0], 0)}
    # Inputs of four bits fall on the other side of a boundary now and then.
    assert difference(trained, network, X) < (0.06 if scheme.act_bits == 8 else 0.15)
    check_runtimes(network, X, tmp_path / "a.packed")


def test_weights_that_are_not_finite():
    trained = converted(PowerOfTwo(), X)
    with torch.no_grad():
        trained[3].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match="3 has weights that are not finite"):
        packed(trained, X)
