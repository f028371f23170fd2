"""Fine-tune compressed ResNet20s from a float checkpoint and report their CIFAR-10 test accuracy.

All 50,000 training images, random crop and flip, SGD with Nesterov momentum, cosine with 5 % warm-up; batch norms
are re-estimated at the end. With `--teacher-checkpoint` (a ResNet56) every design is distilled.
`POS1-scratch` and `POS2-scratch` are the paper's two points trained by the paper's recipe instead, and
`--list` names all designs. One JSON line per run; runs already in the output file are skipped, so that a cut run
goes on.

    python benchmarks/finetune.py --checkpoint resnet20-12fca82f.th --out docs/results/finetune.jsonl
"""

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from torch import nn

from finetune_designs import DESIGNS, PAPER, FineTuning
from greenshift.data import load_dataset
from greenshift.design import Distillation, Optimization, Recipe
from greenshift.models import build_model, load_weights
from greenshift.networks import Start, load_splits, profile_design, train_design
from greenshift.records import DataChoice
from greenshift.train import choose_compute, error_rate, reestimate_normalisation
from greenshift.train.answers import KeptAnswers


def recipe_of(tuning: FineTuning, args: argparse.Namespace) -> Recipe:
    """Recipe of a fine-tuning."""
    optimization = Optimization(
        tuning.optimizer,
        args.lr or tuning.lr,
        0.9,
        tuning.weight_decay if args.weight_decay is None else args.weight_decay,
        "cosine",
        0.05,
        nesterov=True,
    )
    distilled = tuning.distilled and args.teacher_checkpoint
    distillation = Distillation(args.temperature, args.teacher_weight) if distilled else None
    return Recipe(max(1, args.epochs), args.batch, optimization, "crop-flip", args.label_smoothing, distillation)


def float_network(backbone: str, checkpoint: Path) -> nn.Module:
    """Return a float network with the weights of a file."""
    model = build_model(backbone, num_classes=10, in_channels=3, image_size=32)
    load_weights(model, checkpoint)
    return model


def epochs_of(name: str, args: argparse.Namespace) -> int:
    """Return how long a design is trained; 0 if it is calibrated only."""
    point, _, scratch = name.partition("-")
    if scratch and point in PAPER:
        own = PAPER[point]().recipe.epochs
        return min(args.scratch_epochs or own, own)
    return args.epochs if DESIGNS[name].trained else 0


def run(name: str, seed: int, args: argparse.Namespace, teacher: nn.Module | None) -> dict[str, object]:
    """Train one design with one seed: `POS1-scratch` by the paper's recipe, all others from the checkpoint."""
    data = DataChoice("cifar10", args.data_dir, seed=seed)
    dataset, splits = load_splits(data)
    point, _, scratch = name.partition("-")
    epochs = epochs_of(name, args)
    resume = args.out.with_name(f"{args.out.stem}-{name}-{seed}-{epochs}.safetensors")  # not that of a run beside it
    if scratch and point in PAPER:
        chosen, start, teacher = PAPER[point](), None, None
    else:
        tuning = DESIGNS[name]
        chosen = dataclasses.replace(tuning.design, recipe=recipe_of(tuning, args))
        start = None
        if tuning.pretrained:
            weights = float_network("resnet20", args.checkpoint).state_dict()
            start = Start(weights, str(args.checkpoint), tuning.calibration_batches)
        teacher = teacher if tuning.distilled else None
    if epochs == 0:
        chosen, teacher = (
            dataclasses.replace(chosen, recipe=dataclasses.replace(chosen.recipe, distillation=None)),
            None,
        )
    model, training, curve = train_design(
        chosen, data, epochs=epochs, seed=seed, final=True, start=start, checkpoint=resume, teacher=teacher
    )
    plain, exact = None, choose_compute("float32")
    if epochs > 0:
        plain = 1 - error_rate(model, dataset, splits.test, exact)
        reestimate_normalisation(model, training)
    profile = profile_design(chosen, data)
    resume.unlink(missing_ok=True)
    return {
        "design": name,
        "seed": seed,
        "epochs": epochs,
        "recipe": chosen.to_json()["recipe"],
        "teacher": None if teacher is None else "resnet56",
        "test_accuracy": plain,
        "test_accuracy_after_bn_reestimation": 1 - error_rate(model, dataset, splits.test, exact),
        "macs": profile.macs,
        "size_bytes": profile.size_bytes,
        "train_loss": [round(epoch.train_loss, 4) for epoch in curve],
        "train_accuracy": [round(1 - epoch.train_error, 4) for epoch in curve],
        "seconds": round(sum(epoch.wall_s for epoch in curve), 1),
        "threads": torch.get_num_threads(),
        "precision": training.compute.precision,
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="float ResNet20")
    parser.add_argument("--teacher-checkpoint", type=Path, help="float ResNet56 to distil from")
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--teacher-weight", type=float, default=0.5)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--designs", default="Q5,Q4,Q3,PS5,PS4,POS1,POS2,POS1-scratch,POS2-scratch")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=4, help="0 to calibrate only")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=None, help="instead of the design's")
    parser.add_argument("--scratch-epochs", type=int, default=None, help="instead of the paper's 67 and 91")
    parser.add_argument("--weight-decay", type=float, default=None, help="instead of the design's")
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Run all designs and seeds that are not in the output yet."""
    args = parse()
    torch.set_num_threads(args.threads)
    load_dataset("cifar10", args.data_dir)
    teacher = None
    if args.teacher_checkpoint:
        answers = args.out.with_suffix(".answers.sqlite")
        teacher = KeptAnswers(float_network("resnet56", args.teacher_checkpoint), answers)
    done = set()
    if args.out.exists():
        rows = map(json.loads, args.out.read_text().splitlines())
        done = {(row["design"], row["seed"], row["epochs"]) for row in rows}
    for seed in map(int, args.seeds.split(",")):
        for name in args.designs.split(","):
            if (name, seed, epochs_of(name, args)) not in done:
                row = json.dumps(run(name, seed, args, teacher))
                with args.out.open("a") as file:
                    file.write(row + "\n")


if __name__ == "__main__":
    main()
