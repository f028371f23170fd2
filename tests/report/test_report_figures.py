import dataclasses
import itertools
import json
import math
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import CONFIG, CONSUMED, evaluation, reading, study

from greenshift.report.axes import linear_ticks, log_ticks, objective_axis
from greenshift.report.data import ReportData, report_data
from greenshift.report.figures import curves_figure, front_figure, hypervolume_figure
from greenshift.report.parallel import configurations_figure

FIGURES = [front_figure, hypervolume_figure, curves_figure, configurations_figure]


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report_data(CONFIG, study(), CONSUMED)


def named(figure: dict[str, Any], name: str) -> dict[str, Any]:
    (trace,) = (t for t in figure["data"] if t.get("name") == name)
    return trace  # type: ignore[no-any-return]


@pytest.mark.parametrize("make", FIGURES)
def test_plotly_accepts_the_figure(make: Any, data: ReportData) -> None:
    figure = make(data)
    go.Figure({"data": figure["data"], "layout": figure["layout"]})
    json.dumps(figure, allow_nan=False)
    for view in figure["views"]:
        for x, trace in zip(view["x"], figure["data"], strict=True):
            assert len(x) in (0, len(trace["y"]))


def test_the_front_figure_shows_every_trained_network_once(data: ReportData) -> None:
    figure = front_figure(data)
    staircase, *points = figure["data"]
    assert sum(len(trace["x"]) for trace in points) == data.outcomes["ok"] + len(data.baselines)
    assert [trace["name"] for trace in points[:4]] == [
        "trials at 2 epochs",
        "trials at 6 epochs",
        "trials at 18 epochs",
        "front, by trial",
    ]
    assert staircase["x"] == sorted(staircase["x"])
    assert staircase["y"] == sorted(staircase["y"], reverse=True)
    assert len(staircase["x"]) == len(data.front)
    assert named(figure, "int8")["x"] == [27e-6]


def test_axes_carry_unit_target_and_provenance(data: ReportData) -> None:
    figure = front_figure(data)
    axis = figure["layout"]["xaxis"]
    assert axis["title"]["text"] == "energy per inference on cortex-m4, modelled"
    assert axis["type"] == "log"
    assert "20 µJ" in axis["ticktext"]
    assert figure["layout"]["yaxis"]["title"]["text"] == "validation error, measured"
    labels = [view["label"] for view in figure["views"]]
    assert labels[0] == "energy per inference"
    assert "stored size (not an objective)" in labels


def test_hovering_tells_configuration_fidelity_and_provenance(data: ReportData) -> None:
    text = named(front_figure(data), "front, by trial")["hovertext"][0]
    for part in ("fidelity: 18 epochs", "(modelled)", "(measured)", "weight_bits = ", "target: fits"):
        assert part in text


def test_text_from_outside_cannot_become_markup() -> None:
    bad = evaluation(0, configuration={"optimizer": "<img src=x onerror=alert(1)>", "lr": 0.1})
    figure = front_figure(report_data({**CONFIG, "target": "<b>target</b>"}, [bad], CONSUMED))
    assert "<img" not in json.dumps(figure)
    assert "<b>target" not in json.dumps(figure)


def test_three_objectives_have_no_staircase_but_a_view_each() -> None:
    evaluations = [
        dataclasses.replace(
            e,
            objectives={**e.objectives, "size_bytes": 1000.0 + e.trial},
            provenance={**e.provenance, "size_bytes": "modelled"},
        )
        for e in study()
        if e.outcome == "ok"
    ]
    data = report_data({**CONFIG, "objectives": ["error", "energy_j", "size_bytes"]}, evaluations, CONSUMED)
    figure = front_figure(data)
    assert figure["data"][0]["x"] == []
    assert [view["label"] for view in figure["views"]][:2] == ["energy per inference", "stored size"]


def test_no_joules_axis_without_energy() -> None:
    dark = dataclasses.replace(evaluation(0), reading=reading(1.0, None))
    data = report_data(CONFIG, [dark, evaluation(1, 0.04)], CONSUMED)
    assert len(hypervolume_figure(data)["views"]) == 2
    assert len(hypervolume_figure(report_data(CONFIG, [evaluation(0)], CONSUMED))["views"]) == 3


def test_configurations_leave_out_what_does_not_vary() -> None:
    one = evaluation(0, configuration={"lr": 0.1, "optimizer": "SGD", "weight_bits": 4})
    two = evaluation(1, 0.04, 2e-6, configuration={"lr": 0.1, "optimizer": "Adam", "momentum": 0.9, "weight_bits": 5})
    figure = configurations_figure(report_data(CONFIG, [one, two], CONSUMED))
    assert figure["layout"]["xaxis"]["ticktext"] == ["optimizer", "weight bits"]


@pytest.mark.parametrize("make", FIGURES)
def test_an_empty_study_draws_nothing_and_does_not_fail(make: Any) -> None:
    assert not any(trace["x"] for trace in make(report_data(CONFIG, [], CONSUMED))["data"])


def test_an_error_of_zero_makes_its_axis_linear() -> None:
    assert objective_axis("error", [0.0, 0.5], "")["type"] == "linear"
    axis = objective_axis("error", [0.01, 0.5], "")
    assert axis["type"] == "log"
    assert axis["ticktext"][:2] == ["1 %", "3 %"]


@given(st.floats(1e-12, 1e9), st.floats(1.01, 1e8))
def test_logarithmic_ticks_lie_in_range_rise_and_are_enough(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 3 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert low * (1 - 1e-9) <= ticks[0]
    assert ticks[-1] <= low * factor * (1 + 1e-9)


@given(st.floats(0, 1e3), st.floats(1e-3, 1e6))
def test_linear_ticks_are_evenly_spaced(low: float, span: float) -> None:
    ticks = linear_ticks(low, low + span)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert 3 <= len(ticks) <= 11
    assert all(math.isclose(step, steps[0], rel_tol=1e-3) for step in steps)
