"""Images per second of training ResNet20: fused shift and binary layers against unfused formulations and float32.

Every variant trains on the same random batch; variants take turns and the ratios are taken per round,
so that a drift of the machine's speed cancels.

    python benchmarks/training_speed.py --rounds 7 --threads 1
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from greenshift.compress import Binary, Depth, Shift, convert
from greenshift.compress.shift import add_shift_decay
from greenshift.design import Optimization
from greenshift.models import build_model
from greenshift.train.device import Precision, choose_compute
from greenshift.train.optimizers import build_optimizer
from unfused_shift import UnfusedConv2d, UnfusedLinear
from unfused_sign import unfuse_signs

Step = Callable[[], None]
IMAGE = (3, 32, 32)


def resnet20() -> nn.Module:
    """A fresh ResNet20 for CIFAR-10."""
    return build_model("resnet20", num_classes=10, in_channels=3, image_size=32)


def fused(kind: str) -> nn.Module:
    """ResNet20 with every layer converted by greenshift, at the paper's 5 bits and 16.16 activations."""
    return convert(resnet20(), {Depth(20): Shift(kind, 5, 16, 16)}, torch.zeros(1, *IMAGE))[0]  # type: ignore[arg-type]


def unfused(kind: str) -> nn.Module:
    """The same network with one autograd step per operation."""
    model = resnet20()
    scheme = Shift(kind, 5, 16, 16)  # type: ignore[arg-type]
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d):
                geometry = {"stride": layer.stride, "padding": layer.padding, "bias": layer.bias is not None}
                new: nn.Module = UnfusedConv2d(
                    layer.in_channels, layer.out_channels, layer.kernel_size, scheme=scheme, **geometry
                )
            elif isinstance(layer, nn.Linear):
                new = UnfusedLinear(layer.in_features, layer.out_features, scheme=scheme)
            else:
                continue
            setattr(parent, name, new)
    return model


def binary() -> nn.Module:
    """The Bi-Real ResNet20 with signs on both sides in all layers but the first and the last."""
    model = build_model("birealnet20", num_classes=10, in_channels=3, image_size=32)
    return convert(model, {"layer*": Binary(1)}, torch.zeros(1, *IMAGE))[0]


def training_step(model: nn.Module, batch: int, precision: Precision, channels_last: bool) -> Step:
    """Return a function that makes one SGD step."""
    compute = choose_compute(precision)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout).train()  # type: ignore[call-overload]
    images = torch.randn(batch, *IMAGE).to(memory_format=layout)
    labels = torch.randint(0, 10, (batch,))
    optimizer = build_optimizer(model, Optimization(lr=0.01))

    def step() -> None:
        optimizer.zero_grad()
        with compute.autocast():
            loss = nn.functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        add_shift_decay(model, 1e-4)
        optimizer.step()

    return step


def main() -> None:
    """Time all variants in turns and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="steps timed per variant and round")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    fast: Precision = choose_compute().precision
    quick = f"{fast}, channels_last"
    steps: dict[str, Step] = {}
    for kind in ("Q", "PS"):
        steps[f"unfused {kind}, float32"] = training_step(unfused(kind), args.batch, "float32", False)
        steps[f"fused {kind}, {quick}"] = training_step(fused(kind), args.batch, fast, True)
    steps[f"unfused W1A1, {quick}"] = training_step(unfuse_signs(binary()), args.batch, fast, True)
    steps[f"fused W1A1, {quick}"] = training_step(binary(), args.batch, fast, True)
    steps["float network, float32"] = training_step(resnet20(), args.batch, "float32", False)
    steps[f"float network, {quick}"] = training_step(resnet20(), args.batch, fast, True)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(args.rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(args.steps):
                step()
            seconds[name].append((time.perf_counter() - started) / args.steps)
    ratios = {}
    for kind, precision in (("Q", "float32"), ("PS", "float32"), ("W1A1", quick)):
        ours = seconds[f"fused {kind}, {quick}"]
        for peer in (f"unfused {kind}, {precision}", f"float network, {quick}"):
            values = [b / a for a, b in zip(ours, seconds[peer], strict=True)]
            ratios[f"{kind} over {peer}"] = {
                "median": statistics.median(values),
                "min": min(values),
                "max": max(values),
            }
    rates = {name: args.batch / statistics.median(values) for name, values in seconds.items()}
    capabilities = torch.cpu.get_capabilities()
    isa = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if capabilities.get(name)]
    cpu = {"name": capabilities.get("cpu_name"), "isa": isa, "threads": args.threads}
    print(json.dumps({"cpu": cpu, "images_per_s": rates, "ratios": ratios, "rounds": args.rounds}, indent=2))


if __name__ == "__main__":
    main()
