"""Power-of-two layers: packed integers are those that were trained, and every runtime gives the simulated logits."""

import numpy as np
import pytest
import torch
from packing_models import difference, images, packed, raw, settled
from torch import nn

from greenshift.compress import PowerOfTwo, convert
from greenshift.compress.power_of_two import power_of_two_weight
from greenshift.deploy.file import read_network, write_network
from greenshift.deploy.packing import simulate
from greenshift.deploy.packing.layers import codes
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import Runtime, available_isas
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


def model(scheme):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 5),
    )
    return settled(convert(network, {"*": scheme}, X)[0], X)


@pytest.mark.parametrize("scheme", STORED)
def test_codes_are_what_the_layer_multiplies_by(scheme):
    head = model(scheme)[6]
    found = codes(head, "head", allow_rounding=False)
    assert torch.equal((found.values * found.scale[:, None]).float(), power_of_two_weight(head).detach())
    assert set(found.values.abs().flatten().tolist()) <= set(map(float, scheme.magnitudes))
    assert (found.storage.kind, found.storage.bits) == STORED[scheme]
    assert (found.rounded, found.scheme[:19]) == (0, f"power of two, {scheme.weight_bits}-bit")


@pytest.mark.parametrize("scheme", STORED)
def test_the_packed_file_gives_the_simulated_logits_on_every_runtime(scheme, tmp_path):
    trained = model(scheme)
    network, report = packed(trained, X)
    check(network)
    assert {(layer.kind, layer.rounded) for layer in report.layers} == {(STORED[scheme][0], 0)}
    # Inputs of four bits fall on the other side of a boundary now and then.
    assert difference(trained, network, X) < (0.06 if scheme.act_bits == 8 else 0.15)
    write_network(tmp_path / "a.packed", network)
    read = read_network(tmp_path / "a.packed")
    simulated = simulate(network)(X).numpy()
    np.testing.assert_array_equal(run_reference(read, raw(X)), simulated)
    for isa in available_isas():
        np.testing.assert_array_equal(Runtime(read, isa).run(raw(X)), simulated, err_msg=isa)


def test_weights_that_are_not_finite():
    trained = model(PowerOfTwo())
    with torch.no_grad():
        trained[3].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match="3 has weights that are not finite"):
        packed(trained, X)
