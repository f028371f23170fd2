"""Units of figures, as the ends of their keys name them."""

# Longest first: the first that fits is the unit.
_UNITS = {
    "pj_per_bit2": "pJ/bit²",
    "pj_per_byte": "pJ/B",
    "pj_per_bit": "pJ/bit",
    "bytes_per_weight": "B/weight",
    "cycles_per_mac": "cycles/MAC",
    "cycles_per_byte": "cycles/B",
    "cycles_per_op": "cycles/op",
    "bytes_per_s": "B/s",
    "macs_per_s": "MAC/s",
    "ops_per_s": "op/s",
    "s_per_layer": "s",
    "bytes": "B",
    "bits": "bit",
    "pj": "pJ",
    "hz": "Hz",
    "s": "s",
    "w": "W",
}


def unit_of(key: str) -> str:
    """Unit of a figure, such as `pJ/B` for `operations.sram_pj_per_byte`; empty for a plain number.

    Args:
        key: Dotted key of the figure in its file. A key that is a number, such as an operand width,
            has the unit of its table.
    """
    parts = [part for part in key.split(".") if not part.isdecimal()]
    last = f"_{parts[-1]}"
    return next((unit for end, unit in _UNITS.items() if last.endswith(f"_{end}")), "")
