import dataclasses
import tomllib
from importlib.resources import files

import pytest

from greenshift.errors import InputError
from greenshift.targets import load_target, load_variants, target_names, unit_of
from greenshift.targets.loading import parse_target, parse_targets
from greenshift.targets.target import CyclesModel, OperationsModel, RooflineModel

FIGURE = '{ value = 2, factor = 1.5, source = "book", note = "page 3" }'
KERNEL = f'[kernels.one]\nruns = ["float", "int", "shift"]\ncycles_per_mac = {FIGURE}\nbytes_per_weight = {FIGURE}\n'
CYCLES_KEYS = [
    "clock_hz",
    "active_power_w",
    "word_bits",
    "multiword_penalty",
    "depthwise_ratio",
    "int_cycles_per_op",
    "float_cycles_per_op",
    "cycles_per_byte",
    "flash_bytes",
    "flash_reserved_bytes",
    "ram_bytes",
    "ram_reserved_bytes",
]
HEAD = 'name = "mine"\ntitle = "My board"\nversion = "1"\nmodel = "cycles"\n[sources]\nbook = "A book"\n'
VALID = HEAD + "[cycles]\n" + "".join(f"{key} = {FIGURE}\n" for key in CYCLES_KEYS) + KERNEL


NAMES = [
    *(
        "asic-45nm",
        "asic-7nm",
        "cortex-m0",
        "cortex-m3",
        "cortex-m33-u575",
        "cortex-m4",
        "cortex-m7",
        "cpu-amx",
        "cpu-avx2",
    ),
    *("cpu-vnni", "fpga-shift", "gpu-a100", "npu-syntiant", "rv32ic", "rv32imc"),
]
ALL = [target.name for name in NAMES for target in load_variants(name)]


def test_the_catalog_is_complete():
    assert list(target_names()) == NAMES


@pytest.mark.parametrize("name", ALL)
def test_every_catalog_file_is_valid_and_named_after_itself(name):
    target = load_target(name)
    assert target.name == name
    assert isinstance(target.model, OperationsModel | CyclesModel | RooflineModel)
    assert len(target.sources) >= 3


@pytest.mark.parametrize("name", ALL)
def test_every_figure_of_the_catalog_has_a_source_a_factor_and_a_reason_if_it_is_assumed(name):
    target = load_target(name)
    assert len(target.figures) > 8
    sources = dict(target.sources)
    for key, figure in target.figures:
        assert sources[figure.source], key
        assert figure.factor >= 1, key
        if figure.source == "assumption":
            assert figure.factor > 1 or figure.note, f"{key}: an assumption is not certain, or says why"


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_catalog_file_is_a_figure(name):
    """No number stands outside a figure, and every figure of the file was read."""
    document = tomllib.loads((files("greenshift.targets") / "catalog" / f"{name}.toml").read_text("utf-8"))

    def numbers(node, path):
        if isinstance(node, dict) and "value" in node:
            yield path
        elif isinstance(node, dict):
            for key, value in node.items():
                yield from numbers(value, f"{path}.{key}" if path else key)
        else:
            assert isinstance(node, str | bool | list), f"{path}: a bare number"

    document.pop("variants", None)
    assert set(numbers(document, "")) == {key for key, _ in load_target(name).figures}


@pytest.mark.parametrize("name", NAMES)
def test_every_citation_of_the_catalog_is_used(name):
    cited = {figure.source for target in load_variants(name) for _, figure in target.figures}
    assert [key for target in load_variants(name) for key, _ in target.sources if key not in cited] == []


def test_a_users_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(VALID)
    target = load_target(path)
    assert (target.name, target.title, target.version) == ("mine", "My board", "1")
    assert load_target(str(path)) == target
    assert isinstance(target.model, CyclesModel)
    figure = target.model.active_power_w
    assert (figure.value, figure.factor, figure.source, figure.note) == (2.0, 1.5, "book", "page 3")
    assert target.model.kernels[0].ability.max_levels is None


def test_an_unknown_name_lists_the_known_ones_and_the_closest():
    with pytest.raises(InputError, match=r"'cortex-m5' is unknown; did you mean 'cortex-m.'\? known: asic-45nm, asic"):
        load_target("cortex-m5")
    with pytest.raises(InputError, match=r"'zzz' is unknown; known: asic-45nm"):
        load_target("zzz")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.toml: No such file"):
        load_target(tmp_path / "nothing.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load_target(binary)


CLOCK = f"clock_hz = {FIGURE}"
BAD = {
    "no toml": (VALID + "][", "not valid TOML"),
    "unknown key": (VALID.replace(CLOCK, f"clock_hs = {FIGURE}\n{CLOCK}"), r"cycles\.clock_hs: unknown.*'clock_hz'"),
    "unknown root key": (VALID.replace("name =", 'colour = "red"\nname ='), "colour: unknown key"),
    "unknown kernel key": (VALID + "speed = 3\n", r"kernels\.one\.speed: unknown key"),
    "unknown figure key": (VALID.replace("note =", "nota ="), r"clock_hz\.nota: unknown key; did you mean 'note'"),
    "missing key": (VALID.replace(CLOCK, ""), r"cycles\.clock_hz: missing"),
    "missing table": (HEAD, "cycles: missing"),
    "missing sources": (VALID.replace('[sources]\nbook = "A book"\n', ""), "sources: missing"),
    "empty citation": (VALID.replace('"A book"', '" "'), r"sources\.book: a non-empty text"),
    "bare number": (VALID.replace(CLOCK, "clock_hz = 3"), r"cycles\.clock_hz: 3 has no source"),
    "no source": (VALID.replace(CLOCK, "clock_hz = { value = 1, factor = 1 }"), r"clock_hz: source None is not in"),
    "other source": (VALID.replace('source = "book"', 'source = "hearsay"'), r"'hearsay' is not in \[sources\].*book"),
    "no factor": (VALID.replace(CLOCK, 'clock_hz = { value = 1, source = "book" }'), r"clock_hz\.factor: a number"),
    "factor below one": (
        VALID.replace("factor = 1.5", "factor = 0.5"),
        r"factor: .* at least 1 is needed, not 0\.5",
    ),
    "negative": (VALID.replace("value = 2", "value = -2"), r"clock_hz\.value: .* at least 0 is needed, not -2"),
    "not finite": (VALID.replace("value = 2", "value = inf"), r"clock_hz\.value: .* not inf"),
    "true": (VALID.replace("value = 2", "value = true"), r"clock_hz\.value: .* not True"),
    "zero clock": (VALID.replace(CLOCK, CLOCK.replace("2", "0", 1)), r"clock_hz: value must be above 0"),
    "number as note": (VALID.replace('"page 3"', "3"), "note is a text"),
    "no table": (HEAD.replace("[sources]", "cycles = 3\n[sources]"), "cycles: a table is needed"),
    "other model": (
        VALID.replace('"cycles"', '"magic"', 1),
        "or 'roofline' or 'measured', not 'magic'",
    ),
    "runs nothing": (VALID.replace('"float", "int", "shift"', '"complex"'), r"kernels\.one\.runs: a list of float"),
    "runs a text": (VALID.replace('["float", "int", "shift"]', '"float"'), r"runs: a list of texts"),
    "packed twice": (VALID + "packed = true\n", r"bytes_per_weight: packed weights have none"),
    "flag": (VALID + "packed = 1\n", r"packed: true or false is needed"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_answered_by_one_line_with_file_and_key(text, message):
    parse_target(VALID, "board.toml")
    with pytest.raises(InputError, match=message) as caught:
        parse_target(text, "board.toml")
    assert str(caught.value).startswith("board.toml: ")
    assert "\n" not in str(caught.value)


OPERATIONS_KEYS = [
    "int_multiply_pj_per_bit2",
    "int_add_pj_per_bit",
    "fp16_multiply_pj",
    "fp16_add_pj",
    "fp32_multiply_pj",
    "fp32_add_pj",
    "sram_bytes",
    "sram_pj_per_byte",
    "dram_pj_per_byte",
    "moves_per_byte",
    "lanes",
    "clock_hz",
    "sram_bytes_per_s",
    "dram_bytes_per_s",
]


def operations_text(points: dict[str, float]) -> str:
    figures = "".join(f"{key} = {FIGURE}\n" for key in OPERATIONS_KEYS)
    table = "".join(f"{key} = {FIGURE.replace('2', str(value), 1)}\n" for key, value in points.items())
    return HEAD.replace("cycles", "operations") + "[operations]\n" + figures + "[operations.shift_pj]\n" + table


def test_shift_widths_come_in_any_order():
    target = parse_target(operations_text({"32": 3, "8": 1}), "chip.toml")
    assert isinstance(target.model, OperationsModel)
    assert [(bits, figure.value) for bits, figure in target.model.shift_pj] == [(8, 1.0), (32, 3.0)]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({}, r"operations\.shift_pj: at least one"),
        ({"wide": 1}, r"shift_pj\.wide: keys are operand widths"),
        ({"8": 3, "16": 1}, r"shift_pj\.16: a wider shift"),
    ],
)
def test_bad_shift_widths(points, message):
    with pytest.raises(InputError, match=message):
        parse_target(operations_text(points), "chip.toml")


VARIANT = f"""
[variants.fast]
title = "twice as fast"
[variants.fast.cycles]
clock_hz = {FIGURE.replace("2", "4", 1)}
[variants.other]
title = "another kernel"
[variants.other.sources]
paper = "A paper"
[variants.other.kernels.one]
cycles_per_mac = {FIGURE.replace("book", "paper")}
"""


def test_variants_replace_figures_and_leave_the_rest(tmp_path):
    base, fast, other = parse_targets(VALID + VARIANT, "board.toml")
    assert base == dataclasses.replace(parse_target(VALID, "board.toml"), variants=base.variants)
    assert base.variants == (("fast", "twice as fast"), ("other", "another kernel"))
    assert (fast.name, fast.title, fast.variants) == ("mine:fast", "My board; twice as fast", base.variants)
    assert fast.model == dataclasses.replace(base.model, clock_hz=fast.model.clock_hz)
    assert (base.model.clock_hz.value, fast.model.clock_hz.value) == (2.0, 4.0)
    assert other.model.kernels[0].cycles_per_mac.source == "paper"
    path = tmp_path / "board.toml"
    path.write_text(VALID + VARIANT)
    assert load_target(f"{path}:fast") == fast
    assert load_variants(path) == load_variants(f"{path}:fast") == (base, fast, other)


def test_the_shift_tables_of_45_nm_disagree_by_about_three():
    at_32_bits = [dict(target.model.shift_pj)[32].value for target in load_variants("asic-45nm")]
    assert max(at_32_bits) / min(at_32_bits) > 3
    assert load_target("asic-45nm:aladdin").model.shift_pj[-1][1].value == 0.417


BAD_VARIANTS = {
    "unknown figure": (
        "[variants.x]\ntitle = 'a'\n[variants.x.cycles]\nclock = 3",
        r"variant x: cycles\.clock: unknown",
    ),
    "bare number": ("[variants.x]\ntitle = 'a'\n[variants.x.cycles]\nclock_hz = 3", r"variant x: .*3 has no source"),
    "no title": (f"[variants.x.cycles]\n{CLOCK}", r"board\.toml: variants\.x\.title: a line is needed"),
    "no change": ("[variants.x]\ntitle = 'a'", r"board\.toml: variants\.x: changes no figure"),
    "no table": ("[variants]\nx = 3", r"board\.toml: variants: tables are needed"),
}


@pytest.mark.parametrize(("text", "message"), BAD_VARIANTS.values(), ids=BAD_VARIANTS.keys())
def test_a_bad_variant_is_found_when_the_file_is_read(text, message):
    with pytest.raises(InputError, match=message):
        parse_targets(VALID + text, "board.toml")


def test_an_unknown_variant_lists_the_known_ones():
    with pytest.raises(InputError, match="target 'asic-45nm' has no variant 'x'; known: aladdin, qkeras"):
        load_target("asic-45nm:x")
    with pytest.raises(InputError, match="target 'cortex-m7' has no variant 'x'; known: none"):
        load_target("cortex-m7:x")


@pytest.mark.parametrize(("missing", "message"), [("dram_bytes_per_s", "dram"), ("fp16_add_pj", "fp16")])
def test_figures_that_go_together(missing, message):
    text = operations_text({"8": 1}).replace(f"{missing} = {FIGURE}\n", "")
    with pytest.raises(InputError, match=rf"operations\.{missing}: missing; {message}.* go together"):
        parse_target(text, "chip.toml")


def test_units_are_read_off_keys():
    assert [unit_of(key) for key in ("operations.shift_pj.8", "cycles.clock_hz", "a.bytes_per_weight")] == [
        "pJ",
        "Hz",
        "B/weight",
    ]
    assert unit_of("roofline.overhead_s_per_layer") == "s"
    plain = {"moves_per_byte", "lanes", "max_levels", "zero_share", "depthwise_ratio", "multiword_penalty"}
    keys = {key for name in ALL for key, _ in load_target(name).figures if not unit_of(key)}
    assert {key.split(".")[-1] for key in keys} == plain
