"""The emulated processors that exported C is run on, and the compilers for them."""

from dataclasses import dataclass

from greenshift.targets.target import Target

_BARE = ("-ffreestanding", "-nostdlib", "-nostartfiles")


@dataclass(frozen=True)
class Machine:
    """One emulated processor.

    Attributes:
        name: What is emulated.
        prefix: Of the compiler's tools.
        flags: For the processor and its instruction set.
        emulator: Command; the program's path is appended.
        memory: Flash and RAM as pairs of first address and bytes; None if the emulator gives a process its memory.
    """

    name: str
    prefix: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...]
    memory: tuple[tuple[int, int], tuple[int, int]] | None

    @property
    def compiler(self) -> str:
        """The compiler's command."""
        return f"{self.prefix}gcc"

    @property
    def startup(self) -> str:
        """Template of the code that runs before main."""
        return "startup_arm.c" if self.memory else "startup_riscv.c"


def _arm(name: str, core: str, board: str, flash_bytes: int, ram_bytes: int) -> Machine:
    emulator = ("qemu-system-arm", "-M", board, "-nographic", "-semihosting", "-kernel")
    memory = ((0, flash_bytes), (0x20000000, ram_bytes))
    return Machine(name, "arm-none-eabi-", (f"-mcpu={core}", "-mthumb", "-mfloat-abi=soft", *_BARE), emulator, memory)


def _riscv(name: str, extensions: str) -> Machine:
    flags = (f"-march={extensions}", "-mabi=ilp32", *_BARE)
    return Machine(name, "riscv64-unknown-elf-", flags, ("qemu-riscv32",), None)


_MIB = 1 << 20
_MICROBIT = _arm("Cortex-M0 (microbit)", "cortex-m0", "microbit", 256 << 10, 16 << 10)
_SLOW_MICROBIT = _arm("Cortex-M0 (microbit)", "cortex-m0.small-multiply", "microbit", 256 << 10, 16 << 10)
# A Cortex-M3 runs every instruction of a Cortex-M0; the board has the memory that the microbit lacks.
_LARGE_M0 = _arm("Cortex-M0 code on a Cortex-M3 (mps2-an385)", "cortex-m0", "mps2-an385", 4 * _MIB, 4 * _MIB)
_SLOW_LARGE_M0 = _arm(_LARGE_M0.name, "cortex-m0.small-multiply", "mps2-an385", 4 * _MIB, 4 * _MIB)

# By the beginning of a target's name, the longest first; machines with little memory before those with more.
_MACHINES: tuple[tuple[str, tuple[Machine, ...]], ...] = (
    ("cortex-m0:slow-multiplier", (_SLOW_MICROBIT, _SLOW_LARGE_M0)),
    ("cortex-m0", (_MICROBIT, _LARGE_M0)),
    ("cortex-m33", ()),  # as cortex-m3 would match
    ("cortex-m3", (_arm("Cortex-M3 (mps2-an385)", "cortex-m3", "mps2-an385", 4 * _MIB, 4 * _MIB),)),
    ("cortex-m4", (_arm("Cortex-M4 (mps2-an386)", "cortex-m4", "mps2-an386", 4 * _MIB, 4 * _MIB),)),
    ("cortex-m7", (_arm("Cortex-M7 (mps2-an500)", "cortex-m7", "mps2-an500", 4 * _MIB, 4 * _MIB),)),
    ("rv32imc", (_riscv("RV32IMC", "rv32imc"),)),
    ("rv32ic", (_riscv("RV32IC", "rv32ic"),)),
)


def machines_of(target: Target | str) -> tuple[Machine, ...]:
    """Machines that can run code for a target, those with less memory first; empty if there is none."""
    name = target if isinstance(target, str) else target.name
    return next((machines for prefix, machines in _MACHINES if name.startswith(prefix)), ())
