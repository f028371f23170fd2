"""The cost models as they stand in a target's file, each from its own tables."""

import itertools
from collections.abc import Callable, Mapping

from greenshift.errors import InputError
from greenshift.targets.table import Table
from greenshift.targets.target import (
    Ability,
    CyclesModel,
    Figure,
    FloatPrice,
    Kernel,
    MeasuredModel,
    Memory,
    Model,
    OperationsModel,
    RatedKernel,
    RooflineModel,
    TimedKernel,
    Timing,
)

_ARITHMETICS = ("float", "int", "shift", "binary")


def _operations(root: Table) -> OperationsModel:
    table = root.table("operations")
    beyond = table.together("dram_pj_per_byte", "dram_bytes_per_s")
    model = OperationsModel(
        int_multiply_pj_per_bit2=table.figure("int_multiply_pj_per_bit2"),
        int_add_pj_per_bit=table.figure("int_add_pj_per_bit"),
        int_bits=table.optional("int_bits"),
        fp16=_float_price(table, "fp16"),
        fp32=_float_price(table, "fp32"),
        shift_pj=_shift_points(table.table("shift_pj")) if "shift_pj" in table.names() else (),
        sram_bytes=table.figure("sram_bytes"),
        sram_pj_per_byte=table.figure("sram_pj_per_byte"),
        dram_pj_per_byte=table.figure("dram_pj_per_byte") if beyond else None,
        dram_bytes_per_s=table.positive("dram_bytes_per_s") if beyond else None,
        moves_per_byte=table.figure("moves_per_byte"),
        lanes=table.positive("lanes"),
        clock_hz=table.positive("clock_hz"),
        sram_bytes_per_s=table.positive("sram_bytes_per_s"),
        static_power_w=table.optional("static_power_w"),
    )
    table.done()
    return model


def _float_price(table: Table, width: str) -> FloatPrice | None:
    keys = table.together(f"{width}_multiply_pj", f"{width}_add_pj")
    return FloatPrice(*(table.figure(key) for key in keys)) if keys else None


def _shift_points(table: Table) -> tuple[tuple[int, Figure], ...]:
    points = []
    for key in table.names():
        if not key.isdecimal() or int(key) < 1:
            raise InputError(f"{table.path(key)}: keys are operand widths in bits, such as 8")
        points.append((int(key), table.figure(key)))
    points.sort(key=lambda point: point[0])
    if not points:
        raise InputError(f"{table.path()}: at least one operand width is needed, such as 8 = {{ value = ... }}")
    for (_, low), (bits, high) in itertools.pairwise(points):
        if high.value < low.value:
            raise InputError(f"{table.path(str(bits))}: a wider shift cannot cost less than a narrower one")
    return tuple(points)


def _cycles(root: Table) -> CyclesModel:
    table = root.table("cycles")
    model = CyclesModel(
        clock_hz=table.positive("clock_hz"),
        active_power_w=table.figure("active_power_w"),
        word_bits=table.positive("word_bits"),
        multiword_penalty=table.figure("multiword_penalty"),
        depthwise_ratio=table.figure("depthwise_ratio"),
        int_cycles_per_op=table.figure("int_cycles_per_op"),
        float_cycles_per_op=table.figure("float_cycles_per_op"),
        cycles_per_byte=table.figure("cycles_per_byte"),
        flash_bytes=table.figure("flash_bytes"),
        flash_reserved_bytes=table.figure("flash_reserved_bytes"),
        ram_bytes=table.figure("ram_bytes"),
        ram_reserved_bytes=table.figure("ram_reserved_bytes"),
        kernels=tuple(_kernel(name, kernel) for name, kernel in root.table("kernels").tables()),
    )
    table.done()
    return model


def _kernel(name: str, table: Table) -> Kernel:
    kernel = Kernel(
        name=name,
        ability=_ability(table),
        cycles_per_mac=table.figure("cycles_per_mac"),
        bytes_per_weight=_bytes_per_weight(table),
        multiword=table.flag("multiword"),
        unrolled=table.flag("unrolled"),
    )
    table.done()
    return kernel


def _bytes_per_weight(table: Table) -> Figure | None:
    packed = table.flag("packed")
    if packed and "bytes_per_weight" in table.names():
        raise InputError(f"{table.path('bytes_per_weight')}: packed weights have none; drop it or 'packed'")
    return None if packed else table.figure("bytes_per_weight")


def _ability(table: Table) -> Ability:
    runs = table.texts("runs")
    if not runs or not set(runs) <= set(_ARITHMETICS):
        raise InputError(f"{table.path('runs')}: a list of {', '.join(_ARITHMETICS)}, not {list(runs)}")
    zero_share = table.optional("zero_share")
    if zero_share is not None and zero_share.value >= 1:
        raise InputError(f"{table.path('zero_share')}: a share below 1 is needed, not {zero_share.value:g}")
    return Ability(
        runs=runs,
        max_act_bits=table.optional("max_act_bits"),
        max_weight_bits=table.optional("max_weight_bits"),
        max_levels=table.optional("max_levels"),
        zero_share=zero_share,
        simd=table.flag("simd"),
        emulated=table.flag("emulated"),
    )


def _roofline(root: Table) -> RooflineModel:
    table = root.table("roofline")
    model = RooflineModel(
        active_power_w=table.figure("active_power_w"),
        overhead_s_per_layer=table.figure("overhead_s_per_layer"),
        depthwise_ratio=table.figure("depthwise_ratio"),
        ops_per_s=table.positive("ops_per_s"),
        memories=_memories(root.table("memory")),
        kernels=tuple(_rated(name, kernel) for name, kernel in root.table("kernels").tables()),
    )
    table.done()
    return model


def _rated(name: str, table: Table) -> RatedKernel:
    kernel = RatedKernel(name, _ability(table), table.positive("macs_per_s"), _bytes_per_weight(table))
    table.done()
    return kernel


def _memories(root: Table) -> tuple[Memory, ...]:
    levels = []
    for name, table in root.tables():
        levels.append(Memory(name, table.optional("capacity_bytes"), table.positive("bytes_per_s")))
        table.done()
    capacities = [level.capacity_bytes for level in levels]
    if not levels or capacities[-1] is not None or None in capacities[:-1]:
        raise InputError(f"{root.path()}: every level but the last, which holds everything, needs capacity_bytes")
    for near, far in itertools.pairwise(levels):
        if near.bytes_per_s.value < far.bytes_per_s.value:
            raise InputError(f"{root.path(far.name)}: a farther level cannot be faster than a nearer one")
        if near.capacity_bytes and far.capacity_bytes and near.capacity_bytes.value > far.capacity_bytes.value:
            raise InputError(f"{root.path(far.name)}: a farther level cannot hold less than a nearer one")
    return tuple(levels)


def _measured(root: Table) -> MeasuredModel:
    table = root.table("measured")
    model = MeasuredModel(
        active_power_w=table.figure("active_power_w"),
        memory_bytes_per_s=table.positive("memory_bytes_per_s"),
        network_over_layers=table.figure("network_over_layers"),
        spread_per_doubling=table.figure("spread_per_doubling"),
        kernels=tuple(_timed(name, kernel) for name, kernel in root.table("kernels").tables()),
    )
    for key in ("network_over_layers", "spread_per_doubling"):
        if getattr(model, key).value < 1:
            raise InputError(f"{table.path(key)}: a ratio of at least 1 is needed")
    table.done()
    return model


def _timed(name: str, table: Table) -> TimedKernel:
    kernel = TimedKernel(name, _ability(table), tuple(_timing(n, t) for n, t in table.table("layers").tables()))
    if not kernel.timings:
        raise InputError(f"{table.path('layers')}: at least one timed layer is needed")
    table.done()
    return kernel


def _timing(name: str, table: Table) -> Timing:
    kind = table.text("kind")
    if kind not in ("conv", "linear"):
        raise InputError(f"{table.path('kind')}: 'conv' or 'linear', not '{kind}'")
    shapes = table.counts("input_shape"), table.counts("output_shape")
    (weights,), (groups,) = table.counts("weights"), table.counts("groups")
    timing = Timing(name, kind, *shapes, weights, groups, table.positive("latency_s"))
    table.done()
    return timing


MODEL_READERS: Mapping[str, Callable[[Table], Model]] = {
    "operations": _operations,
    "cycles": _cycles,
    "roofline": _roofline,
    "measured": _measured,
}
