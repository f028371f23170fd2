"""From energy to carbon dioxide equivalents."""

from greenshift.errors import InputError

_J_PER_KWH = 3.6e6


def carbon_g(energy_j: float, g_per_kwh: float, pue: float = 1.0) -> float:
    """Emissions of an amount of electricity.

    Args:
        energy_j: Energy of the machines in joules.
        g_per_kwh: Carbon intensity of the electricity in gCO2e per kWh.
        pue: Power usage effectiveness of the building (ISO/IEC 30134-2): energy of the whole over that of
            the machines; 1 on a device.

    Returns:
        Grams of CO2 equivalents.

    Raises:
        InputError: If the carbon intensity is negative, or the PUE below 1.
    """
    if not g_per_kwh >= 0:
        raise InputError(f"carbon intensity must be at least 0 g/kWh, not {g_per_kwh}")
    return energy_j * checked_pue(pue) / _J_PER_KWH * g_per_kwh


def checked_pue(pue: float) -> float:
    """Return a power usage effectiveness.

    Raises:
        InputError: If it is below 1 or not finite: a building cannot use less than the machines in it.
    """
    if not 1 <= pue < float("inf"):
        raise InputError(f"pue must be at least 1, the energy of the building over that of its machines, not {pue:g}")
    return pue
