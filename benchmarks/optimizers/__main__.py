"""Command line of the benchmark: python -m benchmarks.optimizers COMMAND --help."""

import argparse
import json
import sys
from pathlib import Path

from greenshift.errors import InputError

from .best_known import best_volume, search_best
from .contestants import contestant_names
from .lcbench import draw_held_out, yahpo_folder
from .plots import plot_attainment, plot_curves, write_html
from .registry import make_problem, problem_names
from .runner import Record, missing, plan, read_records, run_all
from .simulator import RULES, Limits
from .summary import group, summarise
from .tables import markdown


def main() -> int:
    """Read the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_run(commands)
    _add_draw(commands)
    _add_best_known(commands)
    _add_summarise(commands)
    _add_attainment(commands)
    args = parser.parse_args()
    try:
        args.command(args)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run what is not yet in --out and append one JSON line per run")
    run.add_argument(
        "--problems", default="tune", help="names and groups (tune, held-out, tables, synthetic), with commas"
    )
    run.add_argument(
        "--optimizers", default="smac,optuna-gp,random", help="specifications, with commas; own is all of greenshift's"
    )
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
    jobs = list(
        plan(problem_names(args.problems), contestant_names(args.optimizers), _seeds(args.seeds), rules, limits)
    )
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


def _add_summarise(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summarised = commands.add_parser("summarise", help="write summary.json, summary.md and the plots of runs")
    summarised.add_argument("runs", type=Path, nargs="+", help="JSONL files")
    summarised.add_argument("--problems", help="names and groups to keep, with commas; all without it")
    summarised.add_argument("--optimizers", help="specifications to keep, with commas; all without it")
    summarised.add_argument("--seeds", help="seeds to keep, such as 0-4; all without it")
    summarised.add_argument("--limit", type=float, default=Limits.cost, help="runs with this limit only")
    summarised.add_argument("--workers", type=int, default=Limits.workers, help="runs with this many workers only")
    summarised.add_argument("--peer", default="smac", help="optimizer that the others are measured against")
    summarised.add_argument("--out", type=Path, required=True, help="folder")
    summarised.set_defaults(command=_summarise)


def _summarise(args: argparse.Namespace) -> None:
    records = _chosen(args)
    best = {name: best_volume(name) for name in {record["problem"] for record in records}}
    summary = summarise(records, best, args.peer)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (args.out / "summary.md").write_text(markdown(summary, args.peer))
    for rule, problems in group(records).items():
        title = f"Hypervolume against cost, {rule}"
        plot_curves(problems, best, title, args.out / f"curves-{rule}.png")
        write_html(problems, best, title, args.out / f"curves-{rule}.html")
    print(markdown(summary, args.peer).split("### ")[0])


def _chosen(args: argparse.Namespace) -> list[Record]:
    """Runs that the command line asks for."""
    records = [r for r in read_records(args.runs) if r["limit"] == args.limit and r["workers"] == args.workers]
    if args.problems is not None:
        records = [r for r in records if r["problem"] in problem_names(args.problems)]
    if args.optimizers is not None:
        records = [r for r in records if r["optimizer"] in args.optimizers.split(",")]
    if getattr(args, "seeds", None) is not None:
        records = [r for r in records if r["seed"] in _seeds(args.seeds)]
    if not records:
        raise InputError(f"runs: none with limit {args.limit:g} and {args.workers} workers as asked for in these files")
    return records


def _add_attainment(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    drawn = commands.add_parser("attainment", help="draw the attainment surfaces of optimizers on one problem")
    drawn.add_argument("runs", type=Path, nargs="+", help="JSONL files")
    drawn.add_argument("--problems", required=True, help="name of the problem")
    drawn.add_argument("--optimizers", required=True, help="two specifications, with a comma")
    drawn.add_argument("--rule", default=RULES[0], choices=RULES)
    drawn.add_argument("--cost", type=float, default=10.0, help="cost in full trainings")
    drawn.add_argument("--limit", type=float, default=Limits.cost, help="runs with this limit only")
    drawn.add_argument("--workers", type=int, default=Limits.workers, help="runs with this many workers only")
    drawn.add_argument("--yahpo", type=Path, help="folder of the LCBench surrogate")
    drawn.add_argument("--out", type=Path, required=True, help="PNG file")
    drawn.set_defaults(command=_attainment)


def _attainment(args: argparse.Namespace) -> None:
    runs = group(_chosen(args)).get(args.rule, {}).get(args.problems, {})
    title = f"{args.problems} at cost {args.cost:g}, {args.rule}"
    objectives = make_problem(args.problems, args.yahpo).objectives
    plot_attainment(runs, args.optimizers.split(","), args.cost, objectives, title, args.out)


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


if __name__ == "__main__":
    sys.exit(main())
