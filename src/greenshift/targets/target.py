"""What a target is: a machine that runs networks, as figures with sources. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number of a target.

    Attributes:
        value: The number, in the unit that its key names.
        factor: Multiplicative uncertainty, at least 1: the truth is expected between `value / factor`
            and `value * factor`.
        source: Key of the citation in `Target.sources`.
        note: How the number follows from the source, where that is not plain.
    """

    value: float
    factor: float
    source: str
    note: str = ""


@dataclass(frozen=True)
class FloatPrice:
    """Energy of float operations of one width.

    Attributes:
        multiply_pj: Energy of a multiplication.
        add_pj: Energy of an addition.
    """

    multiply_pj: Figure
    add_pj: Figure


@dataclass(frozen=True)
class OperationsModel:
    """Energy as a sum over operations and bytes; for chips whose data path is built for the job.

    An operation without a price is one that the chip cannot do.

    Attributes:
        int_multiply_pj_per_bit2: Energy of an integer multiplication per bit of one operand and bit of the other.
        int_add_pj_per_bit: Energy of an integer addition per bit of the sum.
        int_bits: Width of the integer multipliers, which narrower operands use whole and wider ones cannot
            use; None if the data path is as wide as the network asks for.
        fp16: Energy of 16-bit float operations, or None.
        fp32: Energy of 32-bit float operations, or None.
        shift_pj: Energy of a shift at some operand widths in bits, in rising order of width and energy; empty
            if there is no shifter.
        sram_bytes: Size of the on-chip memory.
        sram_pj_per_byte: Energy of one byte read or written on chip.
        dram_pj_per_byte: Energy of one byte read or written beyond the on-chip memory, or None if there is nothing.
        dram_bytes_per_s: Bandwidth of the memory beyond, or None.
        moves_per_byte: How often a byte of a layer's tensors is moved in one inference.
        lanes: Operations that run at the same time.
        clock_hz: Clock.
        sram_bytes_per_s: Bandwidth of the on-chip memory.
        static_power_w: Power that the chip draws while it computes, whatever it computes, or None.
    """

    int_multiply_pj_per_bit2: Figure
    int_add_pj_per_bit: Figure
    int_bits: Figure | None
    fp16: FloatPrice | None
    fp32: FloatPrice | None
    shift_pj: tuple[tuple[int, Figure], ...]
    sram_bytes: Figure
    sram_pj_per_byte: Figure
    dram_pj_per_byte: Figure | None
    dram_bytes_per_s: Figure | None
    moves_per_byte: Figure
    lanes: Figure
    clock_hz: Figure
    sram_bytes_per_s: Figure
    static_power_w: Figure | None


@dataclass(frozen=True)
class Ability:
    """Which layers a kernel can run.

    Attributes:
        runs: Arithmetics of layers it can run.
        max_act_bits: Widest input activation, or None if there is no limit.
        max_weight_bits: Widest weight, or None if there is no limit.
        max_levels: Most exponents of a shift weight, or None if there is no limit.
        zero_share: Share of zero weights at which its speed holds, if it skips zeros; None if zeros take as long
            as other weights.
        simd: True if one instruction works on several values.
        emulated: True if the hardware lacks the operation, and software stands in.
    """

    runs: tuple[str, ...]
    max_act_bits: Figure | None
    max_weight_bits: Figure | None
    max_levels: Figure | None
    zero_share: Figure | None
    simd: bool
    emulated: bool


@dataclass(frozen=True)
class Kernel:
    """One way to run a convolution or linear layer on a microcontroller.

    Attributes:
        name: Name of the kernel.
        ability: Which layers it can run.
        cycles_per_mac: Cycles of one multiply-accumulate while activation and sum fit one machine word each.
        bytes_per_weight: Flash of one weight, or None if weights are packed to the bit.
        multiword: True if sums and activations wider than a word take more instructions, False if
            the kernel's limits rule them out or its registers hold them.
        unrolled: True if weights are instructions, so that more instructions also mean more flash.
    """

    name: str
    ability: Ability
    cycles_per_mac: Figure
    bytes_per_weight: Figure | None
    multiword: bool
    unrolled: bool


@dataclass(frozen=True)
class CyclesModel:
    """Energy as modelled cycles times active power; for processors.

    Attributes:
        clock_hz: Clock at which the power holds.
        active_power_w: Power of the board while it computes.
        word_bits: Width of a register.
        multiword_penalty: Cycles that each further pair of sum word and activation word adds, as a share of
            the first.
        depthwise_ratio: Cycles per multiply-accumulate of a depthwise convolution relative to an ordinary one.
        int_cycles_per_op: Cycles of one elementwise operation on one word of integers.
        float_cycles_per_op: Cycles of one elementwise operation on floats.
        cycles_per_byte: Cycles to move one byte of activations between a layer's buffers.
        flash_bytes: Flash of the chip.
        flash_reserved_bytes: Flash that the application and the runtime need besides the network.
        ram_bytes: RAM of the chip.
        ram_reserved_bytes: RAM that the application and the runtime need besides activations.
        kernels: The kernels to choose from.
    """

    clock_hz: Figure
    active_power_w: Figure
    word_bits: Figure
    multiword_penalty: Figure
    depthwise_ratio: Figure
    int_cycles_per_op: Figure
    float_cycles_per_op: Figure
    cycles_per_byte: Figure
    flash_bytes: Figure
    flash_reserved_bytes: Figure
    ram_bytes: Figure
    ram_reserved_bytes: Figure
    kernels: tuple[Kernel, ...]


@dataclass(frozen=True)
class RatedKernel:
    """One way to run a convolution or linear layer on a processor with caches.

    Attributes:
        name: Name of the kernel.
        ability: Which layers it can run.
        macs_per_s: Multiply-accumulates per second that it attains while its data is at hand.
        bytes_per_weight: Bytes read from memory for one weight, or None if weights are packed to the bit.
    """

    name: str
    ability: Ability
    macs_per_s: Figure
    bytes_per_weight: Figure | None


@dataclass(frozen=True)
class Memory:
    """One level of memory.

    Attributes:
        name: Name of the level.
        capacity_bytes: What it holds, or None for the last level, which holds everything.
        bytes_per_s: Bandwidth to the arithmetic.
    """

    name: str
    capacity_bytes: Figure | None
    bytes_per_s: Figure


@dataclass(frozen=True)
class RooflineModel:
    """Energy as time times active power, where a layer takes the longer of computing and moving its data.

    Attributes:
        active_power_w: Power while it computes.
        overhead_s_per_layer: Time to start a layer.
        depthwise_ratio: Time per multiply-accumulate of a depthwise convolution relative to an ordinary one.
        ops_per_s: Elementwise operations per second.
        memories: Levels of memory, nearest first.
        kernels: The kernels to choose from.
    """

    active_power_w: Figure
    overhead_s_per_layer: Figure
    depthwise_ratio: Figure
    ops_per_s: Figure
    memories: tuple[Memory, ...]
    kernels: tuple[RatedKernel, ...]


@dataclass(frozen=True)
class Timing:
    """One layer shape whose time was taken.

    Attributes:
        name: Name of the shape.
        kind: `conv` or `linear`.
        input_shape: Shape of the input without the batch dimension.
        output_shape: Shape of the output without the batch dimension.
        weights: Number of weights.
        groups: Convolution groups.
        latency_s: Time of one run with one input.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: int
    groups: int
    latency_s: Figure


@dataclass(frozen=True)
class TimedKernel:
    """One way to run a convolution or linear layer, timed on some shapes.

    Attributes:
        name: Name of the kernel.
        ability: Which layers it can run.
        timings: The shapes, at least one.
    """

    name: str
    ability: Ability
    timings: tuple[Timing, ...]


@dataclass(frozen=True)
class MeasuredModel:
    """Energy as active power times times that were taken on the machine itself.

    Attributes:
        active_power_w: Power while it computes.
        memory_bytes_per_s: Bandwidth of elementwise layers.
        network_over_layers: Time of a whole network over that of its layers run alone, at least 1; widens the
            uncertainty of sums.
        spread_per_doubling: Factor by which the time per multiply-accumulate may change with each doubling between
            the shape that is asked for and the nearest one that was timed.
        kernels: The kernels to choose from.
    """

    active_power_w: Figure
    memory_bytes_per_s: Figure
    network_over_layers: Figure
    spread_per_doubling: Figure
    kernels: tuple[TimedKernel, ...]


Model = OperationsModel | CyclesModel | RooflineModel | MeasuredModel


@dataclass(frozen=True)
class Target:
    """A machine that runs networks, and how costs on it are modelled.

    Attributes:
        name: Name in the catalog, or the one that a user's file gives; a variant's is `name:variant`.
        title: One line for people: the chip, its clock and supply.
        version: Version of the figures; a new one whenever a figure changes.
        kind: `operations`, `cycles`, `roofline` or `measured`.
        model: The cost model with its figures.
        sources: Pairs of citation key and citation.
        figures: Pairs of dotted key and figure, all that the file gives.
        variants: Pairs of variant name and what differs, the same for the target and its variants.
    """

    name: str
    title: str
    version: str
    kind: str
    model: Model
    sources: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, Figure], ...]
    variants: tuple[tuple[str, str], ...] = ()
