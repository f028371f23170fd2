"""Fine-tune shifted ResNet20s from a float checkpoint and report their CIFAR-10 test accuracy.

All 50,000 training images, random crop and flip, SGD with Nesterov momentum, cosine with warm-up.
`POS1-scratch` and `POS2-scratch` are the paper's two points trained by the paper's recipe instead.
One JSON line per run; runs already in the output file are skipped, so that a cut run goes on.

    python benchmarks/finetune_shift.py --checkpoint resnet20-12fca82f.th --out docs/results/finetune.jsonl
"""

import argparse
import json
from pathlib import Path

import torch

from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Recipe
from greenshift.models import build_model, load_weights
from greenshift.networks import Start, load_splits, train_design
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift
from greenshift.space import make_space, named_configuration
from greenshift.train import choose_compute, error_rate, reestimate_normalisation

DEPTH = 20  # convolutions and linear layers of ResNet20
PAPER = {"POS1": "paper-pos1", "POS2": "paper-pos2"}
# Larger steps where the exponents have a coarser or a rounded parameter to cross.
LEARNING_RATES = {"Q3": 0.04, "Q": 0.01, "PS": 0.05}


def paper_design(name: str) -> Design:
    """Design of one of the paper's two Pareto points, with the paper's recipe."""
    space = make_space("paper", depth=DEPTH, fidelity=None)
    values = named_configuration(PAPER[name], DEPTH)
    return space.to_design(values, backbone="resnet20", fidelity=None, epochs=None, base=Recipe())


def fine_tuned_design(name: str, args: argparse.Namespace) -> Design:
    """Design of a fine-tuning: `Q4`, `PS5`, ..., or `POS1`, `POS2`."""
    if name in PAPER:
        schemes, lr = paper_design(name).schemes, LEARNING_RATES["Q"]
    else:
        kind, bits = name[:-1], int(name[-1])
        schemes = ((Depth(DEPTH), Shift(kind, bits, 16, 16)),)  # type: ignore[arg-type]
        lr = LEARNING_RATES.get(name, LEARNING_RATES[kind])
    optimization = Optimization("SGD", args.lr or lr, 0.9, args.weight_decay, "cosine", 0.05, nesterov=True)
    return Design(
        "resnet20",
        schemes=schemes,
        recipe=Recipe(args.epochs, args.batch, optimization, "crop-flip", args.label_smoothing),
    )


def run(name: str, seed: int, args: argparse.Namespace) -> dict[str, object]:
    """Train one design with one seed: `POS1-scratch` by the paper's recipe, all others from the checkpoint."""
    data = DataChoice("cifar10", args.data_dir, seed=seed)
    dataset, splits = load_splits(data)
    point, _, scratch = name.partition("-")
    if scratch:
        chosen, start = paper_design(point), None
        epochs = min(args.scratch_epochs or chosen.recipe.epochs, chosen.recipe.epochs)
    else:
        float_model = build_model("resnet20", num_classes=10, in_channels=3, image_size=32)
        load_weights(float_model, args.checkpoint)
        start = Start(float_model.state_dict(), args.checkpoint, calibration_batches=0)
        chosen, epochs = fine_tuned_design(name, args), args.epochs
    resume = args.out.with_name(f"{name}-{seed}.safetensors") if scratch else None
    model, training, curve = train_design(
        chosen, data, epochs=epochs, seed=seed, final=True, start=start, checkpoint=resume
    )
    plain = error_rate(model, dataset, splits.test, training.compute)
    reestimate_normalisation(model, training)
    return {
        "design": name,
        "seed": seed,
        "epochs": epochs,
        "recipe": chosen.to_json()["recipe"],
        "test_accuracy": 1 - plain,
        "test_accuracy_after_bn_reestimation": 1 - error_rate(model, dataset, splits.test, training.compute),
        "train_loss": [round(epoch.train_loss, 4) for epoch in curve],
        "seconds": round(sum(epoch.wall_s for epoch in curve), 1),
        "threads": torch.get_num_threads(),
        "precision": choose_compute().precision,
    }


def main() -> None:
    """Run all designs and seeds that are not in the output yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--designs", default="Q5,Q4,Q3,PS5,PS4,POS1,POS2,POS1-scratch,POS2-scratch")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=None, help="instead of the table's")
    parser.add_argument("--scratch-epochs", type=int, default=None, help="instead of the paper's 67 and 91")
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--label-smoothing", type=float, default=0.0)
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
