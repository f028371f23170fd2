"""Reading targets: TOML files of the catalog or of the user, checked to the last key."""

import difflib
import importlib.resources
import itertools
import tomllib
from collections.abc import Callable
from pathlib import Path

from greenshift.errors import InputError
from greenshift.targets.table import Table
from greenshift.targets.target import CyclesModel, Figure, Kernel, OperationsModel, Target

_ARITHMETICS = ("float", "int", "shift")


def target_names() -> tuple[str, ...]:
    """Names of the targets in the catalog, in alphabetical order."""
    folder = importlib.resources.files("greenshift.targets") / "catalog"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_target(name_or_path: str | Path) -> Target:
    """Read a target by its name in the catalog or from a TOML file.

    Args:
        name_or_path: A name of `target_names()`, or the path of a file that ends in `.toml`.

    Returns:
        The target.

    Raises:
        InputError: If there is no such target or file, or the file is no valid target; names file and key.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        return parse_target(_read(Path(text)), text)
    names = target_names()
    if text not in names:
        close = difflib.get_close_matches(text, names, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InputError(f"target '{text}' is unknown; {hint}known: {', '.join(names)}; or give a .toml file")
    resource = importlib.resources.files("greenshift.targets") / "catalog" / f"{text}.toml"
    return parse_target(resource.read_text(encoding="utf-8"), f"{text}.toml")


def parse_target(text: str, where: str) -> Target:
    """Read a target from TOML text.

    Args:
        text: The TOML document; `targets/catalog` has examples of both models.
        where: Name of the file, for messages.

    Raises:
        InputError: If the text is no TOML, a key is unknown or missing, or a figure is negative, has no
            source or no factor; names file and key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from error
    citations = document.get("sources")
    sources = citations if isinstance(citations, dict) else {}
    root = Table(document, where, "", frozenset(sources))
    name, title, version, kind = (root.text(key) for key in ("name", "title", "version", "model"))
    cited = root.table("sources")
    pairs = tuple((key, cited.text(key)) for key in cited.names())
    readers: dict[str, Callable[[Table], OperationsModel | CyclesModel]] = {
        "operations": _operations,
        "cycles": _cycles,
    }
    if kind not in readers:
        raise InputError(f"{where}: model is {' or '.join(repr(known) for known in readers)}, not '{kind}'")
    model = readers[kind](root)
    root.done()
    return Target(name, title, version, model, pairs)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"target file {path}: {reason}") from error


def _operations(root: Table) -> OperationsModel:
    table = root.table("operations")
    model = OperationsModel(
        int_multiply_pj_per_bit2=table.figure("int_multiply_pj_per_bit2"),
        int_add_pj_per_bit=table.figure("int_add_pj_per_bit"),
        fp16_multiply_pj=table.figure("fp16_multiply_pj"),
        fp16_add_pj=table.figure("fp16_add_pj"),
        fp32_multiply_pj=table.figure("fp32_multiply_pj"),
        fp32_add_pj=table.figure("fp32_add_pj"),
        shift_pj=_shift_points(table.table("shift_pj")),
        sram_bytes=table.figure("sram_bytes"),
        sram_pj_per_byte=table.figure("sram_pj_per_byte"),
        dram_pj_per_byte=table.figure("dram_pj_per_byte"),
        moves_per_byte=table.figure("moves_per_byte"),
        lanes=table.positive("lanes"),
        clock_hz=table.positive("clock_hz"),
        sram_bytes_per_s=table.positive("sram_bytes_per_s"),
        dram_bytes_per_s=table.positive("dram_bytes_per_s"),
    )
    table.done()
    return model


def _shift_points(table: Table) -> tuple[tuple[int, Figure], ...]:
    points = []
    for key in table.names():
        if not key.isdecimal() or int(key) < 1:
            raise InputError(f"{table.path(key)}: keys are operand widths in bits, such as 8")
        points.append((int(key), table.figure(key)))
    points.sort(key=lambda point: point[0])
    if not points:
        raise InputError(f"{table.path()}: at least one operand width is needed, such as 8 = {{ value = ... }}")
    for (_, low), (bits, high) in itertools.pairwise(points):
        if high.value < low.value:
            raise InputError(f"{table.path(str(bits))}: a wider shift cannot cost less than a narrower one")
    return tuple(points)


def _cycles(root: Table) -> CyclesModel:
    table = root.table("cycles")
    kernels = root.table("kernels")
    model = CyclesModel(
        clock_hz=table.positive("clock_hz"),
        active_power_w=table.figure("active_power_w"),
        word_bits=table.positive("word_bits"),
        multiword_penalty=table.figure("multiword_penalty"),
        depthwise_ratio=table.figure("depthwise_ratio"),
        int_cycles_per_op=table.figure("int_cycles_per_op"),
        float_cycles_per_op=table.figure("float_cycles_per_op"),
        cycles_per_byte=table.figure("cycles_per_byte"),
        flash_bytes=table.figure("flash_bytes"),
        flash_reserved_bytes=table.figure("flash_reserved_bytes"),
        ram_bytes=table.figure("ram_bytes"),
        ram_reserved_bytes=table.figure("ram_reserved_bytes"),
        kernels=tuple(_kernel(name, kernels.table(name)) for name in kernels.names()),
    )
    table.done()
    return model


def _kernel(name: str, table: Table) -> Kernel:
    runs = table.texts("runs")
    if not runs or not set(runs) <= set(_ARITHMETICS):
        raise InputError(f"{table.path('runs')}: a list of {', '.join(_ARITHMETICS)}, not {list(runs)}")
    packed = table.flag("packed")
    if packed and "bytes_per_weight" in table.names():
        raise InputError(f"{table.path('bytes_per_weight')}: packed weights have none; drop it or 'packed'")
    kernel = Kernel(
        name=name,
        runs=runs,
        cycles_per_mac=table.figure("cycles_per_mac"),
        bytes_per_weight=None if packed else table.figure("bytes_per_weight"),
        max_act_bits=table.optional("max_act_bits"),
        max_weight_bits=table.optional("max_weight_bits"),
        max_levels=table.optional("max_levels"),
        multiword=table.flag("multiword"),
        unrolled=table.flag("unrolled"),
    )
    table.done()
    return kernel
