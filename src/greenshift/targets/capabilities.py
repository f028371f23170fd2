"""What a target can do, read off its kernels and prices, and off what they cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from greenshift.errors import InputError
from greenshift.profile import Arithmetic, LayerProfile, NetworkProfile
from greenshift.targets.model import cost
from greenshift.targets.target import Ability, CyclesModel, OperationsModel, RooflineModel, Target

_NOTICEABLE = 0.01  # savings below this share are no reason for a scheme


@dataclass(frozen=True)
class Capabilities:
    """What a target can do; a network saves only what this lets it save.

    Attributes:
        fp32: Multiplies 32-bit floats in hardware.
        int8_simd: Multiplies several int8 values at once.
        multiplier: Multiplies integers in hardware.
        popcount: Has a kernel for binary weights.
        sparsity: Zero weights save energy wherever they lie.
        style: What runs layers: `units` built for the job, or the names of the kernels.
        energy_over_int8: Energy of one ordinary 3x3 convolution relative to int8, by the numbers that it is
            stored in; None where the target cannot run it.
    """

    fp32: bool
    int8_simd: bool
    multiplier: bool
    popcount: bool
    sparsity: bool
    style: tuple[str, ...]
    energy_over_int8: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return the capabilities as a JSON object."""
        return {**asdict(self), "style": list(self.style)}


def capabilities(target: Target) -> Capabilities:
    """Say what a target can do.

    Args:
        target: The target.
    """
    model = target.model
    energies = {name: _energy_j(layer, target) for name, layer in _PROBES.items()}
    base = energies["int8"]
    ratios = {name: None if base is None or energy is None else energy / base for name, energy in energies.items()}
    sparse = {name: _energy_j(replace(layer, sparsity=0.5), target) for name, layer in _PROBES.items()}
    if isinstance(model, OperationsModel):
        return Capabilities(model.fp32 is not None, True, True, False, sparse != energies, ("units",), ratios)
    abilities = {kernel.name: kernel.ability for kernel in model.kernels}
    real = [ability for ability in abilities.values() if not ability.emulated]
    return Capabilities(
        fp32=any(_runs(ability, "float", 32) for ability in real),
        int8_simd=any(_runs(ability, "int", 8) and ability.simd for ability in real),
        multiplier=any(_runs(ability, "int", 8) for ability in real),
        popcount=any("binary" in ability.runs for ability in real),
        sparsity=sparse != energies,
        style=tuple(abilities),
        energy_over_int8=ratios,
    )


def energy_over_int8(
    target: Target, arithmetic: Arithmetic, weight_bits: int, act_bits: int, weight_levels: int = 0
) -> float | None:
    """Energy of one ordinary 3x3 convolution relative to int8, None where the target cannot run it or has no energies.

    Args:
        target: The target.
        arithmetic: What one multiply-accumulate is.
        weight_bits: Bits of a stored weight.
        act_bits: Bits of an activation.
        weight_levels: Number of different exponents of a shift weight.
    """
    energy, base = (
        _energy_j(layer, target)
        for layer in (_probe(arithmetic, weight_bits, act_bits, weight_levels), _PROBES["int8"])
    )
    return None if energy is None or base is None else energy / base


def look_up_over_int8(target: Target) -> float | None:
    """Energy of looking up a function of every output of an ordinary int8 3x3 convolution, relative to the convolution.

    The function replaces a clamp, which the convolution itself applies.

    Args:
        target: The target.

    Returns:
        The share, or None where the target cannot run one of the two, or has no energies.
    """
    convolution = _PROBES["int8"]
    values = convolution.output_shape
    look_up = LayerProfile(
        "look-up", "elementwise", "int", values, values, 0, act_bits=8, output_bits=8, ops=prod(values),
        parameter_bytes=2**8,
    )  # fmt: skip
    base, both = _energy_j(convolution, target), _energy_j(convolution, target, look_up)
    return None if base is None or both is None else both / base - 1


def no_gain(
    target: Target, arithmetic: Arithmetic, weight_bits: int, act_bits: int, levels: int = 0, *, name: str = ""
) -> str | None:
    """Say why layers of some numbers save no energy on a target, next to int8 ones.

    Args:
        target: The target.
        arithmetic: What a multiply-accumulate of theirs is, as in a layer's profile.
        weight_bits: Bits of a weight.
        act_bits: Bits of an activation.
        levels: Number of exponents of a shift weight.
        name: What to call the layers; by their arithmetic if empty.

    Returns:
        One line, or None if they cost less than int8, or nothing can be compared as the target has no int8.
    """
    layer = _probe(arithmetic, weight_bits, act_bits, levels)
    # Traffic aside: the same bytes, so that only the arithmetic is compared.
    energy_j, int8_j = (_energy_j(replace(p, parameter_bytes=0), target) for p in (layer, _PROBES["int8"]))
    kind = f"{name or arithmetic} layers of {weight_bits}-bit weights and {act_bits}-bit activations"
    if energy_j is None:
        return f"{target.name} cannot run {kind}"
    if int8_j is None or energy_j < (1 - _NOTICEABLE) * int8_j:
        return None
    counts = capabilities(target).popcount if min(weight_bits, act_bits) == 1 else True
    why = "" if counts else ", as it has no kernel that counts bits"
    return f"{target.name} gains nothing from {kind} over int8{why}; only the file gets smaller"


def memory_bytes(target: Target) -> dict[str, float | None]:
    """Memories of a target by name, nearest first; None for one without end. Empty where they are not modelled."""
    match target.model:
        case CyclesModel() as model:
            return {"flash": model.flash_bytes.value, "ram": model.ram_bytes.value}
        case OperationsModel() as model:
            beyond: dict[str, float | None] = {} if model.dram_pj_per_byte is None else {"dram": None}
            return {"sram": model.sram_bytes.value, **beyond}
        case RooflineModel() as model:
            levels = model.memories
            return {
                level.name: None if level.capacity_bytes is None else level.capacity_bytes.value for level in levels
            }
        case _:
            return {}


def _runs(ability: Ability, arithmetic: str, bits: int) -> bool:
    limits = (ability.max_act_bits, ability.max_weight_bits)
    return arithmetic in ability.runs and all(most is None or most.value >= bits for most in limits)


def _energy_j(layer: LayerProfile, target: Target, *after: LayerProfile) -> float | None:
    try:
        return cost(NetworkProfile((layer, *after), layer.input_shape), target).energy_j
    except InputError:
        return None


def _probe(arithmetic: Arithmetic, weight_bits: int, act_bits: int, levels: int = 0) -> LayerProfile:
    """A 3x3 convolution of 16 channels, small enough for the flash of every target."""
    shape, weights = (16, 16, 16), 16 * 16 * 9
    return LayerProfile(
        "probe",
        "conv",
        arithmetic,
        shape,
        shape,
        weights * 16 * 16,
        weights=weights,
        weight_bits=weight_bits,
        act_bits=act_bits,
        output_bits=8 if arithmetic == "binary" else act_bits,  # signs are taken of sums, which are kept in bytes
        parameter_bytes=weights * weight_bits // 8,
        weight_levels=levels,
    )


_PROBES = {
    "float32": _probe("float", 32, 32),
    "float16": _probe("float", 16, 16),
    "int8": _probe("int", 8, 8),
    "int4": _probe("int", 4, 8),
    "shift4": _probe("shift", 4, 8, 7),
    "shift5": _probe("shift", 5, 8, 15),
    "ternary": _probe("shift", 2, 8, 1),
    "binary": _probe("binary", 1, 1),
}
