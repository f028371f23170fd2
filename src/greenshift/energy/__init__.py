"""Energy: meters and what they give, carbon, and what this machine can measure."""

from greenshift.energy.carbon import carbon_g
from greenshift.energy.machine import Machine, machine, nvml_probe
from greenshift.energy.meters import (
    DEFAULT_WATTS_PER_CORE,
    CpuTimeMeter,
    Meter,
    Metered,
    NullMeter,
    ReplayMeter,
    best_meter,
    meter,
)
from greenshift.energy.rapl import Probe, RaplMeter, rapl_probe
from greenshift.energy.reading import Reading

__all__ = [
    "DEFAULT_WATTS_PER_CORE",
    "CpuTimeMeter",
    "Machine",
    "Meter",
    "Metered",
    "NullMeter",
    "Probe",
    "RaplMeter",
    "Reading",
    "ReplayMeter",
    "best_meter",
    "carbon_g",
    "machine",
    "meter",
    "nvml_probe",
    "rapl_probe",
]
