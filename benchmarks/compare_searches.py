"""Run the same study with several optimizers, or techniques, and seeds at equal metered energy; compare the fronts.

Every run is an ordinary `greenshift search` with a store of its own, so a cut comparison goes on where
it was. Prints JSON: per run the final hypervolume and front, per contender the hypervolume at shares
of the budget, with spread. With `--techniques` the contenders are the full space (`full`) and the full space
narrowed to one technique each, all searched by the default optimizer; then it also says how many networks of each
front the full one's of the same seed do not dominate.

    python benchmarks/compare_searches.py --out docs/results/fashion-mnist-resnet20 --budget 2.4kJ
    python benchmarks/compare_searches.py --out docs/results/techniques --techniques full,shift,uniform,prune
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from greenshift.budget import parse_budget
from greenshift.config import study_objectives
from greenshift.front import front, front_hypervolume, hypervolume_curve, objective_values, study_reference
from greenshift.pareto import non_dominated
from greenshift.store import Store

SHARES = (0.25, 0.5, 0.75, 1.0)


def command(args: argparse.Namespace, contender: str, seed: int) -> list[str]:
    """The search command of one run."""
    own = ["--optimizer", contender]
    if args.techniques:
        own = ["--space", "full", *(() if contender == "full" else ("--techniques", contender))]
        teacher = args.teacher and args.teacher.format(seed=seed)
        own += ["--teacher", teacher] if teacher and contender in ("full", "distill") else []
    return [
        *(sys.executable, "-m", "greenshift", "search", "--no-baselines", "--fidelity", "epochs"),
        *("--data", args.data, "--model", args.model, "--target", args.target, *own),
        *("--min-fidelity", str(args.min_epochs), "--max-fidelity", str(args.max_epochs)),
        *("--train-limit", str(args.train_limit), "--budget", args.budget, "--seed", str(seed)),
        *("--store", str(args.out / f"{contender}-{seed}")),
        *(("--max-error", args.max_error) if args.max_error else ()),
    ]


def summary(folder: Path, limit_j: float) -> dict[str, Any]:
    """Final front and hypervolume over energy of one store."""
    with Store.open(folder) as store:
        evaluations, known = store.evaluations(), store.facts().get("float32")
        objectives = study_objectives(store.config())
        consumed = store.consumed()
    reference = study_reference(evaluations, objectives, known)
    curve = hypervolume_curve(evaluations, objectives, reference)
    points = front(evaluations, objectives)
    finished = [e for e in evaluations if e.outcome == "ok"]
    return {
        "hypervolume": front_hypervolume([objective_values(p, objectives) for p in points], objectives, reference),
        "hypervolume_at_share_of_budget": {
            str(share): max((c.hypervolume for c in curve if (c.energy_j or 0) <= share * limit_j), default=0.0)
            for share in SHARES
        },
        "reference": reference,
        "finished": len(finished),
        "failed": sum(e.outcome == "failed" for e in evaluations),
        "at_full_fidelity": sum(e.fidelity == max((f.fidelity for f in finished), key=str) for e in finished),
        "search_energy_j": consumed.energy_j,
        "search_energy_provenance": consumed.provenance,
        "front": [{"trial": p.trial, "fidelity": p.fidelity, **p.objectives} for p in points],
    }


def unbeaten_by_full(runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many networks of a technique's front no network on the full space's front of the same seed dominates."""
    found = {}
    for name, run in runs.items():
        contender, _, seed = name.rpartition("-")
        if contender != "full" and (full := runs.get(f"full-{seed}")):
            values = [[(p["error"], p["energy_j"]) for p in each["front"]] for each in (full, run)]
            unbeaten = sum(bool(non_dominated([*values[0], point])[-1]) for point in values[1])
            found[name] = {"unbeaten": unbeaten, "front": len(values[1])}
    return found


def main() -> None:
    """Run what is missing, then print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--target", default="cortex-m4")
    parser.add_argument("--optimizers", default="random,smac")
    parser.add_argument("--techniques", help="compare these, and `full`, instead of optimizers")
    parser.add_argument("--teacher", help="what `full` and `distill` learn from; {seed} stands for the seed")
    parser.add_argument("--max-error", help="error above which networks do not count, such as 20%%")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--budget", default="2.4kJ")
    parser.add_argument("--train-limit", type=int, default=3000)
    parser.add_argument("--min-epochs", type=int, default=1)
    parser.add_argument("--max-epochs", type=int, default=9)
    args = parser.parse_args()
    limit_j = parse_budget(args.budget).energy_j
    if limit_j is None:
        parser.error("--budget must be an energy, such as 2.4kJ")
    contenders = (args.techniques or args.optimizers).split(",")
    runs: dict[str, dict[str, Any]] = {}
    for seed in args.seeds.split(","):
        for contender in contenders:
            line = command(args, contender, int(seed))
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
            shown = " ".join(["greenshift", *line[3:]])
            runs[f"{contender}-{seed}"] = {"command": shown, **summary(args.out / f"{contender}-{seed}", limit_j)}
    comparison = {}
    for contender in contenders:
        own = [run for name, run in runs.items() if name.rpartition("-")[0] == contender]
        comparison[contender] = {
            str(share): {
                "median": statistics.median(values),
                "min": min(values),
                "max": max(values),
            }
            for share in SHARES
            if (values := [run["hypervolume_at_share_of_budget"][str(share)] for run in own])
        }
    beaten = {"unbeaten_by_full": unbeaten_by_full(runs)} if args.techniques else {}
    print(json.dumps({"budget": args.budget, "comparison": comparison, **beaten, "runs": runs}, indent=2))


if __name__ == "__main__":
    main()
