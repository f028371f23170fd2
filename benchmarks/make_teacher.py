"""Train a float network to learn from on the training images of a study alone, and write it as an artifact.

What `greenshift select` writes has learned from the validation images too, and would tell them to its students: a
comparison of searches by validation error needs a teacher that has not seen them. Data and seed must be those of the
studies, whose split it is. Prints JSON.

    python benchmarks/make_teacher.py --data digits --model tiny_cnn --width 2 --seed 0 --out teacher-0.safetensors
"""

import argparse
import json
from pathlib import Path

import torch

from greenshift.artifacts import save_artifact
from greenshift.design import Design, Optimization, Recipe
from greenshift.networks import load_splits, train_design
from greenshift.records import DataChoice


def main() -> None:
    """Train, write, print the validation error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--train-limit", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = DataChoice(args.data, train_limit=args.train_limit, seed=args.seed)
    dataset, _ = load_splits(data)
    optimization = Optimization("SGD", 0.05, 0.9, 5e-4, "cosine", 0.05, nesterov=True)
    design = Design(args.model, width=args.width, recipe=Recipe(args.epochs, args.batch, optimization, dataset.augment))
    model, _, curve = train_design(design, data, epochs=args.epochs, seed=args.seed)
    save_artifact(args.out, model, design, dataset, {"seed": args.seed})
    print(json.dumps({"validation_error": curve[-1].val_error, "epochs": args.epochs, "width": args.width}))


if __name__ == "__main__":
    main()
