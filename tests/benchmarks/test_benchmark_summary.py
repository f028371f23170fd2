"""The summary's arithmetic against values computed by hand."""

import json

import numpy as np
import pytest

from greenshift.errors import InputError
from greenshift.objectives import Objective
from optimizers import plots
from optimizers.plots import attainment, bands, plot_attainment, write_html
from optimizers.summary import (
    area,
    cost_to_reach,
    group,
    median_censored,
    paired_p,
    speedup,
    summarise,
    volume_at,
)
from optimizers.tables import markdown

CURVE = [(10.0, 0.5), (20.0, 1.0)]


def run(optimizer, seed, curve, problem="p"):
    points = [[1 - volume, cost] for cost, volume in curve]
    keys = {"problem": problem, "optimizer": optimizer, "seed": seed, "rule": "resume", "limit": 40.0, "workers": 1}
    times = {"ask_mean_s": 0.2, "ask_cpu_mean_s": 0.1, "ask_cpu_max_s": 0.3}
    return keys | times | {"curve": curve, "points": points, "evaluations": 7}


def test_volume_at_a_cost():
    assert [volume_at(CURVE, cost) for cost in (9.9, 10, 19.9, 20, 40)] == [0, 0.5, 0.5, 1, 1]


def test_area_is_the_mean_over_cost():
    assert area(CURVE, 40) == pytest.approx((0.5 * 10 + 1.0 * 20) / 40)
    assert area(CURVE, 15) == pytest.approx(0.5 * 5 / 15)
    assert area([], 40) == 0


def test_cost_to_reach():
    assert cost_to_reach(CURVE, 0.5) == 10
    assert cost_to_reach(CURVE, 0.51) == 20
    assert cost_to_reach(CURVE, 1.01) is None


def test_speedup_is_the_peers_cost_over_the_own():
    peer = run("smac", 0, CURVE)
    assert speedup(run("x", 0, [(4.0, 1.2)]), peer) == 5
    assert speedup(run("x", 0, [(4.0, 0.9), (40.0, 1.0)]), peer) == 0.5
    assert speedup(run("x", 0, [(4.0, 0.9)]), peer) is None


def test_a_run_that_never_got_there_is_slower_than_any():
    assert median_censored([None, 2.0, 4.0]) == 2
    assert median_censored([None, None, 4.0]) is None
    assert median_censored([None, 4.0]) is None
    assert median_censored([1.0, 4.0]) == 2.5
    assert median_censored([]) is None


def test_paired_test():
    pytest.importorskip("scipy")
    # Ten differences of one sign: both tails of 2^10 equally likely signs.
    assert paired_p(list(range(1, 11))) == pytest.approx(2 / 1024)
    assert paired_p([0.0, 0.0]) is None


def records():
    found = []
    for seed in range(4):
        found.append(run("smac", seed, [(10.0, 0.4), (30.0, 0.5 + seed / 100)]))
        found.append(run("ours", seed, [(2.0, 0.3), (5.0, 0.6 + seed / 100)]))
    return [*found, run("ours", 9, [(1.0, 0.9)])]


def test_summary_and_table():
    pytest.importorskip("scipy")
    summary = summarise(records(), {"p": 0.8}, "smac")
    ours = summary["resume"]["problems"]["p"]["optimizers"]["ours"]
    assert ours["seeds"] == 5
    assert ours["hypervolume_at"]["5"]["median"] == pytest.approx(0.62 / 0.8)
    assert ours["against_peer"]["pairs"] == 4
    assert ours["against_peer"]["area_wins"] == 4
    assert ours["against_peer"]["median_speedup"] == 6
    overall = summary["resume"]["overall"]["ours"]["against_peer"]
    assert (overall["area_wins"], overall["problems"], overall["reached"]) == (1, 1, 4)
    assert "against_peer" not in summary["resume"]["overall"]["smac"]
    text = markdown(json.loads(json.dumps(summary)), "smac")
    assert "| ours | 1 |" in text
    assert "| ours | 5 |" in text


def test_bands_hold_the_quartiles_of_the_step_curves():
    runs = group(records())["resume"]["p"]
    band = bands(runs, 0.8)["smac"]
    at = {round(row[0], 2): row[1:] for row in band}
    assert at[9.75] == pytest.approx([0, 0, 0])
    assert at[10] == pytest.approx([0.5, 0.5, 0.5])
    assert at[40] == pytest.approx(np.quantile([0.5, 0.51, 0.52, 0.53], [0.25, 0.5, 0.75]) / 0.8)


def test_attainment_surfaces():
    runs = [run("x", 0, [(1.0, 0.5), (9.0, 0.9)]), run("x", 1, [(2.0, 0.7)]), run("x", 2, [])]
    best, median, worst = attainment(runs, 5.0, np.array([0.2, 0.31, 0.5]))
    assert best.tolist() == [np.inf, 2.0, 1.0]
    assert median.tolist() == [np.inf, np.inf, 2.0]
    assert worst.tolist() == [np.inf] * 3


def test_attainment_axes_are_the_objectives(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    pyplot = plots._pyplot()
    monkeypatch.setattr(pyplot, "close", lambda _: None)
    objectives = (Objective("error", "", 1.0), Objective("energy_j", "J", 1.0, log=True))
    runs = group(records())["resume"]["p"]
    plot_attainment(runs, ["smac", "ours"], 10.0, objectives, "Title", tmp_path / "a.png")
    panel = pyplot.gca()
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("error", "energy_j (J)")
    assert (panel.get_xscale(), panel.get_yscale()) == ("linear", "log")
    with pytest.raises(InputError, match="two objectives, not 3"):
        plot_attainment(runs, ["smac"], 10.0, (*objectives, objectives[0]), "Title", tmp_path / "b.png")


def test_the_page_needs_no_network(tmp_path):
    write_html(group(records())["resume"], {"p": 0.8}, "Title", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Plotly.newPlot" in page
    assert 'src="http' not in page
