"""Energy: meters and what they give, carbon, and what this machine can measure."""

from greenshift.energy.carbon import carbon_g
from greenshift.energy.claim import Claim, claim_counters, claim_probe
from greenshift.energy.clocks import ControlGroup, cgroup_probe, control_group
from greenshift.energy.codecarbon import CodeCarbonMeter, codecarbon_probe
from greenshift.energy.host import HostMeter, Metered, best_meter, meter, session_meter
from greenshift.energy.machine import Machine, machine
from greenshift.energy.meters import (
    DEFAULT_WATTS_PER_CORE,
    CgroupMeter,
    CpuTimeMeter,
    Meter,
    NullMeter,
    ReplayMeter,
)
from greenshift.energy.nvml import NvmlMeter, nvml_probe
from greenshift.energy.probe import Probe
from greenshift.energy.rapl import RaplMeter, idle_power_w, rapl_probe
from greenshift.energy.reading import Reading, in_sequence, side_by_side
from greenshift.energy.share import ShareMeter

__all__ = [
    "DEFAULT_WATTS_PER_CORE",
    "CgroupMeter",
    "Claim",
    "CodeCarbonMeter",
    "ControlGroup",
    "CpuTimeMeter",
    "HostMeter",
    "Machine",
    "Meter",
    "Metered",
    "NullMeter",
    "NvmlMeter",
    "Probe",
    "RaplMeter",
    "Reading",
    "ReplayMeter",
    "ShareMeter",
    "best_meter",
    "carbon_g",
    "cgroup_probe",
    "claim_counters",
    "claim_probe",
    "codecarbon_probe",
    "control_group",
    "idle_power_w",
    "in_sequence",
    "machine",
    "meter",
    "nvml_probe",
    "rapl_probe",
    "session_meter",
    "side_by_side",
]
