"""Bad input: exit code 2, one line on stderr that says what, where and what to do, and nothing left behind."""

import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import Said
from greenshift.store import Store

TRUNCATED = "cifar-10-batches-bin/data_batch_1.bin"


def tree_of(folder):
    """All files below a folder with their contents' sizes."""
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*")}


def assert_refused(said, *fragments):
    assert said.code == 2, (said.code, said.out, said.err)
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("greenshift: ")
    for fragment in fragments:
        assert fragment in said.err


@pytest.fixture
def refuse(call, tmp_path, monkeypatch):
    """Call in an empty folder and hold the refusal, and that the folder is as it was."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments, fragments):
        before = tree_of(tmp_path)
        said = call(*arguments)
        assert_refused(said, *fragments)
        assert tree_of(tmp_path) == before, "something was left behind"

    return check


SEARCHES = {
    "dataset": (["--data", "digit"], ["'digit'", "did you mean digits"]),
    "dataset like none": (["--data", "xyz"], ["'xyz'", "digits", "fashion-mnist", "cifar100", "image folder"]),
    "model": (["--model", "resnet21"], ["'resnet21'", "did you mean", "resnet20"]),
    "target": (["--target", "cortex-m44"], ["'cortex-m44'", "cortex-m4", ".toml"]),
    "target file": (["--target", "mine.toml"], ["mine.toml", "No such file"]),
    "optimizer": (["--optimizer", "bayes"], ["'bayes'", "random", "smac"]),
    "warm start from nowhere": (["--warm-start", "gone"], ["warm_start", "gone", "does not exist", "name the folder"]),
    "warm start without a study": (["--warm-start", "."], ["warm_start", "has no study.db", "name the folder"]),
    "prior without a value": (["--prior", "lr"], ["prior", "'lr'", "lr=0.1,weight_bits=4"]),
    "prior twice": (["--prior", "lr=0.1,lr=0.2"], ["prior", "'lr=0.2'", "lr=0.1,weight_bits=4"]),
    "prior of nothing known": (["--prior", "rate=0.1"], ["prior", "'rate'", "known", "weight_decay"]),
    "prior out of range": (["--prior", "lr=7"], ["prior", "lr", "7", "[0.001, 0.1]"]),
    "prior for random": (
        ["--optimizer", "random", "--prior", "lr=0.05"],
        ["prior: optimizer 'random' cannot use it; choose freezethaw"],
    ),
    "space": (["--space", "everything"], ["'everything'", "paper"]),
    "objective": (["--objectives", "error,carbon"], ["'carbon'", "energy_j"]),
    "objective twice": (["--objectives", "error,error"], ["twice"]),
    "no objective": (["--objectives", ""], ["objective", "error"]),
    "fidelity": (["--fidelity", "time"], ["'time'", "epochs", "shift_depth"]),
    "fidelity beyond the network": (["--fidelity", "shift_depth", "--max-fidelity", "99"], ["99", "layers"]),
    "fidelity upside down": (["--fidelity", "epochs", "--min-fidelity", "9", "--max-fidelity", "3"], ["9", "3"]),
    "fidelity bounds without one": (["--min-fidelity", "2"], ["fidelity", "epochs"]),
    "epochs twice": (["--fidelity", "epochs", "--epochs", "3"], ["epochs", "fidelity_max"]),
    "budget of 0": (["--budget", "0trials"], ["0trials", "above zero"]),
    "budget without a unit": (["--budget", "0"], ["'0'", "trials", "8trials"]),
    "budget in words": (["--budget", "a while"], ["'a while'", "8trials"]),
    "budget below 0": (["--budget=-3trials"], ["-3trials", "positive"]),
    "budget of half a trial": (["--budget", "0.5trials"], ["0.5trials", "whole"]),
    "budget twice": (["--budget", "5s,1min"], ["twice"]),
    "end without a use": (["--stop-when-unprofitable"], ["stop_when_unprofitable", "rate and lifetime"]),
    "end without energy": (
        ["--stop-when-unprofitable", "--rate", "1/s", "--lifetime", "1y", "--objectives", "error,size_bytes"],
        ["stop_when_unprofitable", "energy_j"],
    ),
    "size in words": (["--max-size", "small"], ["size_bytes", "'small'", "kB"]),
    "size in joules": (["--max-size", "5J"], ["size_bytes", "'J'", "kB"]),
    "energy of 0": (["--max-energy", "0uJ"], ["energy_j", "above zero"]),
    "error of 0": (["--max-error", "0%"], ["max_error", "above 0 %", "20%"]),
    "error without per cent": (["--max-error", "0.2"], ["max_error", "'0.2'", "20%"]),
    "bound on an error that does not matter": (
        ["--max-error", "20%", "--objectives", "energy_j,size_bytes"],
        ["max_error", "objectives", "add it"],
    ),
    "latency without a unit": (["--max-latency", "20"], ["latency_s", "ms"]),
    "seed in words": (["--seed", "lucky"], ["--seed", "integer", "search --help"]),
    "seed below 0": (["--seed", "-1"], ["seed", "-1"]),
    "workers": (["--workers", "0"], ["workers", "0"]),
    "share": (["--validation-share", "1.5"], ["validation_share", "1.5"]),
    "share that leaves nothing": (["--validation-share", "0.0001"], ["validation_share", "0.0001"]),
    "too few images": (["--train-limit", "1"], ["train_limit", "1"]),
    "watts": (["--cpu-watts", "0"], ["cpu_watts", "0"]),
    "augmentation": (["--augment", "mixup"], ["'mixup'", "crop-flip"]),
    "schedule": (["--schedule", "linear"], ["'linear'", "cosine"]),
    "data folder": (["--data", "cifar10", "--data-dir", "nowhere"], ["nowhere", "folder"]),
    "unknown option": (["--epoch", "3"], ["--epoch", "search --help"]),
    "option without a value": (["--budget"], ["--budget", "argument"]),
    "study file": (["study.toml"], ["study.toml", "No such file"]),
    "factory": (["--model", "my_nets:Net"], ["my_nets", "cannot be imported"]),
    "no factory": (["--model", "math:pi"], ["math:pi", "function or class"]),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_search_refuses(case, refuse):
    arguments, fragments = SEARCHES[case]
    refuse("search", "--store", "store", *arguments, fragments=fragments)


OTHERS = {
    "command": (["serch"], ["'serch'", "--help"]),
    "store left out": (["front"], ["store", "front --help"]),
    "too many stores": (["front", "a", "b"], ["b", "front --help"]),
    "front of nothing": (["front", "store"], ["store", "does not exist", "name the folder"]),
    "status of nothing": (["status", "store", "--json"], ["store", "does not exist"]),
    "report of nothing": (["report", "store"], ["store", "does not exist"]),
    "select from nothing": (["select", "store"], ["store", "does not exist"]),
    "select without seeds": (["select", "store", "--seeds", "0"], ["--seeds", "1"]),
    "configuration name": (["cost", "--configuration", "paper-pos3"], ["'paper-pos3'", "paper-pos1"]),
    "cost model": (["cost", "--model", "lenet", "--json"], ["'lenet'", "did you mean", "package.module:factory"]),
    "cost target": (["cost", "--target", "esp32", "--json"], ["'esp32'", "cortex-m4"]),
    "cost dataset": (["cost", "--data", "imagenet", "--json"], ["'imagenet'", "cifar10"]),
    "no checkpoint": (["evaluate", "--checkpoint", "w.pt", "--model", "resnet20"], ["w.pt", "no such file"]),
    "checkpoint left out": (["evaluate"], ["--checkpoint", "evaluate --help"]),
    "sensitivity scheme": (["sensitivity", "w.pt", "--schemes", "int9"], ["weight_bits is 2 to 8, not 9"]),
    "sensitivity name": (["sensitivity", "w.pt", "--schemes", "bf16"], ["unknown scheme 'bf'"]),
    "sensitivity file": (["sensitivity", "w.pt", "--data", "digits"], ["w.pt", "no such file"]),
    "init budget": (["init", "--budget", "0"], ["budget", "'0'"]),
    "init place": (["init", "--output", "no/where.toml"], ["no/where.toml", "cannot be written"]),
}


@pytest.mark.parametrize("case", OTHERS)
def test_the_other_commands_refuse(case, refuse):
    arguments, fragments = OTHERS[case]
    refuse(*arguments, fragments=fragments)


REAL = {
    "usage": (["search", "--epoch", "3"], ["--epoch", "search --help"]),
    "value": (["search", "--budget", "0", "--store", "store"], ["budget", "'0'"]),
    "torch side": (["search", "--model", "resnet21", "--store", "store"], ["'resnet21'"]),
    "store": (["front", "store"], ["does not exist"]),
}


@pytest.mark.parametrize("case", REAL)
def test_a_real_process_ends_with_2(case, greenshift, tmp_path):
    arguments, fragments = REAL[case]
    assert_refused(greenshift(*arguments, cwd=tmp_path), *fragments)
    assert list(tmp_path.iterdir()) == []


# ---- study files


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("modell = 'resnet20'", ["'modell'", "'model'"]),
        ("[search]\nmodel = 'resnet20'", ["'search'"]),
        ("model = \n", ["not a TOML file", "line 1"]),
        ("model = 3", ["model", "a text", "3"]),
        ("seed = '0'", ["seed", "whole number"]),
        ("budget = '0'", ["budget", "'0'"]),
        ("objectives = 'error'", ["objectives", "list"]),
        ("model = '\udcff'", ["cannot be read"]),
    ],
)
def test_a_study_file_with_a_mistake(text, fragments, refuse, tmp_path):
    (tmp_path / "my study.toml").write_bytes(text.encode(errors="surrogateescape"))
    refuse("search", "my study.toml", "--store", "store", fragments=["my study.toml", *fragments])


def test_init_keeps_what_is_there(refuse, tmp_path):
    (tmp_path / "study.toml").write_text("seed = 7\n")
    refuse("init", fragments=["study.toml", "exists already", "--output"])
    assert (tmp_path / "study.toml").read_text() == "seed = 7\n"


# ---- data


@pytest.mark.parametrize(("size", "problem"), [(1000, "truncated"), (30_730_001, "too long"), (0, "truncated")])
def test_a_cifar_file_of_a_wrong_size(size, problem, refuse, tmp_path):
    path = tmp_path / "data" / TRUNCATED
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, size)
    refuse(
        *("search", "--data", "cifar10", "--data-dir", "data", "--store", "store"),
        fragments=[TRUNCATED, problem, str(size), "30730000", "unpack"],
    )


def test_a_missing_cifar_file(refuse, tmp_path):
    path = tmp_path / "data" / "cifar-10-batches-bin" / "test_batch.bin"
    path.parent.mkdir(parents=True)
    path.touch()
    refuse("search", "--data", "cifar10", "--data-dir", "data", fragments=["data_batch_1.bin is missing"])


def test_the_data_folder_may_come_from_the_environment(refuse, tmp_path, monkeypatch):
    path = tmp_path / "elsewhere" / TRUNCATED
    path.parent.mkdir(parents=True)
    path.write_bytes(b"short")
    monkeypatch.setenv("GREENSHIFT_DATA", str(tmp_path / "elsewhere"))
    refuse("search", "--data", "cifar10", "--store", "store", fragments=["elsewhere", "truncated"])


def test_a_dataset_that_is_nowhere_names_the_places(refuse, tmp_path, monkeypatch):
    from greenshift.data import sources

    monkeypatch.delenv("GREENSHIFT_DATA", raising=False)
    monkeypatch.setattr(sources, "SYSTEM_FOLDERS", (str(tmp_path / "usual place"),))
    refuse(
        "search", "--data", "cifar100", fragments=["cifar-100-binary", "usual place", "--data-dir", "GREENSHIFT_DATA"]
    )


# ---- configurations

WHOLE = {
    "batch_size": 64,
    "optimizer": "SGD",
    "lr": 0.1,
    "momentum": 0.9,
    "epochs": 10,
    "weight_bits": 4,
    "act_integer_bits": 8,
    "act_fraction_bits": 8,
    "shift_depth": 3,
    "shift_type": "Q",
    "rounding": "deterministic",
    "weight_decay": 1e-4,
}


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (json.dumps({**WHOLE, "weight_bits": 9}), ["weight_bits", "9", "from 2 to 8"]),
        (json.dumps({**WHOLE, "lr": 3}), ["lr", "3", "0.1"]),
        (json.dumps({**WHOLE, "shift_depth": 99}), ["shift_depth", "99", "to 20"]),
        (json.dumps({**WHOLE, "shift_type": "R"}), ["shift_type", "'R'", "Q, PS"]),
        (json.dumps({**WHOLE, "weight_bit": 4}), ["'weight_bit'", "weight_bits"]),
        (json.dumps({**WHOLE, "lr": float("nan")}), ["lr", "nan"]),
        (json.dumps({**WHOLE, "epochs": True}), ["epochs", "True"]),
        ("[1, 2]", ["JSON object"]),
        ("{", ["not a JSON file"]),
    ],
)
def test_a_configuration_outside_the_space(text, fragments, refuse, tmp_path):
    (tmp_path / "mine.json").write_text(text)
    refuse("cost", "--configuration", "mine.json", "--json", fragments=["mine.json", *fragments])


# ---- checkpoints


class _Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_checkpoint_of_another_model(refuse, tmp_path):
    from greenshift.models import build_model

    tiny = build_model("tiny_cnn", num_classes=10, in_channels=1, image_size=8)
    torch.save(tiny.state_dict(), tmp_path / "tiny.pt")
    refuse(
        *("evaluate", "--checkpoint", "tiny.pt", "--model", "resnet20", "--data", "digits"),
        fragments=["tiny.pt", "another model", "missing"],
    )
    refuse("evaluate", "--checkpoint", "tiny.pt", "--data", "digits", fragments=["tiny.pt", "--model"])


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_corrupt_checkpoint(name, refuse, tmp_path):
    (tmp_path / name).write_bytes(bytes(range(256)) * 40)
    asked = ("evaluate", "--checkpoint", name, "--model", "tiny_cnn", "--data", "digits")
    refuse(*asked, fragments=[name])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_runs_code_does_not_run(refuse, tmp_path):
    for name, content in {"bomb.pt": pickle.dumps(_Bomb()), "bomb.safetensors": pickle.dumps(_Bomb())}.items():
        (tmp_path / name).write_bytes(content)
        asked = ("evaluate", "--checkpoint", name, "--model", "tiny_cnn", "--data", "digits")
        refuse(*asked, fragments=[name])
    torch.save({"state_dict": _Bomb()}, tmp_path / "zip.pt")
    asked = ("evaluate", "--checkpoint", "zip.pt", "--model", "tiny_cnn", "--data", "digits")
    refuse(*asked, fragments=["zip.pt"])
    assert not (tmp_path / "exploded").exists()


def test_an_artifact_knows_its_model_and_its_images(selected, refuse, tmp_path):
    _, said = selected
    (tmp_path / "a.safetensors").write_bytes(Path(json.loads(said.out)["artifact"]).read_bytes())
    asked = ("evaluate", "--checkpoint", "a.safetensors")
    refuse(*asked, "--data", "digits", "--model", "resnet20", fragments=["tiny_cnn", "resnet20"])
    refuse(*asked, "--data", "cifar10", fragments=["digits", "cifar10"])
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:-100])
    refuse(*asked, "--data", "digits", fragments=["a.safetensors"])


# ---- stores


def test_the_store_of_another_study(own_store, contract, call):
    trials = json.loads(call("front", own_store, "--json").out)
    for more, named in ([["--seed", "1"], "seed"], [["--model", "resnet20"], "model"]):
        said = call(*contract, "--store", own_store, "--budget", "9trials", *more)
        assert_refused(said, str(own_store), "another study", named, "use another store")
    assert json.loads(call("status", own_store, "--json").out)["budget"] == "4trials"
    assert json.loads(call("front", own_store, "--json").out) == trials


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/greenshift", "/dev/null/store"])
def test_a_store_that_cannot_be_made(place, refuse, tmp_path):
    (tmp_path / "file").write_text("a file")
    refuse("search", "--store", place, "--budget", "1trials", fragments=[f"store {place}", "can be written"])


def test_a_store_that_is_no_study(refuse, tmp_path):
    (tmp_path / "store").mkdir()
    refuse("front", "store", fragments=["store store", "has no study.db"])
    (tmp_path / "store" / "study.db").write_bytes(b"not a database at all" * 500)
    for command in ("status", "front", "report", "select"):
        refuse(command, "store", fragments=["store store", "study.db"])


def test_a_read_only_store_folder(contract, tmp_path):
    store = tmp_path / "store"
    store.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    command = [sys.executable, "-m", "greenshift", *contract, "--budget", "1trials", "--store", "store"]
    if os.geteuid() == 0:  # permissions bind the superuser only without these capabilities
        if shutil.which("setpriv") is None:
            pytest.skip("the superuser may write anywhere, and there is no setpriv to change that")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    if process.stderr.startswith("setpriv:"):
        pytest.skip(process.stderr)
    said = Said(process.returncode, process.stdout, process.stderr)
    assert_refused(said, "store store", "can be written")
    assert list(store.iterdir()) == []


def test_a_begun_study_without_results_is_looked_at_like_any_other(tmp_path, call):
    from greenshift.config import StudyConfig

    store = tmp_path / "store"
    Store.create(store, StudyConfig()).close()
    assert json.loads(call("front", store, "--json").out) == []
    status = json.loads(call("status", store, "--json").out)
    assert status["front_size"] == 0
    assert status["hypervolume"] == 0
    assert call("status", store).code == 0
    assert call("front", store).code == 0
    assert_refused(call("select", store), "front is empty", "greenshift search")
    assert call("report", store).code in (0, 2), "a page without points, or one line that says why there is none"


# ---- select


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--trial", "999"], ["999", "no trial"]),
        (["--trial", "-1"], ["-1"]),
        (["--max-energy", "1nJ"], ["no point", "nearest is trial", "energy_j", "1.00 nJ"]),
        (["--max-size", "1B"], ["no point", "size_bytes", "1 B"]),
        (["--max-energy", "cheap"], ["energy_j", "'cheap'", "uJ"]),
        (["--max-energy", "0%"], ["energy_j", "above zero"]),
        (["--trial", "0", "--max-energy", "60%"], ["--trial", "bounds"]),
        (["--output", "no/such/folder/a.safetensors"], ["no/such/folder/a.safetensors", "--output"]),
        (["--output", "."], ["cannot be written"]),
    ],
)
def test_select_refuses_before_it_trains(arguments, fragments, own_store, refuse):
    refuse("select", own_store, *arguments, fragments=fragments)
    with Store.open(own_store) as store:
        assert store.selections() == []


def test_a_report_without_a_place(own_store, refuse, tmp_path):
    (tmp_path / "file").write_text("a file")
    refuse("report", own_store, "--output", "file/report.html", fragments=["file/report.html", "cannot be written"])


# ---- what is not installed


def test_smac_that_is_not_installed(refuse, monkeypatch):
    monkeypatch.setitem(sys.modules, "smac", None)
    refuse("search", "--optimizer", "smac", "--store", "store", fragments=["'smac'", "pip install 'greenshift[smac]'"])


def test_timm_that_is_not_installed(refuse, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    refuse("cost", "--model", "timm:resnet18", fragments=["timm:resnet18", "pip install 'greenshift[timm]'"])
