import csv
import math
from pathlib import Path

import pytest
from account_samples import HOUR_S
from hypothesis import given
from hypothesis import strategies as st

from greenshift.accounts import find_grid, read_hourly, scenario_grid
from greenshift.accounts.grid import find_country, read_table
from greenshift.accounts.scenario import parse_scenario
from greenshift.errors import InputError

KINDS = [row["generation"] for row in read_table("grid_factors.csv")]


def profile(folder: Path, values: list[float]) -> Path:
    path = folder / "day.csv"
    path.write_text("hour,g_per_kwh\n" + "".join(f"{hour},{value}\n" for hour, value in enumerate(values)))
    return path


def test_every_row_has_a_source_and_a_sensible_year_and_intensity():
    rows = read_table("grid_countries.csv")
    assert len(rows) > 200
    for row in rows:
        assert "codecarbon" in row["source"], row
        assert 2000 <= int(row["year"]) <= 2026
        assert 0 <= float(row["g_per_kwh"]) < 1500
        assert (len(row["iso2"]), len(row["iso3"])) == (2, 3)
        assert sum(float(row[f"{kind}_twh"]) for kind in KINDS) > 0
    assert all("http" in row["source"] or "codecarbon" in row["source"] for row in read_table("grid_factors.csv"))


@pytest.mark.parametrize("name", ["FR", "FRA", "fra", "France"])
def test_a_country_by_any_of_its_names(name):
    grid = find_grid(name, 2023)
    assert (grid.g_per_kwh, grid.place, grid.year) == (56.039, "France", 2023)
    assert "codecarbon" in grid.source
    assert grid.factor > 1


def test_a_later_year_holds_the_newest_figure_and_says_so():
    newest, later = find_grid("FR", 2023), find_grid("FR", 2030)
    assert later.g_per_kwh == newest.g_per_kwh
    assert later.factor == pytest.approx(newest.factor * 1.05**7)
    assert later.describe() == "56.04 gCO2e/kWh, France 2030 (held as in 2023)"
    assert newest.describe() == "56.04 gCO2e/kWh, France 2023"


def test_grams_are_taken_as_given():
    grid = find_grid("381")
    assert (grid.g_per_kwh, grid.place, grid.year, grid.factor) == (381.0, None, None, 1.0)


@pytest.mark.parametrize(
    ("text", "year", "complaint"),
    [
        ("Frnace", None, "unknown country; did you mean FRA"),
        ("DEX", None, "unknown country; did you mean"),
        ("FR", 2003, "only for 2023"),
        ("381", 2023, "has no year"),
        ("-1", None, "at least 0"),
        ("nan", None, "at least 0"),
        ("inf", None, "finite"),
        ("", None, "unknown country"),
    ],
)
def test_what_is_no_grid_is_said_in_a_line(text, year, complaint):
    with pytest.raises(InputError, match=complaint) as raised:
        find_grid(text, year)
    assert "\n" not in str(raised.value)


def test_a_scenario_by_hand():
    """80 % wind at 26 g/kWh; the rest is France's mix of 2023 without wind, scaled to its intensity."""
    country = find_country("FR")
    factors = {row["generation"]: float(row["g_per_kwh"]) for row in read_table("grid_factors.csv")}

    def mean(mix):
        return sum(mix[kind] * factors[kind] for kind in mix) / sum(mix.values())

    today = dict(country.generation_twh)
    rest = {kind: twh for kind, twh in today.items() if kind != "wind"}
    expected = 0.8 * 26 + 0.2 * mean(rest) * 56.039 / mean(today)
    grid = scenario_grid("2035, 80 % wind", "FR")
    assert grid.g_per_kwh == pytest.approx(expected)
    assert grid.year == 2035
    assert scenario_grid("2035, 100% wind", "FR").g_per_kwh == pytest.approx(26)


def test_a_scenario_that_names_nothing_new_is_today():
    """Without wind in the mix, naming 0 % wind changes nothing."""
    without_wind = next(
        row["iso3"]
        for row in read_table("grid_countries.csv")
        if float(row["wind_twh"]) == 0 and float(row["g_per_kwh"]) > 0
    )
    today = find_grid(without_wind).g_per_kwh
    assert scenario_grid("2035, 0 % wind", without_wind).g_per_kwh == pytest.approx(today)


@given(st.floats(0, 100), st.sampled_from(["FR", "DE", "PL", "NO", "IN"]))
def test_more_wind_is_cleaner_unless_the_rest_is_cleaner_still(percent, place):
    none, some, full = (scenario_grid(f"2040, {p:.6f} % wind", place).g_per_kwh for p in (0.0, percent, 100.0))
    assert min(none, full) - 1e-9 <= some <= max(none, full) + 1e-9


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2035, 80 % wind, 30 % solar", "110 %, more than 100 %"),
        ("2035", "write a year and shares"),
        ("80 % wind", "write a year and shares"),
        ("2035, 5 % magic", "is not a percentage of coal"),
        ("2035, -5 % wind", "is not a percentage of coal"),
        ("2035, 5 % wind, 5 % wind", "twice"),
    ],
)
def test_a_scenario_that_cannot_be(text, complaint):
    with pytest.raises(InputError, match=complaint):
        scenario_grid(text, "FR")


def test_shares_of_a_scenario_may_fill_everything_despite_rounding():
    assert math.fsum(parse_scenario("2035, 33.3 % wind, 33.3 % solar, 33.4 % hydro")[1].values()) == pytest.approx(1)


def test_an_hourly_profile_is_weighted_by_the_time_in_each_hour(tmp_path):
    grid = read_hourly(profile(tmp_path, [10.0 * hour for hour in range(24)]))
    assert grid.g_per_kwh == pytest.approx(115)
    assert grid.over(3 * HOUR_S, 4 * HOUR_S) == pytest.approx(30)
    assert grid.over(3.5 * HOUR_S, 5 * HOUR_S) == pytest.approx((0.5 * 30 + 40) / 1.5)
    assert grid.over(7 * HOUR_S, 7 * HOUR_S) == 70
    assert grid.over(23 * HOUR_S, 25 * HOUR_S) == pytest.approx((230 + 0) / 2)
    assert grid.over(5 * HOUR_S, 53 * HOUR_S) == pytest.approx(115)


@given(st.lists(st.floats(0, 1000), min_size=24, max_size=24), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_mean_over_time_lies_between_the_hours(tmp_path_factory, values, begin_s, length_s):
    grid = read_hourly(profile(tmp_path_factory.mktemp("profile"), values))
    assert min(values) - 1e-6 <= grid.over(begin_s, begin_s + length_s) <= max(values) + 1e-6


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hour,g_per_kwh\n0,1\n", "each hour from 0 to 23"),
        ("time,g\n0,1\n", "columns hour and g_per_kwh"),
        ("hour,g_per_kwh\n" + "".join(f"{hour},-1\n" for hour in range(24)), "at least 0"),
        ("hour,g_per_kwh\n" + "".join(f"{hour % 23},1\n" for hour in range(24)), "each hour from 0 to 23"),
    ],
)
def test_a_profile_that_is_none(tmp_path, text, complaint):
    path = tmp_path / "day.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_hourly(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_hourly(tmp_path / "missing.csv")


def test_the_tables_parse_as_plain_csv():
    import greenshift.accounts

    for name in ("grid_countries.csv", "grid_factors.csv"):
        path = Path(greenshift.accounts.__file__).parent / name
        assert len({len(row) for row in csv.reader(path.read_text(encoding="utf-8").splitlines())}) == 1
