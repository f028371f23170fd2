"""Small models to pack, and how far a packed one is from the float one."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from greenshift.compress import convert
from greenshift.deploy.file import read_network, write_network
from greenshift.deploy.network import Network
from greenshift.deploy.packing import PackReport, simulate, to_network
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import Runtime, available_isas
from greenshift.schemes import Scheme

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def images(count: int = 16, channels: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    """Random images whose values are bytes / 255, with some structure in them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, -(-size // 4), -(-size // 4), generator=generator)
    fine = torch.rand(count, channels, size, size, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return ((0.7 * smooth + 0.3 * fine) * 255).round() / 255


def settled(model: nn.Module, x: Tensor, seed: int = 1) -> nn.Module:
    """Give batch norms statistics, and factors of both signs."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            with torch.no_grad():
                sign = torch.where(torch.rand(module.num_features, generator=generator) < 0.3, -1.0, 1.0)
                module.weight.copy_(sign * (0.5 + torch.rand(module.num_features, generator=generator)))
                module.bias.copy_(torch.randn(module.num_features, generator=generator) * 0.3)
    model.train()
    with torch.no_grad():
        for _ in range(30):
            model(normalised(x))
    return model.eval()


def normalised(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(v[: x.shape[1]]).view(-1, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


def raw(x: Tensor) -> np.ndarray:
    return (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def packed(model: nn.Module, x: Tensor, **options: object) -> tuple[Network, PackReport]:
    channels = x.shape[1]
    return to_network(model, x, mean=MEAN[:channels], std=STD[:channels], **options)


def difference(model: nn.Module, network: Network, x: Tensor) -> float:
    """Largest difference of logits as a share of the largest one; reference and simulation have to be one."""
    with torch.no_grad():
        wanted = model(normalised(x)).numpy()
        simulated = simulate(network)(x).numpy()
    found = run_reference(network, raw(x))
    np.testing.assert_array_equal(simulated, found)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def small(seed: int = 0) -> nn.Module:
    """Two convolutions and a linear layer, one batch norm."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 5),
    )


def converted(scheme: Scheme, x: Tensor, seed: int = 0) -> nn.Module:
    """The small network, all of a scheme."""
    return settled(convert(small(seed), {"*": scheme}, x)[0], x)


def check_runtimes(network: Network, x: Tensor, file: Path) -> None:
    """See that every runtime gives the simulated logits to the bit, from the packed file."""
    write_network(file, network)
    read = read_network(file)
    simulated = simulate(network)(x).numpy()
    np.testing.assert_array_equal(run_reference(read, raw(x)), simulated)
    for isa in available_isas():
        np.testing.assert_array_equal(Runtime(read, isa).run(raw(x)), simulated, err_msg=isa)
