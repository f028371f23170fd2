import shutil

import pytest
from random_networks import everything

from greenshift.deploy.c_export import export_c
from greenshift.deploy.exports import export
from greenshift.deploy.host_check import check_on_host
from greenshift.errors import InputError, StudyError
from greenshift.targets import load_target

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
M4 = load_target("cortex-m4")


@needs_compiler
def test_an_exported_network_passes_its_self_test_here(tmp_path):
    (done,) = export(everything(), "network", tmp_path, ["c", "c"], M4)
    assert {file.name for file in done.files} >= {"network.c", "network.h", "selftest.c"}
    assert all(file.is_file() for file in done.files)
    assert done.report["verification"]["passed"]
    assert "all bytes and logits equal" in done.verification


@needs_compiler
def test_the_check_sees_wrong_numbers_and_wrong_code(tmp_path):
    folder = tmp_path / "c"
    export_c(everything(0), M4, folder, only="loops")
    other = tmp_path / "other"
    export_c(everything(1), M4, other, only="loops")
    shutil.copy(other / "selftest.c", folder / "selftest.c")
    assert check_on_host(folder).passed is False
    (folder / "network.c").write_text("int main(void) { return x; }")
    with pytest.raises(StudyError, match="refuses the exported C"):
        check_on_host(folder)


def test_without_a_compiler_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (done,) = export(everything(), "network", tmp_path, ["c"], M4)
    assert done.report["verification"] == {"compiler": None, "passed": None}
    assert done.verification == "not checked: no C compiler here"


@pytest.mark.parametrize(("kinds", "problem"), [(["c"], "--target cortex-m0"), (["onx"], "'onx' is none of onnx, c")])
def test_what_cannot_be_exported_is_named(kinds, problem, tmp_path):
    with pytest.raises(InputError, match=problem):
        export(everything(), "network", tmp_path, kinds, None)
    assert list(tmp_path.iterdir()) == []
