"""Which layer runs in which way on a target: fast, and within its flash."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from greenshift.deploy.c_export import weights
from greenshift.deploy.network import Convolution, Network
from greenshift.errors import InputError
from greenshift.targets.kernels import Option, choose
from greenshift.targets.target import CyclesModel, Kernel, Target
from greenshift.targets.uncertainty import product_factor

# int8 C in blocks of four outputs over SMLAD kernels on a Cortex-M4, both from the catalog's instruction model (4.0 and
# 1.73 cycles per MAC); assumed for the other cores with SMLAD. Exported C has no SMLAD.
_PLAIN_OVER_SMLAD, _PLAIN_FACTOR = 4.0 / 1.73, 1.6
_POPCOUNT = "binary-popcount"  # what targets call the kernel
# Flash of one addition in straight code with its share of shifts and loads, measured with GCC 12 on 4-bit shift weights
# in blocks of four outputs; the largest holds for instruction sets that were not measured and where no load is shared.

_BYTES_PER_TERM, _LARGEST_BYTES_PER_TERM = {"cort": 4.9, "rv32": 6.6}, 6.6


@dataclass(frozen=True)
class Chosen:
    """How a layer runs.

    Attributes:
        implementation: `popcount`, `generated`, `lists` or `loops`.
        cycles: Modelled cycles for one image.
        factor: Uncertainty factor of the cycles.
        flash_bytes: Modelled flash of its weights or code.
    """

    implementation: str
    cycles: float
    factor: float
    flash_bytes: int


def cycles_model(target: Target) -> CyclesModel:
    """Return the cycle model of a target.

    Raises:
        InputError: If the target has none.
    """
    if not isinstance(target.model, CyclesModel):
        raise InputError(
            f"target '{target.name}' is no processor with a cycle model, so no C is exported for it; "
            "take one such as cortex-m0, cortex-m4 or rv32imc"
        )
    return target.model


def has_popcount(target: Target) -> bool:
    """Say whether a target has a figure for counting bits."""
    return any(kernel.name == _POPCOUNT for kernel in cycles_model(target).kernels)


def choose_implementations(
    network: Network, target: Target, taken_bytes: int, signs: Collection[int], only: str | None = None
) -> dict[int, Chosen]:
    """Choose for each convolution, by its index among the steps.

    Args:
        network: The network.
        target: A target with a cycle model.
        taken_bytes: Flash that everything else of the export takes.
        signs: Steps that give bits; the layers that read them have no choice.
        only: The one implementation to use, or None to choose.

    Raises:
        InputError: If the network does not fit the flash even in its smallest form; names the largest layer.
    """
    model = cycles_model(target)
    layers = {index: step for index, step in enumerate(network.steps) if isinstance(step, Convolution)}
    candidates = [
        [option for option in _options(layer, network, model, target.name, signs) if only in (None, option.kernel)]
        for layer in layers.values()
    ]
    room = model.flash_bytes.value - model.flash_reserved_bytes.value - taken_bytes
    options = choose(candidates, room)
    if sum(option.size_bytes for option in options) > room:
        raise _too_large(list(layers.values()), options, room, target.name)
    return {
        index: Chosen(option.kernel, option.cycles, option.factor, option.size_bytes)
        for index, option in zip(layers, options, strict=True)
    }


def _too_large(layers: Sequence[Convolution], options: Sequence[Option], room: float, target: str) -> InputError:
    total = sum(option.size_bytes for option in options)
    largest, layer = max((option.size_bytes, layer.name) for option, layer in zip(options, layers, strict=True))
    return InputError(
        f"target {target}: weights need {total / 1e3:.1f} kB of flash and {max(room, 0) / 1e3:.1f} kB are free; layer "
        f"'{layer}' is the largest with {largest / 1e3:.1f} kB: make it narrower, or take a target with more flash"
    )


def _options(
    layer: Convolution, network: Network, model: CyclesModel, target: str, signs: Collection[int]
) -> list[Option]:
    """All ways to run a layer, fastest first."""
    source = network.steps[layer.sources[0]]
    kernels = {kernel.name: kernel for kernel in model.kernels}
    if layer.sources[0] in signs:
        figure = _kernel(kernels, target, _POPCOUNT).cycles_per_mac
        return [Option("popcount", layer.macs * figure.value, figure.factor, weights.popcount_bytes(layer))]
    found = [
        _loops(layer, kernels, target),
        _lists(layer, source.shape[2], _kernel(kernels, target, "shift-lists")),
        _generated(layer, kernels, target),
    ]
    if 1 < layer.groups == layer.shape[2]:
        ratio = model.depthwise_ratio
        found = [
            Option(o.kernel, o.cycles * ratio.value, product_factor(o.factor, ratio.factor), o.size_bytes)
            for o in found
        ]
    return sorted(found, key=lambda option: (option.cycles, option.size_bytes))


def _kernel(kernels: dict[str, Kernel], target: str, *names: str) -> Kernel:
    """The first kernel that the target has."""
    for name in names:
        if name in kernels:
            return kernels[name]
    raise InputError(f"target {target}: has no kernel {' or '.join(names)}, whose cycles the C export needs")


def _loops(layer: Convolution, kernels: dict[str, Kernel], target: str) -> Option:
    kernel = _kernel(kernels, target, "int8", "int8-software", "int8-smlad")
    figure = kernel.cycles_per_mac
    plain = (_PLAIN_OVER_SMLAD, _PLAIN_FACTOR) if kernel.ability.simd else (1.0, 1.0)
    cycles = layer.macs * figure.value * plain[0]
    return Option("loops", cycles, product_factor(figure.factor, plain[1]), weights.loops_bytes(layer))


def _lists(layer: Convolution, channels: int, kernel: Kernel) -> Option:
    entries, _ = weights.lists_entries(layer, channels)
    figure = kernel.cycles_per_mac
    size_bytes = weights.entry_bytes(entries) * len(entries)
    return Option("lists", _term_macs(layer, kernel) * figure.value, figure.factor, size_bytes)


def _generated(layer: Convolution, kernels: dict[str, Kernel], target: str) -> Option:
    names: tuple[str, ...] = ("shift-generated",)
    if layer.storage.kind in ("ternary", "binary"):
        names = ("ternary-generated", *names)
    kernel = _kernel(kernels, target, *names)
    figure, term_count = kernel.cycles_per_mac, weights.terms(layer)
    shared = layer.groups < layer.shape[2]
    bytes_per_term = _BYTES_PER_TERM.get(target[:4], _LARGEST_BYTES_PER_TERM) if shared else _LARGEST_BYTES_PER_TERM
    cycles = _term_macs(layer, kernel) * figure.value
    return Option("generated", cycles, figure.factor, round(term_count * bytes_per_term))


def _term_macs(layer: Convolution, kernel: Kernel) -> float:
    """Additions of a layer, as multiply-accumulates at the share of zeros at which the kernel's speed was taken."""
    share = kernel.ability.zero_share
    return layer.shape[0] * layer.shape[1] * weights.terms(layer) / (1 - (share.value if share else 0))
