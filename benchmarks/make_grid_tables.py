"""Make the grid tables that greenshift ships from the data of the codecarbon package.

Needs codecarbon and pycountry, which greenshift itself does not:

    pip download codecarbon==3.3.2 pycountry==26.2.16 --no-deps --dest wheels
    unzip 'wheels/*.whl' -d unpacked
    PYTHONPATH=unpacked python benchmarks/make_grid_tables.py unpacked/codecarbon --version 3.3.2
"""

import argparse
import csv
import importlib
import json
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent.parent / "src/greenshift/accounts"

# Column of our table, key of theirs; together they are the whole generation of a country.
MIX = {
    "coal": "coal_TWh",
    "gas": "gas_TWh",
    "oil": "oil_TWh",
    "nuclear": "nuclear_TWh",
    "hydro": "hydroelectricity_TWh",
    "wind": "wind_TWh",
    "solar": "solar_TWh",
    "bioenergy": "biofuel_TWh",
    "other": "other_renewable_exc_biofuel_TWh",
}

# `other` is what Our World in Data counts as renewable beside those above: mostly geothermal.
FACTORS = {
    "coal": "coal",
    "gas": "natural_gas",
    "oil": "petroleum",
    "nuclear": "nuclear",
    "hydro": "hydroelectricity",
    "wind": "wind",
    "solar": "solar",
    "bioenergy": "biomass",
    "other": "geothermal",
}


def countries(folder: Path, source: str) -> list[dict[str, Any]]:
    """One row per country that has an intensity and an ISO 3166-1 code."""
    codes = importlib.import_module("pycountry").countries
    rows = []
    for iso3, entry in sorted(json.loads((folder / "global_energy_mix.json").read_text(encoding="utf-8")).items()):
        country = codes.get(alpha_3=iso3)
        if country is None or entry["carbon_intensity"] is None:
            continue
        mix = {f"{name}_twh": entry[key] for name, key in MIX.items()}
        place = {"iso3": iso3, "iso2": country.alpha_2, "name": entry["country_name"], "year": entry["year"]}
        rows.append({**place, "g_per_kwh": entry["carbon_intensity"], **mix, "source": source})
    return rows


def factors(folder: Path, source: str) -> list[dict[str, Any]]:
    """One row per kind of generation."""
    found = json.loads((folder / "carbon_intensity_per_source.json").read_text(encoding="utf-8"))
    return [
        {"generation": name, "g_per_kwh": found[key], "source": f"{source}, '{key}', from {found[f'{key}_source']}"}
        for name, key in FACTORS.items()
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{path}: {len(rows)} rows")


def main() -> None:
    """Read the command line and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="folder of the codecarbon package")
    parser.add_argument("--version", required=True, help="its version, for the source of every row")
    arguments = parser.parse_args()
    folder, made = arguments.package / "data/private_infra", f"codecarbon {arguments.version} (MIT)"
    data = f"{made}, global_energy_mix.json: Our World in Data, after Ember (CC BY)"
    write(OUTPUT / "grid_countries.csv", countries(folder, data))
    write(OUTPUT / "grid_factors.csv", factors(folder, f"{made}, carbon_intensity_per_source.json"))


if __name__ == "__main__":
    main()
