"""From energy to carbon dioxide equivalents."""

from greenshift.errors import InputError

_J_PER_KWH = 3.6e6


def carbon_g(energy_j: float, g_per_kwh: float) -> float:
    """Emissions of an amount of electricity.

    Args:
        energy_j: Energy in joules.
        g_per_kwh: Carbon intensity of the electricity in gCO2e per kWh.

    Returns:
        Grams of CO2 equivalents.

    Raises:
        InputError: If the carbon intensity is negative.
    """
    if not g_per_kwh >= 0:
        raise InputError(f"carbon intensity must be at least 0 g/kWh, not {g_per_kwh}")
    return energy_j / _J_PER_KWH * g_per_kwh
