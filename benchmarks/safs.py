"""Which activation functions a network pruned to 99 % wants: SAFS's two stages, and one joint search.

A dense network is trained (or loaded), 99 % of every layer's weights are removed by magnitude, and what is left is
fine-tuned for the same number of epochs in every arm and every evaluation, each time from the same dense weights:

    relu        as it is, by the fixed recipe
    stage1      functions with fixed scales, one gene for each activation module: late acceptance hill climbing
    two-stage   the functions of stage1, then trained scales and the optimizer's settings: random draws
    stage2      the same draws with ReLU left as it is
    joint       functions, scales and settings in one space, as many evaluations as two-stage has
    joint-stages  the same with a function for each stage of the network, as in the full space of `greenshift search`;
                it begins with one function everywhere, each in turn

Searches see the validation images only; what each finds is fine-tuned once more on training and validation images and
then tested. Differences from SAFS (Loni et al., AutoML 2023), whose method this is: ReLU is a candidate too and
the start of every search (SAFS starts at random); stage 2 draws from the optimizers that are there, not SMAC with
TAdam and Fromage. One JSON line per evaluation and result; a cut run goes on where it stopped.

    python benchmarks/safs.py --out safs-lenet5.jsonl --seeds 0,1,2
    python benchmarks/safs.py --model resnet20 --data cifar10 --checkpoint resnet20-12fca82f.th --out safs-r20.jsonl
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from greenshift.activations import Activation
from greenshift.compress.activations import assign_activations
from greenshift.design import Design, Optimization, Pruning, Recipe
from greenshift.energy import meter
from greenshift.models import load_weights
from greenshift.networks import Start, build_network, image_shape, load_splits, profile_design, train_design
from greenshift.objectives import get_objectives
from greenshift.optimize import make_optimizer
from greenshift.records import DataChoice
from greenshift.space.groups import layer_groups
from greenshift.targets import cost, load_target
from greenshift.train import DivergedError, choose_compute, error_rate
from safs_searches import Search, Values, first_stage, joint_search, one_function_everywhere, second_stage

ARMS = ("relu", "stage1", "two-stage", "stage2", "joint", "joint-stages")
SETTINGS = (
    *("model", "width", "data", "checkpoint", "dense_train_limit", "dense_epochs", "train_limit", "sparsity"),
    *("epochs", "batch", "lr", "steps1", "steps2", "joint_optimizer"),
)
FIXED_RECIPE = {"optimizer": "SGD", "momentum": 0.9, "weight_decay": 1e-4, "schedule": "cosine"}
TARGET = "asic-45nm"  # an exponential costs it as many additions as it is made of


@dataclass(frozen=True)
class Experiment:
    """One seed: its dense weights, and the file that everything is written to."""

    args: argparse.Namespace
    seed: int
    data: DataChoice
    dense: dict[str, Any]
    stages: Mapping[str, str]  # of every activation module

    def design(self, values: Values) -> Design:
        """The design of a configuration; what it leaves out is ReLU and the fixed recipe."""
        trained = values.get("scales") == "trained"
        names: Values = {
            m: values.get(f"act {m}", values.get(f"act {stage}", "relu")) for m, stage in self.stages.items()
        }
        functions = tuple((module, Activation(name, trained)) for module, name in names.items())
        settings = {"lr": self.args.lr, **FIXED_RECIPE, **values}
        named = {name: settings[name] for name in ("lr", "momentum", "weight_decay", "schedule")}
        nesterov = settings["optimizer"] == "SGD"
        optimization = Optimization(settings["optimizer"], **named, warmup=0.05, nesterov=nesterov)
        return Design(
            self.args.model,
            self.args.width,
            recipe=Recipe(self.args.epochs, self.args.batch, optimization, load_splits(self.data)[0].augment),
            pruning=Pruning(self.args.sparsity, schedule="one-shot", scope="layer"),
            activations=functions,
        )

    def fine_tune(self, values: Values, *, final: bool) -> tuple[torch.nn.Module, float | None]:
        """Prune and fine-tune by a configuration; return the network and its validation error."""
        design = self.design(values)
        model, _, curve = train_design(
            design, self.data, epochs=self.args.epochs, seed=self.seed, final=final, start=Start(self.dense, "dense")
        )
        return model, curve[-1].val_error

    def rows(self, **wanted: Any) -> list[Values]:
        """What the output file has of this seed."""
        lines = map(json.loads, self.args.out.read_text().splitlines())
        wanted["seed"] = self.seed
        return [row for row in lines if all(row.get(key) == value for key, value in wanted.items())]

    def write(self, **row: Any) -> None:
        """Add a line to the output file, and print it."""
        line = json.dumps({"seed": self.seed, **row})
        with self.args.out.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def run_search(experiment: Experiment, search: Search) -> Values:
    """Run a search, or what is left of it; return the best configuration with what was fixed."""
    chosen = make_optimizer(
        search.optimizer,
        space=search.space,
        objectives=get_objectives(("error",)),
        seed=experiment.seed,
        max_trials=search.steps,
        warm_start=search.starts,
    )
    rows = experiment.rows(search=search.name)
    for row in rows:
        tell(chosen, row)
    for _ in range(search.steps - len(rows)):
        (proposal,) = chosen.ask(1)
        error: float | None = None
        with meter() as metered:
            try:
                error = experiment.fine_tune({**search.fixed, **proposal.configuration}, final=False)[1]
            except DivergedError:
                error = None
        experiment.write(
            search=search.name,
            trial=proposal.trial,
            configuration=proposal.configuration,
            val_error=error,
            **consumed([metered.reading.to_json()]),
        )
        tell(chosen, experiment.rows(search=search.name)[-1])
    tried = experiment.rows(search=search.name)
    best = min(tried, key=lambda row: math.inf if row["val_error"] is None else row["val_error"])
    return {**search.fixed, **best["configuration"]}


def tell(optimizer: Any, row: Values) -> None:
    """Tell an optimizer what a line of the output says."""
    failed = row["val_error"] is None
    optimizer.tell(
        trial=row["trial"],
        fidelity=None,
        objectives=None if failed else {"error": row["val_error"]},
        cost_s=row["wall_s"],
        status="failed" if failed else "ok",
        configuration=row["configuration"],
    )


def consumed(readings: list[Values]) -> Values:
    """Sums of readings; the energy is None if it is missing in one of them."""
    energies = [reading["energy_j"] for reading in readings]
    return {
        "wall_s": round(sum(reading["wall_s"] for reading in readings), 2),
        "energy_j": None if None in energies else round(sum(energies), 1),
        "provenance": readings[0]["provenance"] if readings else None,
    }


def arm_configuration(experiment: Experiment, arm: str) -> tuple[Values, list[str]]:
    """Return what an arm ends with, and the searches that led there."""
    args, stages = experiment.args, experiment.stages
    run = partial(run_search, experiment)
    first = first_stage(stages, args.steps1)

    def second(name: str, functions: Values) -> Values:
        return run(second_stage(name, functions, args.lr, args.steps2))

    def joint(name: str, places: Iterable[str]) -> Search:
        return joint_search(name, args.joint_optimizer, places, args.lr, args.steps1 + args.steps2)

    by_stage = joint("joint-stages", dict.fromkeys(stages.values()))
    by_stage = dataclasses.replace(by_stage, starts=one_function_everywhere(by_stage.space))
    searches: dict[str, tuple[Callable[[], Values], list[str]]] = {
        "relu": (dict, []),
        "stage1": (lambda: run(first), ["stage1"]),
        "two-stage": (lambda: second("after stage1", run(first)), ["stage1", "after stage1"]),
        "stage2": (lambda: second("stage2", {}), ["stage2"]),
        "joint": (lambda: run(joint("joint", stages)), ["joint"]),
        "joint-stages": (lambda: run(by_stage), ["joint-stages"]),
    }
    make, names = searches[arm]
    return make(), names


def run_arm(experiment: Experiment, arm: str) -> None:
    """Search, fine-tune once more on training and validation images, test."""
    values, names = arm_configuration(experiment, arm)
    model, _ = experiment.fine_tune(values, final=True)
    dataset, splits = load_splits(experiment.data)
    done = [row for name in names for row in experiment.rows(search=name)]
    profile = profile_design(experiment.design(values), experiment.data)
    experiment.write(
        arm=arm,
        configuration=values,
        test_accuracy=round(1 - error_rate(model, dataset, splits.test, choose_compute()), 4),
        val_accuracy=None if not done else round(1 - min(r["val_error"] or 1.0 for r in done), 4),
        evaluations=len(done),
        failed=sum(row["val_error"] is None for row in done),
        **consumed(done),
        modelled_inference_energy_j=cost(profile, load_target(TARGET)).energy_j,
        target=TARGET,
    )


def dense_weights(args: argparse.Namespace, data: DataChoice, seed: int) -> tuple[dict[str, Any], float]:
    """Load or train the dense network; return its weights and test accuracy."""
    data = dataclasses.replace(data, train_limit=args.dense_train_limit)
    dataset, splits = load_splits(data)
    shape = image_shape(data)
    optimization = Optimization("SGD", args.lr, 0.9, 5e-4, "cosine", 0.05, nesterov=True)
    design = Design(args.model, args.width, recipe=Recipe(args.dense_epochs, args.batch, optimization, dataset.augment))
    if args.checkpoint is not None:
        model = build_network(design, shape)
        load_weights(model, args.checkpoint)
    else:
        file = args.out.with_name(f"{args.out.stem}-dense-{seed}.safetensors")
        model = train_design(design, data, epochs=args.dense_epochs, seed=seed, checkpoint=file)[0]
    accuracy = 1 - error_rate(model, dataset, splits.test, choose_compute())
    return {name: tensor.cpu() for name, tensor in model.state_dict().items()}, accuracy


def activation_stages(design: Design, data: DataChoice) -> dict[str, str]:
    """Return the layer group of every activation module."""
    backbone = build_network(design, image_shape(data))
    keys = {
        group.name: tuple((key, Activation()) for key in group.activations)
        for group in layer_groups(profile_design(design, data))
        if group.activations
    }
    owners = {module: name for name, own in keys.items() for module in assign_activations(backbone, own)}
    return {module: owners[module] for module in assign_activations(backbone, (("*", Activation()),))}


def run_seed(args: argparse.Namespace, seed: int) -> None:
    """Run the arms of a seed that are not in the output yet."""
    data = DataChoice(args.data, args.data_dir, train_limit=args.train_limit, seed=seed)
    stages = activation_stages(Design(args.model, args.width), data)
    dense, accuracy = dense_weights(args, data, seed)
    experiment = Experiment(args, seed, data, dense, stages)
    if not experiment.rows(arm="dense"):
        experiment.write(arm="dense", test_accuracy=round(accuracy, 4))
    for arm in args.arms.split(","):
        if not experiment.rows(arm=arm):
            run_arm(experiment, arm)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--checkpoint", default=None, help="dense weights, instead of a training")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--train-limit", type=int, default=4000, help="training images of fine-tunings")
    parser.add_argument("--dense-train-limit", type=int, default=None, help="training images of the dense network")
    parser.add_argument("--sparsity", type=float, default=0.99)
    parser.add_argument("--dense-epochs", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=4, help="of every fine-tuning")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05, help="of the fixed recipe and the dense training")
    parser.add_argument("--steps1", type=int, default=20, help="evaluations of stage 1")
    parser.add_argument("--steps2", type=int, default=20, help="evaluations of stage 2")
    parser.add_argument("--joint-optimizer", default="lahc")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Run what is not in the output yet; refuse to mix settings in one file."""
    args = parse()
    torch.set_num_threads(args.threads)
    settings = {name: getattr(args, name) for name in SETTINGS}
    if not args.out.exists():
        args.out.write_text(json.dumps({"settings": settings}) + "\n")
    first = json.loads(args.out.read_text().partition("\n")[0])
    if first.get("settings") != settings:
        raise SystemExit(f"{args.out}: was written with other settings; name another file")
    for seed in map(int, args.seeds.split(",")):
        run_seed(args, seed)


if __name__ == "__main__":
    main()
