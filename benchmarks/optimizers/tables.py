"""The summary as Markdown."""

from collections.abc import Mapping
from typing import Any


def markdown(summary: Mapping[str, Any], peer: str) -> str:
    """Return the tables of a summary, overall figures first, for each cost rule."""
    parts = [_NOTES.format(peer=peer)]
    for rule, figures in sorted(summary.items()):
        parts += [f"## Cost rule: {rule}", _overall(figures["overall"], peer)]
        for name, problem in figures["problems"].items():
            parts += [f"### {name}", _problem(problem, peer)]
    return "\n\n".join(parts) + "\n"


_NOTES = """# Optimizers in simulated time

Hypervolumes are shares of the best known one; costs are in full trainings. Area is the mean hypervolume over cost,
linear, from 0 to the limit. Medians over seeds, quartiles in brackets. Speed-up: the cost at which {peer} first had
its own final hypervolume, divided by the cost at which the other first had it, paired by seed; a run that never got
there counts as slower than any. p: Wilcoxon's signed-rank test on areas, two-sided. Seconds per ask are processor
seconds on one thread."""


def _overall(overall: Mapping[str, Any], peer: str) -> str:
    costs = list(next(iter(overall.values()))["hypervolume_at"])
    header = ["optimizer", "problems", *(f"HV at {c}" for c in costs), "area", f"ahead of {peer}", "p"]
    rows = [[*header, "speed-up", "reached", "s per ask"]]
    for name, figures in _by_area(overall):
        against = figures.get("against_peer")
        rows.append(
            [
                name,
                str(figures["problems"]),
                *(f"{figures['hypervolume_at'][c]:.3f}" for c in costs),
                f"{figures['area']:.3f}",
                "" if against is None else f"{against['area_wins']} of {against['problems']}",
                "" if against is None else _p(against["area_p"]),
                "" if against is None else _speedup(against["median_speedup"]),
                "" if against is None else f"{against['reached']} of {against['pairs']}",
                f"{figures['ask_cpu_s']:.3f}",
            ]
        )
    return _table(rows)


def _problem(problem: Mapping[str, Any], peer: str) -> str:
    optimizers = problem["optimizers"]
    costs = list(next(iter(optimizers.values()))["hypervolume_at"])
    rows = [["optimizer", "seeds", *(f"HV at {c}" for c in costs), "area", f"wins against {peer}", "p", "speed-up"]]
    for name, figures in _by_area(optimizers):
        against = figures.get("against_peer")
        rows.append(
            [
                name,
                str(figures["seeds"]),
                *(_spread(figures["hypervolume_at"][c]) for c in costs),
                _spread(figures["area"]),
                "" if against is None else f"{against['area_wins']} of {against['pairs']}",
                "" if against is None else _p(against["area_p"]),
                "" if against is None else _speedup(against["median_speedup"]),
            ]
        )
    return _table(rows)


def _by_area(figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    def area(item: tuple[str, Any]) -> float:
        value = item[1]["area"]
        return -float(value["median"] if isinstance(value, dict) else value)

    return sorted(figures.items(), key=area)


def _spread(values: Mapping[str, float]) -> str:
    return f"{values['median']:.3f} ({values['lower_quartile']:.3f} to {values['upper_quartile']:.3f})"


def _speedup(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
