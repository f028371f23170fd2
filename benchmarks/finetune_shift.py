"""Fine-tune fully shifted ResNet20s from a float checkpoint and report their CIFAR-10 test error.

All 50,000 training images, random crop and flip, SGD with Nesterov momentum, cosine with warm-up.
One JSON line per run; runs already in the output file are skipped, so that a cut run goes on.

    python benchmarks/finetune_shift.py --checkpoint resnet20-12fca82f.th --out docs/results/finetune.jsonl
"""

import argparse
import json
import time
from pathlib import Path

import torch

from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Recipe
from greenshift.models import build_model, load_weights
from greenshift.networks import load_splits, train_design
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift
from greenshift.train import choose_compute, error_rate, reestimate_normalisation

# The paper's two Pareto points (its Table 1); activation bits, rounding and depth as published there.
PAPER = {
    "POS1": (Depth(5), Shift("Q", 4, 4, 4, "stochastic")),
    "POS2": (Depth(16), Shift("Q", 7, 29, 10)),
}


def design(name: str, args: argparse.Namespace) -> Design:
    """Design of a run: `Q4`, `PS5`, ..., or `POS1`, `POS2`."""
    if name in PAPER:
        schemes = (PAPER[name],)
    else:
        kind, bits = name[:-1], int(name[-1])
        schemes = ((Depth(20), Shift(kind, bits, 16, 16)),)  # type: ignore[arg-type]
    lr = args.lr_ps if name.startswith("PS") else args.lr
    optimization = Optimization("SGD", lr, 0.9, args.weight_decay, "cosine", 0.05, nesterov=True)
    return Design("resnet20", schemes=schemes, recipe=Recipe(args.epochs, args.batch, optimization, "crop-flip"))


def run(name: str, seed: int, args: argparse.Namespace) -> dict[str, object]:
    """Fine-tune one design with one seed."""
    data = DataChoice("cifar10", args.data_dir, seed=seed)
    dataset, splits = load_splits(data)
    float_model = build_model("resnet20", num_classes=10, in_channels=3, image_size=32)
    load_weights(float_model, args.checkpoint)
    started = time.perf_counter()
    chosen = design(name, args)
    model, training, curve = train_design(
        chosen, data, epochs=args.epochs, seed=seed, final=True, init=float_model.state_dict()
    )
    seconds = time.perf_counter() - started
    plain = error_rate(model, dataset, splits.test, training.compute)
    reestimate_normalisation(model, training)
    return {
        "design": name,
        "seed": seed,
        "epochs": args.epochs,
        "recipe": chosen.to_json()["recipe"],
        "test_accuracy": 1 - plain,
        "test_accuracy_after_bn_reestimation": 1 - error_rate(model, dataset, splits.test, training.compute),
        "train_loss": [round(epoch.train_loss, 4) for epoch in curve],
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "precision": choose_compute().precision,
    }


def main() -> None:
    """Run all designs and seeds that are not in the output yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--designs", default="Q5,Q4,Q3,PS5,PS4,POS1,POS2")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--lr-ps", type=float, default=0.05)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load_dataset("cifar10", args.data_dir)
    done = set()
    if args.out.exists():
        done = {(row["design"], row["seed"]) for row in map(json.loads, args.out.read_text().splitlines())}
    for seed in map(int, args.seeds.split(",")):
        for name in args.designs.split(","):
            if (name, seed) not in done:
                with args.out.open("a") as file:
                    file.write(json.dumps(run(name, seed, args)) + "\n")


if __name__ == "__main__":
    main()
