"""What a set of runs says: hypervolume at costs, area under its curve, cost to reach a peer, paired tests."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .runner import Record

COSTS = (5, 10, 20, 40)

# Runs of one problem under one rule: optimizer -> seed -> record.
Runs = Mapping[str, Mapping[int, Record]]


def group(records: Sequence[Record]) -> dict[str, dict[str, dict[str, dict[int, Record]]]]:
    """Sort records by rule, problem, optimizer and seed."""
    grouped: dict[str, dict[str, dict[str, dict[int, Record]]]] = {}
    for record in records:
        by_problem = grouped.setdefault(record["rule"], {})
        by_optimizer = by_problem.setdefault(record["problem"], {})
        by_optimizer.setdefault(record["optimizer"], {})[record["seed"]] = record
    return grouped


def volume_at(curve: Sequence[Sequence[float]], cost: float) -> float:
    """Hypervolume that a run had reached at a cost."""
    return max((volume for at, volume in curve if at <= cost), default=0.0)


def area(curve: Sequence[Sequence[float]], limit: float) -> float:
    """Mean hypervolume over cost from 0 to the limit: the area under the step curve, cost linear."""
    total = 0.0
    for at, volume, before in zip(
        (at for at, _ in curve),
        (volume for _, volume in curve),
        (0.0, *(volume for _, volume in curve)),
        strict=False,
    ):
        total += (volume - before) * max(0.0, limit - at)
    return total / limit


def cost_to_reach(curve: Sequence[Sequence[float]], volume: float) -> float | None:
    """First cost at which a run had a hypervolume, or None if it never had."""
    # A record's digits are rounded; a volume reached exactly must count.
    return next((at for at, reached in curve if reached >= volume - 1e-9), None)


def summarise(records: Sequence[Record], best: Mapping[str, float], peer: str) -> dict[str, Any]:
    """Summarise runs by rule.

    Args:
        records: Runs with the same limit and number of workers.
        best: Best-known hypervolume of each problem.
        peer: Optimizer that the others are measured against.

    Returns:
        For each rule: `problems` (each optimizer's figures and paired tests against the peer) and `overall`.
    """
    return {
        rule: {
            "problems": (problems := {name: _problem(runs, best[name], peer) for name, runs in sorted(named.items())}),
            "overall": _overall(problems, peer),
        }
        for rule, named in group(records).items()
    }


def _problem(runs: Runs, best: float, peer: str) -> dict[str, Any]:
    optimizers = {name: _optimizer(list(by_seed.values()), best) for name, by_seed in runs.items()}
    for name, figures in optimizers.items():
        if name != peer and peer in runs:
            figures["against_peer"] = _against(runs[name], runs[peer])
    return {"best_known": best, "optimizers": optimizers}


def _optimizer(records: Sequence[Record], best: float) -> dict[str, Any]:
    limit = records[0]["limit"]
    costs = [cost for cost in COSTS if cost <= limit]
    return {
        "seeds": len(records),
        "hypervolume_at": {str(c): _spread([volume_at(r["curve"], c) / best for r in records]) for c in costs},
        "area": _spread([area(r["curve"], limit) / best for r in records]),
        "evaluations": statistics.median(r["evaluations"] for r in records),
        "ask_cpu_s": statistics.fmean(r["ask_cpu_mean_s"] for r in records),
        "ask_cpu_max_s": max(r["ask_cpu_max_s"] for r in records),
        "ask_wall_s": statistics.fmean(r["ask_mean_s"] for r in records),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(middle), "lower_quartile": float(low), "upper_quartile": float(high)}


def _against(own: Mapping[int, Record], peer: Mapping[int, Record]) -> dict[str, Any]:
    """Compare the seeds that both have, in pairs."""
    seeds = sorted(own.keys() & peer.keys())
    mine = [area(own[seed]["curve"], own[seed]["limit"]) for seed in seeds]
    theirs = [area(peer[seed]["curve"], peer[seed]["limit"]) for seed in seeds]
    speedups = [speedup(own[seed], peer[seed]) for seed in seeds if peer[seed]["curve"]]
    return {
        "pairs": len(seeds),
        "area_wins": sum(a > b for a, b in zip(mine, theirs, strict=True)),
        "area_p": paired_p([a - b for a, b in zip(mine, theirs, strict=True)]),
        "median_area_ahead": bool(seeds) and statistics.median(mine) > statistics.median(theirs),
        "speedups": speedups,
        "reached": sum(value is not None for value in speedups),
        "median_speedup": median_censored(speedups),
    }


def speedup(own: Record, peer: Record) -> float | None:
    """Peer's cost to reach its own final hypervolume, divided by the other's cost to reach the same.

    None if the other never reached it. The peer must have found something that counts.
    """
    final_cost, final = peer["curve"][-1]
    reached = cost_to_reach(own["curve"], final)
    return None if reached is None else final_cost / reached


def median_censored(values: Sequence[float | None]) -> float | None:
    """Median with None below every number; None if the median itself was never reached."""
    ordered = sorted(values, key=lambda value: -1.0 if value is None else value)
    if not ordered:
        return None
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return None if low is None or high is None else (low + high) / 2


def paired_p(differences: Sequence[float]) -> float | None:
    """Two-sided p value of Wilcoxon's signed-rank test, or None where there is nothing to test."""
    from scipy.stats import wilcoxon

    if not np.any(differences):
        return None
    return float(wilcoxon(differences).pvalue)


def _overall(problems: Mapping[str, Any], peer: str) -> dict[str, Any]:
    """Figures over problems: medians of the problems' medians, wins, and the paired test over problems."""
    names = sorted({name for problem in problems.values() for name in problem["optimizers"]})
    return {name: _overall_one(name, problems, peer) for name in names}


def _overall_one(name: str, problems: Mapping[str, Any], peer: str) -> dict[str, Any]:
    own = [p["optimizers"][name] for p in problems.values() if name in p["optimizers"]]
    costs = own[0]["hypervolume_at"].keys()
    pairs = [figures["against_peer"] for figures in own if "against_peer" in figures]
    both = [p["optimizers"] for p in problems.values() if name in p["optimizers"] and peer in p["optimizers"]]
    gaps = [o[name]["area"]["median"] - o[peer]["area"]["median"] for o in both]
    result: dict[str, Any] = {
        "problems": len(own),
        "hypervolume_at": {c: statistics.median(f["hypervolume_at"][c]["median"] for f in own) for c in costs},
        "area": statistics.median(f["area"]["median"] for f in own),
        "ask_cpu_s": statistics.fmean(f["ask_cpu_s"] for f in own),
    }
    if pairs:
        result["against_peer"] = {
            "area_wins": sum(pair["median_area_ahead"] for pair in pairs),
            "problems": len(pairs),
            "area_p": paired_p(gaps),
            "reached": sum(pair["reached"] for pair in pairs),
            "pairs": sum(pair["pairs"] for pair in pairs),
            "median_speedup": median_censored([value for pair in pairs for value in pair["speedups"]]),
            "median_of_problem_medians": median_censored([pair["median_speedup"] for pair in pairs]),
        }
    return result
