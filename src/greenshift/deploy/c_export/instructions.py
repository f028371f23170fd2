"""Executed instructions of a program under QEMU, and the cycles that a core's manual gives for them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

# Cycles for one instruction; jumps are counted apart. Without wait states.
Cost = Callable[[str, str, str], float]


@dataclass(frozen=True)
class Block:
    """Instructions that run one after the other.

    Attributes:
        begin: Address of the first.
        end: Address behind the last.
        count: How often it ran.
        jumps: How often something else than the next address followed.
    """

    begin: int
    end: int
    count: int
    jumps: int


@dataclass(frozen=True)
class Mix:
    """What a program executed.

    Attributes:
        instructions: How many.
        cycles: Modelled by instruction; None if there is no table for the core.
    """

    instructions: int
    cycles: float | None


def read_blocks(text: str) -> list[Block]:
    """Read what the counting plugin wrote."""
    rows = (line.split() for line in text.splitlines())
    return [Block(int(a, 16), int(b, 16), int(count), int(jumps)) for a, b, count, jumps in rows]


def read_disassembly(text: str) -> dict[int, tuple[str, str]]:
    """Return mnemonic and operands by address, from `objdump -d`."""
    found = re.findall(r"^ *([0-9a-f]+):\t[0-9a-f ]+\t(\S+)(?:\t([^\n;<@#]*))?", text, flags=re.MULTILINE)
    return {int(address, 16): (mnemonic, operands.strip()) for address, mnemonic, operands in found}


def executed(
    blocks: Iterable[Block],
    disassembly: Mapping[int, tuple[str, str]],
    excluded: Iterable[tuple[int, int]],
    core: str,
) -> Mix:
    """Count instructions outside of some address ranges, with their cycles.

    Args:
        blocks: What ran.
        disassembly: Of the whole program.
        excluded: Address ranges that do not count: the test around the network.
        core: `cortex-m0`, `cortex-m0.small-multiply`, `cortex-m3`, `cortex-m4`, `rv32...` or any other.
    """
    ranges = list(excluded)
    cost = _COSTS.get("rv32" if core.startswith("rv32") else core)
    addresses = sorted(disassembly)
    places = {address: place for place, address in enumerate(addresses)}
    total, cycles = 0, 0.0
    for block in blocks:
        if any(begin <= block.begin < end for begin, end in ranges) or block.begin not in places:
            continue
        inside = _between(addresses, places[block.begin], block.end)
        total += block.count * len(inside)
        if cost is None:
            continue
        before = ""
        for address in inside:
            mnemonic, operands = disassembly[address]
            cycles += block.count * cost(mnemonic, operands, before)
            before = mnemonic
        cycles += block.jumps * _jump_cycles(core, *disassembly[inside[-1]])
    return Mix(total, cycles if cost else None)


def _between(addresses: list[int], place: int, end: int) -> list[int]:
    stop = place
    while stop < len(addresses) and addresses[stop] < end:
        stop += 1
    return addresses[place:stop]


def _registers(operands: str) -> int:
    """Registers of a list such as {r4, r6-r8, lr}."""
    count = 0
    for part in operands.partition("{")[2].rstrip("}").replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if dash else 1
    return count


def _cortex_m0(multiply_cycles: int) -> Cost:
    """Arm Cortex-M0 Technical Reference Manual, instruction summary."""

    def cost(mnemonic: str, operands: str, _before: str) -> float:
        if mnemonic.startswith(("push", "pop", "ldm", "stm")):
            return 1 + _registers(operands)
        if mnemonic.startswith(("ldr", "str")):
            return 2
        return multiply_cycles if mnemonic.startswith("mul") else 1

    return cost


def _cortex_m3(accumulate_cycles: int, long_cycles: int) -> Cost:
    """Arm Cortex-M3 and M4 Technical Reference Manuals: a load takes 2 cycles, or 1 behind another load or store."""

    def cost(mnemonic: str, operands: str, before: str) -> float:
        if mnemonic.startswith(("push", "pop", "ldm", "stm", "ldrd", "strd")):
            return 1 + (2 if mnemonic[3:4] == "d" else _registers(operands))
        if mnemonic.startswith("ldr"):
            return 1 if before.startswith(("ldr", "str")) else 2
        if mnemonic.startswith(("mla", "mls")):
            return accumulate_cycles
        if mnemonic.startswith(("smull", "umull", "smlal", "umlal")):
            return long_cycles
        return 7 if mnemonic.startswith(("sdiv", "udiv")) else 1

    return cost


def _riscv(_mnemonic: str, _operands: str, _before: str) -> float:
    """The targets rv32ic and rv32imc of the catalog assume 1.3 cycles for each instruction."""
    return 1.3


_COSTS: dict[str, Cost] = {
    "cortex-m0": _cortex_m0(1),
    "cortex-m0.small-multiply": _cortex_m0(32),
    "cortex-m3": _cortex_m3(2, 5),
    "cortex-m4": _cortex_m3(1, 1),
    "rv32": _riscv,
}


def _jump_cycles(core: str, mnemonic: str, operands: str) -> float:
    """Cycles that a jump adds to its instruction, for refilling the pipeline; RISC-V's are in the average."""
    if core.startswith("rv32"):
        return 0
    if core.startswith("cortex-m0"):
        return 3 if mnemonic == "bl" or "pc}" in operands else 2
    return 2
