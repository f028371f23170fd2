import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import greenshift.study.loop
import study_fakes
from greenshift.config import StudyConfig
from greenshift.errors import InputError, StudyError
from greenshift.front import front
from greenshift.objectives import get_objectives
from greenshift.optimize import Proposal
from greenshift.store import Store
from greenshift.study import run_study
from study_fakes import fake_evaluator


def config(**changes):
    return StudyConfig(
        **{"optimizer": "random", "fidelity": "epochs", "budget": "3trials", "target": "asic-45nm", **changes}
    )


def study(folder, evaluator=None, events=None, **changes):
    listen = study_fakes.ignore if events is None else events.append
    return run_study(config(**changes), folder, on_event=listen, evaluator=evaluator or fake_evaluator())


def trials(folder):
    """What was proposed and what came of it, without times."""
    with Store.open(folder) as store:
        return [(e.trial, e.configuration, e.fidelity, e.outcome) for e in store.evaluations() if e.role == "trial"]


@dataclass
class Scripted:
    """An optimizer that proposes what it is told to, and remembers what it was told."""

    proposals: list[Proposal]
    told: list[tuple] = field(default_factory=list)

    def ask(self, n=1):
        return [self.proposals.pop(0) for _ in range(min(n, len(self.proposals)))]

    def tell(self, *, trial, fidelity, objectives, cost_s, status="ok", configuration=None):
        assert cost_s >= 0
        assert (objectives is None) == (status == "failed")
        self.told.append((trial, fidelity, status, configuration))


def script(monkeypatch, proposals):
    """Let every study use one scripted optimizer."""
    optimizer = Scripted(list(proposals))
    monkeypatch.setattr("greenshift.study.plan.Plan.optimizer", lambda *_: optimizer)
    return optimizer


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """Legal configurations of the space."""
    folder = tmp_path_factory.mktemp("some")
    study(folder, budget="4trials", baselines=False)
    return [configuration for _, configuration, _, _ in trials(folder)]


def test_a_study_from_end_to_end(tmp_path):
    events = []
    summary = study(tmp_path, events=events)
    assert (summary.reason, summary.detail) == ("budget", "the budget of 3 trials is used up")
    assert (summary.progress.ok, summary.progress.failed, summary.progress.baselines) == (3, 0, 2)
    assert [e.kind for e in events] == ["begun", *["started", "finished"] * 5, "ended"]
    assert [e.task.label or e.task.trial for e in events if e.kind == "started"] == ["float32", "half", 0, 1, 2]
    with Store.open(tmp_path) as store:
        assert [e.trial for e in store.evaluations()] == [-1, -2, 0, 1, 2]
        assert {e.fidelity["epochs"] for e in store.evaluations()} == {9.0}
        assert store.orphans() == []
        assert [s.state for s in store.sessions()] == ["finished"]
        assert store.consumed() == summary.consumption
        assert set(store.facts()["float32"]) == {"energy_j", "latency_s", "size_bytes", "peak_memory_bytes"}
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert summary.front
    assert events[-1].progress.front_size == len(summary.front)
    volumes = [e.progress.hypervolume for e in events]
    assert volumes == sorted(volumes)
    assert volumes[-1] > 0


def test_a_budget_is_a_total_and_a_longer_one_goes_on(tmp_path):
    study(tmp_path / "parts", budget="2trials")
    study(tmp_path / "parts", budget="5trials")
    events = []
    again = study(tmp_path / "parts", events=events, budget="5trials")
    study(tmp_path / "whole", budget="5trials")
    assert trials(tmp_path / "parts") == trials(tmp_path / "whole")
    assert len(trials(tmp_path / "whole")) == 5
    assert [e.kind for e in events] == ["begun", "ended"]
    assert again.progress.finished == 5


def test_the_papers_method_goes_on_as_if_it_had_not_stopped(tmp_path):
    pytest.importorskip("smac")
    changes = {"optimizer": "smac", "baselines": False}
    # The initial design is planned from the first budget, two configurations for both.
    for folder, first in (("early", "8trials"), ("late", "11trials")):
        study(tmp_path / folder, budget=first, **changes)
        study(tmp_path / folder, budget="14trials", **changes)
    assert trials(tmp_path / "early") == trials(tmp_path / "late")
    assert {fidelity["epochs"] for _, _, fidelity, _ in trials(tmp_path / "late")} == {1.0, 3.0, 9.0}


def test_same_seed_same_study_other_seed_another(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        study(tmp_path / name, seed=seed)
    assert trials(tmp_path / "a") == trials(tmp_path / "b") != trials(tmp_path / "c")


@pytest.mark.parametrize("budget", ["12s", "120J"])
def test_budgets_of_time_and_energy_start_nothing_once_used(tmp_path, budget):
    evaluator = fake_evaluator(study_fakes.tick_meter)
    events = []
    first = study(tmp_path, evaluator, events, budget=budget)
    assert first.reason == "budget"
    assert budget[:-1] in first.detail
    spent = [e.progress.wall_s for e in events]
    before = [earlier for earlier, event in zip(spent, events[1:], strict=False) if event.kind == "started"]
    assert max(before) < 12 <= first.consumption.wall_s < 12 + 5
    again = []
    second = study(tmp_path, evaluator, again, budget=budget)
    assert [e.kind for e in again] == ["begun", "ended"]
    assert second.consumption.wall_s > first.consumption.wall_s


def test_the_first_budget_that_is_used_up_counts(tmp_path):
    assert study(tmp_path, budget="1h,2trials").progress.finished == 2


def test_an_energy_budget_needs_a_meter(tmp_path):
    with pytest.raises(InputError, match="energy cannot be metered"):
        study(tmp_path, fake_evaluator(study_fakes.null_meter), budget="5J")


def test_baselines_can_be_left_out_and_added_later(tmp_path):
    assert study(tmp_path, baselines=False).progress.baselines == 0
    assert study(tmp_path).progress.baselines == 2
    assert len(trials(tmp_path)) == 3


def test_refused_configurations_are_never_trained(tmp_path, monkeypatch, some):
    marker = tmp_path / "marker"
    shifted = {**some[0], "shift_depth": 4, "weight_bits": 2, "act_integer_bits": 4, "act_fraction_bits": 4}
    untouched = {**some[0], "shift_depth": 0}
    optimizer = script(monkeypatch, [Proposal(0, untouched, 9.0), Proposal(1, shifted, 9.0)])
    events = []
    summary = study(tmp_path / "run", fake_evaluator(marker=str(marker)), events, max_size="60%", baselines=False)
    assert summary.reason == "exhausted"
    assert [(t, o) for t, _, _, o in trials(tmp_path / "run")] == [(0, "infeasible"), (1, "ok")]
    assert marker.read_text().split() == ["1", "9"]
    assert [(t, s) for t, _, s, _ in optimizer.told] == [(0, "failed"), (1, "ok")]
    assert (summary.progress.refused, summary.progress.finished) == (1, 1)
    refused = next(e.evaluation for e in events if e.kind == "refused")
    assert refused.cost["size_bytes"] > summary.limits["size_bytes"]
    assert refused.objectives == {"energy_j": refused.cost["energy_j"]}
    assert "size_bytes" in refused.reason
    assert summary.limits["size_bytes"] == pytest.approx(0.6 * 4 * 576 * 4)


def test_infeasible_constraints_give_the_nearest_point_and_what_binds(tmp_path, monkeypatch):
    monkeypatch.setattr(greenshift.study.loop, "MAX_REFUSALS", 20)
    summary = study(tmp_path, max_size="10B", max_energy="1J", baselines=False)
    assert (summary.reason, summary.progress.refused, summary.front) == ("refused", 20, ())
    assert summary.nearest is not None
    assert (summary.nearest.binding, summary.nearest.limit) == ("size_bytes", 10)
    with Store.open(tmp_path) as store:
        assert summary.nearest.value == min(e.cost["size_bytes"] for e in store.evaluations())


def test_refused_configurations_do_not_count_as_trials(tmp_path):
    summary = study(tmp_path, budget="3trials", max_energy="90%", baselines=False)
    assert summary.progress.finished == 3
    assert summary.progress.refused > 0
    assert all(e.objectives["energy_j"] <= summary.limits["energy_j"] for e in summary.front)


def test_failures_are_recorded_counted_and_told(tmp_path, monkeypatch, some):
    optimizer = script(monkeypatch, [Proposal(n, c, 9.0) for n, c in enumerate(some)])
    summary = study(tmp_path, fake_evaluator(fails=(1, 3)), budget="4trials")
    assert (summary.progress.ok, summary.progress.failed) == (2, 2)  # half is not more than half
    assert [status for _, _, status, _ in optimizer.told] == ["ok", "failed", "ok", "failed"]
    with Store.open(tmp_path) as store:
        failed = next(e for e in store.evaluations() if e.outcome == "failed")
    assert failed.reason == "RuntimeError: loss is nan in epoch 1"
    assert failed.reading.cpu_s is not None
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_more_than_half_failed_is_a_failed_study(tmp_path):
    with pytest.raises(StudyError, match=r"3 of 4 trials failed; the commonest reason: RuntimeError: loss is nan") as e:
        study(tmp_path, fake_evaluator(fails=(0, 1, 3)), budget="4trials")
    assert "\n" not in str(e.value)
    assert len(trials(tmp_path)) == 4
    with pytest.raises(StudyError):  # and it stays one
        study(tmp_path, budget="4trials")
    assert study(tmp_path, budget="6trials").progress.finished == 6


def test_three_failures_are_too_few_to_judge(tmp_path):
    assert study(tmp_path, fake_evaluator(fails=(0, 1, 2)), budget="3trials").progress.failed == 3


def test_a_study_that_only_fails_is_given_up(tmp_path):
    with pytest.raises(StudyError, match="20 of 20"):
        study(tmp_path, fake_evaluator(fails=tuple(range(99))), budget="90trials")


def test_an_objective_without_a_finite_value_is_a_failure(tmp_path):
    def broken(task, cpu_watts):
        made = study_fakes.evaluate(task, cpu_watts)
        made.objectives["error"] = math.nan
        return made

    evaluator = fake_evaluator()
    object.__setattr__(evaluator, "evaluate", broken)
    assert study(tmp_path, evaluator, baselines=False).progress.failed == 3
    with Store.open(tmp_path) as store:
        assert {e.reason for e in store.evaluations()} == {"error is nan"}


def test_a_trial_can_go_on_with_more_epochs(tmp_path, monkeypatch, some):
    first, second = some[:2]
    script(monkeypatch, [Proposal(0, first, 1.0), Proposal(1, second, 1.0), Proposal(0, first, 9.0)])
    marker = tmp_path / "marker"
    kept = []
    run_study(
        config(budget="3trials", baselines=False),
        tmp_path / "run",
        on_event=lambda _: kept.append(len(list((tmp_path / "run" / "checkpoints").iterdir()))),
        evaluator=fake_evaluator(marker=str(marker)),
    )
    assert marker.read_text().splitlines() == ["0 1", "1 1", "0 9"]
    assert kept == [0, 0, 1, 1, 2, 2, 1, 1]
    with Store.open(tmp_path / "run") as store:
        assert {e.design.recipe.epochs for e in store.evaluations()} == {9}
        assert len({e.design.digest for e in store.evaluations() if e.trial == 0}) == 1


def test_shift_depth_as_the_fidelity(tmp_path, monkeypatch, some):
    configuration = {name: value for name, value in some[0].items() if name != "shift_depth"} | {"epochs": 7}
    script(monkeypatch, [Proposal(0, configuration, 1.0), Proposal(0, configuration, 4.0)])
    summary = study(tmp_path, fidelity="shift_depth", budget="9trials", epochs=5)
    assert [e.fidelity for e in summary.front] == [{"shift_depth": 4.0}]
    with Store.open(tmp_path) as store:
        made = [e for e in store.evaluations() if e.role == "trial"]
        assert {(e.design.recipe.epochs, *e.fidelity) for e in store.evaluations() if e.role == "baseline"} == {(5,)}
    assert [e.design.recipe.epochs for e in made] == [7, 7]
    assert [e.design.schemes[0][0].count for e in made] == [1, 4]
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_weight_bits_as_the_fidelity(tmp_path, monkeypatch, some):
    configuration = {name: value for name, value in some[0].items() if name != "weight_bits"} | {"epochs": 7}
    configuration["shift_depth"] = 2
    script(monkeypatch, [Proposal(0, configuration, 2.0), Proposal(0, configuration, 8.0)])
    summary = study(tmp_path, fidelity="weight_bits", budget="9trials", epochs=5)
    assert [e.fidelity for e in summary.front] == [{"weight_bits": 8.0}]
    with Store.open(tmp_path) as store:
        made = [e for e in store.evaluations() if e.role == "trial"]
        assert [e.fidelity for e in store.evaluations() if e.role == "baseline"] == [{}] * 2
    assert [e.design.schemes[0][1].weight_bits for e in made] == [2, 8]
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fidelity": "data_fraction", "fidelity_max": 101}, "101 is more than the 100 per cent of the images"),
        ({"fidelity": "weight_bits", "fidelity_max": 9}, "9 is more than the 8 bits of a shifted weight"),
        ({"fidelity": "weight_bits", "fidelity_min": 1}, "1 is less than the 2 bits of a shifted weight"),
        ({"fidelity": "shift_depth", "fidelity_max": 99}, "99 is more than the . layers to shift"),
        ({"fidelity": "resolution", "fidelity_max": 9}, "9 is more than the 4 pixels a side"),
    ],
)
def test_more_or_less_than_there_is(tmp_path, given, message):
    with pytest.raises(InputError, match=message) as refusal:
        study(tmp_path, **given)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("fidelity", "rungs", "sides", "recorded"),
    [
        ("resolution", (2.0, 4.0), [2, None], ({"resolution": 2.0}, {"resolution": 4.0})),
        (
            "epochs,resolution",
            (1.0, 9.0),
            [2, None],
            ({"epochs": 3.0, "pixel_fraction": 1 / 3}, {"epochs": 9.0, "pixel_fraction": 1.0}),
        ),
        (
            "data_fraction,resolution",
            (25.0, 100.0),
            [3, None],
            ({"data_fraction": 0.5, "pixel_fraction": 0.5}, {"data_fraction": 1.0, "pixel_fraction": 1.0}),
        ),
    ],
)
def test_smaller_images_as_the_fidelity(tmp_path, monkeypatch, some, fidelity, rungs, sides, recorded):
    seen = []

    def evaluate(task, cpu_watts):
        seen.append((task.design.resolution, task.data.train_fraction, task.can_go_on))
        return study_fakes.evaluate(task, cpu_watts)

    evaluator = dataclasses.replace(fake_evaluator(), evaluate=evaluate)
    values = {**some[0], **({} if fidelity.startswith("epochs") else {"epochs": 20})}
    script(monkeypatch, [Proposal(0, values, resource) for resource in rungs])
    study(tmp_path, evaluator, fidelity=fidelity, budget="2trials")
    [*baselines, low, high] = seen
    assert [side for side, _, _ in baselines] == [None, None]
    assert [low[0], high[0]] == sides
    assert [low[1], high[1]] == [found.get("data_fraction", 1.0) for found in recorded]
    assert not low[2]
    assert tuple(found for _, _, found, _ in trials(tmp_path)) == recorded
    told = script(monkeypatch, []).told
    study(tmp_path, evaluator, fidelity=fidelity, budget="3trials")
    assert [resource for _, resource, _, _ in told] == list(rungs)


@pytest.mark.parametrize(
    ("fidelity", "rungs", "quantities", "epochs"),
    [
        ("data_fraction", (11.0, 100.0), ({"data_fraction": 0.11}, {"data_fraction": 1.0}), None),
        (
            "epochs,data_fraction",
            (1.0, 9.0),
            ({"epochs": 3.0, "data_fraction": 1 / 3}, {"epochs": 9.0, "data_fraction": 1.0}),
            (3, 9),
        ),
    ],
)
def test_a_share_of_the_images_as_the_fidelity(tmp_path, monkeypatch, some, fidelity, rungs, quantities, epochs):
    seen = []

    def evaluate(task, cpu_watts):
        seen.append((task.epochs, task.data.train_fraction, Path(task.checkpoint).exists()))
        return study_fakes.evaluate(task, cpu_watts)

    evaluator = dataclasses.replace(fake_evaluator(), evaluate=evaluate)
    values = {**some[0], **({} if epochs else {"epochs": 20})}
    optimizer = script(monkeypatch, [Proposal(0, values, resource) for resource in rungs])
    study(tmp_path, evaluator, fidelity=fidelity, budget="2trials", baselines=False)
    assert [(fidelity, status) for _, fidelity, status, _ in optimizer.told] == [(resource, "ok") for resource in rungs]
    assert tuple(found for _, _, found, _ in trials(tmp_path)) == quantities
    trained = [share["data_fraction"] for share in quantities]
    assert [share for _, share, _ in seen] == trained
    assert [count for count, _, _ in seen] == list(epochs or (20, 20))
    assert not any(resumed for _, _, resumed in seen), "a training on more images begins anew"
    with Store.open(tmp_path) as store:
        [best] = front(store.evaluations(), get_objectives(["error", "energy_j"]))
    assert best.fidelity == quantities[1]

    told = script(monkeypatch, []).told
    study(tmp_path, evaluator, fidelity=fidelity, budget="3trials", baselines=False)
    assert [resource for _, resource, _, _ in told] == list(rungs), "what the store holds is told in resources"


def test_baselines_beside_a_share_of_the_images_are_full_trainings(tmp_path):
    study(tmp_path, fidelity="epochs,data_fraction", budget="1trials")
    with Store.open(tmp_path) as store:
        found = [e.fidelity for e in store.evaluations() if e.role == "baseline"]
    assert found == [{"epochs": 9.0, "data_fraction": 1.0}] * 2


def test_no_fidelity(tmp_path):
    summary = study(tmp_path, fidelity=None)
    assert {tuple(e.fidelity) for e in summary.front} == {()}
    assert all(e.design.recipe.epochs == e.configuration["epochs"] for e in summary.front)


def test_readers_and_second_writers_while_a_search_runs(tmp_path):
    seen = []

    def look(event):
        with Store.open(tmp_path) as store:
            seen.append((event.kind, len(store.evaluations()), len(store.orphans()), store.is_running()))
        with pytest.raises(InputError, match="another search writes to it"):
            Store.create(tmp_path, config())

    run_study(config(budget="1trials", baselines=False), tmp_path, on_event=look, evaluator=fake_evaluator())
    assert seen == [("begun", 0, 0, True), ("started", 0, 1, True), ("finished", 1, 0, True), ("ended", 1, 0, True)]


def test_bad_input_writes_nothing(tmp_path):
    for bad in ({"target": "pdp-11"}, {"space": "outer"}, {"optimizer": "luck"}):
        with pytest.raises(InputError):
            study(tmp_path / "run", **bad)
    with pytest.raises(InputError, match="more than the 4 layers"):
        study(tmp_path / "run", fidelity="shift_depth", fidelity_max=5)
    assert not (tmp_path / "run").exists()


def test_another_study_is_refused_before_anything_is_built(tmp_path):
    study(tmp_path, budget="1trials")

    def never(*arguments):
        raise AssertionError(arguments)

    evaluator = fake_evaluator()
    object.__setattr__(evaluator, "weighted_layers", never)
    with pytest.raises(InputError, match="seed is 0 there and 9 here"):
        study(tmp_path, evaluator, seed=9)


def test_what_a_listener_raises_ends_the_study_and_the_store_goes_on(tmp_path):
    def stop(event):
        if event.kind == "finished" and event.evaluation.trial == 1:
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        run_study(config(), tmp_path, on_event=stop, evaluator=fake_evaluator())
    with Store.open(tmp_path) as store:
        assert store.sessions()[0].state == "failed"
    assert study(tmp_path).progress.finished == 3


def test_the_loop_costs_little_beside_training(tmp_path):
    """No timing assertion: the number of database transactions of a trial is what the loop's time is made of."""
    events = []
    counted = 0
    transaction = Store._transaction

    def counting(self):
        nonlocal counted
        counted += 1
        return transaction(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_transaction", counting)
        run_study(
            config(budget="4trials", baselines=False),
            tmp_path,
            on_event=lambda event: events.append((event.kind, counted)),
            evaluator=fake_evaluator(),
        )
    finished = [count for kind, count in events if kind == "finished"]
    assert finished[-1] - finished[-2] == 4
