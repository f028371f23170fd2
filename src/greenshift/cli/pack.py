"""`greenshift pack`: a trained network becomes a file of integers that the runtime and the exports read."""

from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, print_table, shell_path
from greenshift.errors import InputError
from greenshift.quantities import format_count, format_error, format_quantity


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("pack")(pack)


def pack(
    artifact: Path = typer.Argument(..., help="Artifact of greenshift select."),
    output: Path | None = typer.Option(None, "--output", "-o", help="Packed file. [ARTIFACT with the ending .packed]"),
    calibration: int = typer.Option(256, min=1, help="Training images by which the steps of activations are chosen."),
    allow_rounding: bool = typer.Option(
        False, "--allow-rounding", help="Round the smallest weights of shift layers whose exponents no format holds."
    ),
    test: bool = typer.Option(False, "--test", help="Test both networks on all test images as well."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    threads: int = typer.Option(1, min=1, help="Threads for tensor arithmetic."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Fold, round and write a trained network as the packed file that runs without torch."""
    from greenshift.deploy.packing.artifact import pack_artifact

    path = output or artifact.with_suffix(".packed")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"pack: {path} cannot be written; name a file in a folder that exists with --output")
    options: dict[str, Any] = {"data_dir": data_dir, "threads": threads}
    packed = pack_artifact(artifact, path, calibration, allow_rounding=allow_rounding, test=test, **options)
    tested = packed.tested
    if as_json:
        print_json({"path": str(path), **packed.report.to_json(), "test": None if tested is None else tested.to_json()})
        return
    _print_layers(packed.report, f"{shell_path(artifact)}, packed")
    facts = _facts(packed.report)
    if tested is not None:
        facts["test error"] = (
            f"{format_error(tested.packed_error)} packed (simulated), {format_error(tested.float_error)} in float, "
            f"on {tested.images} test images; the same class for {tested.agreement:.2%}"
        )
    facts["file"] = shell_path(path)
    print_facts(facts)
    next_step(f"greenshift inspect {shell_path(path)}")


def _print_layers(report: Any, title: str) -> None:
    columns = ["layer", "weights ", "stored as", "bits ", "trained as", "weights rounded "]
    rows = [
        [
            layer.name,
            format_count(layer.weights),
            layer.kind,
            str(layer.bits),
            layer.trained_as or "float32",
            f"{layer.rounded} ({layer.rounded_energy:.1e} of the squares)" if layer.rounded else "-",
        ]
        for layer in report.layers
    ]
    print_table(columns, rows, title=title)


def _facts(report: Any) -> dict[str, str]:
    assert report.size_bytes is not None
    ratio = report.float32_bytes / report.size_bytes
    facts = {
        "size": f"{format_quantity(report.size_bytes, 'B')}, {format_quantity(report.float32_bytes, 'B')} as float32 "
        f"({ratio:.1f} times as much)",
        "steps": f"{report.steps}, with {len(report.merged)} parts of the model merged into others",
    }
    if report.int8_layers:
        names = report.int8_layers
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        facts["made int8"] = f"{shown}: trained without a scheme, rounded after the training"
    if report.rounded:
        count, total = sum(layer.rounded for layer in report.rounded), sum(layer.weights for layer in report.layers)
        facts["rounded"] = f"{count} of {total} weights, in {len(report.rounded)} layers"
    facts["agreement"] = (
        f"{report.agreement:.2%} of {report.calibration_images} calibration images have the class of the float "
        f"network; logits differ by up to {report.largest_difference:.1%} of the largest"
    )
    return facts
