"""Build an export with the compilers that are there, run its self-test, and measure size and instructions."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greenshift.deploy.c_export.instructions import executed, read_blocks, read_disassembly
from greenshift.deploy.c_export.machines import Machine, machines_of
from greenshift.deploy.c_export.source import template
from greenshift.errors import InputError
from greenshift.targets.target import Target

_STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
_LIMIT_S = 300
_STACK_BYTES = 1024


@dataclass(frozen=True)
class Run:
    """A self-test that ran.

    Attributes:
        machine: Where: the host, or what QEMU emulates.
        identical: Whether all outputs are the reference's to the bit; on the host every map is compared too.
        flash_bytes: Code and constants of the network and the compiler's library, measured on the linked program.
        ram_bytes: Static memory of the network, without the stack; measured likewise.
        instructions: Executed for one image, counted by QEMU; None if not measured.
        cycles: Modelled from these instructions by the core's manual without wait states; None if there is no table.
    """

    machine: str
    identical: bool
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    instructions: float | None = None
    cycles: float | None = None


@dataclass(frozen=True)
class Verification:
    """What ran, and what could not.

    Attributes:
        runs: The host's first.
        skipped: A line for each thing that did not run.
    """

    runs: tuple[Run, ...]
    skipped: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether something ran and all of it gave the reference's outputs."""
        return bool(self.runs) and all(run.identical for run in self.runs)


def verify_c(folder: Path, target: Target) -> Verification:
    """Build and run an export's self-test on this machine and on an emulation of the target.

    Args:
        folder: As written by `export_c`.
        target: The target that it was written for.

    Returns:
        The runs; what is not installed or not emulated is named under `skipped`.

    Raises:
        InputError: If the folder holds no export, or a compiler refuses it.
    """
    if not (folder / "network.c").is_file():
        raise InputError(f"{folder}: holds no exported network.c; export a network there first")
    runs, skipped = [], []
    host = next((name for name in ("gcc", "cc") if shutil.which(name)), None)
    with tempfile.TemporaryDirectory() as scratch:
        if host:
            runs.append(_run_on_host(folder, host, Path(scratch)))
        else:
            skipped.append("host: no gcc or cc")
        machines = machines_of(target)
        if not machines:
            skipped.append(f"{target.name}: QEMU emulates no such processor here")
        elif missing := [tool for tool in (machines[0].compiler, machines[0].emulator[0]) if not shutil.which(tool)]:
            skipped.append(f"{machines[0].name}: {', '.join(missing)} not installed")
        else:
            runs.append(_run_emulated(folder, machines, host, Path(scratch)))
    return Verification(tuple(runs), tuple(skipped))


def _call(command: Sequence[str | Path]) -> str:
    """Run a tool and return what it prints; InputError with its first complaint if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[-200:])
        raise InputError(f"{command[0]}: {complaint}")
    return done.stdout


def _ends_well(command: Sequence[str | Path]) -> bool:
    parts = [str(part) for part in command]
    try:
        done = subprocess.run(parts, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{parts[0]}: the self-test did not end within {_LIMIT_S} s") from error
    return done.returncode == 0


def _run_on_host(folder: Path, compiler: str, scratch: Path) -> Run:
    program = scratch / "selftest"
    sources = (folder / "selftest.c", folder / "network.c")
    _call([compiler, *_STRICT, "-O1", "-DGREENSHIFT_TRACE", "-o", program, *sources])
    return Run(f"host ({compiler})", _ends_well([program]))


def _run_emulated(folder: Path, machines: Sequence[Machine], host: str | None, scratch: Path) -> Run:
    objects = _compile(folder, machines[0], scratch)
    network = _size(machines[0], objects["network"])
    machine = next((found for found in machines if _fits(found, network)), None)
    if machine is None:
        needs = f"{network[0] / 1e3:.1f} kB of flash and {network[1] / 1e3:.1f} kB of RAM"
        raise InputError(f"{machines[-1].name}: the emulated board is too small for {needs}; choose a smaller network")
    program = _link(machine, objects, scratch)
    whole = _size(machine, program)
    around = [_size(machine, path) for name, path in objects.items() if name != "network"]
    flash_bytes, ram_bytes = (whole[at] - sum(size[at] for size in around) for at in (0, 1))
    counts = scratch / "counts"
    option = ("-plugin", f"{_counting_plugin(host, machine, scratch)},out={counts}") if host else ()
    identical = _ends_well([machine.emulator[0], *option, *machine.emulator[1:], program])
    if not counts.is_file():  # a QEMU without plugins, or with another interface for them
        identical = _ends_well([*machine.emulator, program])
        return Run(machine.name, identical, flash_bytes, ram_bytes)
    mix = executed(
        read_blocks(counts.read_text(encoding="utf-8")),
        read_disassembly(_call([f"{machine.prefix}objdump", "-d", program])),
        _test_ranges(machine, program, objects),
        machine.flags[0].partition("=")[2],
    )
    images = int(re.findall(r"#define IMAGES (\d+)", (folder / "selftest.c").read_text(encoding="utf-8"))[0])
    cycles = None if mix.cycles is None else mix.cycles / images
    return Run(machine.name, identical, flash_bytes, ram_bytes, mix.instructions / images, cycles)


def _compile(folder: Path, machine: Machine, scratch: Path) -> dict[str, Path]:
    sources = {"network": folder / "network.c", "selftest": folder / "selftest.c"}
    for name in (machine.startup, "freestanding.c"):
        sources[name.removesuffix(".c")] = scratch / name
        (scratch / name).write_text(template(name), encoding="utf-8")
    objects = {name: scratch / f"{name}.o" for name in sources}
    for name, path in sources.items():
        strict = (*_STRICT, "-O2") if name in ("network", "selftest") else ("-O2", "-fno-tree-loop-distribute-patterns")
        _call([machine.compiler, *machine.flags, *strict, "-I", folder, "-c", path, "-o", objects[name]])
    return objects


def _link(machine: Machine, objects: dict[str, Path], scratch: Path) -> Path:
    program = scratch / "selftest.elf"
    script: tuple[str, ...] = ()
    if machine.memory:
        regions = (
            f"{name} ({mode}) : ORIGIN = {begin:#x}, LENGTH = {size}"
            for name, mode, (begin, size) in zip(("flash", "ram"), ("rx", "rwx"), machine.memory, strict=True)
        )
        path = scratch / "memory.ld"
        path.write_text("MEMORY\n{\n" + "\n".join(regions) + "\n}\n" + template("arm.ld"), encoding="utf-8")
        script = ("-T", str(path))
    _call([machine.compiler, *machine.flags, *script, "-o", program, *objects.values(), "-lgcc"])
    return program


def _size(machine: Machine, path: Path) -> tuple[int, int]:
    """Flash and RAM bytes of an object or program."""
    text, data, bss = map(int, _call([f"{machine.prefix}size", path]).splitlines()[1].split()[:3])
    return text + data, data + bss


def _fits(machine: Machine, network: tuple[int, int]) -> bool:
    """Say whether a board has room for a network with its self-test."""
    if machine.memory is None:
        return True
    (_, flash_bytes), (_, ram_bytes) = machine.memory
    return network[0] + 16 * _STACK_BYTES <= flash_bytes and network[1] + _STACK_BYTES <= ram_bytes


def _test_ranges(machine: Machine, program: Path, objects: dict[str, Path]) -> list[tuple[int, int]]:
    """Addresses of the functions around the network."""
    names = set()
    for name in objects.keys() - {"network", "freestanding"}:
        names |= set(re.findall(r" [tT] (\w+)$", _call([f"{machine.prefix}nm", objects[name]]), flags=re.MULTILINE))
    lines = re.findall(r"^(\w+) [tT] (\w+)$", _call([f"{machine.prefix}nm", "-n", program]), flags=re.MULTILINE)
    addresses = [int(address, 16) for address, _ in lines]
    ends = [*addresses[1:], 1 << 32]
    return [(begin, end) for (_, name), begin, end in zip(lines, addresses, ends, strict=True) if name in names]


def _counting_plugin(compiler: str, machine: Machine, scratch: Path) -> Path:
    # QEMU 9 asks for version 2 of the interface; what the plugin uses is the same in both.
    major = re.search(r"version (\d+)", _call([machine.emulator[0], "--version"]))
    version = 2 if major and int(major[1]) >= 9 else 1
    source, plugin = scratch / "count_instructions.c", scratch / "count_instructions.so"
    source.write_text(template("count_instructions.c"), encoding="utf-8")
    _call([compiler, "-O2", "-shared", "-fPIC", f"-DPLUGIN_VERSION={version}", "-o", plugin, source])
    return plugin
