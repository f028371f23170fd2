import dataclasses
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.budget import Budget, parse_budget
from greenshift.config import (
    StudyConfig,
    constraints,
    from_mapping,
    identity,
    load_config,
    meaning,
    to_mapping,
    to_toml,
)
from greenshift.errors import InputError
from greenshift.objectives import Constraint

FULL = StudyConfig(
    data="cifar10",
    data_dir='/data/with "quotes" and \\ and \t',
    model="package.module:größe",
    target="asic-45nm",
    teacher="runs/a/trial-3.pt",
    teacher_model="resnet56",
    init="runs/b/trial-1.safetensors",
    warm_start=("runs/a, with a comma", "runs/b"),
    prior={"lr": 0.05, "weight_bits": 4, "odd name": "PS"},
    fidelity="shift_depth",
    fidelity_min=2,
    fidelity_max=20,
    epochs=30,
    objectives=("error", "size_bytes", "emissions_g"),
    max_size="256kB",
    max_energy="60%",
    max_latency="20ms",
    max_memory="64KiB",
    max_error="25%",
    budget="8trials,2h,1.5kWh",
    seed=7,
    workers=3,
    threads=2,
    train_limit=500,
    validation_share=0.25,
    augment="crop-flip",
    schedule="cosine",
    baselines=False,
    cpu_watts=6.5,
    carbon_intensity_g_per_kwh=56,
)


@pytest.mark.parametrize("config", [StudyConfig(), FULL])
def test_toml_round_trip(config, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert load_config(path) == config
    assert from_mapping(to_mapping(config)) == config


def test_toml_explains_every_field_and_names_those_not_set():
    text = to_toml(StudyConfig())
    for field in dataclasses.fields(StudyConfig):
        assert meaning(field.name) in text
        assert f"{field.name} =" in text
    assert "max_energy" not in tomllib.loads(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_survives_toml(text):
    assert from_mapping(tomllib.loads(to_toml(StudyConfig(model=text)))).model == text


def test_unknown_key_names_the_closest():
    with pytest.raises(InputError, match=r"study.toml: unknown key 'optimiser'; the closest known one is 'optimizer'"):
        from_mapping({"optimiser": "random"}, "study.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": True}, "seed must be a whole number, not True"),
        ({"seed": -1}, "seed must be between"),
        ({"warm_start": "runs/a"}, "warm_start must be a list of texts"),
        ({"teacher_model": "resnet56"}, "teacher_model resnet56 has no teacher; name its file with teacher"),
        ({"prior": "lr=0.1"}, "prior must be a table of texts and numbers, not 'lr=0.1'"),
        ({"prior": {"lr": [0.1]}}, "prior must be a table of texts and numbers"),
        ({"prior": {"lr": True}}, "prior must be a table of texts and numbers"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"data": 3}, "data must be a text, not 3"),
        ({"objectives": "error"}, "objectives must be a list of texts"),
        ({"objectives": ["error", 3]}, "objectives must be a list of texts"),
        ({"objectives": []}, "at least one"),
        ({"objectives": ["eror"]}, "unknown objective 'eror'"),
        ({"fidelity": "width"}, "or 'data_fraction,resolution', not 'width'"),
        ({"fidelity": "shift_depth,epochs"}, "'epochs,resolution' .*not 'shift_depth,epochs'"),
        ({"fidelity": "resolution", "teacher": "a.safetensors"}, "a teacher exclude each other"),
        ({"fidelity_max": 3}, "need a fidelity"),
        ({"fidelity": "epochs", "fidelity_min": 9, "fidelity_max": 3}, "fidelity_min 9 is above fidelity_max 3"),
        ({"fidelity": "epochs", "epochs": 9}, "exclude each other"),
        ({"fidelity": "epochs,data_fraction", "epochs": 9}, "exclude each other"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"threads": -2}, "threads must be at least 1"),
        ({"train_limit": 0}, "train_limit must be at least 1"),
        ({"validation_share": 0.0}, "validation_share must lie between 0 and 1"),
        ({"validation_share": 1}, "validation_share must lie between 0 and 1"),
        ({"validation_share": math.nan}, "validation_share must be a number"),
        ({"cpu_watts": 0}, "cpu_watts must be above 0"),
        ({"carbon_intensity_g_per_kwh": -1}, "at least 0"),
        ({"carbon_intensity_g_per_kwh": math.inf}, "must be a number"),
        ({"augment": "mixup"}, "augment must be 'none' or"),
        ({"schedule": "linear"}, "schedule must be"),
        ({"baselines": 1}, "baselines must be true or false"),
        ({"max_size": "12 parsecs"}, "size_bytes"),
        ({"max_energy": "0uJ"}, "above zero"),
        ({"budget": "0trials"}, "above zero"),
    ],
)
def test_bad_values_get_one_clear_line(values, message):
    with pytest.raises(InputError, match=message) as caught:
        from_mapping(values)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "missing.toml")
    path = tmp_path / "study.toml"
    path.write_text("seed = ")
    with pytest.raises(InputError, match="not a TOML file"):
        load_config(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        load_config(path)


def test_constraints_in_their_objectives_units():
    assert constraints(FULL) == (
        Constraint("size_bytes", 256_000),
        Constraint("energy_j", 0.6, relative=True),
        Constraint("latency_s", 0.02),
        Constraint("peak_memory_bytes", 65536),
    )


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("8trials", Budget(trials=8)),
        (" 1 trial ", Budget(trials=1)),
        ("120s", Budget(seconds=120)),
        ("3m", Budget(seconds=180)),
        ("3min", Budget(seconds=180)),
        ("0.5h", Budget(seconds=1800)),
        ("50kJ", Budget(energy_j=50_000)),
        ("2MJ", Budget(energy_j=2e6)),
        ("2Wh", Budget(energy_j=7200)),
        ("1kWh", Budget(energy_j=3.6e6)),
        ("8trials,120s,50J", Budget(8, 120, 50)),
        ("50J, 8trials", Budget(trials=8, energy_j=50)),
    ],
)
def test_budgets(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "8trials,",
        "0trials",
        "0s",
        "-3s",
        "3",
        "trials",
        "3 parsecs",
        "3mJ",
        "1h,30min",
        "2trials,3trials",
        "1.5trials",
        "1e999s",
        "nan s",
        "3KJ",
    ],
)
def test_bad_budgets(text):
    with pytest.raises(InputError, match=r"^budget: "):
        parse_budget(text)


@given(st.integers(1, 10**9))
def test_whole_budgets_are_exact(trials):
    assert parse_budget(f"{trials}trials").trials == trials


def test_identity_is_what_makes_a_study():
    same = dataclasses.replace(
        FULL, budget="1s", workers=1, threads=1, data_dir=None, baselines=True, objectives=("error",), warm_start=()
    )
    assert identity(same) == identity(dataclasses.replace(FULL, objectives=("error",)))
    changes = {"seed": 1, "target": "cortex-m0", "max_energy": None, "validation_share": 0.5, "prior": None}
    changes |= {"teacher": "b.pt", "teacher_model": "resnet20", "init": None}
    for field, value in changes.items():
        assert identity(dataclasses.replace(FULL, **{field: value})) != identity(FULL)


def test_carbon_settings_belong_to_a_study_of_carbon_only():
    plain = StudyConfig()
    carbon = StudyConfig(objectives=("error", "emissions_g"))
    for change in ({"cpu_watts": 9.0}, {"carbon_intensity_g_per_kwh": 9.0}):
        assert identity(dataclasses.replace(plain, **change)) == identity(plain)
        assert identity(dataclasses.replace(carbon, **change)) != identity(carbon)
