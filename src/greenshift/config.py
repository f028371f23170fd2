"""What a study is asked to do: a flat, frozen value, read from and written to `study.toml`."""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from greenshift.amounts import make_fleet, parse_time
from greenshift.budget import AUTO_BUDGET, parse_budget
from greenshift.design import ScheduleName
from greenshift.errors import InputError
from greenshift.fidelities import FidelityName, hyperparameters_of
from greenshift.objectives import Constraint, Objective, get_objectives, parse_constraint
from greenshift.toml_text import toml_value

Augmentation = Literal["none", "crop", "crop-flip"]

_CONSTRAINT_FIELDS = {
    "max_size": "size_bytes",
    "max_energy": "energy_j",
    "max_latency": "latency_s",
    "max_memory": "peak_memory_bytes",
}

# A study stays the same study with another budget, fleet or end, on other hardware, with the data in another folder,
# with its baselines added later, or with the studies moved that it began from: what it took from them is in its
# store. The two figures that turn CPU time into carbon belong to it only if carbon is an objective.
_NOT_IDENTITY = frozenset({"data_dir", "warm_start", "budget", "workers", "threads", "baselines"})
_NOT_IDENTITY |= {"fleet", "rate", "lifetime", "stop_when_unprofitable"}
_CARBON_FIELDS = frozenset({"cpu_watts", "carbon_intensity_g_per_kwh"})


@dataclass(frozen=True)
class StudyConfig:
    """Everything a study is asked to do. `meaning(name)` explains each field in one sentence.

    Raises:
        InputError: If a value has the wrong type or lies outside its range.
    """

    data: Annotated[str, "dataset name, or the path of an image folder"] = "digits"
    data_dir: Annotated[str | None, "folder that holds the official dataset folders; $GREENSHIFT_DATA if left out"] = (
        None
    )
    model: Annotated[str, "model name, timm:NAME or package.module:factory"] = "tiny_cnn"
    target: Annotated[str, "device of the cost model: a name of the catalog or a TOML file"] = "cortex-m4"
    space: Annotated[str, "search space: paper, or full for every technique per group of layers"] = "paper"
    techniques: Annotated[
        tuple[str, ...], "what space full searches, such as shift,prune; all that pay on the target if left out"
    ] = ()
    teacher: Annotated[str | None, "file of a trained network that every trial learns from; baselines do not"] = None
    init: Annotated[str | None, "file of a float network of the model that every training starts from"] = None
    teacher_model: Annotated[str | None, "model of the teacher if its file holds weights alone"] = None
    optimizer: Annotated[str, "search method"] = "freezethaw"
    warm_start: Annotated[
        tuple[str, ...],
        "run folders of earlier studies, or tables of greenshift sensitivity --json, whose best the search begins with",
    ] = ()
    prior: Annotated[Mapping[str, Any] | None, "values believed to be good, by hyperparameter, such as lr=0.1"] = None
    fidelity: Annotated[
        FidelityName | None,
        "resource of one evaluation: epochs, shift_depth, weight_bits, data_fraction, resolution, or two of them in "
        "this order, such as epochs,resolution; none if left out",
    ] = None
    fidelity_min: Annotated[
        int | None,
        "smallest fidelity; the dataset's fewest epochs, depth 1, 2 bits, 11 per cent of the images or half of "
        "their pixels a side if left out",
    ] = None
    fidelity_max: Annotated[
        int | None,
        "full fidelity; the dataset's most epochs, every layer, 8 bits, 100 per cent of the images or all of their "
        "pixels if left out",
    ] = None
    epochs: Annotated[int | None, "epochs where the search does not choose them; the dataset's most if left out"] = None
    objectives: Annotated[tuple[str, ...], "what is minimised"] = ("error", "energy_j")
    max_size: Annotated[str | None, "bound on the stored network, such as 256kB, or 60% of the float32 baseline"] = None
    max_energy: Annotated[str | None, "bound on the energy of one inference, such as 50uJ or 60%"] = None
    max_latency: Annotated[str | None, "bound on the time of one inference, such as 20ms or 60%"] = None
    max_memory: Annotated[str | None, "bound on the working memory of one inference, such as 64KiB or 60%"] = None
    max_error: Annotated[
        str | None, "validation error above which a network does not count, such as 20%; any counts if left out"
    ] = None
    budget: Annotated[str, "over all runs: trials, s, min, h, J, kJ, MJ, Wh, kWh; or auto, from the fleet"] = "20trials"
    fleet: Annotated[int | None, "devices that will run the network; 1 if left out"] = None
    rate: Annotated[str | None, "inferences of each device, such as 1/s"] = None
    lifetime: Annotated[str | None, "how long the devices will run, such as 3y"] = None
    stop_when_unprofitable: Annotated[bool, "stop once a joule of search is expected to save less than one"] = False
    seed: Annotated[int, "seed of the search, the data split, the weights and the batches"] = 0
    workers: Annotated[int, "evaluations at a time; 1 trains in this process"] = 1
    threads: Annotated[int, "threads of one training"] = 1
    train_limit: Annotated[int | None, "use at most this many training images; all if left out"] = None
    validation_share: Annotated[float, "share of the training images that the search is judged on"] = 0.2
    augment: Annotated[Augmentation, "none, crop or crop-flip; the paper's space does not search it"] = "none"
    schedule: Annotated[ScheduleName, "constant, step or cosine; the paper's space does not search it"] = "constant"
    baselines: Annotated[bool, "train float32, int8, a narrow float32 and two defaults first, all alike"] = True
    replay: Annotated[str | None, "table of recorded trainings to search in instead of training"] = None
    cpu_watts: Annotated[float | None, "power of one busy core in W where no counter can be read"] = None
    carbon_intensity_g_per_kwh: Annotated[float, "carbon intensity of this machine's electricity in gCO2e/kWh"] = 381.0

    def __post_init__(self) -> None:
        """Check types, choices and ranges."""
        hints = typing.get_type_hints(StudyConfig)
        for name, hint in hints.items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), hint))
        _check_ranges(self)
        study_objectives(self)
        constraints(self)
        if self.budget != AUTO_BUDGET:
            parse_budget(self.budget)
        make_fleet(self.fleet, self.rate)
        if self.lifetime is not None:
            parse_time("lifetime", self.lifetime)


def meaning(name: str) -> str:
    """Return the sentence that explains a field of `StudyConfig`."""
    return str(typing.get_type_hints(StudyConfig, include_extras=True)[name].__metadata__[0])


def study_objectives(config: StudyConfig) -> tuple[Objective, ...]:
    """Return what a configuration minimises, in order.

    Raises:
        InputError: If an objective is unknown or the bound on the error cannot be read.
    """
    return get_objectives(config.objectives, config.max_error)


def constraints(config: StudyConfig) -> tuple[Constraint, ...]:
    """Return the constraints a configuration sets, in the order of its fields.

    Raises:
        InputError: If a bound cannot be read.
    """
    texts = ((objective, getattr(config, name)) for name, objective in _CONSTRAINT_FIELDS.items())
    return tuple(parse_constraint(objective, text) for objective, text in texts if text is not None)


def identity(config: StudyConfig) -> dict[str, Any]:
    """Return the fields that make two runs the same study, as JSON values.

    Left out are what ends the search, the fleet, `workers`, `threads`, `data_dir`, `warm_start` and `baselines`, which
    a later run may change, and, unless `emissions_g` is an objective, `cpu_watts` and `carbon_intensity_g_per_kwh`.
    """
    left_out = _NOT_IDENTITY if "emissions_g" in config.objectives else _NOT_IDENTITY | _CARBON_FIELDS
    return {name: value for name, value in to_mapping(config).items() if name not in left_out}


def to_mapping(config: StudyConfig) -> dict[str, Any]:
    """Return all fields as JSON values; `from_mapping` is the inverse."""
    values = dataclasses.asdict(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def from_mapping(values: Mapping[str, Any], source: str = "study") -> StudyConfig:
    """Read a configuration from a mapping, such as a parsed TOML file.

    Args:
        values: Any of the fields; the others keep their defaults.
        source: What to call the mapping in an error.

    Raises:
        InputError: If a key is unknown or a value does not fit.
    """
    known = [f.name for f in dataclasses.fields(StudyConfig)]
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise InputError(f"{source}: unknown key '{key}'; the closest known one is '{close}'")
    try:
        return StudyConfig(**values)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def load_config(path: Path) -> StudyConfig:
    """Read `study.toml`.

    Raises:
        InputError: If the file cannot be read, is no TOML, or holds an unknown key or a bad value.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error
    return from_mapping(values, str(path))


def to_toml(config: StudyConfig) -> str:
    """Write a configuration as commented TOML; fields that are not set appear as comments."""
    lines: list[str] = []
    for f in dataclasses.fields(StudyConfig):
        value = getattr(config, f.name)
        lines.append(f"# {meaning(f.name)}")
        lines.append(f"# {f.name} =" if value is None else f"{f.name} = {toml_value(value)}")
    return "\n".join(lines) + "\n"


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return the value in the type of its field, or say what it should have been."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    for kind in kinds:
        if typing.get_origin(kind) is Literal and value in typing.get_args(kind):
            return value
        if typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
            if all(isinstance(item, str) for item in value):
                return tuple(value)
        elif typing.get_origin(kind) is Mapping and isinstance(value, Mapping):
            if all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in value.values()):
                return dict(value) or None
        elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            if math.isfinite(value):
                return float(value)
        elif isinstance(kind, type) and type(value) is kind:
            return value
    raise InputError(f"{name} must be {' or '.join(filter(None, map(_kind_name, kinds)))}, not {value!r}")


def _kind_name(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " or ".join(f"'{choice}'" for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "a list of texts"
    if typing.get_origin(kind) is Mapping:
        return "a table of texts and numbers"
    return {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "")


def _check_ranges(config: StudyConfig) -> None:
    for name in ("workers", "threads", "train_limit", "epochs", "fidelity_min", "fidelity_max"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if not 0 <= config.seed < 2**32:
        raise InputError(f"seed must be between 0 and {2**32 - 1}, not {config.seed}")
    if config.techniques and config.space != "full":
        raise InputError(
            f"techniques: space {config.space} has none to choose from; set space to 'full' or leave it out"
        )
    if config.teacher_model is not None and config.teacher is None:
        raise InputError(f"teacher_model {config.teacher_model} has no teacher; name its file with teacher")
    if config.stop_when_unprofitable and (config.rate is None or config.lifetime is None):
        raise InputError("stop_when_unprofitable: say how much the network will be used; set rate and lifetime")
    missing = [name for name in ("error", "energy_j") if name not in config.objectives]
    if config.stop_when_unprofitable and missing:
        raise InputError(f"stop_when_unprofitable: weighs error and energy; add {missing[0]} to the objectives")
    if not 0 < config.validation_share < 1:
        raise InputError(f"validation_share must lie between 0 and 1, not {config.validation_share}")
    if config.cpu_watts is not None and config.cpu_watts <= 0:
        raise InputError(f"cpu_watts must be above 0, not {config.cpu_watts}")
    if config.carbon_intensity_g_per_kwh < 0:
        raise InputError(f"carbon_intensity_g_per_kwh must be at least 0, not {config.carbon_intensity_g_per_kwh}")
    if config.fidelity is None and (config.fidelity_min or config.fidelity_max):
        raise InputError("fidelity_min and fidelity_max need a fidelity; set fidelity to 'epochs' or 'shift_depth'")
    if "epochs" in hyperparameters_of(config.fidelity) and config.epochs is not None:
        raise InputError(
            f"epochs and fidelity = '{config.fidelity}' exclude each other; set fidelity_max instead of epochs"
        )
    if config.teacher is not None and "resolution" in (config.fidelity or ""):
        raise InputError(
            f"fidelity = '{config.fidelity}' and a teacher exclude each other: it takes images of its own size only"
        )
    if config.fidelity_min and config.fidelity_max and config.fidelity_min > config.fidelity_max:
        raise InputError(f"fidelity_min {config.fidelity_min} is above fidelity_max {config.fidelity_max}")
