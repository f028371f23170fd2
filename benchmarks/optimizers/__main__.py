"""Command line of the benchmark: python -m benchmarks.optimizers COMMAND --help."""

import argparse
import sys
from pathlib import Path

from greenshift.errors import InputError

from .best_known import search_best
from .lcbench import draw_held_out, yahpo_folder
from .registry import problem_names
from .runner import missing, plan, read_records, run_all
from .simulator import RULES, Limits


def main() -> int:
    """Read the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_run(commands)
    _add_draw(commands)
    _add_best_known(commands)
    args = parser.parse_args()
    try:
        args.command(args)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run what is not yet in --out and append one JSON line per run")
    run.add_argument("--problems", default="tune", help="names and groups (tune, held-out), with commas")
    run.add_argument("--optimizers", default="smac,optuna-gp,random", help="specifications, with commas")
    run.add_argument("--seeds", default="0-9", help="such as 0-9 or 0,3,5")
    run.add_argument("--rules", default=",".join(RULES), help="resume, restart or both")
    run.add_argument("--limit", type=float, default=Limits.cost, help="cost in full trainings")
    run.add_argument("--workers", type=int, default=Limits.workers, help="simulated workers")
    run.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    run.add_argument("--yahpo", type=Path, help="folder of the LCBench surrogate")
    run.add_argument("--out", type=Path, required=True, help="JSONL file")
    run.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    rules = tuple(rule for rule in RULES if rule in args.rules.split(","))
    limits = Limits(args.limit, args.workers)
    jobs = list(plan(problem_names(args.problems), args.optimizers.split(","), _seeds(args.seeds), rules, limits))
    todo = missing(jobs, read_records([args.out]))
    print(f"{len(jobs) - len(todo)} of {len(jobs)} runs are there", flush=True)
    for record in run_all(todo, args.out, args.jobs, args.yahpo):
        final = record["curve"][-1][1] if record["curve"] else 0.0
        print(
            f"{record['problem']} {record['optimizer']} seed {record['seed']} {record['rule']}: "
            f"hypervolume {final:.4f}, {record['evaluations']} evaluations, {record['ask_cpu_mean_s']:.3f} s per ask",
            flush=True,
        )


def _add_draw(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    draw = commands.add_parser("draw-held-out", help="draw the LCBench tasks to report on")
    draw.add_argument("--yahpo", type=Path, help="folder of the LCBench surrogate")
    draw.set_defaults(command=lambda args: print(*draw_held_out(yahpo_folder(args.yahpo))))


def _add_best_known(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    best = commands.add_parser("best-known", help="search for the best-known hypervolumes and store them")
    best.add_argument("--problems", default="tune,held-out", help="names and groups, with commas")
    best.add_argument("--yahpo", type=Path, help="folder of the LCBench surrogate")
    best.set_defaults(command=lambda args: search_best(problem_names(args.problems), args.yahpo))


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


if __name__ == "__main__":
    sys.exit(main())
