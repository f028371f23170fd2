import dataclasses
import json
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import Builder, everything, residual
from safetensors import deserialize
from safetensors.numpy import save

from greenshift.deploy.encoding import encode_steps
from greenshift.deploy.file import (
    FORMAT,
    checksum_of,
    from_bytes,
    read_file,
    read_network,
    sealed,
    to_bytes,
    write_network,
)
from greenshift.deploy.network import Network
from greenshift.deploy.validity import check
from greenshift.errors import InputError


def same(left, right):
    """Whether two networks are equal to the last bit."""
    return left.description == right.description and [parts(s) for s in left.steps] == [parts(s) for s in right.steps]


def parts(step):
    values = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
    return type(step), {k: (v.dtype, v.tolist()) if isinstance(v, np.ndarray) else v for k, v in values.items()}


@pytest.mark.parametrize("network", [everything(0), everything(1), residual(2, blocks=1)])
def test_a_network_comes_back_to_the_bit(tmp_path, network):
    path = tmp_path / "new" / "network.safetensors"
    write_network(path, network)
    assert same(read_network(path), network)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    found = read_file(path)
    assert found.size_bytes == path.stat().st_size
    assert to_bytes(found.network) == path.read_bytes()


def test_a_resnet20_of_4_bits_is_an_eighth_of_its_float32_file():
    network = residual()
    weights = sum(step.weight.size for step in network.convolutions)
    assert weights > 268_000
    assert len(to_bytes(network)) < 143_000


def test_reading_needs_no_torch_and_little_else(tmp_path):
    write_network(tmp_path / "n", everything())
    code = (
        "import sys; from pathlib import Path; from greenshift.deploy.file import read_network;"
        f"read_network(Path({str(tmp_path / 'n')!r}));"
        "print(*{'torch', 'scipy', 'typer', 'sqlalchemy'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_an_invalid_network_is_not_written(tmp_path):
    with pytest.raises(InputError, match="steps"):
        write_network(tmp_path / "n", Network(everything().steps[:1]))
    with pytest.raises(InputError, match="must be JSON"):
        write_network(tmp_path / "n", Network(everything().steps, {"x": {1, 2}}))
    with pytest.raises(InputError, match="must be JSON"):
        write_network(tmp_path / "n", Network(everything().steps, {"x": float("nan")}))
    assert list(tmp_path.iterdir()) == []


def test_a_file_stays_if_its_successor_fails(tmp_path, monkeypatch):
    path = tmp_path / "n"
    write_network(path, everything(0))
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(InputError, match="disk full"):
        write_network(path, everything(1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def tiny():
    """A network of a few bytes, of most kinds of steps."""
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(6, 5, 1), 4)
    x = b.concat(b.max_pool(x, 3, 2, 1), b.subsample(x, 2, 1, 1))
    x = b.add(x, b.lookup(x))
    x = b.average_pool(x, 2)
    b.linear(x, 3)
    return b.network()


NETWORK = tiny()
FILE = to_bytes(NETWORK)
CHECKSUM = from_bytes(FILE).checksum


def test_the_example_is_valid():
    check(NETWORK)
    assert checksum_of(FILE, CHECKSUM) == CHECKSUM


def test_every_altered_byte_and_every_truncation_is_refused():
    for place in range(len(FILE)):
        altered = bytearray(FILE)
        altered[place] ^= 1 << place % 8
        with pytest.raises(InputError):
            from_bytes(bytes(altered))
        with pytest.raises(InputError):
            from_bytes(FILE[:place])
    with pytest.raises(InputError, match="checksum does not fit"):
        from_bytes(FILE + b"\0")


def read_or_problem(data):
    """The network in bytes, or what is said about them."""
    try:
        return from_bytes(data).network
    except InputError as error:
        return str(error)


def refused_or_sound(data):
    """Whether damaged bytes still hold a network; if so, it is a valid one that can be written again."""
    found = read_or_problem(data)
    if isinstance(found, str):
        assert len(found.splitlines()) == 1
        assert len(found) < 600
        return False
    check(found)
    assert same(from_bytes(to_bytes(found)).network, found)
    return True


def test_thousands_of_damaged_files_with_a_right_checksum():
    rng = np.random.default_rng(7)
    sound = 0
    for _ in range(3000):
        altered = bytearray(FILE)
        for place in rng.integers(0, len(FILE), rng.integers(1, 5)):
            altered[place] = rng.integers(256)
        data = bytes(altered)
        sound += refused_or_sound(sealed(data, CHECKSUM) if CHECKSUM.encode() in data else data)
    assert 0 < sound < 3000, "damage reaches both the numbers and the structure"


def rebuilt(change, label=None):
    """The example's file with another graph, arrays or label, and the checksum that belongs to it."""
    arrays = {
        name: np.frombuffer(entry["data"], {"U8": "u1", "I32": "<i4", "F16": "<f2"}[entry["dtype"]])
        for name, entry in deserialize(FILE)
    }
    graph = json.loads(zlib.decompress(arrays["graph"].tobytes()))
    graph = change(graph, arrays) or graph
    arrays["graph"] = np.frombuffer(zlib.compress(json.dumps(graph).encode()), np.uint8)
    text = {"checksum": CHECKSUM, "format": FORMAT, "version": "0", **(label or {})}
    return sealed(save(arrays, {"network": json.dumps(text)}), CHECKSUM)


WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=True),
    st.text(max_size=9),
    st.sampled_from(["conv", "add", "concat", "input", "max_pool", "shift4", "shift5", "binary"]),
    st.lists(st.integers(-3, 9), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
KEYS = sorted({key for entry in encode_steps(NETWORK)[0] for key in entry} | {"low", "high", "groups", "sources"})


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(NETWORK.steps) - 1), st.sampled_from(KEYS), WILD), min_size=1, max_size=3))
def test_wild_values_in_steps_are_refused_or_sound(edits):
    def change(graph, _):
        for index, key, value in edits:
            graph["steps"][index][key] = value

    refused_or_sound(rebuilt(change))


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(len(NETWORK.steps))), st.integers(0, len(NETWORK.steps)))
def test_steps_in_another_order_or_number_are_refused_or_sound(order, count):
    def change(graph, _):
        graph["steps"] = [graph["steps"][index] for index in order[:count]]

    refused_or_sound(rebuilt(change))


def set_step(index, **values):
    return lambda graph, _: graph["steps"][index].update(values)


def drop(name):
    def change(_, arrays):
        del arrays[name]

    return change


def cut(name, count=1):
    def change(_, arrays):
        arrays[name] = arrays[name][:-count]

    return change


def deep(graph, _):
    value = []
    for _ in range(500):
        value = [value]
    graph["description"] = {"deep": value}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (set_step(1, kind="magic"), "step 1: unknown kind of step magic"),
        (set_step(1, storage="shift9"), "step 1: unknown storage shift9"),
        (set_step(1, colour="red"), "step 1: unknown key colour"),
        (set_step(1, outputs=True), "step 1: outputs is no whole number"),
        (set_step(1, outputs=2**17), "needs 589824 codes|needs .* codes"),
        (set_step(1, kernel=[3]), "kernel has 1 numbers instead of 2"),
        (set_step(1, sources=[1]), "sources is no whole number from 0 to 0"),
        (set_step(1, sources=[0, 0]), "reads 2 steps; conv reads 1"),
        (set_step(0, shape=[10**6, 10**6, 3]), "step 0: shape is no whole number"),
        (set_step(0, shape=[10**5, 10**5, 1]), "out of range"),
        (set_step(3, before=5), "do not fit into"),
        (lambda graph, _: graph.update(steps={}), "steps is no list"),
        (lambda graph, _: graph.update(description=[]), "description is no JSON object"),
        (lambda *_: [1], "description is no JSON object"),
        (drop("tables"), "it has the arrays"),
        (cut("codes"), "are left in the file|its codes does not end"),
        (lambda graph, _: graph.update(deflated=["biases"]), "which of its arrays are compressed"),
        (lambda graph, _: graph.pop("deflated"), "which of its arrays are compressed"),
        (lambda graph, _: graph.update(deflated=["codes"]), "its codes cannot be decompressed"),
        (cut("multipliers"), "are left in the file"),
        (lambda _, arrays: arrays.update(biases=np.append(arrays["biases"], np.int32(0))), "belong to no step"),
        (lambda _, arrays: arrays.update(codes=arrays["codes"].astype("<i4")), "codes are no U8 array"),
    ],
)
def test_damage_is_named(change, problem):
    with pytest.raises(InputError, match=problem):
        from_bytes(rebuilt(change))


def test_other_formats_are_named():
    with pytest.raises(InputError, match="of format 2; this greenshift reads 1"):
        from_bytes(rebuilt(lambda *_: None, {"format": 2}))
    with pytest.raises(InputError, match="of format null"):
        from_bytes(rebuilt(lambda *_: None, {"format": None}))
    with pytest.raises(InputError, match="run `greenshift pack`"):
        from_bytes(save({"x": np.zeros(3)}, {"greenshift": "{}", "design": "{}"}))
    with pytest.raises(InputError, match="not a packed network"):
        from_bytes(save({"x": np.zeros(3)}))
    for text in (b"", b"PK\3\4", b"\xff" * 100, b"{}" * 50):
        with pytest.raises(InputError, match="ends too early"):
            from_bytes(text)


def test_a_bomb_is_not_decompressed():
    def change(graph, _):
        graph["description"] = {"x": "y" * 10_000_000}

    with pytest.raises(InputError, match="takes more than"):
        from_bytes(rebuilt(change))


def test_a_bomb_among_the_weights_is_not_decompressed():
    def change(graph, arrays):
        graph["deflated"] = ["codes"]
        arrays["codes"] = np.frombuffer(zlib.compress(bytes(10_000_000)), np.uint8)

    with pytest.raises(InputError, match="its codes does not end, or takes more than"):
        from_bytes(rebuilt(change))


@pytest.mark.parametrize("kept", [0.0, 0.02])
def test_few_different_weights_are_compressed_unless_too_well(kept):
    b = Builder(np.random.default_rng(0))
    b.linear(b.input(16, 16, 3), 10)
    layer = b.steps[-1]
    mask = b.rng.random(layer.weight.shape) < kept
    b.steps[-1] = dataclasses.replace(layer, weight=layer.weight * mask)
    data = to_bytes(b.network())
    assert same(from_bytes(data).network, b.network())
    stored_bytes = layer.weight.size // 2
    assert (len(data) < stored_bytes) == (kept > 0)


def test_nesting_without_end_is_refused():
    text = {"__metadata__": {"network": "[" * 50_000}}
    header = json.dumps(text).encode()
    with pytest.raises(InputError, match="no JSON"):
        from_bytes(len(header).to_bytes(8, "little") + header)
    assert refused_or_sound(rebuilt(deep))


def test_paths_that_cannot_be_read_are_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_network(path)
    (tmp_path / "text").write_text("hello, this is no network")
    with pytest.raises(InputError, match="text: damaged"):
        read_network(tmp_path / "text")
