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
class OperationsModel:
    """Energy as a sum over operations and bytes; for chips whose data path is built for the job.

    Attributes:
        int_multiply_pj_per_bit2: Energy of an integer multiplication per bit of one operand and bit of the other.
        int_add_pj_per_bit: Energy of an integer addition per bit of the sum.
        fp16_multiply_pj: Energy of a 16-bit float multiplication.
        fp16_add_pj: Energy of a 16-bit float addition.
        fp32_multiply_pj: Energy of a 32-bit float multiplication.
        fp32_add_pj: Energy of a 32-bit float addition.
        shift_pj: Energy of a shift at some operand widths in bits, in rising order of width and energy.
        sram_bytes: Size of the on-chip memory.
        sram_pj_per_byte: Energy of one byte read or written on chip.
        dram_pj_per_byte: Energy of one byte read or written beyond the on-chip memory.
        moves_per_byte: How often a byte of a layer's tensors is moved in one inference.
        lanes: Operations that run at the same time.
        clock_hz: Clock.
        sram_bytes_per_s: Bandwidth of the on-chip memory.
        dram_bytes_per_s: Bandwidth of the memory beyond.
    """

    int_multiply_pj_per_bit2: Figure
    int_add_pj_per_bit: Figure
    fp16_multiply_pj: Figure
    fp16_add_pj: Figure
    fp32_multiply_pj: Figure
    fp32_add_pj: Figure
    shift_pj: tuple[tuple[int, Figure], ...]
    sram_bytes: Figure
    sram_pj_per_byte: Figure
    dram_pj_per_byte: Figure
    moves_per_byte: Figure
    lanes: Figure
    clock_hz: Figure
    sram_bytes_per_s: Figure
    dram_bytes_per_s: Figure


@dataclass(frozen=True)
class Kernel:
    """One way to run a convolution or linear layer on a processor.

    Attributes:
        name: Name of the kernel.
        runs: Arithmetics of layers it can run.
        cycles_per_mac: Cycles of one multiply-accumulate while activation and sum fit one machine word each.
        bytes_per_weight: Flash of one weight, or None if weights are packed to the bit.
        max_act_bits: Widest input activation, or None if there is no limit.
        max_weight_bits: Widest weight, or None if there is no limit.
        max_levels: Most exponents of a shift weight, or None if there is no limit.
        multiword: True if sums and activations wider than a word take more instructions, False if
            the kernel's limits rule them out or its registers hold them.
        unrolled: True if weights are instructions, so that more instructions also mean more flash.
    """

    name: str
    runs: tuple[str, ...]
    cycles_per_mac: Figure
    bytes_per_weight: Figure | None
    max_act_bits: Figure | None
    max_weight_bits: Figure | None
    max_levels: Figure | None
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
class Target:
    """A machine that runs networks, and how costs on it are modelled.

    Attributes:
        name: Name in the catalog, or the one that a user's file gives.
        title: One line for people: the chip, its clock and supply.
        version: Version of the figures; a new one whenever a figure changes.
        model: The cost model with its figures.
        sources: Pairs of citation key and citation.
    """

    name: str
    title: str
    version: str
    model: OperationsModel | CyclesModel
    sources: tuple[tuple[str, str], ...]
