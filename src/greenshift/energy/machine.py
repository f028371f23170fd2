"""What this machine is, and which energy counters it has."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from greenshift.energy.claim import claim_probe
from greenshift.energy.clocks import cgroup_probe
from greenshift.energy.codecarbon import codecarbon_probe
from greenshift.energy.nvml import usable_gpu_probe
from greenshift.energy.probe import Probe
from greenshift.energy.rapl import rapl_probe

# Instruction sets that decide which kernels and which precisions pay.
ISA_FLAGS = ("avx2", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


@dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        cpu: Model name of the processor.
        cores: Logical cores of the machine.
        usable_cores: Logical cores that this process may run on.
        ram_bytes: Memory of the machine.
        isa: Which of `ISA_FLAGS` the processor has.
        rapl: Whether the processor's energy counters can be read.
        nvml: Whether the NVIDIA GPU that this process would use can be asked for its energy.
        cgroup: Whether the CPU time of this process's control group can be read.
        codecarbon: Whether the CodeCarbon adapter can be used.
        claim: Whether the counters are free, or which other greenshift process counts them.
    """

    cpu: str
    cores: int
    usable_cores: int
    ram_bytes: int
    isa: tuple[str, ...]
    rapl: Probe
    nvml: Probe
    cgroup: Probe
    codecarbon: Probe
    claim: Probe

    def to_json(self) -> dict[str, Any]:
        """Return the description as a JSON object."""
        return asdict(self)


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """Describe this machine.

    Args:
        cpuinfo: The kernel's description of the processor.
    """
    cpu, flags = _processor(cpuinfo)
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return Machine(
        cpu=cpu,
        cores=cores,
        usable_cores=usable,
        ram_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        isa=tuple(flag for flag in ISA_FLAGS if flag in flags),
        rapl=rapl_probe(),
        nvml=usable_gpu_probe(),
        cgroup=cgroup_probe(),
        codecarbon=codecarbon_probe(),
        claim=claim_probe(),
    )


def _processor(cpuinfo: Path) -> tuple[str, frozenset[str]]:
    """Model name and instruction set flags of the first processor."""
    entries: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            entries.setdefault(key.strip(), value.strip())
    name = entries.get("model name") or platform.processor() or platform.machine()
    return name, frozenset(entries.get("flags", entries.get("Features", "")).split())
