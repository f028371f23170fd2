import math

import pytest
from report_samples import CONFIG, CONSUMED, evaluation, network_cost, reading, study

from greenshift.activations import Activation
from greenshift.design import Design, Pruning
from greenshift.errors import InputError
from greenshift.records import Evaluation
from greenshift.report.data import ReportData, dominating, read_selection, report_data
from greenshift.report.headline import write_headline
from greenshift.report.wording import describe_design
from greenshift.schemes import PowerOfTwo

SELECTION = {
    "trial": 12,
    "test_error": {"mean": 0.021, "std": 0.002},
    "seeds": [0, 1, 2],
    "artifact": "trial-12.safetensors",
}


def report(evaluations: list[Evaluation], consumed: object = CONSUMED, **config: object) -> ReportData:
    return report_data({**CONFIG, **config}, evaluations, consumed)  # type: ignore[arg-type]


def small() -> list[Evaluation]:
    """Two baselines and a front of two; trial 0 saves against both, trial 1 against none."""
    return [
        evaluation(-1, 0.010, 90e-6, label="float32"),
        evaluation(-2, 0.015, 30e-6, label="int8"),
        evaluation(0, 0.030, 10e-6),
        evaluation(1, 0.005, 100e-6),
    ]


def test_front_and_counts_of_a_whole_study() -> None:
    evaluations = study()
    data = report(evaluations)
    assert data.outcomes == {"ok": 32, "failed": 4, "infeasible": 4, "interrupted": 0}
    assert len(data.baselines) == 5
    assert len(data.curve) == 36
    errors = [member.objectives["error"] for member in data.front]
    energies = [member.objectives["energy_j"] for member in data.front]
    assert len(errors) > 3
    assert errors == sorted(errors)
    assert energies == sorted(energies, reverse=True)
    assert {member.fidelity["epochs"] for member in data.front} == {18.0}


def test_dominance_by_baselines() -> None:
    data = report([*small(), evaluation(2, 0.012, 95e-6), evaluation(3, 0.02, 40e-6)])
    assert data.dominated_by == {0: (), 1: (), 2: ("float32",), 3: ("int8",)}
    assert "Baselines dominate 2 of 4 front points (float32 1, int8 1)." in write_headline(data).notes
    worse = evaluation(2, 0.020, 95e-6)
    assert dominating(worse, data.baselines, data.objectives) == ("float32", "int8")
    assert dominating(evaluation(4, 0.015, 30e-6), data.baselines, data.objectives) == ()


def test_break_even_is_what_was_spent_beyond_the_baselines_training_over_saved_energy() -> None:
    data = report(small())
    found = {(entry.trial, entry.baseline): entry for entry in data.break_evens}
    assert set(found) == {(0, "float32"), (0, "int8"), (1, "float32"), (1, "int8")}
    training_j = 0.12 * 18 * 4
    assert found[0, "float32"].inferences == pytest.approx((684.0 - training_j) / 80e-6)
    assert found[0, "int8"].inferences == pytest.approx((684.0 - training_j) / 20e-6)
    assert found[0, "int8"].error_difference == pytest.approx(0.015)
    assert found[1, "int8"].inferences == math.inf
    assert found[1, "int8"].saved_j == pytest.approx(-70e-6)


def test_energy_that_was_not_measured_stays_unknown() -> None:
    data = report([*small(), evaluation(2, 0.011, 12e-6)], reading(100.0, None))
    found = {(entry.trial, entry.baseline): entry.inferences for entry in data.break_evens}
    assert found[0, "int8"] is None
    assert found[1, "int8"] == math.inf
    assert data.account.stages[0].carbon_g is None
    assert "Whether the search pays back is unknown, as its energy was not measured." in write_headline(data).notes


def test_emissions_are_energy_times_intensity() -> None:
    (search,) = report(small(), carbon_intensity_g_per_kwh=500.0).account.stages
    assert search.carbon_g == pytest.approx(684.0 / 3.6e6 * 500)


def test_the_answer_compares_the_knee_with_float32_and_int8() -> None:
    data = report([*small(), evaluation(2, 0.011, 12e-6)])
    assert write_headline(data).recommended == 2
    assert write_headline(data).answer == (
        "Trial 2: 1.10 % validation error at 12.0 µJ per inference; "
        "against float32: 7.5x less energy, +0.10 points of error; "
        "against int8: 2.5x less energy, -0.40 points of error."
    )
    assert "No baseline dominates any of the 3 front points." in write_headline(data).notes
    assert any("after 8.66 million inferences against float32" in note for note in write_headline(data).notes)


def test_a_recommended_network_that_saves_nothing_never_pays_back() -> None:
    data = report([*small()[:2], evaluation(1, 0.005, 100e-6)])
    assert write_headline(data).recommended == 1
    assert (
        "The search never pays back its own energy: nothing is saved against float32 and int8."
        in write_headline(data).notes
    )


def test_it_is_said_if_the_baselines_cover_more_than_the_search() -> None:
    notes = write_headline(report([*small()[:2], evaluation(1, 0.005, 80e-6)])).notes
    assert any(note.startswith("The baselines alone cover more than the front of the search") for note in notes)
    assert not any("alone" in note for note in write_headline(report(study())).notes)


def test_of_two_equally_good_points_the_cheaper_one_is_recommended() -> None:
    data = report(small())
    assert write_headline(data).recommended == 0
    mixed = report([*small()[:2], evaluation(3, 0.008, 50e-6)])
    assert write_headline(mixed).notes[-1].endswith("inferences against float32, never against int8.")


def test_the_answer_is_a_baseline_if_baselines_dominate_the_whole_front() -> None:
    data = report([evaluation(-2, 0.01, 5e-6, label="int8"), evaluation(0, 0.03, 10e-6), evaluation(1, 0.02, 20e-6)])
    assert write_headline(data).recommended is None
    assert write_headline(data).answer.startswith(
        "Ship the int8 baseline: 1.00 % validation error at 5.00 µJ per inference."
    )
    assert "The search was not worth it so far" in write_headline(data).answer


def test_a_network_that_does_not_fit_is_not_recommended() -> None:
    limit = ("flash: 412 kB of 256 kB",)
    data = report([evaluation(0, 0.03, 10e-6), evaluation(1, 0.005, 12e-6, limits=limit)])
    assert write_headline(data).recommended == 0
    alone = report([evaluation(1, 0.005, 12e-6, limits=limit)])
    assert write_headline(alone).recommended is None
    assert write_headline(alone).answer == (
        "No undominated front point fits cortex-m4: trial 1, flash: 412 kB of 256 kB."
    )


@pytest.mark.parametrize(
    ("evaluations", "answer"),
    [
        ([], "No trial has finished yet."),
        ([evaluation(0, outcome="failed", reason="x")], "No answer: none of 1 trials gave a trained network."),
    ],
)
def test_a_study_without_a_front(evaluations: list[Evaluation], answer: str) -> None:
    data = report(evaluations)
    assert write_headline(data).answer == answer
    assert (data.front, data.break_evens, data.baseline_hypervolume) == ((), (), None)


def test_reasons_that_differ_in_figures_only_are_one() -> None:
    failed = [evaluation(n, outcome="failed", reason=f"loss is {n}.5 in epoch 3") for n in range(3)]
    refused = [evaluation(9, outcome="infeasible", reason="too large")]
    reasons = report([*refused, *failed]).reasons
    assert [(r.outcome, r.reason, r.varies, r.trials) for r in reasons] == [
        ("failed", "loss is 0.5 in epoch 3", True, (0, 1, 2)),
        ("infeasible", "too large", False, (9,)),
    ]


def test_notes_say_if_baselines_were_not_trained_alike_or_the_fidelity_is_not_full() -> None:
    notes = " ".join(
        write_headline(report([evaluation(-1, 0.01, 9e-5, label="float32"), evaluation(0, epochs=6)])).notes
    )
    assert "The front was reached at 6 epochs; full fidelity is 18." in notes
    assert "Not trained alike: the front at 6 epochs, but float32 otherwise." in notes


def test_selections() -> None:
    data = report_data(CONFIG, small(), CONSUMED, [SELECTION])
    (selection,) = data.selections
    assert (selection.trial, selection.test_error, selection.test_error_std, selection.seeds) == (12, 0.021, 0.002, 3)


def test_an_unknown_objective_is_bad_input() -> None:
    with pytest.raises(InputError, match="unknown objective 'speed'"):
        report(small(), objectives=["error", "speed"])


def test_samples_have_the_form_of_a_real_cost() -> None:
    from dataclasses import fields

    from greenshift.targets import Cost

    assert set(network_cost(1.0)) == {field.name for field in fields(Cost)} - {"layers"}


def test_a_selection_may_say_what_became_of_its_packed_form() -> None:
    packed = {"size_bytes": 25_832, "latency_s": 1.1e-5, "kernel": "vnni", "provenance": "measured"}
    assert read_selection({**SELECTION, "packed": packed}).packed == packed
    assert read_selection(SELECTION).packed is None, "a store that is older than packing"


def test_a_pruned_design_is_not_described_as_untouched() -> None:
    assert describe_design(Design("resnet20")) == "float32"
    assert describe_design(Design("resnet20", pruning=Pruning(0.9))) == "float32; 0.9 of the weights pruned"
    channels = Design("resnet20", pruning=Pruning(0.5, "channels", "one-shot"))
    assert describe_design(channels) == "float32; 0.5 of the multiply-accumulates pruned in channels"
    half = Design("resnet20", pruning=Pruning(0.5, "2:4"))
    assert describe_design(half) == "float32; 0.5 of the weights pruned in 2:4"


def test_a_compact_design_is_described_by_what_makes_it_so() -> None:
    design = Design("resnet20", width=0.5, depth=2.0, blocks="separable", resolution=24)
    assert describe_design(design) == "float32; width 0.5; depth 2; separable blocks; images of 24x24 pixels"
    chosen = Design("vgg16", activations=(("*", Activation("swish", trained=True)), ("1.*", Activation("elu"))))
    words = "float32; swish with trained scales as activation; elu as activation of 1.*"
    assert describe_design(chosen) == words


def test_power_of_two_layers_in_words() -> None:
    assert describe_design(Design("resnet20", schemes=(("*", PowerOfTwo()),))) == (
        "4-bit power-of-two weights, 8-bit activations on all layers"
    )
    every = PowerOfTwo(3, 4, 1, "max", "log", "learned")
    assert describe_design(Design("resnet20", schemes=(("*", every),))) == (
        "3-bit power-of-two weights, 4-bit activations, windows by the largest weight, rounded in the logarithm, "
        "learned steps on all layers"
    )
    assert "5-bit two-term power-of-two" in describe_design(
        Design("resnet20", schemes=(("*", PowerOfTwo(5, terms=2)),))
    )
