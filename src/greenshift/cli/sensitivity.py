"""`greenshift sensitivity`: what each layer of a trained float network loses by each scheme, without training."""

from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, print_table, shell_path
from greenshift.quantities import format_count
from greenshift.records import DataChoice
from greenshift.report.wording import describe_scheme
from greenshift.schemes import named_scheme


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sensitivity")(sensitivity)


def sensitivity(
    checkpoint: Path = typer.Argument(..., help="Artifact of a float network, or float weights of --model."),
    model: str | None = typer.Option(None, help="Model name; an artifact knows its own."),
    data: str = typer.Option("cifar10", help="Dataset whose training images are used."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    schemes: str = typer.Option(
        "int8,int4,poweroftwo4,ternary", help="Names; a number behind one is the weights' bits."
    ),
    layers: str | None = typer.Option(None, help="Names or globs, each one row; every layer alone if left out."),
    images: int = typer.Option(1000, min=2, help="Training images that the loss is taken on."),
    batches: int = typer.Option(5, min=1, help="Batches of 128 training images to calibrate on."),
    seed: int = typer.Option(0, min=0, help="Seed of the split and of the batches."),
    threads: int = typer.Option(1, min=1, help="Threads for tensor arithmetic."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Loss that each layer costs by itself when a scheme is put on it: quick, and before any training.

    The sum over layers ranks mixtures of schemes; it does not forecast what a training makes of them.
    """
    named = {name.strip(): named_scheme(name.strip()) for name in schemes.split(",")}
    choice = DataChoice(data, data_dir, seed=seed)
    import torch

    from greenshift.artifacts import load_float_network
    from greenshift.networks import image_shape
    from greenshift.sensitivity import measure_sensitivity

    torch.set_num_threads(threads)
    network = load_float_network("sensitivity", checkpoint, image_shape(choice), model)
    keys = None if layers is None else [key.strip() for key in layers.split(",")]
    found = measure_sensitivity(
        network,
        choice,
        tuple(named.values()),
        layers=keys,
        images=images,
        batches=batches,
        on_row=lambda row: typer.echo(
            f"{row.layers}: {row.loss_increase:+.4f}, {describe_scheme(row.scheme)}", err=True
        ),
    )
    if as_json:
        print_json(found.to_json())
        return
    _print(found)
    next_step(f"greenshift search --init {shell_path(checkpoint)}, with the model and data of these weights")


def _print(found: Any) -> None:
    rows = [
        [row.layers, f"{row.loss_increase:+.4f}", f"{row.standard_error:.4f}", describe_scheme(row.scheme)]
        for row in found.rows
    ]
    title = f"loss above the float network's, in nat, on {format_count(found.images)} training images (measured)"
    print_table(["layer", "loss ", "± ", "scheme..."], rows, title=title)
    print_facts({"float loss": f"{found.float_loss:.4f} nat, with batch norms re-estimated"})
