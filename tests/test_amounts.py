import pytest

from greenshift.amounts import Amount, make_fleet, parse_energy, parse_rate, parse_time
from greenshift.errors import InputError


def test_amounts_by_hand():
    assert parse_energy("development", "2kWh") == 7.2e6
    assert parse_energy("development", " 500 kJ ") == 5e5
    assert parse_time("lifetime", "3y") == 3 * 365.25 * 86400
    assert parse_rate("1/s") == 1
    assert parse_rate("30/min") == 0.5
    assert Amount(10.0, 2.0).interval == (5.0, 20.0)


def test_fleets():
    assert make_fleet(None, None) is None
    assert make_fleet(1000, "1/s").inferences_per_s == 1000
    assert make_fleet(None, "2/s").inferences_per_s == 2
    for fleet in ((5, None), (0, "1/s"), (1, "1"), (1, "-1/s"), (1, "1/fortnight")):
        with pytest.raises(InputError):
            make_fleet(*fleet)


@pytest.mark.parametrize("text", ["", "2", "kWh", "-2kWh", "0J", "infJ", "2 miles", "nanJ", "1e400J"])
def test_what_is_no_energy(text):
    with pytest.raises(InputError, match=r"development '.*' is not a positive number"):
        parse_energy("development", text)
