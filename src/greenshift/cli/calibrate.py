"""`greenshift calibrate`: this machine as a target."""

import datetime
from pathlib import Path

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, shell_path
from greenshift.energy import RaplMeter, machine, rapl_probe
from greenshift.errors import InputError
from greenshift.quantities import format_quantity
from greenshift.records import DataChoice


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(calibrate)


def calibrate(
    out: Path = typer.Option(Path("host.toml"), help="Target file to write."),
    model: str = typer.Option("resnet20", help="Network whose layers are timed."),
    data: str = typer.Option("cifar10", help="Dataset, for the image size and the number of classes."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    watts: float | None = typer.Option(None, help="Power while one thread computes, where there is no counter."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure this machine's layers, memory and power, and write a target file."""
    from greenshift import calibrate as measuring
    from greenshift.design import Design
    from greenshift.networks import build_network, image_shape, profile_design

    if out.suffix != ".toml":
        raise InputError(f"--out {out}: a target file ends in .toml")
    probe = rapl_probe()
    if watts is None and not probe.available:
        raise InputError(f"calibrate: no energy counter here ({probe.reason}); give the power by --watts")
    design, choice = Design(model), DataChoice(data, data_dir)
    network, profile = build_network(design, image_shape(choice)), profile_design(design, choice)
    power = measuring.measure_power(RaplMeter(children=False)) if watts is None else measuring.given_power(watts)
    result = measuring.calibrate(network, profile, power)
    shapes = len(result.times["float32"])
    cpu = machine().cpu
    text = measuring.to_toml(result, out.stem, f"{cpu}, one thread of torch", datetime.date.today().isoformat())
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from error
    bandwidth = result.memory_bytes_per_s.value
    if as_json:
        idle_w = power.idle_w
        found = {"active_power_w": power.active_w, "idle_power_w": idle_w, "power_source": power.source}
        print_json({"target": str(out), "shapes": shapes, "memory_bytes_per_s": bandwidth, **found})
        return
    print_facts(
        {
            "machine": cpu,
            "layers": f"{shapes} shapes of {model}, measured in {' and '.join(result.times)}",
            "network": f"takes {result.network_over_layers.value:.2f} times the sum of its layers, measured",
            "memory": f"{format_quantity(bandwidth, 'B')}/s, measured",
            "power": f"{format_quantity(power.active_w, 'W')}: {power.source}",
        }
    )
    next_step(f"greenshift cost --model {model} --target {shell_path(out)}")
