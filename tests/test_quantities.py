import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.errors import InputError
from greenshift.quantities import (
    format_count,
    format_duration,
    format_error,
    format_objective,
    format_points,
    format_quantity,
    format_ratio,
)

SCALE = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.1e-7, "J", "410 nJ"),
        (9.999e-4, "J", "1.00 mJ"),
        (0, "J", "0 J"),
        (None, "J", "not measured"),
        (-3e-3, "J", "-3.00 mJ"),
        (12, "B", "12 B"),
        (999.6, "B", "1.00 kB"),
        (41_310, "B", "41.3 kB"),
        (0.0213, "s", "21.3 ms"),
        (161, "s", "2 min 41 s"),
        (0.0123, "gCO2e", "12.3 mgCO2e"),
        (0.5, "", "0.5"),
        (123456, "", "123\u2009000"),
        (math.nan, "J", "not a number J"),
        (math.inf, "J", "∞ J"),
    ],
)
def test_quantities(value: float | None, unit: str, text: str) -> None:
    assert format_quantity(value, unit) == text


@given(st.floats(1e-14, 9e14) | st.floats(-9e14, -1e-14))
def test_a_quantity_reads_back_within_half_a_per_cent_and_in_three_digits(value: float) -> None:
    number, prefix = re.fullmatch(r"(-?[\d.]+) (.?)J", format_quantity(value, "J")).groups()  # type: ignore[union-attr]
    assert float(number) * SCALE[prefix] == pytest.approx(value, rel=0.006)
    assert 1 <= abs(float(number)) < 1000
    assert len(re.sub(r"[-.]", "", number)) == 3


@given(st.floats(1e-9, 1.0))
def test_no_error_above_zero_reads_as_zero(share: float) -> None:
    number = float(format_error(share).removesuffix(" %"))
    assert number == pytest.approx(100 * share, rel=0.5, abs=0.0051)
    assert number > 0


@pytest.mark.parametrize(
    ("share", "text"), [(0.0194, "1.94 %"), (0.09996, "10.0 %"), (0, "0 %"), (None, "not measured"), (1e-6, "0.0001 %")]
)
def test_errors(share: float | None, text: str) -> None:
    assert format_error(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (48.2, "48.2 s"),
        (130, "2 min 10 s"),
        (3599.7, "1 h"),
        (7300, "2 h 2 min"),
        (5 * 86400, "5 days"),
        (1.704e9, "54 years"),
        (-130, "-2 min 10 s"),
        (None, "not measured"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (3, "3"),
        (54.2, "54"),
        (35_990, "36\u2009000"),
        (999_999, "1.00 million"),
        (3.21e9, "3.21 billion"),
        (math.inf, "∞"),
    ],
)
def test_counts(count: float, text: str) -> None:
    assert format_count(count) == text


def test_differences_and_ratios() -> None:
    assert format_points(0.0042) == "+0.42 points"
    assert format_points(-0.01) == "-1.00 points"
    assert format_points(0.0) == "±0 points"
    assert format_ratio(7.31) == "7.3x"
    assert format_ratio(12.4) == "12x"


def test_an_objective_is_written_in_its_unit() -> None:
    assert format_objective("error", 0.02) == "2.00 %"
    assert format_objective("energy_j", 4.1e-7) == "410 nJ"
    with pytest.raises(InputError, match="unknown objective 'speed'"):
        format_objective("speed", 1.0)
