"""Tables survive the disk; what does not is told in one line."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_samples import configurations, sample_table

from greenshift.errors import InputError
from greenshift.replay import load_table, save_table


@pytest.fixture
def path(tmp_path):
    save_table(tmp_path / "sample.json.gz", sample_table())
    return tmp_path / "sample.json.gz"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "sample.json.gz"
    save_table(path, sample_table())
    return path.read_bytes()


def rewrite(path, change):
    document = json.loads(gzip.decompress(path.read_bytes()))
    change(document)
    path.write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))


def complaint(path):
    with pytest.raises(InputError) as caught:
        load_table(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_read(path):
    table, made = load_table(path), sample_table()
    for name in ("recording", "grid", "fixed", "depth", "epochs", "targets", "networks", "trainings"):
        assert getattr(table, name) == getattr(made, name), name
    assert table.source.startswith("sample.json.gz (")
    for configuration in configurations():
        assert table.known(configuration, "cortex-m0") == made.known(configuration, "cortex-m0")


def test_the_same_table_gives_the_same_bytes(path, tmp_path):
    again = tmp_path / "again.json.gz"
    save_table(again, load_table(path))
    assert again.read_bytes() == path.read_bytes()


def test_a_missing_file_is_named(tmp_path):
    assert "cannot be read (No such file or directory)" in complaint(tmp_path / "none.json.gz")


def test_a_folder_is_no_table(tmp_path):
    assert "cannot be read" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no table|truncated|no JSON"),
        (b"not gzip", "no gzip file"),
        (gzip.compress(b"\xff\xfe", mtime=0), "no JSON document"),
        (gzip.compress(b"[" * 100_000, mtime=0), "no JSON document"),
        (gzip.compress(b"[]", mtime=0), "not a table"),
        (gzip.compress(b'{"format": "something else"}', mtime=0), "not a table"),
        (gzip.compress(b'{"format": "greenshift table", "version": 9}', mtime=0), "version 9; .* reads 1"),
        (gzip.compress(b'{"format": "greenshift table", "version": 1}', mtime=0), "damaged"),
    ],
)
def test_what_is_no_table_is_told(tmp_path, content, words):
    path = tmp_path / "odd.json.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_table(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["trainings"].pop(), "holds 11 trainings and its grid has 12"),
        (lambda d: d["trainings"][3]["val_wrong"].pop(), "training 3 is not complete"),
        (lambda d: d["trainings"][3]["energy_j"].pop(), "training 3 is not complete"),
        (lambda d: d["trainings"][11].update(failure=None), "training 11 is not complete"),
        (lambda d: d["trainings"][0]["val_wrong"].__setitem__(0, 101), "training 0 is not complete"),
        (lambda d: d["trainings"][0]["cpu_s"].__setitem__(0, -1.0), "training 0 is not complete"),
        (lambda d: d["trainings"][0].update(network=99), "training 0 is not complete"),
        (lambda d: d["grid"].update(lr=[0.1]), "at least two different values"),
        (lambda d: d["grid"].update(lr=[0.1, [1]]), "damaged"),
        (lambda d: d["grid"].update(lr=[0.1, None]), "nor all numbers"),
        (lambda d: d["grid"].update(weight_bits=[5, 4, 3]), "ascending"),
        (lambda d: d["networks"].pop(0), "float32"),
        (lambda d: d["networks"][0]["costs"].pop("cortex-m0"), "lacks the costs"),
        (lambda d: d["recording"].pop("images"), "damaged"),
        (lambda d: d["recording"]["images"].update(validation=0), "how many images"),
        (lambda d: d["recording"]["consumption"].update(energy_j=None), "no energy"),
        (lambda d: d.update(epochs="many"), "damaged"),
        (lambda d: d.update(networks={"a": 1}), "damaged"),
        (lambda d: d["networks"][0]["layers"][0].update(colour="red"), "damaged"),
    ],
)
def test_content_that_does_not_fit_is_told(path, change, words):
    rewrite(path, change)
    assert words in complaint(path)


@given(share=st.floats(0, 1, exclude_max=True))
def test_no_truncated_table_is_read(content, tmp_path_factory, share):
    path = tmp_path_factory.mktemp("cut") / "cut.json.gz"
    path.write_bytes(content[: int(share * len(content))])
    complaint(path)


@given(place=st.integers(10, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(content, tmp_path_factory, place, bit):
    """Behind the ten bytes of gzip's header, of which some mean nothing."""
    place = 10 + place % (len(content) - 10)
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "flipped.json.gz"
    path.write_bytes(bytes(damaged))
    complaint(path)


def test_an_incomplete_table_is_not_written(tmp_path):
    table = sample_table()
    with pytest.raises(InputError, match="not written: it holds 11 trainings"):
        save_table(tmp_path / "short.json.gz", replace(table, trainings=table.trainings[:-1]))
    assert not list(tmp_path.iterdir())
