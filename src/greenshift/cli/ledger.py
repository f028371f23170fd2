"""`greenshift ledger`, `plan` and `card`: what a search cost, whether it pays, and what to report."""

import math
from pathlib import Path

import typer

from greenshift.accounts import (
    Account,
    BreakEven,
    Declared,
    Embodied,
    Training,
    Worth,
    break_evens,
    make_card,
    references,
    worth_of,
)
from greenshift.accounts.break_even import fleet_time_s
from greenshift.amounts import Amount, Fleet, make_fleet, parse_energy, parse_time
from greenshift.cli.accounting import (
    GRID,
    PROFILE,
    PUE,
    SCENARIO,
    TABLES,
    TARGET,
    YEAR,
    Electricity,
    Look,
    look_at,
)
from greenshift.cli.output import JSON_OPTION, STORE, next_step, print_facts, print_json, print_table, shell_path
from greenshift.config import from_mapping
from greenshift.errors import InputError
from greenshift.front import front
from greenshift.quantities import format_count, format_duration, format_quantity
from greenshift.records import Evaluation
from greenshift.selection import choose

_DEVELOPMENT = typer.Option(None, "--development", help="Energy of developing the method, such as 2kWh.")
_STUDIES = typer.Option(1, "--studies", help="Studies that share the development.")
_INFERENCES = typer.Option(None, "--inferences", help="Inferences that the network will do.")
_TRIAL = typer.Option(None, "--trial", help="The network that does them. [the selected or the recommended one]")
_EMBODIED = typer.Option(None, "--embodied-kg", help="kgCO2e of making the machine that searched.")
_SERVICE = typer.Option(None, "--lifetime", help="How long that machine is in service, such as 4y.")
_FLEET = typer.Option(None, "--fleet", help="Devices that run the network.")
_RATE = typer.Option(None, "--rate", help="Inferences of each device, such as 1/s.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ledger")(ledger)
    app.command("plan")(plan)
    app.command("card")(card)


def ledger(
    store: Path = STORE,
    grid: str | None = GRID,
    year: int | None = YEAR,
    scenario: str | None = SCENARIO,
    profile: Path | None = PROFILE,
    pue: float = PUE,
    target: str | None = TARGET,
    tables: str | None = TABLES,
    development: str | None = _DEVELOPMENT,
    studies: int = _STUDIES,
    inferences: float | None = _INFERENCES,
    trial: int | None = _TRIAL,
    embodied_kg: float | None = _EMBODIED,
    lifetime: str | None = _SERVICE,
    fleet: int | None = _FLEET,
    rate: str | None = _RATE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Energy and carbon of a study by stages, and when its search has paid for itself."""
    look = look_at(store, Electricity(grid, year, scenario, profile, pue), target, tables)
    network = _network(look, trial) if inferences is not None else None
    declared = _declared(development, studies, inferences, network, _embodied(embodied_kg, lifetime))
    account, devices = look.account(declared), make_fleet(fleet, rate)
    points = front(look.evaluations, look.objectives)
    found = break_evens(points, references(look.evaluations, look.known), account.upfront())
    if as_json:
        entries = [entry.to_json(devices) for entry in found]
        print_json({**account.to_json(), "target": look.target, "break_even": entries})
        return
    _print_account(account)
    _print_break_evens(found, devices, look.target)
    next_step(f"greenshift card {shell_path(store)}")


def plan(
    model: str = typer.Option("tiny_cnn", help="Model name, timm:NAME or package.module:factory."),
    data: str = typer.Option("digits", help="Dataset name, or the path of an image folder."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    target: str = typer.Option("cortex-m4", help="Device of the cost model."),
    space: str = typer.Option("paper", help="Search space, paper or full."),
    fleet: int = typer.Option(1, "--fleet", help="Devices that will run the network."),
    rate: str = typer.Option(..., "--rate", help="Inferences of each device, such as 1/s."),
    lifetime: str = typer.Option(..., "--lifetime", help="How long the devices will run, such as 3y."),
    epochs: int | None = typer.Option(None, help="Epochs of one training. [the dataset's most]"),
    training: str | None = typer.Option(None, help="Energy of one training, such as 5kJ. [metered on a short one]"),
    as_json: bool = JSON_OPTION,
) -> None:
    """Say before any search how much energy it could ever be worth."""
    names = {"model": model, "data": data, "data_dir": data_dir, "target": target, "space": space, "epochs": epochs}
    uses = {"fleet": fleet, "rate": rate, "lifetime": lifetime}
    config = from_mapping({**names, **uses}, "options")
    devices = make_fleet(fleet, rate)
    assert devices is not None
    given = None if training is None else Training(Amount(parse_energy("training", training)), "as given")
    worth = worth_of(config, devices, parse_time("lifetime", lifetime), given)
    if as_json:
        print_json(worth.to_json())
        return
    print_facts(_worth_facts(worth))
    options = f"--model {model} --data {data} --target {target}"
    use = f"--fleet {fleet} --rate {rate} --lifetime {lifetime}"
    steps = {
        "worth searching": f"greenshift search {options} --budget auto {use}",
        "not worth searching": f"greenshift cost --model {model} --data {data} --target {target}, and ship a baseline",
        "unknown": f"greenshift plan {options} {use} --training 5kJ, with what one training takes",
    }
    next_step(steps[worth.verdict])


def card(
    store: Path = STORE,
    grid: str | None = GRID,
    year: int | None = YEAR,
    scenario: str | None = SCENARIO,
    profile: Path | None = PROFILE,
    pue: float = PUE,
    development: str | None = _DEVELOPMENT,
    studies: int = _STUDIES,
    inferences: float | None = _INFERENCES,
    trial: int | None = _TRIAL,
    embodied_kg: float | None = _EMBODIED,
    lifetime: str | None = _SERVICE,
    output: Path | None = typer.Option(None, "--out", "-o", help="File to write. [STORE/card.md, or .json]"),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write the Green AutoML checklist and the SCI score of a study."""
    look = look_at(store, Electricity(grid, year, scenario, profile, pue))
    network = _network(look, trial) if inferences is not None else None
    account = look.account(_declared(development, studies, inferences, network, _embodied(embodied_kg, lifetime)))
    made = make_card(
        look.mapping, look.evaluations, look.sessions, look.selections, look.facts, account, inferences=inferences
    )
    if as_json:
        print_json(made.to_json())
        return
    path = output or store / "card.md"
    try:
        path.write_text(made.to_markdown(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"card {path}: cannot be written ({error.strerror}); name another file with --out") from error
    typer.echo(f"wrote {shell_path(path)}")
    next_step(f"greenshift report {shell_path(store)}")


def _network(look: Look, trial: int | None) -> Evaluation:
    """The network that is shipped: the one asked for, else the selected, else the recommended one."""
    if trial is None and look.selections:
        trial = int(look.selections[-1]["trial"])
    return choose(look.evaluations, look.objectives, trial=trial)


def _embodied(total_kg: float | None, lifetime: str | None) -> Embodied | None:
    if total_kg is None and lifetime is None:
        return None
    if total_kg is None or lifetime is None:
        raise InputError("embodied: give both --embodied-kg and --lifetime, such as 1000 and 4y")
    return Embodied(total_kg, parse_time("lifetime", lifetime))


def _declared(
    development: str | None,
    studies: int,
    inferences: float | None,
    network: Evaluation | None,
    embodied: Embodied | None,
) -> Declared:
    energy_j = None if development is None else parse_energy("development", development)
    return Declared(energy_j, studies, inferences, network, embodied)


def _print_account(account: Account) -> None:
    rows = []
    for stage in account.stages:
        energy = None if stage.energy is None else stage.energy.energy_j
        grams, provenance = stage.carbon_interval, stage.provenance
        span = "-" if grams is None else f"{format_quantity(grams[0], 'g')} to {format_quantity(grams[1], 'g')}"
        name = stage.name.replace("_", " ")
        carbon = format_quantity(stage.carbon_g, "gCO2e")
        rows.append([name, format_quantity(energy, "J"), carbon, span, provenance, stage.source])
    columns = ["stage", "energy ", "carbon ", "9 times in 10 ", "provenance", "source..."]
    print_table(columns, rows, title=account.grid.describe() + f", PUE {account.pue:g}")
    facts = {"intensity": account.grid.source}
    if account.embodied_g is not None:
        facts["embodied"] = f"{format_quantity(account.embodied_g, 'gCO2e')}, the machine's share over the search"
    if account.stage("final_training") is None:
        facts["final training"] = "none so far; greenshift select makes and records it"
    print_facts(facts)


def _print_break_evens(found: tuple[BreakEven, ...], fleet: Fleet | None, target: str) -> None:
    rows = []
    for entry in found:
        interval = entry.payback.interval
        span = "-" if interval is None else " to ".join(map(_count, interval))
        row = [str(entry.trial), entry.baseline, format_quantity(entry.saved_j, "J"), _count(entry.inferences), span]
        row.append(f"{entry.payback.probability:.0%}")
        if fleet is not None:
            time_s = fleet_time_s(entry.inferences, fleet)
            row.append("-" if time_s is None or math.isinf(time_s) else format_duration(time_s))
        rows.append([*row, entry.verdict])
    times = [] if fleet is None else ["time of the fleet "]
    columns = [
        "trial",
        "instead of",
        "saved each ",
        "inferences ",
        "9 times in 10 ",
        "saves at all ",
        *times,
        "verdict",
    ]
    print_table(columns, rows, title=f"when the search has paid for itself, modelled on {target}")


def _worth_facts(worth: Worth) -> dict[str, str]:
    low, high = worth.interval
    facts = {
        "inferences": format_count(worth.inferences),
        "float32": f"{format_quantity(worth.float32.energy_j, 'J')} each on {worth.target}, modelled",
        "cheapest": f"{format_quantity(worth.cheapest.energy.energy_j, 'J')} each, whatever its accuracy, modelled",
        "upper bound": f"{format_quantity(worth.bound_j, 'J')}, 9 times in 10 {format_quantity(low, 'J')} to "
        f"{format_quantity(high, 'J')}",
    }
    if worth.training is None:
        facts["one training"] = f"unknown: {worth.missing}"
    else:
        facts["one training"] = f"{format_quantity(worth.training.energy.energy_j, 'J')}, {worth.training.source}"
    if worth.probe is not None:
        facts["this plan"] = f"{format_quantity(worth.probe_j, 'J')}, {worth.probe.provenance}: {worth.probe.source}"
    facts["verdict"] = worth.verdict
    if worth.budget_j is not None:
        facts["budget auto"] = format_quantity(worth.budget_j, "J")
    return facts


def _count(inferences: float | None) -> str:
    if inferences is None:
        return "unknown"
    return "never" if math.isinf(inferences) else format_count(inferences)
