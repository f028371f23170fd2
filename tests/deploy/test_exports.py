import shutil

import numpy as np
import pytest
from random_networks import Builder

from greenshift.deploy import c_export
from greenshift.deploy.exports import export
from greenshift.errors import InputError, StudyError
from greenshift.targets import load_target

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
M4 = load_target("cortex-m4")


def small():
    b = Builder(np.random.default_rng(0))
    b.linear(b.conv(b.input(6, 5, 1), 4), 3)
    return b.network()


@needs_compiler
def test_an_exported_network_passes_its_self_test(tmp_path):
    (done,) = export(small(), "network", tmp_path, ["c", "c"], M4)
    assert {file.name for file in done.files} >= {"network.c", "network.h", "selftest.c"}
    assert all(file.is_file() for file in done.files)
    runs = done.report["verification"]["runs"]
    assert runs[0]["machine"].startswith("host")
    assert all(run["identical"] for run in runs)
    assert "outputs equal to the bit" in done.verification


def test_an_export_that_computes_something_else_is_an_error(tmp_path, monkeypatch):
    wrong = c_export.Verification((c_export.Run("host (cc)", False), c_export.Run("microbit", True)), ())
    monkeypatch.setattr(c_export, "verify_c", lambda *_: wrong)
    with pytest.raises(StudyError, match=r"other numbers on host \(cc\); do not use it"):
        export(small(), "network", tmp_path, ["c"], M4)


def test_without_a_compiler_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (done,) = export(small(), "network", tmp_path, ["c"], M4)
    assert not done.report["verification"]["runs"]
    assert done.verification.startswith("not checked")
    assert "no gcc or cc" in done.facts["not run"]


@pytest.mark.parametrize(("kinds", "problem"), [(["c"], "--target cortex-m0"), (["onx"], "'onx' is none of onnx, c")])
def test_what_cannot_be_exported_is_named(kinds, problem, tmp_path):
    with pytest.raises(InputError, match=problem):
        export(small(), "network", tmp_path, kinds, None)
    assert list(tmp_path.iterdir()) == []
